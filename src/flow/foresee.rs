//! What a URL will require of a visitor who is on the way to it, decided in advance for a page that
//! announces it.

use std::net::IpAddr;

use super::admit::decide;
use crate::config::App;
use crate::domain::assurance::{Evidence, Requirement, Verdict};
use crate::domain::time::Timestamp;
use crate::policy::{Request, Sent};

/// The requirement of a future request, and the verdict if it were sent now.
#[derive(Debug)]
pub struct Foreseen {
    /// The requirement; nothing in observe mode.
    pub requirement: Requirement,
    /// The verdict.
    pub verdict: Verdict,
}

/// What [`admit`](super::admit()) would decide about a request to `app` from this address, if that
/// is known, with this `evidence`. A request that is always refused counts as one for nobody.
pub fn foresee(
    app: &App,
    sent: &Sent<'_>,
    address: Option<IpAddr>,
    evidence: Evidence,
    now: Timestamp,
) -> Foreseen {
    let request = Request::read_sent(sent).ok();
    let Some(request) = request.filter(|request| app.policy.admits_spelling(request)) else {
        return Foreseen { requirement: Requirement::nobody(), verdict: Verdict::Refused };
    };
    let decided = decide(app, &request, address, evidence, now);
    let requirement = if app.enforce { decided.ruling.requirement } else { Requirement::nothing() };
    Foreseen { requirement, verdict: decided.verdict }
}

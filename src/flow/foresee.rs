//! What a place will ask of somebody who is on the way there: the question that their request will
//! put, put beforehand, for a page that says what comes.

use std::net::IpAddr;

use super::admit::decide;
use crate::config::App;
use crate::domain::assurance::{Evidence, Requirement, Verdict};
use crate::domain::time::Timestamp;
use crate::policy::{Request, Sent};

/// What will be asked of a request, and what would become of it now.
#[derive(Debug)]
pub struct Foreseen {
    /// What is asked; nothing, where that is only watched.
    pub requirement: Requirement,
    /// What would become of it.
    pub verdict: Verdict,
}

/// What [`admit`](super::admit()) would say of a request to `app` from this address, where that is known,
/// of whoever has shown this `evidence`. What would be refused before it is judged is for nobody.
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

//! Requests that nobody sent, to find out what the policy would decide about them.

use std::net::IpAddr;
use std::sync::Arc;

use url::form_urlencoded;

use super::admit::{decide, decided_by};
use crate::config::{App, Config, Expected, PolicyTest, Shown, TestVisitor};
use crate::domain::assurance::{
    Evidence, FirstFactor, Kinds, Proof, Proofs, TrustShown, Verdict, Visitor, Worth,
};
use crate::domain::demand::Since;
use crate::domain::device::DeviceId;
use crate::domain::factor::{FactorId, Kind};
use crate::domain::identity::{Identity, UserId};
use crate::domain::time::Timestamp;
use crate::policy::{Request, Rule, Ruling, Sent, Unreadable};

/// A failed test of the configuration.
#[derive(Clone, Debug)]
pub struct Failed<'a> {
    /// The test.
    pub test: &'a PolicyTest,
    /// The expected verdict.
    pub expected: Expected,
    /// The actual verdict.
    pub came: Expected,
    /// The rule that decided, and the demand if that asks for more.
    pub rule: String,
    /// Whether this is the result in observe mode.
    pub observed: bool,
}

/// Runs all tests of `config` and returns those that failed. The store is not read: demands count
/// as in effect, and users as not new.
///
/// A test checks the intended policy: observe mode counts as enforced, so a test passes before and
/// after enforcement begins. `while_observed` checks the current result instead.
pub fn failed(config: &Config, now: Timestamp) -> Vec<Failed<'_>> {
    config.tests.iter().flat_map(|test| fails(config, test, now)).collect()
}

fn fails<'a>(config: &Config, test: &'a PolicyTest, now: Timestamp) -> Vec<Failed<'a>> {
    let Some(app) = config.apps.get(test.app) else { return Vec::new() };
    let sent = Sent { target: test.target.as_bytes(), method: &test.method, overrides: &[] };
    let refused = || (Expected::Refused, "spelling".to_owned());
    let (meant, present) = match read(app, &sent) {
        Err(_) => (refused(), refused()),
        Ok(request) => {
            let evidence = test.visitor.as_ref().map(|visitor| shown(config, app, visitor, now));
            let admission = decide(app, &request, Some(test.from), evidence, now);
            let visitor = admission.evidence.as_ref();
            let said = |verdict: &Verdict, ruling: &Ruling| {
                let decided = (verdict, ruling);
                let by = decided_by(config, &Since::new(), app, decided, visitor, now);
                (expected(verdict), by)
            };
            let present = said(&admission.verdict, &admission.ruling);
            let meant = admission.watched.as_ref();
            let meant = meant.map(|(verdict, ruling)| said(verdict, ruling));
            (meant.unwrap_or_else(|| present.clone()), present)
        }
    };
    let wanted = [(Some(test.expect), meant, false), (test.while_observed, present, true)];
    let failed = wanted.into_iter().filter_map(|(expected, (came, rule), observed)| {
        let expected = expected.filter(|expected| *expected != came)?;
        Some(Failed { test, expected, came, rule, observed })
    });
    failed.collect()
}

/// Reads a request with the options of `app`.
///
/// # Errors
/// [`Unreadable`] if it is refused whatever the rules say.
pub fn read(app: &App, sent: &Sent<'_>) -> Result<Request, Unreadable> {
    let request = Request::read_sent(sent)?;
    if app.policy.admits_spelling(&request) { Ok(request) } else { Err(Unreadable::OddlySpelt) }
}

/// The evidence of a test's user, shown just now.
pub fn shown(config: &Config, app: &App, visitor: &TestVisitor, now: Timestamp) -> Visitor {
    let identity = Identity {
        user: UserId::from([0; 16]),
        name: visitor.user.clone(),
        written: visitor.user.clone(),
        full_name: None,
        email: None,
        groups: visitor.groups.clone(),
    };
    let due = config.demands.due(&identity, Timestamp::default(), Some(&app.name), &Since::new());
    let proofs = visitor.shown.iter().fold(Proofs::default(), |proofs, shown| {
        let proof = match shown {
            Shown::Password => Proof::First(FirstFactor::Password),
            Shown::Factor(kind) => Proof::Factor(*kind, FactorId::from([0; 16])),
            Shown::TrustedDevice => Proof::TrustedDevice(DeviceId::from([0; 16])),
            Shown::Provider => {
                let proofs = proofs.with(Proof::First(FirstFactor::Provider), now);
                return proofs.with(Proof::ProvidersFactor, now);
            }
        };
        proofs.with(proof, now)
    });
    // What is not said of the user's factors is assumed to be so: keys have settled, and the device
    // is trusted because of a factor that the user has.
    let mut proofs = proofs.valued(|shown| {
        let resists_phishing = shown.kind.row().resists_phishing;
        Some(Worth { can_be_copied: false, resists_phishing })
    });
    let by = visitor.has.iter().next();
    proofs.trusted_device = proofs.trusted_device.map(|shown| TrustShown { by, ..shown });
    Visitor {
        identity: Arc::new(identity),
        proofs,
        has_second_factor: visitor.has_second_factor,
        has: visitor.has,
        demanded: !visitor.has_second_factor && due.is_some_and(|due| due <= now),
        codes_unsaved: false,
    }
}

/// The same for evidence that may be absent.
pub fn evidence(
    config: &Config,
    app: &App,
    visitor: Option<&TestVisitor>,
    now: Timestamp,
) -> Evidence {
    visitor.map(|visitor| shown(config, app, visitor, now))
}

/// A verdict as tests name it.
pub const fn expected(verdict: &Verdict) -> Expected {
    match verdict {
        Verdict::Pass(_) | Verdict::SaveCodes(_) => Expected::Pass,
        Verdict::SignIn => Expected::SignIn,
        Verdict::Confirm | Verdict::Challenge => Expected::SecondFactor,
        Verdict::SetUp => Expected::SetUp,
        Verdict::Refused => Expected::Refused,
    }
}

/// A request that meets the conditions of `rule`, and a user who may enter and has shown
/// everything; `None` if none can be made up.
pub fn example_of(rule: &Rule) -> Option<(Request, IpAddr, TestVisitor)> {
    let target = rule.paths.first()?.example();
    let query: Vec<String> = rule
        .query
        .iter()
        .map(|wanted| {
            let value = wanted.values.first().unwrap_or("1");
            form_urlencoded::Serializer::new(String::new())
                .append_pair(&wanted.name, value)
                .finish()
        })
        .collect();
    let target = if query.is_empty() { target } else { format!("{target}?{}", query.join("&")) };
    let method = rule.methods.first().unwrap_or("GET");
    let sent = Sent { target: target.as_bytes(), method, overrides: &[] };
    let request = Request::read_sent(&sent).ok()?;
    let network = rule.networks.first();
    let address = network.map_or(IpAddr::from([192, 0, 2, 1]), ipnet::IpNet::addr);
    let only = rule.require.only.iter().flat_map(|only| only.iter());
    let admitted = only.clone().flat_map(|only| &only.groups).map(String::as_str);
    let groups = rule.groups.iter().take(1).chain(admitted);
    let user = only.flat_map(|only| &only.users).next().map_or(SOMEBODY, String::as_str);
    let visitor = TestVisitor {
        user: user.to_owned(),
        groups: groups.map(str::to_owned).collect(),
        has_second_factor: true,
        has: Kinds::ALL,
        shown: vec![Shown::Password, Shown::Factor(Kind::Totp)],
    };
    Some((request, address, visitor))
}

/// The user of an example whose rule names nobody.
const SOMEBODY: &str = "somebody";

/// The user of a request or an example, for operators: `ada`, or `somebody in staff`.
pub fn named(identity: &Identity) -> String {
    if identity.name != SOMEBODY || identity.groups.is_empty() {
        return identity.name.clone();
    }
    let groups: Vec<_> = identity.groups.iter().map(String::as_str).collect();
    format!("{SOMEBODY} in {}", groups.join(" and "))
}

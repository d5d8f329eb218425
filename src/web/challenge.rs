//! The challenge: a code of the authenticator or, by a visible switch, a recovery code.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Deserialize;

use super::form::{Asked, Form, Trouble};
use super::guard::Guest;
use super::pages::{self, Kind, Problem, Standing, Trust};
use super::return_to::ReturnTo;
use super::{Desk, doors, headers};
use crate::config::App;
use crate::domain::assurance::{Kinds, Requirement, Verdict, Visitor};
use crate::domain::factor::{Answer, Rejection};
use crate::domain::time::Timestamp;
use crate::flow::Visit;
use crate::flow::admit::judge_visit;
use crate::flow::challenge::{Challenge, answer};
use crate::policy::{self, Asker, OwnPage};

/// What is typed into it.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    kind: String,
    code: String,
    trust_device: String,
}

pub(super) async fn show(
    State(desk): State<Desk>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = Asked::of(query.as_deref());
    let return_to = asked.return_to(&desk);
    let Some(visit) = &guest.visit else {
        return headers::see_other(&return_to.through("sign-in"));
    };
    let user = &visit.user.user;
    if !user.has_second_factor() {
        return headers::see_other(&return_to.through("set-up"));
    }
    let kind = kind_of(&asked.kind);
    let closed = user.answers_closed(guest.caller.known_to(user), guest.caller.now);
    // During a wait or a lock, recovery codes are read all the same.
    let closed = closed.filter(|why| kind == Kind::Totp || *why == Rejection::Frozen);
    let problem = closed.map(|rejection| problem(rejection, kind, guest.caller.now));
    page(&desk, &guest, &return_to, kind, false, problem)
}

pub(super) async fn submit(
    State(desk): State<Desk>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, return_to } = form;
    let to_sign_in = || headers::see_other(&return_to.through("sign-in"));
    let Some(visit) = guest.visit.clone() else { return Ok(to_sign_in()) };
    let kind = kind_of(&typed.kind);
    let trust = !typed.trust_device.is_empty();
    let again = |problem| page(&desk, &guest, &return_to, kind, trust, Some(problem));
    if let Some(problem) = doubt {
        return Ok(again(problem));
    }
    let Ok(typed) = read(kind, &typed.code) else {
        return Ok(again(problem(Rejection::Wrong, kind, guest.caller.now)));
    };
    Ok(match answered(&desk, &guest, visit, typed, trust).await? {
        Challenge::Proven(given) => desk.onward(&guest, &given, &return_to),
        Challenge::Rejected(Rejection::NotSetUp) => {
            headers::see_other(&return_to.through("set-up"))
        }
        Challenge::Rejected(rejection) => again(problem(rejection, kind, guest.caller.now)),
        Challenge::Over => to_sign_in(),
    })
}

async fn answered(
    desk: &Desk,
    guest: &Guest,
    visit: Visit,
    typed: Answer,
    trust: bool,
) -> Result<Challenge, Trouble> {
    let (env, caller) = (desk.env.clone(), guest.caller.clone());
    let deed = async move { answer(&env, &caller, &visit, &typed, trust).await };
    Ok(desk.outlive(deed).await?)
}

/// What has not the shape of a code is no guess, and is not counted as one.
fn read(kind: Kind, code: &str) -> Result<Answer, Rejection> {
    match kind {
        Kind::Totp => code.parse().map(Answer::Totp),
        Kind::RecoveryCode => code.parse().map(Answer::RecoveryCode),
    }
}

fn kind_of(text: &str) -> Kind {
    if text == Kind::RecoveryCode.value() { Kind::RecoveryCode } else { Kind::Totp }
}

pub(super) fn problem(rejection: Rejection, kind: Kind, now: Timestamp) -> Problem {
    match (rejection, kind) {
        (Rejection::Wrong | Rejection::NotSetUp, Kind::Totp) => Problem::Code,
        (Rejection::Wrong | Rejection::NotSetUp, Kind::RecoveryCode) => Problem::RecoveryCode,
        (Rejection::Used, Kind::Totp) => Problem::CodeUsed,
        (Rejection::Used, Kind::RecoveryCode) => Problem::RecoveryCodeUsed,
        (Rejection::Waiting { until }, Kind::Totp) => Problem::WaitOrRecoveryCode(now.until(until)),
        // Recovery codes are read during a wait: what did not work was the code.
        (Rejection::Waiting { .. } | Rejection::Locked, Kind::RecoveryCode) => {
            Problem::RecoveryCode
        }
        (Rejection::Locked, Kind::Totp) => Problem::Locked,
        (Rejection::Frozen, _) => Problem::Frozen,
    }
}

fn page(
    desk: &Desk,
    guest: &Guest,
    return_to: &ReturnTo,
    kind: Kind,
    trust: bool,
    problem: Option<Problem>,
) -> Response {
    let standing = desk.standing(guest, return_to);
    let takes_recovery_codes = desk.asked_at(guest, return_to).kinds.has(Kinds::RECOVERY_CODE);
    let page = pages::Challenge {
        frame: desk.frame_for(guest),
        form: desk.form(guest, return_to),
        // Whoever is outside can sign in by one, if not to that place.
        kind: if takes_recovery_codes || standing == Standing::Outside { kind } else { Kind::Totp },
        standing,
        trust: desk.offer_of_trust(guest, return_to, trust),
        takes_recovery_codes,
        problem: problem.map(|problem| match problem {
            Problem::WaitOrRecoveryCode(span) if !takes_recovery_codes => Problem::Wait(span),
            problem => problem,
        }),
    };
    desk.form_page(&page, problem)
}

impl Desk {
    /// Whether this guest is let in without a code, and whether the place that they are going to
    /// wants one all the same.
    fn standing(&self, guest: &Guest, place: &ReturnTo) -> Standing {
        let (visit, now) = (guest.visit.as_ref(), guest.caller.now);
        let verdict = |asked: &Requirement| judge_visit(&self.env, asked, visit, None, now);
        match verdict(&Requirement::sign_in()) {
            Verdict::Pass(_) | Verdict::SaveCodes(_) => {}
            _ => return Standing::Outside,
        }
        match verdict(&self.asked_at(guest, place)) {
            Verdict::Challenge => Standing::AskedAgain,
            _ => Standing::Inside,
        }
    }

    /// The offer to trust this device. None is made where it would be untrue, because the place
    /// asks for a code all the same, or pointless, because the device is trusted already.
    pub(super) fn offer_of_trust(
        &self,
        guest: &Guest,
        place: &ReturnTo,
        ticked: bool,
    ) -> Option<Trust> {
        let asked = self.asked_at(guest, place);
        let accepted = asked.trusted_device && asked.within.is_none();
        (accepted && guest.trusted_until().is_none())
            .then(|| Trust { lasts: self.env.config.trusted_devices.lasting, ticked })
    }

    /// The application that somebody is going to, if it is one.
    pub(super) fn app_at(&self, place: &ReturnTo) -> Option<Arc<App>> {
        match self.destination(place) {
            Some(destination) => destination.site.app,
            None => self.site.app.clone(),
        }
    }

    /// What the place that somebody is going to asks for, be it an application's or ours.
    pub(super) fn asked_at(&self, guest: &Guest, place: &ReturnTo) -> Requirement {
        if let Some(destination) = self.destination(place) {
            return destination.ask.map_or_else(Requirement::sign_in, |ask| ask.requirement);
        }
        let Ok(request) = policy::Request::read(place.as_str().as_bytes()) else {
            return Requirement::nobody();
        };
        match request.own_page() {
            OwnPage::No => match &self.site.app {
                Some(app) => {
                    let now = guest.caller.now;
                    let visit = guest.visit.as_ref();
                    let visitor = visit.map(|visit| visit.visitor(&self.env, Some(app), now));
                    let known = visitor.as_ref().and_then(Visitor::known);
                    let asker = Asker { address: Some(guest.caller.address), known };
                    app.policy.requirement(&request, &asker).requirement
                }
                None => Requirement::nothing(),
            },
            OwnPage::Page(_) | OwnPage::Odd => {
                let path = place.as_str().split('?').next().unwrap_or_default();
                let door = doors::DOORS.iter().find(|door| door.is_at(path));
                door.map_or_else(Requirement::nothing, |door| {
                    door.asks.requirement(&self.env.config)
                })
            }
        }
    }
}

//! The challenge: an answer of one kind of second factor, with a visible way to the others.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Deserialize;

use super::app_state::AppState;
use super::factor::{email, options, or_used_up, part, problem, sms};
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::headers;
use super::page_query::PageQuery;
use super::pages::{self, Problem, Standing};
use super::return_to::ReturnTo;
use super::texted::or_not_sent;
use crate::domain::assurance::Kinds;
use crate::domain::ceremony::Purpose;
use crate::domain::factor::{Factor, Kind, Rejection};
use crate::domain::user::User;
use crate::flow::challenge::{Challenge, answer, ask};
use crate::flow::emailed::is_offered;
use crate::flow::{AuthenticatedRequest, Submitted};

/// The fields.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    kind: String,
    code: String,
    trust_device: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let asked = PageQuery::of(query.as_deref());
    let return_to = asked.return_to(&state);
    let Some(authenticated) = &guest.authenticated else {
        return Ok(headers::see_other(&return_to.through("sign-in")));
    };
    let user = &authenticated.user.user;
    if !user.has_second_factor() {
        return Ok(headers::see_other(&return_to.through("set-up")));
    }
    // Shown meanwhile in another tab.
    if state.owes_nothing(&guest, &return_to) {
        return Ok(headers::see_other(return_to.as_str()));
    }
    let kind = state.kind_asked(&guest, &return_to, user, &asked.kind);
    let closed = user.answers_closed(guest.caller.known_to(user), guest.caller.now);
    // What nobody can guess is accepted even during a wait or a lock.
    let can_be_guessed = kind.row().can_be_guessed;
    let closed = closed.filter(|why| can_be_guessed || *why == Rejection::Frozen);
    let problem = closed.map(|rejection| problem(rejection, kind, guest.caller.now));
    page(&state, &guest, &return_to, kind, false, problem).await
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, return_to, .. } = form;
    let to_sign_in = || headers::see_other(&return_to.through("sign-in"));
    let Some(authenticated) = guest.authenticated.clone() else { return Ok(to_sign_in()) };
    let user = &authenticated.user.user;
    let kind = Kind::of_word(&typed.kind).unwrap_or_else(|| first_kind(user));
    let trust = !typed.trust_device.is_empty();
    let again = |problem| page(&state, &guest, &return_to, kind, trust, Some(problem));
    if let Some(problem) = doubt {
        return again(problem).await;
    }
    let Ok(typed) = (part(kind).read)(&typed.code) else {
        return again(problem(Rejection::Wrong, kind, guest.caller.now)).await;
    };
    Ok(match answered(&state, &guest, authenticated, typed, trust).await? {
        Challenge::Proven(given) => state.onward(&guest, &given, &return_to),
        Challenge::Rejected(Rejection::Used) if state.owes_nothing(&guest, &return_to) => {
            headers::see_other(return_to.as_str())
        }
        Challenge::Rejected(Rejection::NotSetUp) => {
            headers::see_other(&return_to.through("set-up"))
        }
        Challenge::Rejected(rejection) => {
            // A wrong code may have been the last one for what was sent.
            let guest = guest.reloaded(&state.env).await?;
            let problem = problem(rejection, kind, guest.caller.now);
            page(&state, &guest, &return_to, kind, trust, Some(problem)).await?
        }
        Challenge::Over => to_sign_in(),
    })
}

async fn answered(
    state: &AppState,
    guest: &Guest,
    authenticated: AuthenticatedRequest,
    typed: Submitted,
    trust: bool,
) -> Result<Challenge, Trouble> {
    Ok(answer(guest.acting(&state.env, &authenticated), &typed, trust).await?)
}

/// Whether an answer of this kind opens what accepts these kinds, or one that backs it up and is offered
/// only beside it.
fn leads_on(accepted: Kinds, user: &User, kind: Kind) -> bool {
    let mut others = user.factors().iter().map(Factor::kind);
    accepted.has(kind) || others.any(|one| one.row().backs_up == Some(kind) && accepted.has(one))
}

/// The kind that a challenge begins with: the one that this user used last.
fn first_kind(user: &User) -> Kind {
    user.kinds().into_iter().next().unwrap_or(Kind::Totp)
}

impl AppState {
    /// The kinds of answers that this visitor can give now: those of the user, and a backup that is
    /// offered. Recovery codes come last.
    fn ways(&self, guest: &Guest, user: &User) -> Vec<Kind> {
        let mut kinds = user.kinds();
        let session = guest.authenticated.as_ref().map(|authenticated| &authenticated.session);
        let now = guest.caller.now;
        if session.is_some_and(|session| is_offered(&self.env, user, session, now)) {
            let factors = kinds.iter().filter(|kind| kind.is_factor()).count();
            kinds.insert(factors, Kind::Email);
        }
        kinds
    }

    /// The state of the code for this kind, if one is sent for it.
    fn sent_at_challenge(&self, guest: &Guest, kind: Kind) -> Option<pages::Texted> {
        let (authenticated, now) = (guest.authenticated.as_ref()?, guest.caller.now);
        match kind {
            Kind::Sms => {
                let texted = sms::at_challenge(authenticated, Purpose::Challenge, now)?;
                let mail_at = email::offered_later(&self.env, authenticated, now);
                Some(pages::Texted { mail_at, ..texted })
            }
            Kind::Email => email::at_challenge(&self.env, authenticated, now),
            Kind::Totp | Kind::RecoveryCode | Kind::SecurityKey => None,
        }
    }

    /// The kind that the visitor has chosen, if it can be of use, or else the first one that is.
    fn kind_asked(&self, guest: &Guest, place: &ReturnTo, user: &User, chosen: &str) -> Kind {
        let kinds = self.ways(guest, user);
        let accepted = self.kinds_ahead(guest, place);
        // A recovery code signs the visitor in, even if it does not open that URL.
        let signs_in = self.standing(guest, place) == Standing::Outside;
        let opens = |kind: Kind| leads_on(accepted, user, kind);
        let fits = |kind: &Kind| opens(*kind) || (signs_in && !kind.is_factor());
        let chosen = Kind::of_word(chosen).filter(|kind| kinds.contains(kind) && fits(kind));
        let first = || kinds.iter().copied().find(|kind| kind.is_factor() && opens(*kind));
        chosen.or_else(first).unwrap_or_else(|| first_kind(user))
    }
}

pub(super) async fn page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    kind: Kind,
    trust: bool,
    problem: Option<Problem>,
) -> Result<Response, Trouble> {
    if guest.authenticated.is_none() {
        return Ok(headers::see_other(&return_to.through("sign-in")));
    }
    let standing = state.standing(guest, return_to);
    let accepted = state.kinds_ahead(guest, return_to);
    let user = guest.authenticated.as_ref().map(|authenticated| &authenticated.user.user);
    let kind = user.map_or(kind, |user| state.kind_asked(guest, return_to, user, kind.word()));
    let options = match &guest.authenticated {
        Some(authenticated) if problem != Some(Problem::Frozen) => {
            let begun = ask(guest.acting(&state.env, authenticated), kind).await?;
            options(&state.env.config, &authenticated.user, begun.as_ref())
        }
        _ => None,
    };
    let has = user.map(|user| state.ways(guest, user)).unwrap_or_default();
    let stands_in = |kind: &Kind| !kind.is_factor() && accepted.has(*kind);
    // Back from what only signs in, every factor is shown.
    let others = has.iter().filter(|other| **other != kind);
    let leads_on = |other: Kind| user.is_some_and(|user| leads_on(accepted, user, other));
    let others = others.filter(|other| leads_on(**other) || !kind.is_factor());
    let takes_stand_ins = has.iter().any(stands_in);
    let mut texted = state.sent_at_challenge(guest, kind);
    if let Some(texted) = texted.as_mut().filter(|_| !accepted.has(Kind::Email)) {
        texted.mail_at = None;
    }
    let is_waiting = texted.as_ref().is_none_or(|texted| texted.is_waiting);
    let shown = or_not_sent(state, guest, kind, or_used_up(problem, kind, is_waiting)).await?;
    let page = pages::Challenge {
        frame: state.frame_for(guest),
        form: state.form(guest, return_to),
        part: part(kind),
        options,
        texted,
        others: others.map(|other| part(*other)).collect(),
        standing,
        trust: state.offer_of_trust(guest, return_to, trust),
        recovery_codes_sign_in: kind.is_factor()
            && !takes_stand_ins
            && standing == Standing::Outside,
        problem: shown.map(|problem| match problem {
            Problem::WaitOrRecoveryCode(span) if !takes_stand_ins => Problem::Wait(span),
            problem => problem,
        }),
    };
    Ok(state.form_page(&page, problem))
}

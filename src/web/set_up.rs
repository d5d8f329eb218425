//! Setting up the first second factor, once everything was shown that the operator requires besides
//! the password.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::app_state::AppState;
use super::factor::security_key::other_model;
use super::factor::{choices, chosen, expired, or_used_up, steps, takes_a_code, words};
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::page_query::PageQuery;
use super::pages::{self, Problem, Proving};
use super::return_to::ReturnTo;
use super::{headers, home, refusal, security, texted};
use crate::config::App;
use crate::domain::ceremony::Purpose;
use crate::domain::factor::security_key::SecurityKey;
use crate::domain::factor::{Begun, Kind};
use crate::domain::message::WhatFor;
use crate::domain::user::FirstFactorAsks;
use crate::flow::AuthenticatedRequest;
use crate::flow::set_up::{FirstFactor, SetUp, begin, turn_on};
use crate::flow::texts::Sent;

/// The fields of the set-up page.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    /// The word of the kind that is set up.
    kind: String,
    code: String,
    trust_device: String,
    /// The code from a mail, if one is required first.
    mailed_code: String,
    /// Whether to mail a code.
    send: String,
    /// Whether to send a code as a text message, and to which number.
    text: String,
    number: String,
}

/// What a page that is shown again keeps of what was typed.
#[derive(Clone, Copy, Default)]
struct Kept<'a> {
    trust: bool,
    number: &'a str,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let asked = PageQuery::of(query.as_deref());
    let kind = chosen(&state.env.config, &asked.kind);
    page(&state, &guest, &asked.return_to(&state), kind, Kept::default(), None).await
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, return_to, .. } = form;
    let kind = chosen(&state.env.config, &typed.kind);
    let trust = !typed.trust_device.is_empty();
    let kept = Kept { trust, number: &typed.number };
    if doubt.is_some() {
        return page(&state, &guest, &return_to, kind, kept, doubt).await;
    }
    let Some(authenticated) = guest.authenticated.clone() else {
        return Ok(headers::see_other(&return_to.through("sign-in")));
    };
    if kind == Kind::Sms && !typed.text.is_empty() {
        let purpose = Purpose::First;
        return match texted::sent(&state, &guest, &authenticated, purpose, &typed.number).await? {
            Ok(()) => Ok(headers::see_other(&return_to.through_by("set-up", kind.word()))),
            Err((Sent::Owes(owed), _)) => {
                Ok(state.prove_page(&guest, Proving::SetUp, owed, &return_to, None))
            }
            Err((_, problem)) => page(&state, &guest, &return_to, kind, kept, problem).await,
        };
    }
    let answer = (words(kind).read)(&typed.code).ok();
    let again = |begun: &Begun, problem| {
        let problem = Some(problem);
        let page = set_up_page(&state, &guest, &authenticated, begun, &return_to, kept, problem);
        state.form_page(&page, problem)
    };
    let set_up =
        turn_on(guest.acting(&state.env, &authenticated), kind, answer.as_ref(), trust).await?;
    Ok(match set_up {
        SetUp::On(given) => state.goes_on(&guest, &given, &return_to.through(refusal::SAVE_CODES)),
        SetUp::Already => headers::see_other(return_to.as_str()),
        SetUp::Wrong(begun) => again(&begun, Problem::Answer(words(kind).wrong)),
        SetUp::OtherModel(begun) => again(&begun, Problem::Answer(other_model(&state.env.config))),
        SetUp::Late(begun) => again(&begun, expired(kind)),
        SetUp::Closed(rejection) => {
            let closed = Problem::of_sent_code(rejection, guest.caller.now);
            return page(&state, &guest, &return_to, kind, kept, Some(closed)).await;
        }
        SetUp::Waiting { until } => {
            let wait = Problem::Wait(guest.caller.now.until(until));
            return page(&state, &guest, &return_to, kind, kept, Some(wait)).await;
        }
        SetUp::Owes(owed) => {
            let (sent, what) = ((&*typed.send, &*typed.mailed_code), (Proving::SetUp, owed));
            let here = return_to.through("set-up");
            return state.prove(&guest, authenticated, what, sent, &return_to, &here).await;
        }
        SetUp::Over => headers::see_other(&return_to.through("sign-in")),
    })
}

async fn page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    kind: Kind,
    kept: Kept<'_>,
    problem: Option<Problem>,
) -> Result<Response, Trouble> {
    let Some(authenticated) = &guest.authenticated else {
        return Ok(headers::see_other(&return_to.through("sign-in")));
    };
    Ok(match begin(guest.acting(&state.env, authenticated), kind).await? {
        FirstFactor::None if state.asks_for_another_factor(guest, return_to) => {
            another(state, guest, authenticated, return_to)
        }
        FirstFactor::None => headers::see_other(return_to.as_str()),
        FirstFactor::Owes(owed) => {
            state.prove_page(guest, Proving::SetUp, owed, return_to, problem)
        }
        FirstFactor::Waits(begun) => {
            let shown = texted::or_not_sent(state, guest, kind, problem).await?;
            let page = set_up_page(state, guest, authenticated, &begun, return_to, kept, shown);
            state.form_page(&page, problem)
        }
    })
}

/// Where somebody goes whose factors are none of those that the page behind asks for: to the set-up
/// of one that is, or, if they have a key that does not count yet, to a page that says from when. If
/// they may set up none, to their security page.
fn another(
    state: &AppState,
    guest: &Guest,
    authenticated: &AuthenticatedRequest,
    return_to: &ReturnTo,
) -> Response {
    let factors = authenticated.user.user.factors().iter();
    let sound = factors.filter(|factor| factor.is_sound());
    let from = sound.filter_map(|factor| factor.security_key()).map(SecurityKey::counts_from).min();
    let wanted = state.kinds_ahead(guest, return_to);
    let waits = wanted.has(Kind::SecurityKey) && !wanted.has_any(Kind::SecurityKey);
    if let Some(from) = from.filter(|from| waits && *from > guest.caller.now) {
        let (frame, from) = (state.frame_for(guest), home::moment(from));
        return state.page(StatusCode::FORBIDDEN, &pages::NotYet { frame, from });
    }
    let mut may = state.env.config.kinds.iter().filter(|kind| wanted.has(**kind));
    let Some(kind) = may.next() else {
        return headers::see_other(security::place().as_str());
    };
    headers::see_other(&return_to.through_by("security/factors/add", kind.word()))
}

fn set_up_page(
    state: &AppState,
    guest: &Guest,
    authenticated: &AuthenticatedRequest,
    begun: &Begun,
    return_to: &ReturnTo,
    kept: Kept<'_>,
    problem: Option<Problem>,
) -> pages::SetUp {
    let config = &state.env.config;
    let now = guest.caller.now;
    let problem = or_used_up(problem, begun.kind(), takes_a_code(begun, now));
    let typed = (kept.number, now);
    pages::SetUp {
        frame: state.frame_for(guest),
        form: state.form(guest, return_to),
        demanded_by: state.demanded_by(guest, authenticated, return_to),
        later: state.later(guest, authenticated, return_to),
        kind: begun.kind(),
        kinds: choices(config),
        words: words(begun.kind()),
        steps: steps(config, &authenticated.user, begun, None, problem.as_ref(), typed),
        trust: state.offer_of_trust(guest, return_to, kept.trust),
        problem,
    }
}

impl AppState {
    /// Sends a code or checks one, if one is required. What is asked of is `here`.
    pub(super) async fn prove(
        &self,
        guest: &Guest,
        authenticated: AuthenticatedRequest,
        (what, owed): (Proving, FirstFactorAsks),
        sent: (&str, &str),
        return_to: &ReturnTo,
        here: &str,
    ) -> Result<Response, Trouble> {
        let again = |problem| self.prove_page(guest, what, owed, return_to, problem);
        if owed != FirstFactorAsks::MailedCode {
            return Ok(again(None));
        }
        let what_for = match what {
            Proving::SetUp => WhatFor::SetUp,
            Proving::Key => WhatFor::AddKey,
        };
        self.by_mail(guest, authenticated, what_for, sent, here, again).await
    }

    pub(super) fn prove_page(
        &self,
        guest: &Guest,
        what: Proving,
        owed: FirstFactorAsks,
        return_to: &ReturnTo,
        problem: Option<Problem>,
    ) -> Response {
        let authenticated = guest.authenticated.as_ref();
        let mail_from = authenticated.and_then(|authenticated| {
            let user = &authenticated.user.user;
            user.mail_proves_from(self.env.set_up_proof(user), guest.caller.now)
        });
        let later = authenticated.filter(|_| what == Proving::SetUp);
        let later = later.and_then(|authenticated| self.later(guest, authenticated, return_to));
        let page = pages::ProveFirst {
            frame: self.frame_for(guest),
            form: self.form(guest, return_to),
            what,
            by_mail: (owed == FirstFactorAsks::MailedCode).then(|| Self::mailed(guest)),
            mail_from: mail_from.map(home::moment),
            is_demanded: authenticated.is_some_and(|authenticated| {
                self.demanded_by(guest, authenticated, return_to).is_some()
            }),
            due: later.map(|later| later.due),
            problem,
        };
        self.form_page(&page, problem)
    }

    /// Who demands a second factor of this guest now: the application that they are going to, or
    /// the whole site.
    pub(super) fn demanded_by(
        &self,
        guest: &Guest,
        authenticated: &AuthenticatedRequest,
        place: &ReturnTo,
    ) -> Option<String> {
        let app = self.app_at(place);
        let due = |app: Option<&App>| {
            self.env.due(&authenticated.user, app).is_some_and(|due| due <= guest.caller.now)
        };
        match app {
            Some(app) if due(Some(&app)) => Some(app.name.clone()),
            Some(app) if self.wants_second_factor(guest, place) => Some(app.name.clone()),
            _ => due(None).then(|| self.site_name()),
        }
    }

    /// The link to skip setting up, if it is not demanded yet.
    fn later(
        &self,
        guest: &Guest,
        authenticated: &AuthenticatedRequest,
        place: &ReturnTo,
    ) -> Option<pages::Later> {
        let due = self.env.due(&authenticated.user, None).filter(|due| *due > guest.caller.now)?;
        Some(pages::Later { due: home::date(due), url: place.as_str().to_owned() })
    }
}

//! Changing one's own e-mail address. A user without a second factor first proves access to the old
//! one.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::HeaderMap;
use serde::Deserialize;

use super::app_state::AppState;
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::headers;
use super::page_query::PageQuery;
use super::pages::{self, Notice, Problem};
use super::password::SECURITY;
use super::return_to::ReturnTo;
use crate::domain::mailed::Code;
use crate::domain::message::WhatFor;
use crate::domain::name::Email;
use crate::domain::user::Origin;
use crate::flow::AuthenticatedRequest;
use crate::flow::email::{Named, asks_old_address, name_email};
use crate::flow::mailed_code::{Sent, Shown, send_code, show_code};

/// The fields.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    email: String,
    code: String,
    /// Whether to send a code.
    send: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if is_kept_elsewhere(&guest) {
        return state.notice(Notice::AddressKeptElsewhere, &headers);
    }
    let return_to = PageQuery::of(query.as_deref()).return_to_or(&state, SECURITY);
    page(&state, &guest, &return_to, String::new(), None)
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    headers: HeaderMap,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    if is_kept_elsewhere(&guest) {
        return Ok(state.notice(Notice::AddressKeptElsewhere, &headers));
    }
    let Form { typed, doubt, return_to, .. } = form;
    let typed_address = typed.email.clone();
    let again = |problem| page(&state, &guest, &return_to, typed_address.clone(), problem);
    if doubt.is_some() || state.env.config.mail.is_none() {
        return Ok(again(doubt));
    }
    let to_sign_in = || headers::see_other(&return_to.through("sign-in"));
    let Some(authenticated) = guest.authenticated.clone() else { return Ok(to_sign_in()) };
    let here = return_to.through("security/email");
    if old_address_first(&state, &guest, &authenticated) {
        let typed = (typed.send.as_str(), typed.code.as_str());
        return state
            .by_mail(&guest, authenticated, WhatFor::ChangeEmail, typed, &here, again)
            .await;
    }
    let Ok(address) = Email::parse(typed.email.trim()) else {
        return Ok(again(Some(Problem::Address)));
    };
    Ok(match name_email(guest.acting(&state.env, &authenticated), &address).await? {
        Named::Now | Named::OldAddressFirst => headers::see_other(&here),
        Named::Already => again(Some(Problem::AddressAlready)),
        Named::TooMany => again(Some(Problem::TooManyMails)),
        Named::KeptElsewhere => state.notice(Notice::AddressKeptElsewhere, &headers),
        Named::Over => to_sign_in(),
    })
}

impl AppState {
    /// Sends a code to the present address, or checks one; then leads `here`.
    pub(super) async fn by_mail(
        &self,
        guest: &Guest,
        authenticated: AuthenticatedRequest,
        what_for: WhatFor,
        (send, code): (&str, &str),
        here: &str,
        again: impl Fn(Option<Problem>) -> Response,
    ) -> Result<Response, Trouble> {
        if !send.is_empty() {
            return Ok(
                match send_code(guest.acting(&self.env, &authenticated), what_for).await? {
                    Sent::Now | Sent::Lately { .. } => headers::see_other(here),
                    Sent::Not => again(Some(Problem::TooManyMails)),
                    Sent::Over => headers::see_other("/.doorward/sign-in"),
                },
            );
        }
        let Ok(code) = code.parse::<Code>() else {
            return Ok(again(Some(Problem::MailedCode)));
        };
        Ok(match show_code(guest.acting(&self.env, &authenticated), &code).await? {
            Shown::Proven(given) => self.goes_on(guest, &given, here),
            Shown::Rejected(rejection) => {
                again(Some(Problem::of_sent_code(rejection, guest.caller.now)))
            }
            Shown::Over => headers::see_other("/.doorward/sign-in"),
        })
    }

    /// The pending code of this guest, as the page describes it.
    pub(super) fn mailed(guest: &Guest) -> pages::Mailed {
        let now = guest.caller.now;
        let authenticated = guest.authenticated.as_ref();
        let mailed = authenticated.and_then(|authenticated| authenticated.session.mailed.as_ref());
        let mailed = mailed.filter(|mailed| mailed.is_good(now));
        let email = authenticated.and_then(|authenticated| authenticated.user.user.email());
        pages::Mailed {
            to: email.map(Email::hinted).unwrap_or_default(),
            sent: mailed.is_some(),
            again_in: mailed.map(|mailed| now.until(mailed.again())),
        }
    }
}

/// Whether a provider answers for this user, and so keeps the address.
fn is_kept_elsewhere(guest: &Guest) -> bool {
    let user = guest.authenticated.as_ref().map(|authenticated| &authenticated.user.user);
    user.is_some_and(|user| *user.origin() != Origin::Local)
}

fn old_address_first(
    state: &AppState,
    guest: &Guest,
    authenticated: &AuthenticatedRequest,
) -> bool {
    asks_old_address(&state.env, &authenticated.user.user, &authenticated.session, guest.caller.now)
}

fn page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    typed: String,
    problem: Option<Problem>,
) -> Response {
    let Some(authenticated) = &guest.authenticated else {
        return headers::see_other(&return_to.through("sign-in"));
    };
    let user = &authenticated.user.user;
    let page = pages::ChangeEmail {
        frame: state.frame_for(guest),
        form: state.form(guest, return_to),
        mails: state.env.config.mail.is_some(),
        present: user.email().map(ToString::to_string),
        waiting: user.new_email().map(ToString::to_string),
        old_address: old_address_first(state, guest, authenticated)
            .then(|| AppState::mailed(guest)),
        typed,
        problem,
    };
    state.form_page(&page, problem)
}

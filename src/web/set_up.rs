//! Setting up the authenticator, and the recovery codes that come with it.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;

use super::form::{Asked, Form, Trouble};
use super::guard::Guest;
use super::pages::{self, Problem};
use super::return_to::ReturnTo;
use super::{Desk, headers, home, qr, refusal};
use crate::config::App;
use crate::domain::assurance::Level;
use crate::domain::factor::recovery::{self, RecoveryCodes};
use crate::domain::factor::totp::{Code, Key};
use crate::flow::Visit;
use crate::flow::set_up::{SetUp, pending_key, save_codes, turn_on};

/// What is typed into the set-up page.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    code: String,
    trust_device: String,
}

/// What is posted from the page with the codes.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Saved {
    saved: String,
}

pub(super) async fn show(
    State(desk): State<Desk>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let return_to = Asked::of(query.as_deref()).return_to(&desk);
    page(&desk, &guest, &return_to, false, None).await
}

pub(super) async fn submit(
    State(desk): State<Desk>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, return_to } = form;
    let trust = !typed.trust_device.is_empty();
    if doubt.is_some() {
        return page(&desk, &guest, &return_to, trust, doubt).await;
    }
    let Some(visit) = guest.visit.clone() else {
        return Ok(headers::see_other(&return_to.through("sign-in")));
    };
    let Ok(code) = typed.code.parse::<Code>() else {
        return page(&desk, &guest, &return_to, trust, Some(Problem::Code)).await;
    };
    let (env, caller) = (desk.env.clone(), guest.caller.clone());
    let deed = async move { turn_on(&env, &caller, &visit, &code, trust).await };
    match desk.outlive(deed).await? {
        SetUp::On(given) => {
            Ok(desk.goes_on(&guest, &given, &return_to.through(refusal::SAVE_CODES)))
        }
        SetUp::Already => Ok(headers::see_other(return_to.as_str())),
        SetUp::Wrong => page(&desk, &guest, &return_to, trust, Some(Problem::Code)).await,
        SetUp::Late => page(&desk, &guest, &return_to, trust, Some(Problem::Expired)).await,
        SetUp::Over => Ok(headers::see_other(&return_to.through("sign-in"))),
    }
}

async fn page(
    desk: &Desk,
    guest: &Guest,
    return_to: &ReturnTo,
    trust: bool,
    problem: Option<Problem>,
) -> Result<Response, Trouble> {
    let Some(visit) = &guest.visit else {
        return Ok(headers::see_other(&return_to.through("sign-in")));
    };
    let Some(key) = pending_key(&desk.env, &guest.caller, visit).await? else {
        return Ok(headers::see_other(return_to.as_str()));
    };
    let page = set_up_page(desk, guest, visit, &key, return_to, trust, problem);
    Ok(desk.form_page(&page, problem))
}

fn set_up_page(
    desk: &Desk,
    guest: &Guest,
    visit: &Visit,
    key: &Key,
    return_to: &ReturnTo,
    trust: bool,
    problem: Option<Problem>,
) -> pages::SetUp {
    let config = &desk.env.config;
    let username = visit.user.identity.name.clone();
    let uri = key.expose_url(&config.issuer, &username).unwrap_or_default();
    pages::SetUp {
        frame: desk.frame_for(guest),
        form: desk.form(guest, return_to),
        demanded_by: desk.demanded_by(guest, visit, return_to),
        later: desk.later(guest, visit, return_to),
        qr: qr::svg_path(&uri),
        uri,
        secret: key.expose_base32(),
        issuer: config.issuer.clone(),
        username,
        trust: desk.offer_of_trust(guest, return_to, trust),
        problem,
    }
}

impl Desk {
    /// Who demands a second factor of this guest now: the application that they are going to, or
    /// the whole site.
    pub(super) fn demanded_by(
        &self,
        guest: &Guest,
        visit: &Visit,
        place: &ReturnTo,
    ) -> Option<String> {
        let app = self.app_at(place);
        let due = |app: Option<&App>| {
            self.env.due(&visit.user, app).is_some_and(|due| due <= guest.caller.now)
        };
        match app {
            Some(app) if due(Some(&app)) => Some(app.name.clone()),
            Some(app) if self.asked_at(guest, place).level == Level::SecondFactor => {
                Some(app.name.clone())
            }
            _ => due(None).then(|| self.site_name()),
        }
    }

    /// The way past setting up, for whom it is not demanded yet.
    fn later(&self, guest: &Guest, visit: &Visit, place: &ReturnTo) -> Option<pages::Later> {
        let due = self.env.due(&visit.user, None).filter(|due| *due > guest.caller.now)?;
        Some(pages::Later { due: home::date(due), url: place.as_str().to_owned() })
    }
}

pub(super) async fn show_codes(
    State(desk): State<Desk>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let return_to = Asked::of(query.as_deref()).return_to(&desk);
    codes_page(&desk, &guest, &return_to, None)
}

pub(super) async fn submit_codes(
    State(desk): State<Desk>,
    guest: Guest,
    form: Form<Saved>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, return_to } = form;
    let problem = doubt.or_else(|| typed.saved.is_empty().then_some(Problem::Expired));
    if problem.is_some() {
        return Ok(codes_page(&desk, &guest, &return_to, problem));
    }
    if let Some(visit) = &guest.visit {
        save_codes(&desk.env, &guest.caller, visit).await?;
    }
    Ok(headers::see_other(return_to.as_str()))
}

fn codes_page(
    desk: &Desk,
    guest: &Guest,
    return_to: &ReturnTo,
    problem: Option<Problem>,
) -> Response {
    let Some(visit) = &guest.visit else { return headers::see_other(return_to.as_str()) };
    let unsaved = visit.user.user.recovery_codes().filter(|codes| !codes.are_saved());
    let Some(codes) = unsaved else { return headers::see_other(return_to.as_str()) };
    let page = pages::RecoveryCodes {
        frame: desk.frame_for(guest),
        form: desk.form(guest, return_to),
        codes: grouped(codes),
        issuer: desk.env.config.issuer.clone(),
        username: visit.user.identity.name.clone(),
        problem,
    };
    desk.form_page(&page, problem)
}

fn grouped(codes: &RecoveryCodes) -> Vec<String> {
    codes.unused().map(recovery::Code::expose_grouped).collect()
}

/// The unused codes as a text file.
pub(super) async fn codes_file(State(desk): State<Desk>, guest: Guest) -> Response {
    let user = guest.visit.as_ref().map(|visit| &visit.user);
    let codes = user.and_then(|snapshot| snapshot.user.recovery_codes());
    let (Some(user), Some(codes)) = (user, codes) else {
        return headers::see_other("/.doorward/");
    };
    let text =
        pages::recovery_codes_file(&desk.env.config.issuer, &user.identity.name, &grouped(codes));
    let mut response = Response::new(text.into());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers::harden(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let host = desk.env.config.portal.host();
    let disposition = format!("attachment; filename=\"recovery-codes-{host}.txt\"");
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}

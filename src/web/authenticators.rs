//! Adding, replacing, renaming and removing authenticators.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::header::HeaderMap;
use serde::Deserialize;

use super::app_state::AppState;
use super::asked::Asked;
use super::form::{Form, Pressed, Trouble};
use super::guard::Guest;
use super::pages::{self, NewPlace, Notice, Problem};
use super::return_to::ReturnTo;
use super::set_up::scan;
use super::{headers, security};
use crate::domain::factor::totp::{Code, Totp};
use crate::domain::factor::{FactorId, FactorName};
use crate::flow::authenticators::{Adding, Place, Removing, add, another_key, remove, rename};

/// The fields for a new authenticator.
#[derive(Clone, Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    code: String,
    name: String,
    forget_devices: String,
    /// Whether the page asked about trusted devices.
    asked_devices: String,
}

/// The field for a new name.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Named {
    name: String,
}

pub(super) async fn show_replace(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let typed = Typed { forget_devices: "yes".to_owned(), ..Typed::default() };
    let place = instead(&guest, &typed);
    new_page(&state, &guest, place, &back(&state, query.as_deref()), typed, None).await
}

pub(super) async fn show_add(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let return_to = back(&state, query.as_deref());
    new_page(&state, &guest, NewPlace::Beside, &return_to, Typed::default(), None).await
}

pub(super) async fn submit_replace(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let place = instead(&guest, &form.typed);
    submit(&state, &guest, place, form).await
}

pub(super) async fn submit_add(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    submit(&state, &guest, NewPlace::Beside, form).await
}

fn back(state: &AppState, query: Option<&str>) -> ReturnTo {
    Asked::of(query).return_to_or(state, security::place().as_str())
}

fn instead(guest: &Guest, typed: &Typed) -> NewPlace {
    let user = guest.authenticated.as_ref().map(|authenticated| &authenticated.user.user);
    let trusted = user.map_or(0, |user| {
        user.devices().iter().filter(|device| device.is_trusted(guest.caller.now)).count()
    });
    // If the page did not ask, because no device was trusted, then trust none afterwards.
    let forget_devices = typed.asked_devices.is_empty() || !typed.forget_devices.is_empty();
    NewPlace::Instead { devices: trusted, forget_devices }
}

const fn put(place: NewPlace) -> Place {
    match place {
        NewPlace::Beside => Place::Beside,
        NewPlace::Instead { forget_devices, .. } => Place::Instead { forget_devices },
    }
}

async fn submit(
    state: &AppState,
    guest: &Guest,
    place: NewPlace,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, return_to, .. } = form;
    let to_sign_in = || headers::see_other(&return_to.through("sign-in"));
    let Some(authenticated) = guest.authenticated.clone() else { return Ok(to_sign_in()) };
    let again = async |problem| {
        new_page(state, guest, place, &return_to, typed.clone(), Some(problem)).await
    };
    if let Some(problem) = doubt {
        return again(problem).await;
    }
    let Ok(code) = typed.code.parse::<Code>() else { return again(Problem::Code).await };
    let name = FactorName::parse(&typed.name);
    if name.is_none() && !typed.name.trim().is_empty() {
        return again(Problem::Name).await;
    }
    let added = add(&state.env, &guest.caller, &authenticated, &code, put(place), name.as_ref());
    Ok(match added.await? {
        Adding::Added(given) => state.goes_on(guest, &given, return_to.as_str()),
        Adding::Wrong => again(Problem::Code).await?,
        Adding::TooMany => again(Problem::TooManyAuthenticators).await?,
        Adding::Late => again(Problem::Expired).await?,
        Adding::Off => headers::see_other(security::place().as_str()),
        Adding::Over => to_sign_in(),
    })
}

async fn new_page(
    state: &AppState,
    guest: &Guest,
    place: NewPlace,
    return_to: &ReturnTo,
    typed: Typed,
    problem: Option<Problem>,
) -> Result<Response, Trouble> {
    let Some(authenticated) = &guest.authenticated else {
        return Ok(headers::see_other(&return_to.through("sign-in")));
    };
    let goes = put(place);
    let Some(key) = another_key(&state.env, &guest.caller, authenticated, goes).await? else {
        return Ok(headers::see_other(security::place().as_str()));
    };
    let page = pages::NewAuthenticator {
        frame: state.frame_for(guest),
        form: state.form(guest, return_to),
        place,
        scan: scan(&state.env.config.issuer, authenticated.user.identity.name.clone(), &key),
        name: typed.name,
        problem,
    };
    Ok(state.form_page(&page, problem))
}

/// The authenticator that a page is about, if it belongs to this guest.
fn named<'g>(guest: &'g Guest, id: &str) -> Option<&'g Totp> {
    let id = FactorId::parse(id)?;
    let user = &guest.authenticated.as_ref()?.user.user;
    user.authenticators().iter().find(|one| one.id() == id)
}

fn called(authenticator: &Totp) -> String {
    authenticator.name().map_or_else(|| "Authenticator app".to_owned(), ToString::to_string)
}

pub(super) async fn show_rename(
    State(state): State<AppState>,
    guest: Guest,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    match named(&guest, &id) {
        Some(authenticator) => rename_page(&state, &guest, called(authenticator), None),
        None => state.notice(Notice::NotFound, &headers),
    }
}

pub(super) async fn submit_rename(
    State(state): State<AppState>,
    guest: Guest,
    Path(id): Path<String>,
    headers: HeaderMap,
    form: Form<Named>,
) -> Result<Response, Trouble> {
    let Some(id) = named(&guest, &id).map(Totp::id) else {
        return Ok(state.notice(Notice::NotFound, &headers));
    };
    let Form { typed, doubt, .. } = form;
    let name = FactorName::parse(&typed.name);
    let problem = doubt.or_else(|| name.is_none().then_some(Problem::Name));
    let (Some(name), Some(authenticated), None) = (name, guest.authenticated.clone(), problem)
    else {
        return Ok(rename_page(&state, &guest, typed.name, problem));
    };
    rename(&state.env, &guest.caller, &authenticated, id, &name).await?;
    Ok(headers::see_other(security::place().as_str()))
}

fn rename_page(
    state: &AppState,
    guest: &Guest,
    name: String,
    problem: Option<Problem>,
) -> Response {
    let page = pages::Rename {
        frame: state.frame_for(guest),
        form: state.form(guest, &security::place()),
        name,
        problem,
    };
    state.form_page(&page, problem)
}

pub(super) async fn show_remove(
    State(state): State<AppState>,
    guest: Guest,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    remove_page(&state, &guest, &id, None, &headers)
}

pub(super) async fn submit_remove(
    State(state): State<AppState>,
    guest: Guest,
    Path(id): Path<String>,
    headers: HeaderMap,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    let doubt = form.doubt;
    let (Some(authenticator), Some(authenticated), None) =
        (named(&guest, &id), &guest.authenticated, doubt)
    else {
        return Ok(remove_page(&state, &guest, &id, doubt, &headers));
    };
    let removed = remove(&state.env, &guest.caller, authenticated, authenticator.id()).await?;
    Ok(match removed {
        Removing::Removed(given) => state.goes_on(&guest, &given, security::place().as_str()),
        Removing::Not => remove_page(&state, &guest, &id, None, &headers),
        Removing::Over => headers::see_other(&security::place().through("sign-in")),
    })
}

/// Do not remove the last one: that would turn two-factor off, and the page says so.
fn remove_page(
    state: &AppState,
    guest: &Guest,
    id: &str,
    problem: Option<Problem>,
    headers: &HeaderMap,
) -> Response {
    let Some(authenticator) = named(guest, id) else {
        return state.notice(Notice::NotFound, headers);
    };
    let user = guest.authenticated.as_ref().map(|authenticated| &authenticated.user.user);
    if user.is_some_and(|user| user.authenticators().len() < 2) {
        return state.notice(Notice::OnlyAuthenticator, headers);
    }
    let what = pages::Question::RemoveAuthenticator { name: called(authenticator) };
    let (frame, form) = (state.frame_for(guest), state.form(guest, &security::place()));
    state.form_page(&pages::Ask { frame, form, what, problem }, problem)
}

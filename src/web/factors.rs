//! Adding, replacing, renaming and removing second factors.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::header::HeaderMap;
use serde::Deserialize;

use super::app_state::AppState;
use super::factor::security_key::other_model;
use super::factor::{called, choices, chosen, expired, or_used_up, steps, takes_a_code, words};
use super::form::{Form, Pressed, Trouble};
use super::guard::Guest;
use super::page_query::PageQuery;
use super::pages::{self, NewPlace, Notice, Problem, Proving};
use super::return_to::ReturnTo;
use super::{headers, security, texted};
use crate::domain::factor::{Factor, FactorId, FactorName, Kind};
use crate::flow::factors::{Adding, Place, Removing, add, begin, keep, remove, rename};
use crate::flow::set_up::FirstFactor;
use crate::flow::{AuthenticatedRequest, emailed};

/// The fields for a new factor.
#[derive(Clone, Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    /// The word of its kind.
    kind: String,
    code: String,
    name: String,
    forget_devices: String,
    /// Whether the page asked about trusted devices.
    asked_devices: String,
    /// The code from a mail, if one is required first.
    mailed_code: String,
    /// Whether to mail a code.
    send: String,
    /// Whether to send a code as a text message, and to which number.
    text: String,
    number: String,
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
    let asked = PageQuery::of(query.as_deref());
    let forget_devices = "yes".to_owned();
    let typed = Typed { kind: asked.kind.clone(), forget_devices, ..Typed::default() };
    let place = instead(&guest, &typed);
    new_page(&state, &guest, place, &back(&state, &asked), typed, None).await
}

pub(super) async fn show_add(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let asked = PageQuery::of(query.as_deref());
    let typed = Typed { kind: asked.kind.clone(), ..Typed::default() };
    new_page(&state, &guest, NewPlace::Beside, &back(&state, &asked), typed, None).await
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

/// The number to which codes go, and how it is changed.
pub(super) async fn show_phone(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let asked = PageQuery::of(query.as_deref());
    if !state.env.config.kinds.contains(&Kind::Sms) {
        return Ok(headers::see_other(security::place().as_str()));
    }
    let typed = Typed { kind: Kind::Sms.word().to_owned(), ..Typed::default() };
    new_page(&state, &guest, NewPlace::Phone, &back(&state, &asked), typed, None).await
}

pub(super) async fn submit_phone(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    if !state.env.config.kinds.contains(&Kind::Sms) {
        return Ok(headers::see_other(security::place().as_str()));
    }
    let typed = Typed { kind: Kind::Sms.word().to_owned(), ..form.typed };
    submit(&state, &guest, NewPlace::Phone, Form { typed, ..form }).await
}

fn back(state: &AppState, asked: &PageQuery) -> ReturnTo {
    asked.return_to_or(state, security::place().as_str())
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
        NewPlace::Beside | NewPlace::Phone => Place::Beside,
        NewPlace::Instead { forget_devices, .. } => Place::Instead { forget_devices },
    }
}

/// The page of this place.
const fn url(place: NewPlace) -> &'static str {
    match place {
        NewPlace::Beside => "security/factors/add",
        NewPlace::Phone => "security/phone",
        NewPlace::Instead { .. } => "security/replace",
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
    let kind = chosen(&state.env.config, &typed.kind);
    if !typed.send.is_empty() || !typed.mailed_code.is_empty() {
        return by_mail(state, guest, authenticated, place, &return_to, &typed).await;
    }
    if kind == Kind::Sms && !typed.text.is_empty() {
        let purpose = put(place).purpose();
        let sent = texted::sent(state, guest, &authenticated, purpose, &typed.number).await?;
        return match sent {
            Ok(()) => Ok(headers::see_other(&return_to.through_by(url(place), kind.word()))),
            Err((_, Some(problem))) => again(problem).await,
            Err((_, None)) => Ok(headers::see_other(security::place().as_str())),
        };
    }
    if kind == Kind::Email && !typed.text.is_empty() {
        let acting = guest.acting(&state.env, &authenticated);
        let sent = emailed::send(acting, put(place).purpose()).await?;
        return match texted::problem_of_mail(sent, guest.caller.now) {
            None => Ok(headers::see_other(&return_to.through_by(url(place), kind.word()))),
            Some(problem) => again(problem).await,
        };
    }
    let wrong = Problem::Answer(words(kind).wrong);
    let Ok(answer) = (words(kind).read)(&typed.code) else { return again(wrong).await };
    let name = FactorName::parse(&typed.name);
    if name.is_none() && !typed.name.trim().is_empty() {
        return again(Problem::Name).await;
    }
    let added = add(guest.acting(&state.env, &authenticated), &answer, put(place), name.as_ref());
    Ok(match added.await? {
        Adding::Added(given) => state.goes_on(guest, &given, return_to.as_str()),
        Adding::Wrong => again(wrong).await?,
        Adding::OtherModel => again(Problem::Answer(other_model(&state.env.config))).await?,
        Adding::TooMany => again(Problem::Answer(words(kind).too_many)).await?,
        Adding::Waiting { until } => again(Problem::Wait(guest.caller.now.until(until))).await?,
        Adding::Late => again(expired(kind)).await?,
        Adding::Closed(rejection) => {
            again(Problem::of_sent_code(rejection, guest.caller.now)).await?
        }
        Adding::Owes(owed) => {
            state.prove_page(guest, Proving::Key, owed, &return_to, Some(Problem::Expired))
        }
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
    let config = &state.env.config;
    let (kind, goes) = (chosen(config, &typed.kind), put(place));
    let begun = match begin(guest.acting(&state.env, authenticated), kind, goes).await? {
        FirstFactor::Waits(begun) => begun,
        FirstFactor::Owes(owed) => {
            return Ok(state.prove_page(guest, Proving::Key, owed, return_to, problem));
        }
        FirstFactor::None => return Ok(headers::see_other(security::place().as_str())),
    };
    let number = (typed.number.as_str(), guest.caller.now);
    let shown = or_used_up(problem, kind, takes_a_code(&begun, guest.caller.now));
    let shown = texted::or_not_sent(state, guest, kind, shown).await?;
    let page = pages::NewFactor {
        frame: state.frame_for(guest),
        form: state.form(guest, return_to),
        place,
        kind,
        kinds: match place {
            NewPlace::Phone => Vec::new(),
            _ if !kind.stands_alone() => Vec::new(),
            NewPlace::Beside | NewPlace::Instead { .. } => choices(config),
        },
        words: words(kind),
        steps: steps(config, &authenticated.user, &begun, Some(place), shown.as_ref(), number),
        name: typed.name,
        problem: shown,
    };
    Ok(state.form_page(&page, problem))
}

/// Sends a code or checks one, if one is required before a first key.
async fn by_mail(
    state: &AppState,
    guest: &Guest,
    authenticated: AuthenticatedRequest,
    place: NewPlace,
    return_to: &ReturnTo,
    typed: &Typed,
) -> Result<Response, Trouble> {
    let kind = chosen(&state.env.config, &typed.kind);
    let here = return_to.through_by(url(place), kind.word());
    match begin(guest.acting(&state.env, &authenticated), kind, put(place)).await? {
        FirstFactor::Owes(owed) => {
            let sent = (typed.send.as_str(), typed.mailed_code.as_str());
            state.prove(guest, authenticated, (Proving::Key, owed), sent, return_to, &here).await
        }
        FirstFactor::Waits(_) | FirstFactor::None => Ok(headers::see_other(&here)),
    }
}

/// The factor that a page is about, if it belongs to this guest.
fn named<'g>(guest: &'g Guest, id: &str) -> Option<&'g Factor> {
    let id = FactorId::parse(id)?;
    guest.authenticated.as_ref()?.user.user.factor(id)
}

pub(super) async fn show_rename(
    State(state): State<AppState>,
    guest: Guest,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    match named(&guest, &id) {
        Some(factor) => rename_page(&state, &guest, factor.kind(), called(factor), None),
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
    let Some((id, kind)) = named(&guest, &id).map(|factor| (factor.id(), factor.kind())) else {
        return Ok(state.notice(Notice::NotFound, &headers));
    };
    let Form { typed, doubt, .. } = form;
    let name = FactorName::parse(&typed.name);
    let problem = doubt.or_else(|| name.is_none().then_some(Problem::Name));
    let (Some(name), Some(authenticated), None) = (name, guest.authenticated.clone(), problem)
    else {
        return Ok(rename_page(&state, &guest, kind, typed.name, problem));
    };
    rename(guest.acting(&state.env, &authenticated), id, &name).await?;
    Ok(headers::see_other(security::place().as_str()))
}

fn rename_page(
    state: &AppState,
    guest: &Guest,
    kind: Kind,
    name: String,
    problem: Option<Problem>,
) -> Response {
    let page = pages::Rename {
        frame: state.frame_for(guest),
        form: state.form(guest, &security::place()),
        words: words(kind),
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
    let (Some(factor), Some(authenticated), None) =
        (named(&guest, &id), &guest.authenticated, doubt)
    else {
        return Ok(remove_page(&state, &guest, &id, doubt, &headers));
    };
    let removed = remove(guest.acting(&state.env, authenticated), factor.id()).await?;
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
    let Some(factor) = named(guest, id) else {
        return state.notice(Notice::NotFound, headers);
    };
    let user = guest.authenticated.as_ref().map(|authenticated| &authenticated.user.user);
    if user.is_some_and(|user| !user.may_remove_factor(factor.id())) {
        return state.notice(Notice::OnlyAuthenticator, headers);
    }
    let words = words(factor.kind()).remove;
    let what = pages::Question::RemoveFactor { name: called(factor), words };
    state.question_page(guest, &security::place(), what, problem)
}

pub(super) async fn show_keep(
    State(state): State<AppState>,
    guest: Guest,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    keep_page(&state, &guest, &id, None, &headers)
}

pub(super) async fn submit_keep(
    State(state): State<AppState>,
    guest: Guest,
    Path(id): Path<String>,
    headers: HeaderMap,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    let (Some(factor), Some(authenticated), None) =
        (named(&guest, &id), &guest.authenticated, form.doubt)
    else {
        return Ok(keep_page(&state, &guest, &id, form.doubt, &headers));
    };
    let kept = keep(guest.acting(&state.env, authenticated), factor.id()).await?;
    let place = security::place();
    Ok(match kept {
        Some(given) => state.goes_on(&guest, &given, place.as_str()),
        None => headers::see_other(place.as_str()),
    })
}

/// Only for a factor that may have been copied.
fn keep_page(
    state: &AppState,
    guest: &Guest,
    id: &str,
    problem: Option<Problem>,
    headers: &HeaderMap,
) -> Response {
    let Some(factor) = named(guest, id).filter(|factor| factor.is_doubted()) else {
        return state.notice(Notice::NotFound, headers);
    };
    let what = pages::Question::KeepKey { name: called(factor) };
    state.question_page(guest, &security::place(), what, problem)
}

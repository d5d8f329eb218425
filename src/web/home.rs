//! The home page, for people and for scripts.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::app_state::AppState;
use super::guard::Guest;
use super::headers;
use super::pages::{self, TwoFactor};
use super::return_to::ReturnTo;
use crate::config::App;
use crate::domain::assurance::{FirstFactor, Proofs};
use crate::domain::time::Timestamp;

pub(super) async fn show(State(state): State<AppState>, guest: Guest) -> Response {
    let Some(authenticated) = &guest.authenticated else {
        return headers::see_other("/.doorward/sign-in");
    };
    let config = &state.env.config;
    let url = |app: &App| match app.hosts.first() {
        Some(host) if *host != config.portal => format!("{host}/"),
        _ => "/".to_owned(),
    };
    let apps = config.apps.iter().filter(|app| state.is_open_to(&guest, app));
    let two_factor = match guest.trusted_until() {
        _ if !authenticated.user.user.has_second_factor() => TwoFactor::Off,
        Some(until) => TwoFactor::OnButHere { until: date(until) },
        None => TwoFactor::On,
    };
    let page = pages::Home {
        frame: state.frame_for(&guest),
        form: state.form(&guest, &ReturnTo::root()),
        username: authenticated.user.identity.name.clone(),
        two_factor,
        apps: apps.map(|app| pages::Link { name: app.name.clone(), url: url(app) }).collect(),
    };
    state.page(StatusCode::OK, &page)
}

/// Who is signed in here and how, as JSON.
pub(super) async fn whoami(State(state): State<AppState>, guest: Guest) -> Response {
    let Some(authenticated) = &guest.authenticated else {
        return state.notice(pages::Notice::NotFound, &http::HeaderMap::new());
    };
    let identity = &authenticated.user.identity;
    let proofs = authenticated.visitor(&state.env, None, guest.caller.now).proofs;
    let body = json!({
        "user": identity.written,
        "name": identity.full_name,
        "email": identity.email,
        "groups": identity.groups,
        "proofs": shown(&proofs),
    });
    headers::json(StatusCode::OK, &body)
}

fn shown(proofs: &Proofs) -> Map<String, Value> {
    let word = proofs.first.map_or(FirstFactor::Password, |first| first.by).word();
    let first = [(word, proofs.first.map(|first| first.at))];
    let factors = proofs.factors().map(|shown| (shown.kind.word(), Some(shown.at)));
    let others = [
        ("trusted-device", proofs.trusted_device.map(|shown| shown.at)),
        ("mailed-code", proofs.mailed_code),
        ("link", proofs.link),
    ];
    first
        .into_iter()
        .chain(factors)
        .chain(others)
        .filter_map(|(kind, at)| Some((kind.to_owned(), Value::String(rfc_3339(at?)))))
        .collect()
}

/// A time, in UTC, for people and for machines.
pub(super) fn moment(at: Timestamp) -> pages::Moment {
    let zoned = in_time(at).to_zoned(jiff::tz::TimeZone::UTC);
    let words = zoned.strftime("%-d %B %Y, %H:%M UTC").to_string();
    pages::Moment { machine: zoned.strftime("%Y-%m-%dT%H:%MZ").to_string(), words }
}

/// The day, in UTC, in words.
pub(super) fn date(at: Timestamp) -> String {
    let day = in_time(at).to_zoned(jiff::tz::TimeZone::UTC);
    day.strftime("%-d %B %Y").to_string()
}

fn rfc_3339(at: Timestamp) -> String {
    in_time(at).to_string()
}

fn in_time(at: Timestamp) -> jiff::Timestamp {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)
}

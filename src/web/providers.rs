//! The accounts at identity providers with which a user signs in: connecting and disconnecting them.

use axum::extract::State;
use axum::response::Response;
use http::header::HeaderMap;
use serde::Deserialize;

use super::app_state::AppState;
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::pages::{self, Notice, Problem};
use super::return_to::ReturnTo;
use super::{headers, security};
use crate::domain::provider::{Account, Purpose};
use crate::domain::user::{Origin, User};
use crate::flow::connect::{Disconnecting, disconnect, may_disconnect};

/// The button that was pressed.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Chosen {
    /// The name of the provider where an account is to be connected.
    connect: String,
    /// The handle of the account that is to be disconnected.
    disconnect: String,
}

/// The URL of this page.
fn place() -> ReturnTo {
    ReturnTo::own("/.doorward/security/providers".to_owned())
}

pub(super) async fn show(State(state): State<AppState>, guest: Guest) -> Response {
    page(&state, &guest, None).await
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    headers: HeaderMap,
    form: Form<Chosen>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, .. } = form;
    let to_sign_in = || headers::see_other(&security::place().through("sign-in"));
    let Some(authenticated) = guest.authenticated.clone() else { return Ok(to_sign_in()) };
    if doubt.is_some() {
        return Ok(page(&state, &guest, doubt).await);
    }
    if !typed.connect.is_empty() {
        let Some(provider) = state.env.providers.named(&typed.connect) else {
            return Ok(state.notice(Notice::NotFound, &headers));
        };
        let (user, user_session) = (authenticated.session.user, authenticated.user_session);
        let purpose = Purpose::Connect { user, user_session };
        return state.goes_there(&guest, provider, purpose, &place(), &headers).await;
    }
    Ok(match disconnect(guest.acting(&state.env, &authenticated), &typed.disconnect).await? {
        Disconnecting::Now(given) => state.goes_on(&guest, &given, place().as_str()),
        Disconnecting::Not => page(&state, &guest, None).await,
        Disconnecting::Over => to_sign_in(),
    })
}

async fn page(state: &AppState, guest: &Guest, problem: Option<Problem>) -> Response {
    let user = guest.authenticated.as_ref().map(|authenticated| &authenticated.user.user);
    let accounts: Vec<_> =
        user.iter().flat_map(|user| user.accounts().map(|one| listed(state, user, one))).collect();
    let all = || state.env.providers.iter();
    let mut form = state.form(guest, &place());
    // The browser is sent there by the form.
    state.learn_origins(all(), guest.caller.now).await;
    form.leads_to.extend(all().flat_map(|provider| provider.origins()));
    let page = pages::Providers {
        frame: state.frame_for(guest),
        form,
        accounts,
        others: all()
            .map(|provider| (provider.settings().name.clone(), provider.settings().label.clone()))
            .collect(),
        problem,
    };
    state.form_page(&page, problem)
}

fn listed(state: &AppState, user: &User, account: &Account) -> pages::Connected {
    let provider = state.env.providers.of_issuer(account.issuer());
    let label = provider.map(|provider| provider.settings().label.clone());
    pages::Connected {
        provider: label.unwrap_or_else(|| account.issuer().to_owned()),
        subject: account.subject().to_owned(),
        handle: account.handle(),
        is_origin: matches!(user.origin(), Origin::Provider(own) if own == account),
        may_go: may_disconnect(&state.env, user, account),
    }
}

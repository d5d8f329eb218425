//! The way to an identity provider and back, for the browser.
//!
//! The way there is a link. What must be the same on the way back is in a cookie of its own for each
//! way, so several tabs do not disturb each other.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use futures_util::future::join_all;
use http::StatusCode;
use http::header::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::app_state::AppState;
use super::form::Trouble;
use super::guard::Guest;
use super::headers;
use super::page_query::PageQuery;
use super::pages::{self, Notice};
use super::return_to::ReturnTo;
use crate::domain::provider::{Detour, Purpose};
use crate::domain::secret::{Secret, Token};
use crate::domain::time::Timestamp;
use crate::flow::AuthenticatedRequest;
use crate::flow::provider::{
    Back, Going, Returned, Stop, come_back, go, may_confirm, unknown_state,
};
use crate::flow::signed_out_there::{Heard, hear};
use crate::identity::Provider;

/// What comes back (RFC 6749 §4.1.2).
#[derive(Deserialize, Default)]
#[serde(default)]
struct Query {
    code: Option<String>,
    state: String,
    error: Option<String>,
    iss: Option<String>,
}

/// Sends the browser to the provider.
pub(super) async fn leave(
    State(state): State<AppState>,
    guest: Guest,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let Some(provider) = state.env.providers.named(&name) else {
        return Ok(state.notice(Notice::NotFound, &headers));
    };
    let asked = PageQuery::of(query.as_deref());
    let return_to = asked.return_to(&state);
    let purpose = match (&guest.authenticated, asked.purpose.as_str()) {
        (Some(mine), "confirm") => {
            Purpose::Confirm { user: mine.session.user, user_session: mine.user_session }
        }
        // Signed in meanwhile in another tab.
        (Some(_), _) if guest.is_signed_in() => return Ok(headers::see_other(return_to.as_str())),
        _ => Purpose::SignIn,
    };
    state.goes_there(&guest, provider, purpose, &return_to, &headers).await
}

/// The browser comes back.
pub(super) async fn callback(
    State(state): State<AppState>,
    guest: Guest,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let Some(provider) = state.env.providers.named(&name) else {
        return Ok(state.notice(Notice::NotFound, &headers));
    };
    let query: Query =
        serde_html_form::from_str(query.as_deref().unwrap_or_default()).unwrap_or_default();
    let found = Token::parse(&query.state).and_then(|token| {
        let detour = state.detour(&token, &headers)?;
        Some((token, detour))
    });
    let Some((token, detour)) = found else {
        // Back and Reload lead here once more.
        if guest.authenticated.is_some() {
            return Ok(headers::see_other("/.doorward/"));
        }
        let stop = unknown_state(&state.env, &guest.caller, provider);
        return Ok(state.stays(provider, Purpose::SignIn, &ReturnTo::root(), stop, &headers));
    };
    let return_to = state.return_to(&detour.return_to);
    let return_to = return_to.by(detour.method.as_deref().unwrap_or_default());
    let returned =
        Returned { code: query.code.map(Secret::from), error: query.error, issuer: query.iss };
    let mine = guest.authenticated.as_ref();
    let back =
        come_back(&state.env, &guest.caller, provider, &token, &detour, returned, mine).await?;
    let mut response = match back {
        Back::SignedIn(given) => state.onward(&guest, &given, &return_to),
        Back::Confirmed(given) => state.goes_on(&guest, &given, return_to.as_str()),
        Back::Connected => headers::see_other(return_to.as_str()),
        Back::Stays(stop) => state.stays(provider, detour.purpose, &return_to, stop, &headers),
    };
    state.jar().clear_detour(&token, response.headers_mut());
    Ok(response)
}

/// The provider says that somebody has signed out there (OpenID Connect Back-Channel Logout 1.0 §2.8).
pub(super) async fn signed_out(
    State(state): State<AppState>,
    guest: Guest,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Trouble> {
    let Some(provider) = state.env.providers.named(&name) else {
        return Ok(state.notice(Notice::NotFound, &headers));
    };
    let sent: LogoutRequest = serde_html_form::from_bytes(&body).unwrap_or_default();
    let heard = hear(&state.env, &guest.caller, provider, &sent.logout_token).await?;
    let refused = |status, error| {
        headers::json(status, &json!({ "error": error, "error_description": "see the log" }))
    };
    let mut response = match heard {
        Heard::Done => headers::json(StatusCode::OK, &json!({})),
        Heard::Refused => refused(StatusCode::BAD_REQUEST, "invalid_request"),
        Heard::Unavailable => refused(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        Heard::Waiting(_) => refused(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
    };
    if let Heard::Waiting(wait) = heard {
        let seconds = wait.as_secs().max(1).into();
        response.headers_mut().insert(http::header::RETRY_AFTER, seconds);
    }
    Ok(response)
}

/// What the provider sends.
#[derive(Deserialize, Default)]
#[serde(default)]
struct LogoutRequest {
    logout_token: String,
}

impl AppState {
    /// Sends the browser to `provider`, to come back to `return_to`.
    pub(super) async fn goes_there(
        &self,
        guest: &Guest,
        provider: &Provider,
        purpose: Purpose,
        return_to: &ReturnTo,
        headers: &HeaderMap,
    ) -> Result<Response, Trouble> {
        let (target, method) = (return_to.as_str(), return_to.other_method());
        let going = go(&self.env, &guest.caller, provider, purpose, target, method).await;
        match going {
            Going::There { url, state: token, detour } => {
                let mut response = headers::see_other(&url);
                let sealed = minicbor::to_vec(&detour).unwrap_or_default();
                let host = self.host.origin.host();
                let sealed = self
                    .env
                    .rng
                    .draw(|rng| self.env.signer.seal_detour(rng, host, &token.hash(), &sealed))?;
                self.jar().set_detour(&token, &sealed, headers, response.headers_mut());
                Ok(response)
            }
            Going::Stays(stop) => Ok(self.stays(provider, purpose, return_to, stop, headers)),
        }
    }

    /// The detour that this browser carries for `token`.
    fn detour(&self, token: &Token, headers: &HeaderMap) -> Option<Detour> {
        let sealed = self.jar().detour(token, headers)?;
        let host = self.host.origin.host();
        let opened = self.env.signer.open_detour(host, &token.hash(), &sealed)?;
        minicbor::decode(opened.expose()).ok()
    }

    /// Says why nobody was signed in, and leads to the next step.
    fn stays(
        &self,
        provider: &Provider,
        purpose: Purpose,
        return_to: &ReturnTo,
        stop: Stop,
        headers: &HeaderMap,
    ) -> Response {
        let url = match purpose {
            Purpose::SignIn => return_to.through("sign-in"),
            Purpose::Confirm { .. } => return_to.through("confirm"),
            Purpose::Connect { .. } => return_to.as_str().to_owned(),
        };
        let provider = provider.settings().label.clone();
        let notice = Notice::NotSignedIn { provider, purpose, stop, url };
        self.notice(notice, headers)
    }

    /// Learns where these providers send browsers, for the policy of a page whose form leads there:
    /// browsers hold `form-action` against redirects, too (CSP3 §6.4.1). Does not wait for long: the page
    /// is of use without them. Each request goes on to its end, so that a failure is remembered, too.
    pub(super) async fn learn_origins<'p>(
        &self,
        providers: impl Iterator<Item = &'p Arc<Provider>>,
        now: Timestamp,
    ) {
        let asked = providers.map(|provider| {
            let provider = Arc::clone(provider);
            tokio::spawn(async move { provider.learn_origins(now).await })
        });
        let asked: Vec<_> = asked.collect();
        tokio::time::timeout(A_MOMENT, join_all(asked)).await.ok();
    }

    /// A link to each provider for people who sign in on the way to `return_to`.
    pub(super) fn providers(&self, return_to: &ReturnTo) -> Vec<pages::Link> {
        let all = self.env.config.providers.iter();
        all.map(|provider| pages::Link {
            name: provider.label.clone(),
            url: return_to.through(&format!("sign-in/provider/{}", provider.name)),
        })
        .collect()
    }

    /// A link to each provider where the user of this session can show the first factor again.
    pub(super) async fn confirming(
        &self,
        mine: &AuthenticatedRequest,
        return_to: &ReturnTo,
    ) -> Result<Vec<pages::Link>, Trouble> {
        let user_session = self.env.store.user_session(mine.user_session).await?;
        let at = user_session.as_ref().and_then(|one| one.at_provider.as_ref());
        let accounts = mine.user.user.accounts();
        let confirming = accounts.filter(|account| may_confirm(&self.env, at, account));
        let of = |issuer: &str| self.env.providers.of_issuer(issuer);
        let links = confirming
            .filter_map(|account| of(account.issuer()))
            .filter(|provider| provider.can_confirm())
            .map(|provider| {
                let settings = provider.settings();
                let url = return_to.through(&format!("sign-in/provider/{}", settings.name));
                let joint = if url.contains('?') { '&' } else { '?' };
                let name = settings.label.clone();
                pages::Link { name, url: format!("{url}{joint}for=confirm") }
            });
        Ok(links.collect())
    }

    /// The provider that the sign-in page leads to at once, if there is one.
    pub(super) fn only_provider(&self) -> Option<&Arc<Provider>> {
        let name = self.env.config.only_sign_in.as_deref()?;
        self.env.providers.named(name)
    }
}

/// For how long a page waits for what is not known of a provider.
const A_MOMENT: Duration = Duration::from_secs(2);

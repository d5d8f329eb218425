//! Our own pages: a request comes in as text, a flow decides, a page goes out.
//!
//! The proxy uses three functions: [`Web::answer`] serves one of our own pages, [`Web::admit`]
//! returns the permit for an application or the response instead, and [`Web::notice`] shows an
//! error.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{HOST, HeaderMap};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::config::Host;
use crate::domain::identity::Identity;
use crate::domain::secret::{Token, TokenHash};
use crate::flow::{self, ClientAddress, Env, Line, Still};
use crate::policy;

mod admission;
mod ahead;
mod app_state;
pub mod asked;
pub mod assets;
mod challenge;
mod challenge_send;
mod chosen;
mod confirm;
mod decision;
mod devices;
mod email;
mod enter;
pub mod factor;
mod factors;
mod forgot;
mod form;
mod grpc;
mod guard;
mod headers;
mod home;
pub mod introduction;
mod link;
mod offer;
mod outcome;
pub mod own_cookies;
mod page_query;
pub mod pages;
mod passkey;
mod password;
mod provider;
mod providers;
pub mod qr;
mod recovery_codes;
pub mod refusal;
mod return_to;
mod route;
pub mod routes;
mod security;
mod security_key_help;
mod service_worker;
mod sessions;
mod set_up;
mod sign_in;
mod sign_out;
mod texted;
mod turn_off;

pub use admission::{Admitted, Allowed};
pub use asked::{Asked, Present};
pub use decision::Decision;
pub use own_cookies::{Jar, Ours};
pub use return_to::ReturnTo;

pub use route::{Asks, On, Route, Serves};

use app_state::AppState;
use guard::Peer;
use pages::Notice;

/// Serves our own pages on one host and guards the application there.
#[derive(Clone, Debug)]
pub struct Web {
    state: AppState,
    router: Router,
}

impl Web {
    /// Serves and guards `host` with the services of `env`.
    pub fn new(env: Arc<Env>, host: Host) -> Self {
        let state = AppState::new(env, host);
        Self { router: routes::router(&state), state }
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.state.host
    }

    /// Answers a request for one of our own pages. The body is complete and not longer than a form.
    pub async fn answer(
        &self,
        request: http::Request<Bytes>,
        client: ClientAddress,
    ) -> http::Response<Bytes> {
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(Peer(client));
        // A router cannot fail.
        let Ok(response) = self.router.clone().oneshot(request).await;
        whole(response).await
    }

    /// The session in a request's cookies, if there is one.
    pub fn session(&self, headers: &HeaderMap) -> Option<TokenHash> {
        self.state.jar().session(headers).as_ref().map(Token::hash)
    }

    /// Changes when what was read of cookies may not count any more; see
    /// [`Keyring::dropped`](crate::store::Keyring::dropped).
    pub fn dropped_keys(&self) -> u64 {
        self.state.env.signer.dropped()
    }

    /// Lets a request in this session pass to the application, or returns what the visitor gets
    /// instead. `request` is what was read of `asked`.
    ///
    /// # Errors
    /// The response: a redirect to the step that is required, a page, or JSON for a script. If
    /// somebody decided, it has the [`Decision`] among its extensions.
    pub async fn admit(
        &self,
        request: policy::Request,
        asked: &Asked<'_>,
        session: Option<TokenHash>,
    ) -> Result<Admitted, http::Response<Bytes>> {
        match self.state.admit(request, asked, session).await {
            Ok(admitted) => Ok(admitted),
            Err(response) => Err(whole(*response).await),
        }
    }

    /// Whether a request that was let through, here or by an earlier configuration, would still be.
    /// `used`: the visitor has sent something since the last check.
    pub async fn still_allows(&self, allowed: &Allowed, used: bool) -> Still {
        let (env, Some(app)) = (&self.state.env, &self.state.host.app) else { return Still::Over };
        let Ok(now) = env.now() else { return Still::Over };
        if !app.policy.admits_spelling(&allowed.0.request) {
            return Still::Over;
        }
        match flow::admit_still(env, app, &allowed.0, used, now).await {
            Ok(still) => still,
            Err(error) => {
                env.report(&error, "request in progress ended");
                Still::Over
            }
        }
    }

    /// Answers instead of an application's service worker on the portal's host.
    pub async fn service_worker() -> http::Response<Bytes> {
        whole(service_worker::answer()).await
    }

    /// Records, for `doorward why`, that a request of `user`, if it was anybody's, got an error.
    pub fn failed(&self, why: &str, asked: &Asked<'_>, user: Option<&Identity>) {
        self.state.failed(why, asked, user);
    }

    /// Shows an error: as a page to people, as JSON to scripts.
    pub async fn notice(&self, notice: Notice, headers: &HeaderMap) -> http::Response<Bytes> {
        whole(self.state.notice(notice, headers)).await
    }

    /// Shows an error for an unknown host: it reveals nothing about the configured hosts.
    pub async fn nameless_notice(notice: Notice, headers: &HeaderMap) -> http::Response<Bytes> {
        whole(AppState::nameless_notice(notice, headers)).await
    }

    /// Says that the host in `headers` is unknown, and logs it.
    pub async fn misdirected(
        &self,
        headers: &HeaderMap,
        client: ClientAddress,
    ) -> http::Response<Bytes> {
        let env = &self.state.env;
        if let Ok(now) = env.now()
            && let Some(left_out) = env.log_throttle.due(Line::WrongHost, now)
        {
            let host = headers.get(HOST).map(form::shown);
            let address = client.address();
            let hosts: Vec<_> = env.config.hosts().map(|host| host.origin.authority()).collect();
            let expected = hosts.join(", ");
            tracing::info!(%address, host, expected, left_out, "request refused: wrong host");
        }
        Self::nameless_notice(Notice::WrongHost, headers).await
    }

    /// Like [`Web::misread`], for a request to an unknown host.
    pub async fn misread_nameless(&self, why: &str, asked: &Asked<'_>) -> http::Response<Bytes> {
        let reference = self.state.note_misread(why, asked);
        let notice = Notice::BadRequest { reference };
        whole(refusal::malformed(AppState::nameless_notice(notice, asked.headers))).await
    }

    /// Like [`Web::misread_nameless`], for bytes that cannot be parsed as a request. Logged at most
    /// once a second.
    pub async fn unread(&self, why: &str, asked: &Asked<'_>) -> http::Response<Bytes> {
        let (state, env) = (&self.state, &self.state.env);
        let reference = state.reference();
        let due = env.now().ok().and_then(|now| env.log_throttle.due(Line::Unread, now));
        if let Some(left_out) = due {
            let address = asked.client.address();
            tracing::info!(%address, why, left_out, "request refused: malformed or ambiguous");
        }
        state.remember(&reference, why, asked);
        let notice = Notice::BadRequest { reference };
        whole(refusal::malformed(AppState::nameless_notice(notice, asked.headers))).await
    }

    /// Says that the head of a request is too long, to a client that does not end it.
    pub async fn endless(
        &self,
        headers: &HeaderMap,
        client: ClientAddress,
    ) -> http::Response<Bytes> {
        let env = &self.state.env;
        let due = env.now().ok().and_then(|now| env.log_throttle.due(Line::Refused, now));
        if let Some(left_out) = due {
            let address = client.address();
            tracing::info!(
                %address,
                why = "the request head is too large",
                left_out,
                "request refused"
            );
        }
        Self::nameless_notice(Notice::HeadTooLarge, headers).await
    }

    /// Says that the request is malformed or ambiguous, and logs why with the request id on the page.
    pub async fn misread(&self, why: &str, asked: &Asked<'_>) -> http::Response<Bytes> {
        whole(self.state.misread(why, asked)).await
    }
}

async fn whole(response: Response) -> http::Response<Bytes> {
    let (head, body) = response.into_parts();
    // Our pages are made in memory; reading them cannot fail.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Response::from_parts(head, body)
}

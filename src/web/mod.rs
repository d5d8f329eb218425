//! Our own pages: a request comes in as text, a flow decides, a page goes out.
//!
//! The proxy knows this module by three verbs: [`Web::answer`] serves a page of ours,
//! [`Web::admit`] gives the permit for an application or the answer instead of it, and
//! [`Web::notice`] says that something is wrong.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{HOST, HeaderMap};
use http::request::Parts;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::config::Site;
use crate::domain::assurance::Permit;
use crate::domain::secret::{Token, TokenHash};
use crate::flow::{self, Env, Line, Source, Still};
use crate::policy;

mod admission;
mod ahead;
mod app_state;
mod asked;
pub mod assets;
mod authenticators;
mod challenge;
mod chosen;
mod confirm;
pub mod cookies;
mod outcome;
mod devices;
mod email;
mod enter;
mod forgot;
mod form;
mod grpc;
mod guard;
mod headers;
mod home;
mod link;
mod offer;
pub mod pages;
mod password;
pub mod qr;
mod recovery_codes;
pub mod refusal;
mod return_to;
mod route;
pub mod routes;
mod security;
mod sessions;
mod service_worker;
mod set_up;
mod sign_in;
mod sign_out;
mod turn_off;

pub use admission::Allowed;
pub use cookies::{Jar, Ours};
pub use return_to::ReturnTo;

pub use route::{Asks, On, Route, Serves};

use app_state::AppState;
use guard::Peer;
use pages::Notice;

/// Serves our own pages on one host, and guards the application there.
#[derive(Clone, Debug)]
pub struct Web {
    state: AppState,
    router: Router,
}

impl Web {
    /// Serves and guards on `site` with what `env` holds.
    pub fn new(env: Arc<Env>, site: Site) -> Self {
        let state = AppState::new(env, site);
        Self { router: routes::router(&state), state }
    }

    /// On which host.
    pub fn site(&self) -> &Site {
        &self.state.site
    }

    /// Answers a request for one of our own pages. The body is complete, and no longer than a form.
    pub async fn answer(
        &self,
        request: http::Request<Bytes>,
        source: Source,
    ) -> http::Response<Bytes> {
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(Peer(source));
        // A router has nothing to fail with.
        let Ok(response) = self.router.clone().oneshot(request).await;
        whole(response).await
    }

    /// The session that a request's cookies name, if one of them does.
    pub fn session(&self, headers: &HeaderMap) -> Option<TokenHash> {
        self.state.jar().session(headers).as_ref().map(Token::hash)
    }

    /// Gives leave to send a request to the application in this session, or says what the visitor gets instead.
    /// With it, by what the request was let through; nothing if it signs out, for that has ended then.
    ///
    /// # Errors
    /// The answer: a redirect to what is owed, a page, or JSON for a script.
    pub async fn admit(
        &self,
        request: policy::Request,
        head: &Parts,
        session: Option<TokenHash>,
        source: Source,
    ) -> Result<(Permit, Option<Allowed>), http::Response<Bytes>> {
        match self.state.admit(request, head, session, source).await {
            Ok(allowed) => Ok(allowed),
            Err(response) => Err(whole(*response).await),
        }
    }

    /// Whether a request that was allowed, here or by an earlier configuration, would be allowed
    /// still. `used`: the visitor has sent something since this was asked last.
    pub async fn still_allows(&self, allowed: &Allowed, used: bool) -> Still {
        let (env, Some(app)) = (&self.state.env, &self.state.site.app) else { return Still::Over };
        let Ok(now) = env.now() else { return Still::Over };
        if !app.policy.admits_spelling(&allowed.0.request) {
            return Still::Over;
        }
        match flow::admit_still(env, app, &allowed.0, used, now).await {
            Ok(still) => still,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "request in progress ended: the store is unavailable");
                Still::Over
            }
        }
    }

    /// Answers in the place of an application's service worker on the host of our own pages.
    pub async fn service_worker() -> http::Response<Bytes> {
        whole(service_worker::answer()).await
    }

    /// Says that something is wrong: as a page to people, as JSON to scripts.
    pub async fn notice(&self, notice: Notice, headers: &HeaderMap) -> http::Response<Bytes> {
        whole(self.state.notice(notice, headers)).await
    }

    /// Says that something is wrong to somebody who has named no host of ours: nothing of any is told.
    pub async fn nameless_notice(notice: Notice, headers: &HeaderMap) -> http::Response<Bytes> {
        whole(AppState::nameless_notice(notice, headers)).await
    }

    /// Says that nothing is served under the host that `headers` name, and logs which that is.
    pub async fn misdirected(&self, headers: &HeaderMap, source: Source) -> http::Response<Bytes> {
        let env = &self.state.env;
        if let Ok(now) = env.now()
            && let Some(left_out) = env.lines.due(Line::WrongHost, now)
        {
            let host = headers.get(HOST).map(form::shown);
            let address = source.address();
            let hosts: Vec<_> = env.config.sites().map(|site| site.origin.authority()).collect();
            let expected = hosts.join(", ");
            tracing::info!(%address, host, expected, left_out, "request refused: wrong host");
        }
        Self::nameless_notice(Notice::WrongHost, headers).await
    }

    /// As [`Web::misread`], for a request that names no host of ours.
    pub async fn misread_nameless(
        &self,
        why: &str,
        head: &Parts,
        source: Source,
    ) -> http::Response<Bytes> {
        let reference = self.state.note_misread(why, head, source);
        Self::nameless_notice(Notice::BadRequest { reference }, &head.headers).await
    }

    /// As [`Web::misread_nameless`], for bytes of which no request could be read. It is logged once a
    /// second at most.
    pub async fn unread(&self, why: &str, head: &Parts, source: Source) -> http::Response<Bytes> {
        let (state, env) = (&self.state, &self.state.env);
        let reference = state.reference();
        let due = env.now().ok().and_then(|now| env.lines.due(Line::Unread, now));
        if let Some(left_out) = due {
            let address = source.address();
            tracing::info!(
                %address,
                reference,
                why,
                left_out,
                "request refused: malformed or ambiguous, unknown host"
            );
        }
        state.remember(&reference, why, head, source);
        Self::nameless_notice(Notice::BadRequest { reference }, &head.headers).await
    }

    /// Says that the head of a request is longer than is read, to whoever does not end it.
    pub async fn endless(&self, headers: &HeaderMap, source: Source) -> http::Response<Bytes> {
        let env = &self.state.env;
        let due = env.now().ok().and_then(|now| env.lines.due(Line::Refused, now));
        if let Some(left_out) = due {
            let address = source.address();
            tracing::info!(%address, why = "the head is longer than is read", left_out, "request refused");
        }
        Self::nameless_notice(Notice::HeadTooLarge, headers).await
    }

    /// Says that the request has no single meaning, and logs why under the reference that it shows.
    pub async fn misread(&self, why: &str, head: &Parts, source: Source) -> http::Response<Bytes> {
        whole(self.state.misread(why, head, source)).await
    }
}

async fn whole(response: Response) -> http::Response<Bytes> {
    let (head, body) = response.into_parts();
    // Our pages are made in memory; reading them back cannot fail.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Response::from_parts(head, body)
}

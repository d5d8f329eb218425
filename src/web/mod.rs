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
use crate::domain::assurance::{Permit, Verdict};
use crate::flow::{self, Caller, Env, Line, Source};
use crate::policy;
use crate::store::Unavailable;

pub mod assets;
mod challenge;
mod confirm;
pub mod cookies;
mod deed;
pub mod doors;
mod enter;
mod form;
mod guard;
mod headers;
mod home;
mod link;
pub mod pages;
pub mod qr;
pub mod refusal;
mod return_to;
mod set_up;
mod sign_in;
mod sign_out;

pub use cookies::{Jar, Ours};
pub use return_to::ReturnTo;

use pages::{Frame, Notice};

/// Serves our own pages on one host, and guards the application there.
#[derive(Clone, Debug)]
pub struct Web {
    desk: Desk,
    router: Router,
}

/// Where a request came from; set by the proxy on every request that it hands over.
#[derive(Clone, Copy, Debug)]
struct Peer(Source);

impl Web {
    /// Serves and guards on `site` with what `env` holds.
    pub fn new(env: Arc<Env>, site: Site) -> Self {
        let desk = Desk { env, site: Arc::new(site) };
        Self { router: doors::router(&desk), desk }
    }

    /// On which host.
    pub fn site(&self) -> &Site {
        &self.desk.site
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

    /// Gives leave to send a request to the application, or says what the visitor gets instead.
    ///
    /// # Errors
    /// The answer: a redirect to what is owed, a page, or JSON for a script.
    pub async fn admit(
        &self,
        request: &policy::Request,
        head: &Parts,
        source: Source,
    ) -> Result<Permit, http::Response<Bytes>> {
        match self.desk.admit(request, head, source).await {
            Ok(permit) => Ok(permit),
            Err(response) => Err(whole(*response).await),
        }
    }

    /// Says that something is wrong: as a page to people, as JSON to scripts.
    pub async fn notice(&self, notice: Notice, headers: &HeaderMap) -> http::Response<Bytes> {
        whole(self.desk.notice(notice, headers)).await
    }

    /// Says that nothing is served under the host that `headers` name, and logs which that is.
    pub async fn misdirected(&self, headers: &HeaderMap, source: Source) -> http::Response<Bytes> {
        let env = &self.desk.env;
        if let Ok(now) = env.now()
            && let Some(left_out) = env.lines.due(Line::WrongHost, now)
        {
            let host = headers.get(HOST).map(form::shown);
            let address = source.address();
            let hosts: Vec<_> = env.config.sites().map(|site| site.origin.authority()).collect();
            let expected = hosts.join(", ");
            tracing::info!(%address, host, expected, left_out, "request refused: wrong host");
        }
        self.notice(Notice::WrongHost, headers).await
    }

    /// Says that the request has no single meaning, and logs why under the reference that it shows.
    pub async fn misread(&self, why: &str, headers: &HeaderMap) -> http::Response<Bytes> {
        whole(self.desk.misread(why, headers)).await
    }
}

async fn whole(response: Response) -> http::Response<Bytes> {
    let (head, body) = response.into_parts();
    // Our pages are made in memory; reading them back cannot fail.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Response::from_parts(head, body)
}

/// What every handler works with.
#[derive(Clone, Debug)]
struct Desk {
    env: Arc<Env>,
    site: Arc<Site>,
}

impl Desk {
    /// Who sends this request, from where, with what; and what time it is.
    fn caller(&self, headers: &HeaderMap, source: Source) -> Result<Caller, Unavailable> {
        let carried = self.jar().carried(headers);
        Ok(Caller { now: self.env.now()?, address: source.address(), carried })
    }

    fn jar(&self) -> Jar<'_> {
        Jar::new(&self.env.signer, &self.site.origin)
    }

    fn return_to(&self, text: &str) -> ReturnTo {
        ReturnTo::read(text, &self.site.origin)
    }

    /// What stands around a page for a visitor whom we do not name.
    fn frame(&self) -> Frame {
        Frame { site: self.site_name(), support: self.env.config.support.clone(), user: None }
    }

    /// The name of the application here; at the portal of several, that of the site.
    fn site_name(&self) -> String {
        let config = &self.env.config;
        let app = self.site.app.as_ref().or(match config.apps.as_slice() {
            [app] => Some(app),
            _ => None,
        });
        app.map_or_else(|| config.issuer.clone(), |app| app.name.clone())
    }

    async fn admit(
        &self,
        request: &policy::Request,
        head: &Parts,
        source: Source,
    ) -> Result<Permit, Box<Response>> {
        let Some(app) = &self.site.app else {
            let front_door = refusal::is_navigation(head) && head.uri.path() == "/";
            return Err(Box::new(if front_door {
                headers::see_other("/.doorward/")
            } else {
                self.notice(Notice::NotFound, &head.headers)
            }));
        };
        if !app.policy.admits_spelling(request) {
            return Err(Box::new(self.misread("it is not plainly spelt", &head.headers)));
        }
        let unavailable = |error| Box::new(self.unavailable(&error, &head.headers));
        let now = self.env.now().map_err(unavailable)?;
        let session = self.jar().session(&head.headers);
        let (address, session) = (source.visitor, session.as_ref());
        let admission = flow::admit(&self.env, app, request, address, session, now).await;
        let admission = admission.map_err(unavailable)?;
        let ruling = &admission.ruling;
        match admission.verdict {
            Verdict::Pass(permit) => Ok(permit),
            Verdict::SaveCodes(permit) if !refusal::is_navigation(head) => Ok(permit),
            verdict => Err(Box::new(self.refuse(&verdict, ruling, head, source.address()))),
        }
    }

    /// The request has no single meaning: the log says why, under the reference that is shown.
    fn misread(&self, why: &str, headers: &HeaderMap) -> Response {
        let reference = self.reference();
        tracing::info!(reference, why, "request refused: no single meaning");
        self.notice(Notice::BadRequest { reference }, headers)
    }

    /// The store is away: nobody is let through, and nobody is told more than that.
    fn unavailable(&self, error: &Unavailable, headers: &HeaderMap) -> Response {
        let why = error as &dyn std::error::Error;
        tracing::error!(error = why, "a request was refused: the store is unavailable");
        self.notice(Notice::Unavailable, headers)
    }

    /// A name for one refusal, by which an operator finds out why.
    fn reference(&self) -> String {
        let mut bytes = [0; 10];
        self.env.chance.draw(|rng| rng.fill_bytes(&mut bytes));
        data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
    }
}

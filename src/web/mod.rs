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
use http::StatusCode;
use http::header::{HOST, HeaderMap, USER_AGENT};
use http::request::Parts;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::config::{App, Site};
use crate::domain::agent::Agent;
use crate::domain::assurance::{Permit, Verdict, Visitor};
use crate::domain::secret::{Token, TokenHash};
use crate::domain::stay::StayId;
use crate::domain::time::Timestamp;
use crate::domain::user::UserId;
use crate::flow::sign_out::sign_out;
use crate::flow::witness::{Recent, Refusal, Watched};
use crate::flow::{self, Admission, Caller, Env, Line, Source, Still};
use crate::metrics::Verdicts;
use crate::policy;
use crate::store::Unavailable;

mod ahead;
pub mod assets;
mod authenticators;
mod challenge;
mod chosen;
mod confirm;
pub mod cookies;
mod deed;
mod devices;
pub mod doors;
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
mod security;
mod sessions;
mod service_worker;
mod set_up;
mod sign_in;
mod sign_out;
mod turn_off;

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

/// By what a request was let through, so that it can be asked again.
#[derive(Clone, Debug)]
pub struct Allowed(flow::Before);

impl Allowed {
    /// Whose record it rests on, and on which stay, if on any.
    pub fn rests_on(&self) -> Option<(UserId, StayId)> {
        self.0.visit.as_ref().map(|visit| (visit.session.user, visit.stay))
    }
}

impl Web {
    /// Serves and guards on `site` with what `env` holds.
    pub fn new(env: Arc<Env>, site: Site) -> Self {
        let app = Arc::from(site.app.as_ref().map_or("", |app| &app.name));
        let (decided, watched) = (env.metrics.decided(&app), env.metrics.watched(&app));
        let desk = Desk { env, site: Arc::new(site), app, decided, watched };
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

    /// The session that a request's cookies name, if one of them does.
    pub fn session(&self, headers: &HeaderMap) -> Option<TokenHash> {
        self.desk.jar().session(headers).as_ref().map(Token::hash)
    }

    /// Gives leave to send a request to the application in this session, or says what the visitor gets instead.
    ///
    /// # Errors
    /// The answer: a redirect to what is owed, a page, or JSON for a script.
    pub async fn admit(
        &self,
        request: policy::Request,
        head: &Parts,
        session: Option<TokenHash>,
        source: Source,
    ) -> Result<(Permit, Allowed), http::Response<Bytes>> {
        match self.desk.admit(request, head, session, source).await {
            Ok(allowed) => Ok(allowed),
            Err(response) => Err(whole(*response).await),
        }
    }

    /// Whether a request that was allowed, here or by an earlier configuration, would be allowed
    /// still. `used`: the visitor has sent something since this was asked last.
    pub async fn still_allows(&self, allowed: &Allowed, used: bool) -> Still {
        let (env, Some(app)) = (&self.desk.env, &self.desk.site.app) else { return Still::Over };
        let Ok(now) = env.now() else { return Still::Over };
        if !app.policy.admits_spelling(&allowed.0.request) {
            return Still::Over;
        }
        match flow::admit_still(env, app, &allowed.0, used, now).await {
            Ok(still) => still,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "a request under way was ended: the store is unavailable");
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
        whole(self.desk.notice(notice, headers)).await
    }

    /// Says that something is wrong to somebody who has named no host of ours: nothing of any is told.
    pub async fn nameless_notice(notice: Notice, headers: &HeaderMap) -> http::Response<Bytes> {
        whole(Desk::nameless_notice(notice, headers)).await
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
        Self::nameless_notice(Notice::WrongHost, headers).await
    }

    /// As [`Web::misread`], for a request that names no host of ours.
    pub async fn misread_nameless(
        &self,
        why: &str,
        head: &Parts,
        source: Source,
    ) -> http::Response<Bytes> {
        let reference = self.desk.note_misread(why, head, source);
        Self::nameless_notice(Notice::BadRequest { reference }, &head.headers).await
    }

    /// As [`Web::misread_nameless`], for bytes of which no request could be read. It is logged once a
    /// second at most.
    pub async fn unread(&self, why: &str, head: &Parts, source: Source) -> http::Response<Bytes> {
        let (desk, env) = (&self.desk, &self.desk.env);
        let reference = desk.reference();
        let due = env.now().ok().and_then(|now| env.lines.due(Line::Unread, now));
        if let Some(left_out) = due {
            let address = source.address();
            tracing::info!(%address, reference, why, left_out, "request refused: it cannot be read");
        }
        desk.remember(&reference, why, head, source);
        Self::nameless_notice(Notice::BadRequest { reference }, &head.headers).await
    }

    /// Says that the request has no single meaning, and logs why under the reference that it shows.
    pub async fn misread(&self, why: &str, head: &Parts, source: Source) -> http::Response<Bytes> {
        whole(self.desk.misread(why, head, source)).await
    }
}

/// Whether this is the application's own link to sign out, followed within the application: a
/// page elsewhere must not sign anybody out.
fn signs_out(app: &App, request: &policy::Request, head: &Parts) -> bool {
    if app.sign_out_paths.is_empty() {
        return false;
    }
    // Another host of the same domain is elsewhere, too.
    let elsewhere = head
        .headers
        .get_all("sec-fetch-site")
        .iter()
        .any(|site| site != "same-origin" && site != "none");
    let is_link = |path: &[u8]| {
        app.sign_out_paths.iter().any(|link| {
            link.path.matches(path, policy::pattern::Case::Exact) && request.has_sent(&link.query)
        })
    };
    !elsewhere && request.readings().any(is_link)
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
    /// The name of the application here; empty where none is.
    app: Arc<str>,
    /// Count what is decided here, and what would have been.
    decided: Verdicts,
    watched: Verdicts,
}

impl Desk {
    /// Who sends this request, from where, with what; and what time it is.
    fn caller(&self, headers: &HeaderMap, source: Source) -> Result<Caller, Unavailable> {
        let carried = self.jar().carried(headers);
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        let agent = agent.and_then(Agent::read);
        let Source { visitor, .. } = source;
        Ok(Caller { now: self.env.now()?, address: source.address(), visitor, agent, carried })
    }

    fn jar(&self) -> Jar<'_> {
        Jar::new(&self.env.signer, &self.site.origin)
    }

    fn return_to(&self, text: &str) -> ReturnTo {
        let place = ReturnTo::read(text, &self.site.origin);
        self.past_step(&place).unwrap_or(place)
    }

    /// Where a page leads on which something is shown, if `place` is one: nobody is going there for its
    /// own sake, and whoever has shown what is owed is not asked for it again.
    fn past_step(&self, place: &ReturnTo) -> Option<ReturnTo> {
        let (path, query) = place.as_str().split_once('?').unwrap_or((place.as_str(), ""));
        let page = path.strip_prefix(policy::request::OWN)?;
        ["sign-in", "challenge", "confirm"]
            .contains(&page)
            .then(|| form::Asked::of(Some(query)).return_to(self))
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
        request: policy::Request,
        head: &Parts,
        session: Option<TokenHash>,
        source: Source,
    ) -> Result<(Permit, Allowed), Box<Response>> {
        let Some(app) = &self.site.app else {
            let front_door = refusal::is_navigation(head) && head.uri.path() == "/";
            return Err(Box::new(if front_door {
                headers::see_other("/.doorward/")
            } else {
                self.notice(Notice::NotFound, &head.headers)
            }));
        };
        if !app.policy.admits_spelling(&request) {
            return Err(Box::new(self.misread("it is not plainly spelt", head, source)));
        }
        let unavailable = |error| Box::new(self.unavailable(&error, &head.headers));
        let now = self.env.now().map_err(unavailable)?;
        let request = Arc::new(request);
        let address = source.visitor;
        let admission = flow::admit(&self.env, app, &request, address, session, now).await;
        let admission = admission.map_err(unavailable)?;
        if admission.ruling.is_too_costly {
            let why = policy::Unreadable::TooCostly.to_string();
            return Err(Box::new(self.misread(&why, head, source)));
        }
        self.witness(app, &request, source, &admission, now);
        let signs_out = admission.visit.as_ref().filter(|_| signs_out(app, &request, head));
        if let (Some(visit), Verdict::Pass(_)) = (signs_out, &admission.verdict) {
            let caller = self.caller(&head.headers, source).map_err(unavailable)?;
            Box::pin(sign_out(&self.env, &caller, visit)).await.map_err(unavailable)?;
        }
        let visit = admission.visit;
        let is_over = session.is_some() && visit.is_none();
        let allowed = |request: Arc<policy::Request>| {
            Allowed(flow::Before { request, address: source.visitor, visit, began: now })
        };
        match admission.verdict {
            Verdict::Pass(permit) => Ok((permit, allowed(request))),
            Verdict::SaveCodes(permit) if !refusal::is_navigation(head) => {
                Ok((permit, allowed(request)))
            }
            verdict => {
                let known = admission.evidence.as_ref().and_then(Visitor::known);
                let ruling = &admission.ruling;
                let mut response = self.refuse(&verdict, ruling, &request, head, source, known);
                // Whoever sits there need not be who was signed in.
                if is_over && response.status() == StatusCode::SEE_OTHER {
                    sign_out::forget(&mut response);
                }
                Err(Box::new(response))
            }
        }
    }

    /// Counts what was decided, and remembers it.
    fn witness(
        &self,
        app: &App,
        request: &Arc<policy::Request>,
        source: Source,
        admission: &Admission,
        now: Timestamp,
    ) {
        self.decided.count(&admission.verdict);
        let witness = &self.env.witness;
        if request.is_modest() {
            witness.judged(now, || Recent {
                at: now,
                app: Arc::clone(&self.app),
                request: Arc::clone(request),
                address: source.visitor,
                evidence: admission.evidence.clone(),
            });
        }
        let Some((verdict, ruling)) = &admission.watched else { return };
        self.watched.count(verdict);
        let known = admission.evidence.as_ref().and_then(Visitor::known);
        let user = known.map(|identity| identity.name.clone());
        let (name, verdict, rule) =
            (&app.name, verdict.name(), app.policy.name_of(ruling.raised_by));
        let example = request.example();
        if let Some(left_out) = self.env.lines.due(Line::Watched, now) {
            let address = source.address();
            tracing::info!(app = name, verdict, rule, user, %address, example, left_out, "only watched: this would have been stopped");
        }
        let what = Watched { app: name.clone(), rule, verdict, user };
        witness.watched(what, || example, now);
    }

    /// The request has no single meaning: the log says why, under the reference that is shown.
    fn misread(&self, why: &str, head: &Parts, source: Source) -> Response {
        let reference = self.note_misread(why, head, source);
        self.notice(Notice::BadRequest { reference }, &head.headers)
    }

    /// Logs why a request has no single meaning; the reference under which that is found.
    fn note_misread(&self, why: &str, head: &Parts, source: Source) -> String {
        let reference = self.reference();
        tracing::info!(reference, why, "request refused: no single meaning");
        self.remember(&reference, why, head, source);
        reference
    }

    /// Remembers a refusal that no rule decided.
    fn remember(&self, reference: &str, why: &str, head: &Parts, source: Source) {
        let Ok(now) = self.env.now() else { return };
        self.env.witness.refused(Refusal {
            reference: reference.to_owned(),
            at: now,
            from: source.address(),
            user: None,
            app: self.site.app.as_ref().map(|app| app.name.clone()),
            method: head.method.as_str().chars().take(Refusal::METHOD).collect(),
            path: head.uri.path().chars().take(Refusal::PATH).collect(),
            readings: 0,
            rule: None,
            reason: why.to_owned(),
        });
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

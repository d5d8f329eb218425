//! The guard before each of our own pages: it decides as for requests to applications.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::HeaderMap;

use super::app_state::AppState;
use super::asked::Asked;
use super::decision::Decision;
use super::pages::Notice;
use super::refusal::{self, FETCH_DEST, Step};
use super::return_to::ReturnTo;
use super::route::{Asks, Route, Serves};
use crate::domain::assurance::{Evidence, Verdict, Visitor, judge};
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::flow::{self, Acting, AuthenticatedRequest, Caller, ClientAddress, Env};
use crate::unavailable::Unavailable;

/// Where a request came from; the proxy sets it on every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) ClientAddress);

/// A visitor who may open a page.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    /// The caller.
    pub(super) caller: Caller,
    /// The authenticated request; always there if the page requires something.
    pub(super) authenticated: Option<AuthenticatedRequest>,
    /// The name of this browser, to which new forms are bound.
    pub(super) browser: [u8; 16],
}

impl Guest {
    /// This guest as somebody who does something.
    pub(super) fn acting<'a>(
        &'a self,
        env: &'a Env,
        authenticated: &'a AuthenticatedRequest,
    ) -> Acting<'a> {
        Acting { env, caller: &self.caller, authenticated }
    }

    /// This guest with what is stored now: an answer that was refused may have changed it.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be read.
    pub(super) async fn reloaded(&self, env: &Env) -> Result<Self, Unavailable> {
        let session = self.caller.carried.session.as_ref().map(Token::hash);
        let authenticated = flow::authenticate(env, session, self.caller.now).await?;
        Ok(Self { authenticated, ..self.clone() })
    }

    /// Whether this guest has a first factor that still counts. If not, they sign in again, although
    /// their session has not ended.
    pub(super) fn is_signed_in(&self) -> bool {
        self.authenticated.as_ref().is_some_and(|mine| {
            mine.user.user.honoured(&mine.session.proofs, self.caller.now).first.is_some()
        })
    }

    /// Until when this browser is a trusted device of the signed-in user, if it is one.
    pub(super) fn trusted_until(&self) -> Option<Timestamp> {
        let user = &self.authenticated.as_ref()?.user.user;
        let cookie = self.caller.device_of(user.id())?;
        let device = user.devices().iter().find(|device| device.id() == cookie.id)?;
        device.is_trusted(self.caller.now).then(|| device.expires())
    }
}

/// Decides whether this visitor may open this route.
pub(super) async fn guard(
    State((state, route)): State<(AppState, &'static Route)>,
    request: Request,
    next: Next,
) -> Response {
    let mut decision = Decision::default();
    let mut response = guarded(&state, route, request, next, &mut decision).await;
    response.extensions_mut().insert(decision);
    response
}

async fn guarded(
    state: &AppState,
    route: &'static Route,
    mut request: Request,
    next: Next,
    decision: &mut Decision,
) -> Response {
    let headers = request.headers();
    if route.serves == Serves::Page && is_fetched(headers) {
        return state.not_in_a_window(&request);
    }
    // Without an address from the proxy, the request did not come through it.
    let Some(Peer(client)) = request.extensions().get::<Peer>().copied() else {
        return state.notice(Notice::Unavailable, headers);
    };
    let caller = match state.caller(headers, client) {
        Ok(caller) => caller,
        Err(error) => return state.unavailable(&error, headers),
    };
    let session = caller.carried.session.as_ref().map(Token::hash);
    let authenticated = match flow::authenticate(&state.env, session, caller.now).await {
        Ok(authenticated) => authenticated,
        Err(error) => return state.unavailable(&error, headers),
    };

    let requirement = route.asks.requirement(&state.env.config);
    let (head, body) = request.into_parts();
    let evidence = authenticated
        .as_ref()
        .map(|authenticated| authenticated.visitor(&state.env, None, caller.now));
    decision.user = evidence.as_ref().map(|visitor| Arc::clone(&visitor.identity));
    let is_known = evidence.as_ref().is_some_and(|visitor| visitor.known().is_some());
    let verdict = state.judge_at(route, evidence, caller.now);
    decision.verdict = Some(verdict.name());
    let asked = Asked::of(&head, client);
    let leads_to_codes = route.asks == Asks::SignIn
        && route.serves == Serves::Page
        && refusal::is_navigation(asked.method, asked.headers);
    match (refusal::owed(&verdict), verdict) {
        (None, Verdict::Pass(_)) => {}
        (Some(Step::SaveCodes), _) if !leads_to_codes => {}
        (Some(Step::SaveCodes), _) => {
            return state.lead_to_codes(&state.place_of(&asked), asked.headers);
        }
        (Some(Step::Owed(owed)), _) => {
            if !refusal::shows_a_page(asked.headers) {
                state.note_unauthenticated(owed, &asked, decision.user.as_deref(), is_known);
            }
            let shown_on = route.shown_on.map(|page| ReturnTo::own(page.to_owned()));
            let back = shown_on.unwrap_or_else(|| state.place_of(&asked));
            return state.ask(owed, &requirement, &back, &asked);
        }
        (None, _) => {
            return state.notice(Notice::Refused { reference: state.reference() }, asked.headers);
        }
    }

    let known = caller.carried.browsers.first().copied();
    let is_new = known.is_none();
    let browser = known.unwrap_or_else(|| state.new_browser());
    let names_it = is_new && route.serves == Serves::Page;
    request = Request::from_parts(head, body);
    request.extensions_mut().insert(Guest { caller, authenticated, browser });
    let mut response = next.run(request).await;
    if names_it {
        state.jar().set_browser(browser, response.headers_mut());
    }
    response
}

/// Whether the page is requested by something other than a window: a frame, a script or a style
/// sheet.
fn is_fetched(headers: &HeaderMap) -> bool {
    headers.get(FETCH_DEST).is_some_and(|dest| dest != "document")
}

impl AppState {
    /// The verdict for this route with this `evidence`.
    pub(super) fn judge_at(&self, route: &Route, evidence: Evidence, now: Timestamp) -> Verdict {
        let evidence = evidence.map(|visitor| {
            let demanded = visitor.demanded && route.asks != Asks::SetUp;
            Visitor { demanded, ..visitor }
        });
        judge(&route.asks.requirement(&self.env.config), &evidence, now)
    }

    fn not_in_a_window(&self, request: &Request) -> Response {
        let headers = request.headers();
        let notice = if refusal::is_framed(headers) {
            Notice::Framed { url: request.uri().to_string() }
        } else {
            Notice::Refused { reference: self.reference() }
        };
        self.notice(notice, headers)
    }

    pub(super) fn new_browser(&self) -> [u8; 16] {
        let mut id = [0; 16];
        self.env.rng.draw(|rng| rng.fill_bytes(&mut id));
        id
    }
}

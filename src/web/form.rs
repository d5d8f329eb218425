//! Forms: whether posted fields came from a form of ours.
//!
//! Every form has a signed field that binds it to this browser and this user, and browsers say
//! where a post comes from (OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Signed Double
//! -Submit Cookie" and "Fetch Metadata"). A handler cannot overlook the result: the fields come
//! with the doubt, if there is one.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::app_state::AppState;
use super::asked::Asked;
use super::guard::Guest;
use super::headers;
use super::page_query::PageQuery;
use super::pages::{self, Notice, Page, Problem};
use super::refusal;
use super::return_to::ReturnTo;
use crate::config::Origin;
use crate::domain::signed::Kind;
use crate::domain::user::UserId;
use crate::flow::Line;
use crate::policy::OWN;
use crate::unavailable::Unavailable;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The fields, and whether they come from a form of ours, in this browser and for this user.
pub(super) struct Form<T> {
    /// The fields.
    pub(super) typed: T,
    /// Why not to trust them. The form is then shown again with everything but the secrets.
    pub(super) doubt: Option<Problem>,
    /// Whether a user has signed in since the form was loaded.
    pub(super) is_from_before: bool,
    /// Where the visitor was going.
    pub(super) return_to: ReturnTo,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Hidden {
    csrf: String,
    return_to: String,
    method: String,
}

impl<T: DeserializeOwned + Send> FromRequest<AppState> for Form<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let guest = Guest::from_request_parts(&mut parts, state).await?;
        let bad = |why: &str| state.misread(why, &Asked::of(&parts, guest.caller.client()));
        if !is_form(&parts.headers) {
            let why = "the form was not sent as `application/x-www-form-urlencoded`";
            return Err(bad(why));
        }
        let unread = "the fields of the form cannot be read";
        let request = Request::from_parts(parts.clone(), body);
        let Ok(body) = Bytes::from_request(request, &()).await else { return Err(bad(unread)) };
        let hidden = serde_html_form::from_bytes::<Hidden>(&body).map_err(|_| bad(unread))?;
        let typed = serde_html_form::from_bytes(&body).map_err(|_| bad(unread))?;
        let doubt = state.doubt(&guest, &parts, &hidden.csrf);
        if let Some(doubt) = doubt
            && !refusal::reads_html(&parts.headers)
        {
            return Err(doubt.for_a_script(&state.host.origin));
        }
        let return_to = if hidden.return_to.is_empty() {
            // A form does not repeat a long URL: the URL of its page has it.
            PageQuery::of(parts.uri.query()).return_to(state)
        } else {
            state.return_to(&hidden.return_to).by(&hidden.method)
        };
        let is_from_before = doubt.is_none() && !state.csrf_fits(&guest, &hidden.csrf, false);
        Ok(Self { typed, doubt: doubt.map(Doubt::problem), is_from_before, return_to })
    }
}

impl FromRequestParts<AppState> for Guest {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        // The guard runs before every route; a handler without it answers nobody.
        let guest = parts.extensions.get::<Self>().cloned();
        guest.ok_or_else(|| state.notice(Notice::Unavailable, &parts.headers))
    }
}

/// A form with only a button.
#[derive(Deserialize, Default)]
pub(super) struct Pressed {}

fn is_form(headers: &HeaderMap) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = named.and_then(|text| text.split(';').next()).map(str::trim);
    essence.is_some_and(|text| text.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Whether the browser says that a page of this origin sends the form: with `Sec-Fetch-Site` or,
/// without it, with `Origin`. A post with neither, or with `null`, is not trusted.
fn came_from_us(headers: &HeaderMap, ours: &Origin) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return site == "same-origin";
    }
    let ours = ours.to_string();
    headers.get(ORIGIN).is_some_and(|origin| origin == ours.as_str())
}

/// Why a form is not trusted.
#[derive(Clone, Copy)]
enum Doubt {
    /// The browser does not say where the form comes from.
    NoOrigin,
    /// This header says that the form comes from elsewhere.
    Foreign(&'static str),
    /// The signed field is missing, or not for this browser and user.
    Expired,
}

impl Doubt {
    /// What the page of the form says.
    fn problem(self) -> Problem {
        match self {
            Self::NoOrigin => Problem::NoOrigin,
            Self::Foreign(_) => Problem::Foreign,
            Self::Expired => Problem::Expired,
        }
    }

    /// What the log says.
    fn reason(self) -> &'static str {
        match self {
            Self::NoOrigin => "Origin is missing",
            Self::Foreign(header) => header,
            Self::Expired => "csrf",
        }
    }

    /// What a script is told: the page of the form would not say what is missing.
    fn for_a_script(self, ours: &Origin) -> Response {
        let (error, message) = match self {
            Self::NoOrigin => (
                "origin-missing",
                format!("the header `Origin` is missing: send `Origin: {ours}`, as browsers do"),
            ),
            Self::Foreign(_) => (
                "foreign-form",
                format!(
                    "`Sec-Fetch-Site` or `Origin` says that this form was not sent by a page of \
                     {ours}"
                ),
            ),
            Self::Expired => (
                "form-expired",
                "the field `csrf` is missing or not valid: open the page first, then send the \
                 `csrf` field of its form, and its cookies"
                    .to_owned(),
            ),
        };
        let body = json!({ "error": error, "message": message });
        headers::json(StatusCode::UNPROCESSABLE_ENTITY, &body)
    }
}

impl AppState {
    /// The hidden fields of a form for this guest.
    pub(super) fn form(&self, guest: &Guest, return_to: &ReturnTo) -> pages::Form {
        let host = self.host.origin.host();
        let user = guest.authenticated.as_ref().map(|authenticated| authenticated.session.user);
        pages::Form {
            csrf: self.env.signer.sign(Kind::Csrf, host, &binding(guest.browser, user)),
            return_to: return_to.as_str().to_owned(),
            method: return_to.other_method().map(str::to_owned),
            leads_to: self.leads_to(return_to),
        }
    }

    /// Why this form is not trusted, if there is a reason.
    fn doubt(&self, guest: &Guest, head: &Parts, csrf: &str) -> Option<Doubt> {
        let headers = &head.headers;
        let doubt = if !came_from_us(headers, &self.host.origin) {
            if headers.contains_key(FETCH_SITE) {
                Doubt::Foreign("Sec-Fetch-Site")
            } else if headers.contains_key(ORIGIN) {
                Doubt::Foreign("Origin")
            } else {
                Doubt::NoOrigin
            }
        } else if !self.csrf_fits(guest, csrf, is_nobodys(head.uri.path())) {
            Doubt::Expired
        } else {
            return None;
        };
        let caller = &guest.caller;
        if let Some(left_out) = self.env.log_throttle.due(Line::Form, caller.now) {
            let address = caller.address;
            let said = |name| headers.get(name).map(shown);
            let (fetch_site, origin) = (said(&FETCH_SITE), said(&ORIGIN));
            tracing::info!(
                %address,
                reason = doubt.reason(),
                fetch_site,
                origin,
                left_out,
                "form refused: CSRF check failed"
            );
        }
        Some(doubt)
    }

    /// Whether this form was made for this browser, under any of its names, and for the user who is
    /// signed in now. `is_nobodys`: or for no user, because it acts in no user's name.
    fn csrf_fits(&self, guest: &Guest, text: &str, is_nobodys: bool) -> bool {
        let host = self.host.origin.host();
        let Some(bound) = self.env.signer.open(Kind::Csrf, host, text) else { return false };
        let user = guest.authenticated.as_ref().map(|authenticated| authenticated.session.user);
        let mut browsers = guest.caller.carried.browsers.iter().chain([&guest.browser]);
        browsers.any(|browser| {
            bound == binding(*browser, user) || (is_nobodys && bound == binding(*browser, None))
        })
    }

    /// A page for this guest, with the user's name if there is one.
    pub(super) fn page(&self, status: StatusCode, page: &impl Page) -> Response {
        headers::page(status, page, &self.host.origin)
    }

    /// The frame of a page for this guest.
    pub(super) fn frame_for(&self, guest: &Guest) -> pages::Frame {
        let user = guest
            .authenticated
            .as_ref()
            .map(|authenticated| authenticated.user.identity.written.clone());
        pages::Frame { user, ..self.frame() }
    }
}

/// Text from a visitor, for the log: without control characters, and short; `…` stands for more.
pub(super) fn shown(value: &HeaderValue) -> String {
    const AT_MOST: usize = 80;
    let text = String::from_utf8_lossy(value.as_bytes());
    let shown = text.chars().take(AT_MOST).flat_map(char::escape_default).collect::<String>();
    if text.chars().nth(AT_MOST).is_some() { shown + "…" } else { shown }
}

/// Whether a post to this page acts in no user's name: the page may be open in one tab while the
/// user signs in in another.
fn is_nobodys(path: &str) -> bool {
    let page = path.strip_prefix(OWN).unwrap_or_default();
    ["sign-in", "forgot"].contains(&page) || page.starts_with("link/")
}

/// Binds a form to the browser and to the user who was signed in when it was loaded: it is not
/// accepted for another user later.
fn binding(browser: [u8; 16], user: Option<UserId>) -> [u8; 16] {
    let mut digest = Sha256::new();
    digest.update(browser);
    if let Some(user) = user {
        digest.update(user.as_bytes());
    }
    let bytes: [u8; 32] = digest.finalize().into();
    std::array::from_fn(|i| bytes[i])
}

/// Why a handler failed; the page says no more than the visitor needs.
pub(super) struct Trouble(Unavailable);

impl From<Unavailable> for Trouble {
    fn from(error: Unavailable) -> Self {
        Self(error)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        failed(self.0)
    }
}

/// The response of a handler that failed: the outermost layer logs why, and replaces it with a page.
pub(super) fn failed(why: Unavailable) -> Response {
    let mut response = StatusCode::SERVICE_UNAVAILABLE.into_response();
    response.extensions_mut().insert(Failed(why));
    response
}

/// Marks the response of a handler that failed.
#[derive(Clone, Debug)]
pub(super) struct Failed(pub(super) Unavailable);

//! What a visitor gets instead of what they requested.
//!
//! A navigation is redirected to the required step and back. A frame gets a page with a link that
//! opens in the whole window. A form that was sent to an application is dropped, and a page says
//! so. Everything else is a script and gets JSON.

use std::borrow::Cow;

use axum::response::Response;
use http::header::{
    ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, REFERER, RETRY_AFTER, UPGRADE,
    WWW_AUTHENTICATE,
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::app_state::AppState;
use super::asked::Asked;
use super::decision::Decision;
use super::pages::{Frame, Leave, NamelessPage, Notice, NoticePage, Owed};
use super::return_to::ReturnTo;
use super::{grpc, headers};
use crate::config::Origin;
use crate::domain::assurance::{Level, Requirement, Verdict, Visitor};
use crate::domain::identity::Identity;
use crate::domain::provider::Purpose;
use crate::domain::time::Timestamp;
use crate::flow::decision_log::Refusal;
use crate::flow::{self, request_id};
use crate::policy::{self, OWN, OwnPage, Ruling};
use crate::unavailable::Unavailable;

/// What the browser uses the response for (Fetch Metadata); absent in old browsers and in tools.
pub(super) const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// The mode of the request.
pub(super) const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Whether a person sees the response, as a page or in a frame. All other requests come from
/// scripts, which need an error and not a redirect.
///
/// Browsers say so with Fetch Metadata, but not over plain HTTP, and not all did before 2023.
/// Without it, `Accept` shows it: a navigation accepts XHTML or, in old browsers, images, which no
/// script library asks for.
pub fn shows_a_page(headers: &HeaderMap) -> bool {
    if !reads_html(headers) {
        return false;
    }
    let said = |name| headers.get(name).is_some();
    said(FETCH_MODE) || accepts(headers, "application/xhtml+xml") || accepts(headers, "image/")
}

/// Whether an error can be shown as a page: to people, and to tools that ask for HTML.
pub(super) fn reads_html(headers: &HeaderMap) -> bool {
    if !accepts(headers, "text/html") {
        return false;
    }
    match headers.get(FETCH_MODE) {
        Some(mode) => mode == "navigate",
        None => !is_a_scripts(headers),
    }
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let said = headers.get_all(ACCEPT).iter();
    said.filter_map(|value| value.to_str().ok()).any(|text| text.contains(kind))
}

/// Whether only a script sends such a request: no navigation has these headers.
fn is_a_scripts(headers: &HeaderMap) -> bool {
    // Android's WebView, which shows pages, sends the name of its app, which always has a dot.
    let by = headers.get("x-requested-with").map(HeaderValue::as_bytes);
    by.is_some_and(|by| !by.is_empty() && !by.contains(&b'.'))
        || accepts(headers, "turbo-stream")
        || headers.get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
        || OF_SCRIPTS.iter().any(|name| headers.contains_key(*name))
}

/// Headers of libraries that fetch parts of pages, and those with which scripts show that they come
/// from a page of the application.
const OF_SCRIPTS: [&str; 24] = [
    "hx-request", // htmx
    "fx-request", // fixi
    "turbo-frame",
    "x-turbo-request-id",
    "turbolinks-referrer",
    "x-pjax",
    "x-barba",
    "x-inertia",
    "x-livewire",
    "x-up-version", // Unpoly
    "x-alpine-request",
    "datastar-request",
    "x-ic-request", // intercooler
    "x-splade",
    "x-october-request-handler",
    "x-winter-request-handler",
    "faces-request",   // Jakarta Faces
    "x-microsoftajax", // ASP.NET's UpdatePanel
    "wicket-ajax",
    "next-router-state-tree",
    "rsc",
    "x-csrf-token",
    "x-csrftoken",
    "x-xsrf-token",
];

/// Whether this is a navigation: a GET whose response is shown.
pub fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && shows_a_page(headers)
}

/// As much of a path as a log may contain: its first segment if more follow, and `…` for the rest.
/// The rest may be a secret of the application, such as a link to reset a password.
pub fn beginning(path: &str) -> Cow<'_, str> {
    let first = path.get(1..).and_then(|rest| rest.find('/')).map_or(1, |end| end + 2);
    match path.get(..first) {
        Some(first) if first.len() < path.len() => Cow::Owned(format!("{first}…")),
        Some(_) => Cow::Borrowed(path),
        None => Cow::Borrowed(if path.is_empty() { "" } else { "…" }),
    }
}

/// The first `at_most` characters of `text`, and `…` if there are more.
pub(super) fn shortened(text: &str, at_most: usize) -> String {
    match text.char_indices().nth(at_most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether the response would be shown inside another page.
pub(super) fn is_framed(headers: &HeaderMap) -> bool {
    const FRAMES: [&str; 5] = ["iframe", "frame", "object", "embed", "fencedframe"];
    headers.get(FETCH_DEST).is_some_and(|dest| FRAMES.iter().any(|frame| dest == frame))
}

impl AppState {
    /// The response to a request to an application that may not pass.
    pub(super) fn refuse(
        &self,
        verdict: &Verdict,
        ruling: &Ruling,
        request: &policy::Request,
        asked: &Asked<'_>,
        visitor: Option<&Visitor>,
    ) -> Response {
        let address = asked.client.address();
        let here = self.place_of(asked);
        let rule = ruling.raised_by;
        match owed(verdict) {
            Some(Step::Owed(owed)) => {
                tracing::debug!(
                    %address,
                    %rule,
                    header = ruling.raised_in,
                    ?owed,
                    path = &*beginning(&asked.path()),
                    "authentication required"
                );
                if !shows_a_page(asked.headers)
                    && let Ok(at) = self.env.now()
                {
                    self.env.decision_log.unauthenticated(address, at, || {
                        let reason = unauthenticated(owed, asked.headers);
                        let refusal = self.refusal(at, reason, ruling, request, asked, visitor);
                        let rule = self.decided_by((verdict, ruling), visitor, at);
                        Refusal { rule: rule.or(refusal.rule), ..refusal }
                    });
                }
                self.ask(owed, &ruling.requirement, &here, asked)
            }
            Some(Step::SaveCodes) => self.lead_to_codes(&here, asked.headers),
            None => {
                tracing::info!(
                    %address,
                    rule = self.name_of(ruling),
                    header = ruling.raised_in,
                    path = &*beginning(&asked.path()),
                    "request refused"
                );
                let refusal = self.env.now().ok().map(|at| {
                    self.refusal(at, reason(ruling, visitor), ruling, request, asked, visitor)
                });
                let reference = refusal.as_ref().map(|refusal| refusal.request_id.clone());
                let reference = reference.unwrap_or_else(|| self.reference());
                if let Some(refusal) = refusal {
                    self.env.decision_log.refused(refusal);
                }
                let user = visitor.map(|visitor| visitor.identity.written.clone());
                let frame = Frame { user, ..self.frame() };
                let leave = Leave {
                    is_signed_in: visitor.and_then(Visitor::known).is_some(),
                    url: here.through("sign-out"),
                };
                self.notice_in(frame, leave, Notice::Refused { reference }, asked.headers)
            }
        }
    }

    /// The rule that decided, with its line and paths.
    fn name_of(&self, ruling: &Ruling) -> String {
        let named = self.host.app.as_ref().map(|app| app.policy.name_of(ruling.raised_by));
        named.unwrap_or_else(|| ruling.raised_by.to_string())
    }

    /// The rule that decided, and the demand if that asks for more.
    fn decided_by(
        &self,
        decided: (&Verdict, &Ruling),
        visitor: Option<&Visitor>,
        now: Timestamp,
    ) -> Option<String> {
        let (env, app) = (&self.env, self.host.app.as_ref()?);
        Some(flow::decided_by(&env.config, &env.since, app, decided, visitor, now))
    }

    /// What is remembered of a refusal by a rule.
    fn refusal(
        &self,
        at: Timestamp,
        reason: String,
        ruling: &Ruling,
        request: &policy::Request,
        asked: &Asked<'_>,
        visitor: Option<&Visitor>,
    ) -> Refusal {
        let path = policy::request::Shown(request.path()).to_string();
        Refusal {
            request_id: self.reference(),
            at,
            from: asked.client.address(),
            user: visitor.map(|visitor| visitor.identity.name.clone()),
            is_known: visitor.and_then(Visitor::known).is_some(),
            app: self.host.app.as_ref().map(|app| app.name.clone()),
            host: self.host.origin.authority(),
            method: shortened(asked.method.as_str(), Refusal::METHOD),
            path: shortened(&path, Refusal::PATH),
            readings: request.readings().count(),
            rule: Some(self.name_of(ruling)),
            reason,
        }
    }

    /// The URL of a request, as a place to come back to.
    pub(super) fn place_of(&self, asked: &Asked<'_>) -> ReturnTo {
        let target = String::from_utf8_lossy(asked.target);
        let place = ReturnTo::read(&target, &self.host.origin);
        self.past_step(&place).unwrap_or_else(|| place.by(asked.method.as_str()))
    }

    /// Redirects to the required step, and from there to `back`.
    pub(super) fn ask(
        &self,
        owed: Owed,
        requirement: &Requirement,
        back: &ReturnTo,
        asked: &Asked<'_>,
    ) -> Response {
        let headers = asked.headers;
        if grpc::is_spoken(headers) {
            return grpc::refusal(StatusCode::UNAUTHORIZED, message_of(owed, requirement), headers);
        }
        if !shows_a_page(headers) {
            return self.unauthorised_script(owed, requirement);
        }
        let way = self.way_to(owed, requirement, back, headers);
        let url = way.url.clone();
        let response = if is_framed(headers) {
            self.notice(Notice::Framed { url }, headers)
        } else if is_navigation(asked.method, headers) {
            super::headers::see_other(&url)
        } else {
            let is_ours = asked.path().starts_with(OWN);
            self.notice(Notice::Unsent { owed, url, is_ours }, headers)
        };
        self.sent_on(&way, response)
    }

    /// 401 with a body that says what to do (RFC 9110 §15.5.2). A script's URL is no page for a
    /// person to return to, so there is no `return_to`.
    fn unauthorised_script(&self, owed: Owed, requirement: &Requirement) -> Response {
        let page = page_of(owed);
        let body = json!({
            "error": page,
            "message": message_of(owed, requirement),
            "url": format!("{}/.doorward/{page}", self.host.origin),
            "asks": asks(requirement),
        });
        let mut response = headers::json(StatusCode::UNAUTHORIZED, &body);
        challenge(response.headers_mut());
        response
    }

    /// Shows an error for an unknown host, as [`AppState::notice`] does.
    pub(super) fn nameless_notice(notice: Notice, request: &HeaderMap) -> Response {
        let status = notice.status();
        if reads_html(request) {
            let reference = reference(&notice);
            headers::nameless_page(status, &NamelessPage { notice, reference })
        } else if grpc::is_spoken(request) {
            grpc::refusal(status, said(&notice).1, request)
        } else {
            headers::json(status, &notice_json(&notice))
        }
    }

    /// Shows an error: as a page to people, as JSON to scripts.
    pub(super) fn notice(&self, notice: Notice, request: &HeaderMap) -> Response {
        self.notice_in(self.frame(), Leave::default(), notice, request)
    }

    fn notice_in(
        &self,
        frame: Frame,
        leave: Leave,
        notice: Notice,
        request: &HeaderMap,
    ) -> Response {
        let status = notice.status();
        let mut response = if reads_html(request) {
            let is_framed = matches!(notice, Notice::Framed { .. });
            let reference = reference(&notice);
            let page = NoticePage { frame, leave, notice, reference };
            let origin = &self.host.origin;
            if is_framed {
                // The frame must show the link that opens a page elsewhere.
                let framing = self.framing(request);
                headers::framed_page(status, &page, origin, framing.as_ref())
            } else {
                headers::page(status, &page, origin)
            }
        } else if grpc::is_spoken(request) {
            return grpc::refusal(status, said(&notice).1, request);
        } else {
            headers::json(status, &notice_json(&notice))
        };
        match status {
            StatusCode::UNAUTHORIZED => challenge(response.headers_mut()),
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
            }
            _ => {}
        }
        response
    }
}

impl AppState {
    /// The request is malformed or ambiguous: the log says why, with the request id on the page.
    pub(super) fn misread(&self, why: &str, asked: &Asked<'_>) -> Response {
        let reference = self.note_misread(why, asked);
        malformed(self.notice(Notice::BadRequest { reference }, asked.headers))
    }

    /// Logs why a request is malformed or ambiguous, and returns the reference.
    pub(super) fn note_misread(&self, why: &str, asked: &Asked<'_>) -> String {
        let reference = self.reference();
        tracing::info!(why, "request refused: malformed or ambiguous");
        self.remember(&reference, why, asked);
        reference
    }

    /// Records that one of our own pages was refused to a client that shows none: it got 401.
    /// `is_known`: whether `user` would pass `sign-in`.
    pub(super) fn note_unauthenticated(
        &self,
        owed: Owed,
        asked: &Asked<'_>,
        user: Option<&Identity>,
        is_known: bool,
    ) {
        let Ok(now) = self.env.now() else { return };
        self.env.decision_log.unauthenticated(asked.client.address(), now, || {
            let reason = unauthenticated(owed, asked.headers);
            let refusal = self.without_rule(&self.reference(), now, &reason, asked, user);
            Refusal { is_known, ..refusal }
        });
    }

    /// Records a refusal that no rule decided.
    pub(super) fn remember(&self, reference: &str, why: &str, asked: &Asked<'_>) {
        let Ok(now) = self.env.now() else { return };
        self.env.decision_log.refused(self.without_rule(reference, now, why, asked, None));
    }

    /// Records that a request of `user`, if it was anybody's, got an error: something failed.
    pub(super) fn failed(&self, why: &str, asked: &Asked<'_>, user: Option<&Identity>) {
        let Ok(now) = self.env.now() else { return };
        self.env.decision_log.failed(asked.client.address(), now, || {
            self.without_rule(&self.reference(), now, why, asked, user)
        });
    }

    fn without_rule(
        &self,
        reference: &str,
        at: Timestamp,
        why: &str,
        asked: &Asked<'_>,
        user: Option<&Identity>,
    ) -> Refusal {
        Refusal {
            request_id: reference.to_owned(),
            at,
            from: asked.client.address(),
            user: user.map(|user| user.name.clone()),
            is_known: user.is_some(),
            app: self.host.app.as_ref().map(|app| app.name.clone()),
            host: shortened(&String::from_utf8_lossy(asked.host), Refusal::HOST),
            method: shortened(asked.method.as_str(), Refusal::METHOD),
            path: shortened(
                &String::from_utf8_lossy(without_link(asked.path().as_bytes())),
                Refusal::PATH,
            ),
            readings: 0,
            rule: None,
            reason: why.to_owned(),
        }
    }

    /// Something on our side is broken: nobody is let through, and the page says no more than that.
    pub(super) fn unavailable(&self, error: &Unavailable, headers: &HeaderMap) -> Response {
        self.env.report(error, "request refused");
        self.notice(Notice::Unavailable, headers)
    }
}

impl AppState {
    /// The host of ours whose page frames this one, according to the browser.
    fn framing(&self, request: &HeaderMap) -> Option<Origin> {
        let referer = request.get(REFERER)?.to_str().ok()?;
        let origins = self.env.config.hosts().map(|host| host.origin);
        let mut framing = origins.filter(|origin| {
            let rest = referer.strip_prefix(&origin.to_string());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        framing.next()
    }
}

/// Notes on the response that the request was malformed or ambiguous.
pub(super) fn malformed(mut response: Response) -> Response {
    response.extensions_mut().insert(Decision::malformed());
    response
}

/// As much of a path as operators may see: the token of a one-time link is a secret, also for them.
pub fn without_link(path: &[u8]) -> &[u8] {
    const LINK: &[u8] = b"/.doorward/link/";
    match policy::Request::read(path).as_ref().map(policy::Request::own_page) {
        Ok(OwnPage::Page(page)) if page.starts_with("link") => LINK,
        // However it is spelled, it may be such a link.
        Ok(OwnPage::Odd) => OWN.as_bytes(),
        Err(_) if path.to_ascii_lowercase().windows(8).any(|part| part == b"doorward") => {
            OWN.as_bytes()
        }
        Ok(OwnPage::Page(_) | OwnPage::No) | Err(_) => path,
    }
}

/// Why a request was refused, for the operator.
fn reason(ruling: &Ruling, visitor: Option<&Visitor>) -> String {
    let why = match (ruling.requirement.level, visitor) {
        (Level::Nobody, _) => "the rule refuses everybody (`require: nobody`)".to_owned(),
        (_, visitor) => {
            let only = ruling.requirement.only.iter().flat_map(|only| only.iter());
            let only: Vec<_> = only.map(ToString::to_string).collect();
            let groups = visitor.map(|visitor| &visitor.identity.groups);
            let groups: Vec<_> = groups.into_iter().flatten().map(String::as_str).collect();
            let of = match &*groups {
                [] => "in no group".to_owned(),
                groups => format!("in {}", groups.join(" and ")),
            };
            // Ten thousand refusals are kept, and lists may have thousands of names.
            let only = shortened(&only.join(", and only "), Refusal::NAMES);
            let of = shortened(&of, Refusal::NAMES);
            format!("the rule admits only {only}, and the user is {of}")
        }
    };
    match ruling.raised_in {
        Some(header) => format!("{why}; it is the rule for the target in the header `{header}`"),
        None => why,
    }
}

/// Why a client that shows no pages was answered 401, for the operator.
fn unauthenticated(owed: Owed, headers: &HeaderMap) -> String {
    let missing = match owed {
        Owed::SignIn => "the visitor is not signed in",
        Owed::Challenge => "the second factor was not entered",
        Owed::Confirm => "the password was not entered again",
        Owed::SetUp => "no second factor is set up",
    };
    let got = if grpc::is_spoken(headers) { "gRPC status 16" } else { "401" };
    let missing = format!("{missing}, and the client is not a browser, so it got {got}");
    let sent = headers.get(AUTHORIZATION).and_then(|sent| sent.to_str().ok());
    let scheme = sent.and_then(|sent| {
        let sent = sent.split(' ').next().unwrap_or_default();
        SCHEMES.into_iter().find(|known| sent.eq_ignore_ascii_case(known))
    });
    match (scheme, sent) {
        (Some(scheme), _) => {
            format!("{missing}; it sent `Authorization: {scheme}`, which Doorward does not check")
        }
        (None, Some(_)) => {
            format!("{missing}; it sent `Authorization`, which Doorward does not check")
        }
        (None, None) => missing,
    }
}

/// The schemes of `Authorization` that are told by name (RFC 9110 §16.4.1). Anything else may be a
/// secret in the wrong place.
const SCHEMES: [&str; 5] = ["Basic", "Bearer", "Digest", "Negotiate", "NTLM"];

/// Where users save their recovery codes.
pub(super) const SAVE_CODES: &str = "set-up/recovery-codes";

/// The step that a verdict leads to; `None` if there is none.
pub(super) enum Step {
    /// Something must be shown.
    Owed(Owed),
    /// The recovery codes must be saved.
    SaveCodes,
}

pub(super) fn owed(verdict: &Verdict) -> Option<Step> {
    match verdict {
        Verdict::SignIn => Some(Step::Owed(Owed::SignIn)),
        Verdict::Confirm => Some(Step::Owed(Owed::Confirm)),
        Verdict::Challenge => Some(Step::Owed(Owed::Challenge)),
        Verdict::SetUp => Some(Step::Owed(Owed::SetUp)),
        Verdict::SaveCodes(_) => Some(Step::SaveCodes),
        Verdict::Pass(_) | Verdict::Refused => None,
    }
}

pub(super) const fn page_of(owed: Owed) -> &'static str {
    match owed {
        Owed::SignIn => "sign-in",
        Owed::Challenge => "challenge",
        Owed::Confirm => "confirm",
        Owed::SetUp => "set-up",
    }
}

fn message_of(owed: Owed, requirement: &Requirement) -> &'static str {
    match owed {
        Owed::SignIn if requirement.level == Level::SecondFactor => {
            "sign in with a second factor first, in a browser"
        }
        Owed::SignIn => "sign in first, in a browser",
        Owed::Challenge => "enter the second factor first, in a browser",
        Owed::Confirm => "enter the password again first, in a browser",
        Owed::SetUp => "set up a second factor first, in a browser",
    }
}

fn challenge(headers: &mut HeaderMap) {
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Doorward"));
}

fn asks(requirement: &Requirement) -> Value {
    let level = match requirement.level {
        Level::Nothing => "nothing",
        Level::Step | Level::SignIn => "sign-in",
        Level::SecondFactor => "second-factor",
        Level::Nobody => "nobody",
    };
    let mut asks = json!({ "level": level });
    if let Some(within) = requirement.within {
        asks["second_factor_within_seconds"] = within.as_secs().into();
    }
    if let Some(within) = requirement.confirm_within {
        asks["password_within_seconds"] = within.as_secs().into();
    }
    if requirement.level == Level::SecondFactor {
        let accepted = requirement.trusted_device && requirement.within.is_none();
        asks["trusted_device"] = accepted.into();
    }
    asks
}

/// The JSON error for a script: a code, and a sentence.
fn said(notice: &Notice) -> (&'static str, &'static str) {
    match notice {
        Notice::Refused { .. } => ("refused", "access denied"),
        Notice::BadRequest { .. } => ("bad-request", "the request is invalid or ambiguous"),
        Notice::NotFound => ("not-found", "there is no page at this address"),
        Notice::NotAllowed => ("method-not-allowed", "method not allowed at this address"),
        Notice::Unsent { .. } | Notice::Framed { .. } => ("sign-in", "sign in first, in a browser"),
        Notice::Unreachable { .. } => {
            ("application-unreachable", "the application cannot be reached")
        }
        Notice::Unreadable { .. } => {
            ("application-unreadable", "the application sent an invalid answer")
        }
        Notice::Late { .. } => ("application-late", "the application did not answer in time"),
        Notice::Unavailable => (
            "unavailable",
            "the site is busy, or cannot check access at the moment: try again later",
        ),
        Notice::WrongHost => ("wrong-host", "no site has this host name"),
        Notice::TooLarge => ("too-large", "the form data is too large"),
        Notice::HeadTooLarge => ("head-too-large", "the headers of the request are too large"),
        Notice::SpentLink => ("spent-link", "this link no longer works"),
        Notice::Frozen => ("frozen", "two-factor is frozen"),
        Notice::SpentTicket { .. } => ("spent-ticket", "sign in again in a browser"),
        Notice::DoubledCookie { .. } => ("doubled-cookie", "the session cookie was sent twice"),
        Notice::OnlyAuthenticator => ("only-authenticator", "this is your only second factor"),
        Notice::SignedOut { .. } => ("signed-out", "you are signed out"),
        Notice::NotSignedIn { purpose, .. } => match purpose {
            Purpose::SignIn => ("not-signed-in", "the identity provider did not sign you in"),
            Purpose::Confirm { .. } => {
                ("not-confirmed", "the identity provider did not confirm that it is you")
            }
            Purpose::Connect { .. } => ("not-connected", "the account was not connected"),
        },
        Notice::NoPassword => ("no-password", "you have no password here"),
        Notice::AddressKeptElsewhere => {
            ("address-kept-elsewhere", "your address comes from your identity provider")
        }
    }
}

fn notice_json(notice: &Notice) -> Value {
    let (error, message) = said(notice);
    let mut said = json!({ "error": error, "message": message });
    if let Some(reference) = reference(notice) {
        said["reference"] = reference.into();
    }
    said
}

/// The reference that is shown with `notice`: that of a refusal, or the id of the request if
/// something is broken here or at the application.
fn reference(notice: &Notice) -> Option<String> {
    let broken = || notice.status().is_server_error().then(request_id::current).flatten();
    let refused = notice.reference().map(str::to_owned);
    refused.or_else(|| broken().map(|id| id.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::chromium(&[("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8")], true)]
    #[case::w3m(&[("accept", "text/html, text/*;q=0.5, image/*, application/*")], true)]
    #[case::webview(&[("accept", "text/html,application/xhtml+xml"), ("x-requested-with", "com.example.app")], true)]
    #[case::navigates(&[("accept", "text/html"), ("sec-fetch-mode", "navigate")], true)]
    #[case::navigates_whatever_else(&[("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("hx-request", "true")], true)]
    #[case::fetches(&[("accept", "text/html,application/xhtml+xml"), ("sec-fetch-mode", "cors")], false)]
    #[case::jquery(&[("accept", "text/html, */*; q=0.01"), ("x-requested-with", "XMLHttpRequest")], false)]
    #[case::jquery_elsewhere(&[("accept", "text/html, */*; q=0.01")], false)]
    #[case::htmx(&[("accept", "text/html, */*"), ("hx-request", "true")], false)]
    #[case::boosted(&[("accept", "text/html,application/xhtml+xml"), ("hx-request", "true")], false)]
    #[case::turbo(&[("accept", "text/html, application/xhtml+xml"), ("x-turbo-request-id", "1")], false)]
    #[case::turbo_frame(&[("accept", "text/html, application/xhtml+xml"), ("turbo-frame", "a")], false)]
    #[case::swup(&[("accept", "text/html, application/xhtml+xml"), ("x-requested-with", "swup")], false)]
    #[case::barba(&[("accept", "text/html,application/xhtml+xml,application/xml"), ("x-barba", "yes")], false)]
    #[case::faces(&[("accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("faces-request", "partial/ajax")], false)]
    #[case::update_panel(&[("accept", "text/html,application/xhtml+xml"), ("x-microsoftajax", "Delta=true")], false)]
    #[case::says_nothing_of_itself(&[("accept", "text/html,application/xhtml+xml"), ("x-requested-with", "")], true)]
    #[case::turbo_stream(&[("accept", "text/vnd.turbo-stream.html, text/html, application/xhtml+xml")], false)]
    #[case::websocket(&[("accept", "text/html,application/xhtml+xml"), ("upgrade", "WebSocket")], false)]
    #[case::axios(&[("accept", "application/json, text/plain, */*")], false)]
    #[case::plain_fetch(&[("accept", "text/html")], false)]
    #[case::curl(&[("accept", "*/*")], false)]
    #[case::nothing(&[], false)]
    fn a_page_is_shown_to_people_and_scripts_are_told(
        #[case] said: &[(&'static str, &'static str)],
        #[case] shows: bool,
    ) {
        let said = said
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        assert_eq!(shows_a_page(&said.collect()), shows);
    }

    #[test]
    fn a_log_holds_no_more_of_a_path_than_its_first_segment() {
        assert_eq!(beginning("/reset/0a1b2c"), "/reset/…");
        assert_eq!(beginning("/reset/0a1b2c/done"), "/reset/…");
        assert_eq!(beginning("/reset/"), "/reset/");
        assert_eq!(beginning("/0a1b2c"), "/…");
        assert_eq!(beginning("//x/y"), "//…");
        assert_eq!(beginning("/"), "/");
        assert_eq!(beginning("/ä/x"), "/ä/…");
        assert_eq!(beginning(""), "");
        assert_eq!(beginning("*"), "*");
        assert_eq!(beginning("ä"), "…");
    }

    #[rstest::rstest]
    #[case("/.doorward/link/t0ken", "/.doorward/link/")]
    #[case("//.doorward/link/t0ken", "/.doorward/")]
    #[case("/.doorward/%6cink/t0ken", "/.doorward/")]
    #[case("/%2edoorward/link/t0ken", "/.doorward/")]
    #[case("/.Doorward/Link/t0ken", "/.doorward/")]
    #[case("/x/../.doorward/link/t0ken", "/.doorward/")]
    #[case::unreadable("//.doorward/link/t0ken%zz", "/.doorward/")]
    #[case::unreadable_and_escaped("/%2Edoorward/link/t0ken%zz", "/.doorward/")]
    #[case::another_page("/.doorward/sign-in", "/.doorward/sign-in")]
    #[case::the_applications("/a/link/%zz", "/a/link/%zz")]
    #[case::the_applications_too("/a//link/x", "/a//link/x")]
    fn the_token_of_a_link_is_not_remembered(#[case] path: &str, #[case] kept: &str) {
        assert_eq!(without_link(path.as_bytes()), kept.as_bytes());
    }

    #[test]
    fn text_that_is_cut_ends_with_a_mark_and_no_other_does() {
        assert_eq!(shortened("PROPFIND", 8), "PROPFIND");
        assert_eq!(shortened("PROPFINDS", 8), "PROPFIND…");
        assert_eq!(shortened("äöü", 2), "äö…");
        assert_eq!(shortened("", 0), "");
    }
}

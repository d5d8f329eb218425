//! Signing in across hosts: from an application's host to the portal, and back with a ticket.
//!
//! The host says, in a signed value, which browser asks and what the URL requires. The portal asks
//! its visitor for what is missing and sends them back with a ticket that is bound to that browser.
//! So neither a stolen ticket nor a link made by an attacker signs anybody in.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::HeaderMap;
use http::request::Parts;
use serde::Deserialize;

use super::app_state::AppState;
use super::asked::Asked;
use super::form::Trouble;
use super::guard::Guest;
use super::page_query::PageQuery;
use super::pages::{Notice, Owed};
use super::return_to::{ReturnTo, escaped};
use super::{headers, refusal};
use crate::config::Host;
use crate::domain::assurance::{Level, Requirement};
use crate::domain::secret::Token;
use crate::domain::signed::Kind;
use crate::domain::ticket::{Ask, digest};
use crate::flow::admit::judge_authenticated;
use crate::flow::enter::{self, Entered};

/// Where to send a visitor from whom something is required, and the browser name that the way
/// needs.
pub(super) struct Way {
    pub(super) url: String,
    /// A new name for this browser, if it had none.
    browser: Option<[u8; 16]>,
}

/// The parameters of a visitor whom another host has sent.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Sent {
    /// The URL that they wanted.
    return_to: String,
    /// What the host asks for: a signed [`Ask`].
    ask: String,
    /// Not empty: the host refused a ticket, and this is the second try.
    again: String,
}

/// The parameters of the way back from the portal.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Presented {
    ticket: String,
    /// Where the visitor was going, in case the ticket is not valid.
    return_to: String,
    /// As in [`Sent`].
    again: String,
}

/// Issues a ticket for the host that sent this visitor, once everything was shown that the host
/// asks for. A visitor whom that host refuses anyway is asked for nothing but a sign-in.
pub(super) async fn give_out(
    State(state): State<AppState>,
    guest: Guest,
    head: Parts,
) -> Result<Response, Trouble> {
    let asked = Asked::of(&head, guest.caller.client());
    let here = state.place_of(&asked);
    let Some(destination) = state.destination(&here) else {
        return Ok(headers::see_other("/.doorward/"));
    };
    let Destination { host, back, ask, again } = destination;
    let url = format!("{}{}", host.origin, back.as_str());
    // If something is still missing, that host makes a new [`Ask`].
    let Some(ask) = ask else { return Ok(headers::see_other(&url)) };
    let (authenticated, now) = (guest.authenticated.as_ref(), guest.caller.now);
    let verdict =
        judge_authenticated(&state.env, &ask.requirement, authenticated, host.app.as_deref(), now);
    match refusal::owed(&verdict) {
        // Whom that host refuses anyway is told so there, before anything else is asked of them.
        Some(refusal::Step::Owed(owed))
            if owed == Owed::SignIn
                || ask.is_of_user
                || !state.is_refused_at(&host, &guest, &back) =>
        {
            return Ok(state.ask(owed, &ask.requirement, &here, &asked));
        }
        Some(refusal::Step::SaveCodes) => return Ok(state.lead_to_codes(&here, &head.headers)),
        Some(refusal::Step::Owed(_)) | None => {}
    }
    let to_sign_in = || headers::see_other(&here.through("sign-in"));
    let Some(authenticated) = &guest.authenticated else { return Ok(to_sign_in()) };
    let (name, return_to) = (host.origin.host(), back.as_str());
    let ticket =
        enter::give_out(guest.acting(&state.env, authenticated), name, return_to, ask.browser)
            .await?;
    Ok(match ticket {
        Some(ticket) => {
            let (origin, ticket) = (&host.origin, ticket.expose_text());
            let (return_to, again) = (escaped(return_to), said_again(again));
            headers::see_other(&format!(
                "{origin}/.doorward/ticket?ticket={ticket}&return_to={return_to}{again}"
            ))
        }
        None => to_sign_in(),
    })
}

/// Takes a ticket: the host session begins here, and the visitor continues to their URL.
pub(super) async fn take(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
    request: HeaderMap,
) -> Result<Response, Trouble> {
    let presented: Presented =
        serde_html_form::from_str(query.as_deref().unwrap_or_default()).unwrap_or_default();
    let back = state.return_to(&presented.return_to);
    if state.jar().is_doubled(&request) {
        // A session cookie that begins here would not count either: redirecting would loop.
        let url = back.as_str().to_owned();
        return Ok(state.notice(Notice::DoubledCookie { url }, &request));
    }
    let is_last_try = !presented.again.is_empty();
    let Some(token) = Token::parse(&presented.ticket) else {
        return Ok(state.starts_again(&guest, &back, is_last_try, &request));
    };
    let host = state.host.origin.host();
    Ok(match enter::take(&state.env, &guest.caller, host, &token).await? {
        Entered::Begun { given, return_to } => state.goes_on(&guest, &given, &return_to),
        Entered::Refused => {
            tracing::info!(address = %guest.caller.address, "sign-in ticket refused");
            state.starts_again(&guest, &back, is_last_try, &request)
        }
    })
}

/// Sends a visitor who opens a page of the portal on this host to the portal: with a way back by
/// ticket if the page asks for something.
pub(super) async fn at_the_portal(State(state): State<AppState>, head: Parts) -> Response {
    let page = head.uri.path().strip_prefix("/.doorward/").unwrap_or_default();
    let steps = [Owed::SignIn, Owed::Challenge, Owed::Confirm, Owed::SetUp];
    let is_step = steps.map(refusal::page_of).contains(&page);
    // A program that got 401 was told the URL of a step. A script on a page, of which browsers tell,
    // could not read what is at the portal.
    let is_programs = is_step && !head.headers.contains_key(refusal::FETCH_MODE);
    if !is_programs && !refusal::is_navigation(&head.method, &head.headers) {
        return state.notice(Notice::NotFound, &head.headers);
    }
    let portal = &state.env.config.portal;
    if !is_step {
        return headers::see_other(&format!("{portal}{}", head.uri.path()));
    }
    let back = PageQuery::of(head.uri.query()).return_to(&state);
    let (enter, browser) = state.enter(Wanted::sign_in(), &back, false, &head.headers);
    let way = Way { url: format!("{portal}{}", enter.through(page)), browser };
    let response = headers::see_other(&way.url);
    state.sent_on(&way, response)
}

const fn said_again(again: bool) -> &'static str {
    if again { "&again=yes" } else { "" }
}

/// What a host asks the portal for, of a visitor; see [`Ask`].
struct Wanted {
    requirement: Requirement,
    is_of_user: bool,
}

impl Wanted {
    fn sign_in() -> Self {
        Self { requirement: Requirement::sign_in(), is_of_user: false }
    }
}

/// Where a visitor of the portal is going.
pub(super) struct Destination {
    /// The host.
    pub(super) host: Host,
    /// The URL on that host.
    pub(super) back: ReturnTo,
    /// What that host asks for, if it sent the visitor.
    pub(super) ask: Option<Ask>,
    /// Whether that host has refused a ticket before.
    again: bool,
}

impl AppState {
    /// The way to the page that asks for `owed`, and from there to `back`.
    pub(super) fn way_to(
        &self,
        owed: Owed,
        requirement: &Requirement,
        back: &ReturnTo,
        headers: &HeaderMap,
    ) -> Way {
        if self.host.is_portal {
            return Way { url: back.through(refusal::page_of(owed)), browser: None };
        }
        let mut asked = requirement.clone();
        if owed == Owed::SetUp {
            asked.level = Level::SecondFactor;
        }
        let wanted = Wanted { requirement: asked, is_of_user: owed != Owed::SignIn };
        let (enter, browser) = self.enter(wanted, back, false, headers);
        Way { url: format!("{}{}", self.env.config.portal, enter.as_str()), browser }
    }

    /// Leads a user to their unsaved recovery codes, and from there to `back`.
    pub(super) fn lead_to_codes(&self, back: &ReturnTo, headers: &HeaderMap) -> Response {
        if self.host.is_portal {
            return headers::see_other(&back.through(refusal::SAVE_CODES));
        }
        self.to_the_portal(back, false, headers)
    }

    /// Through the portal to `back`, for a visitor who is signed in there.
    fn to_the_portal(&self, back: &ReturnTo, again: bool, headers: &HeaderMap) -> Response {
        let (enter, browser) = self.enter(Wanted::sign_in(), back, again, headers);
        let way = Way { url: format!("{}{}", self.env.config.portal, enter.as_str()), browser };
        let response = super::headers::see_other(&way.url);
        self.sent_on(&way, response)
    }

    /// The ticket is not valid: used in another tab, expired, or in a URL that was reloaded. A
    /// visitor who is signed in here continues to their URL; others go through the portal again,
    /// once.
    fn starts_again(
        &self,
        guest: &Guest,
        back: &ReturnTo,
        is_last_try: bool,
        headers: &HeaderMap,
    ) -> Response {
        match (&guest.authenticated, is_last_try) {
            (Some(_), _) => super::headers::see_other(back.as_str()),
            (None, false) => self.to_the_portal(back, true, headers),
            (None, true) => {
                self.notice(Notice::SpentTicket { url: back.as_str().to_owned() }, headers)
            }
        }
    }

    /// Names the browser that is sent on, if it had no name.
    pub(super) fn sent_on(&self, way: &Way, mut response: Response) -> Response {
        if let Some(browser) = way.browser {
            self.jar().set_browser(browser, response.headers_mut());
        }
        response
    }

    /// The portal's page that issues a ticket for this host, and the browser's new name.
    fn enter(
        &self,
        Wanted { requirement, is_of_user }: Wanted,
        back: &ReturnTo,
        again: bool,
        headers: &HeaderMap,
    ) -> (ReturnTo, Option<[u8; 16]>) {
        let known = self.jar().carried(headers).browsers.first().copied();
        let browser = known.unwrap_or_else(|| self.new_browser());
        let ask = Ask { browser: digest(browser), requirement, is_of_user };
        let origin = &self.host.origin;
        let ask = self.env.signer.sign(Kind::Ask, origin.host(), &ask.to_bytes());
        let return_to = escaped(&format!("{origin}{}", back.as_str()));
        let again = said_again(again);
        let enter =
            ReturnTo::own(format!("/.doorward/enter?return_to={return_to}&ask={ask}{again}"));
        (enter, known.is_none().then_some(browser))
    }

    /// Where a visitor of the portal is going if `return_to` is on another host.
    pub(super) fn destination(&self, return_to: &ReturnTo) -> Option<Destination> {
        let query = return_to.as_str().strip_prefix("/.doorward/enter?")?;
        let sent: Sent = serde_html_form::from_str(query).ok()?;
        let (host, back) = self.env.config.other_hosts().find_map(|host| {
            let back = ReturnTo::at(&sent.return_to, &host.origin)?;
            Some((host, back))
        })?;
        let ask = self.env.signer.open(Kind::Ask, host.origin.host(), &sent.ask);
        let again = !sent.again.is_empty();
        Some(Destination { host, back, ask: ask.map(Ask::from_bytes), again })
    }
}

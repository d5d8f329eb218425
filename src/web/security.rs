//! The security page: the user's protection, sessions and events.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;

use super::app_state::AppState;
use super::factor::security_key::known_keys;
use super::factor::{called as called_factor, notes, words};
use super::form::Trouble;
use super::guard::Guest;
use super::pages::{self, Problem, Row};
use super::return_to::ReturnTo;
use super::{headers, home};
use crate::domain::agent::Agent;
use crate::domain::demand::Demand;
use crate::domain::device::TrustedDevice;
use crate::domain::event::{Event, What};
use crate::domain::factor::{Factor, Kind};
use crate::domain::user::User;
use crate::domain::user_session::{UserSession, UserSessionId};
use crate::flow::emailed::may_be_set_up;
use crate::flow::{AuthenticatedRequest, sessions};

/// How many events are shown.
const TOLD: usize = 30;

/// How long after a change the browser is told of the keys that there are.
const JUST_NOW: Duration = Duration::from_secs(20);

/// How many sessions are shown.
const LISTED: usize = 50;

pub(super) async fn show(State(state): State<AppState>, guest: Guest) -> Result<Response, Trouble> {
    page(&state, &guest, None).await
}

/// The URL of this page.
pub(super) fn place() -> ReturnTo {
    ReturnTo::own("/.doorward/security".to_owned())
}

/// The page, with a problem if a form of it was not accepted.
pub(super) async fn page(
    state: &AppState,
    guest: &Guest,
    problem: Option<Problem>,
) -> Result<Response, Trouble> {
    let Some(authenticated) = &guest.authenticated else {
        return Ok(headers::see_other(&place().through("sign-in")));
    };
    let (env, user) = (&state.env, &authenticated.user.user);
    let user_sessions = sessions::of(env, &guest.caller, &authenticated.user).await?;
    let happened = env.store.events_of(user.id(), TOLD).await?;
    // Another page may set up a key at this moment, of which the list does not know yet. So the browser
    // is told of the keys only after a change that has just been made.
    let changed = happened
        .iter()
        .any(|event| changes_factors(event.what) && guest.caller.now.within(JUST_NOW, event.at));
    let party = env.config.relying_party.as_ref().filter(|_| changed);
    let may_add = |kind: &Kind| kind.stands_alone() && !user.has_most_of(*kind);
    let page = pages::Security {
        frame: state.frame_for(guest),
        form: state.form(guest, &place()),
        two_factor: state.protection(guest, authenticated),
        factors: user.factors().iter().map(listed_factor).collect(),
        may_add: env.config.kinds.iter().any(may_add),
        may_add_mailbox: user.mailbox().is_none() && may_be_set_up(env, user, guest.caller.now),
        codes_left: user.recovery_codes_left().map(pages::CodesLeft),
        devices: devices(guest, user),
        more_sessions: user_sessions.len().saturating_sub(LISTED),
        sessions: listed(authenticated, &user_sessions),
        email: user.email().map(|email| email.as_str().to_owned()),
        new_email: user.new_email().map(|email| email.as_str().to_owned()),
        accounts: state.accounts(user),
        happened: happened.iter().map(told).collect(),
        known_keys: party.map(|party| known_keys(party, user)),
        problem,
    };
    Ok(state.form_page(&page, problem))
}

const fn changes_factors(what: What) -> bool {
    matches!(
        what,
        What::FactorAdded(_)
            | What::FactorReplaced(_)
            | What::FactorRemoved(_)
            | What::FactorRenamed(_)
            | What::TwoFactorOn
            | What::RecoveryCodesSaved
            | What::TwoFactorOff
    )
}

impl AppState {
    /// The protection of this guest, and whether they may turn it off.
    fn protection(&self, guest: &Guest, authenticated: &AuthenticatedRequest) -> pages::Protection {
        let user = &authenticated.user.user;
        if !user.has_second_factor() {
            let due = self.env.due(&authenticated.user, None);
            return pages::Protection::Off { due: due.map(home::date) };
        }
        if let Some(since) = user.frozen() {
            return pages::Protection::Frozen { since: home::moment(since) };
        }
        pages::Protection::On {
            trusted_until: guest.trusted_until().map(home::date),
            demanded: self.env.demand_on(user, guest.caller.now).map(demanded),
        }
    }
}

impl AppState {
    /// The accounts at providers of this user, unless there is nothing to change.
    fn accounts(&self, user: &User) -> Option<pages::Accounts> {
        let count = user.accounts().count();
        let is_offered = count > 0 || self.env.providers.iter().next().is_some();
        is_offered.then_some(pages::Accounts(count))
    }
}

/// Who demands two-factor, for a user who therefore cannot turn it off.
pub(super) fn demanded(demand: Demand) -> pages::Demanded {
    match demand {
        Demand::Everyone => pages::Demanded::OfEveryone,
        Demand::Group(group) => pages::Demanded::OfGroup(group),
        Demand::You => pages::Demanded::OfYou,
        Demand::Place => pages::Demanded::ForAPlace,
        Demand::App(app) => pages::Demanded::InApp(app),
    }
}

fn listed_factor(factor: &Factor) -> pages::Factor {
    pages::Factor {
        id: factor.id().to_string(),
        name: called_factor(factor),
        section: words(factor.kind()).section,
        added: home::moment(factor.added()),
        last_used: home::moment(factor.last_used()),
        notes: notes(factor),
        is_doubted: factor.is_doubted() && !factor.is_for_other_rp_id(),
        is_usable: !factor.is_for_other_rp_id(),
        kind: factor.kind(),
    }
}

/// The devices that are trusted now, the last used first.
fn devices(guest: &Guest, user: &User) -> Vec<pages::Device> {
    let here = guest.caller.device_of(user.id()).map(|cookie| cookie.id);
    let trusted = user.devices().iter().filter(|device| device.is_trusted(guest.caller.now));
    let mut trusted: Vec<&TrustedDevice> = trusted.collect();
    trusted.sort_by_key(|device| std::cmp::Reverse((device.last_used(), device.made())));
    let listed = trusted.into_iter().map(|device| pages::Device {
        row: Row {
            id: device.id().to_string(),
            browser: called(device.agent()),
            address: device.address().map(|address| address.to_string()),
            is_this: here == Some(device.id()),
        },
        made: home::moment(device.made()),
        last_used: home::moment(device.last_used()),
        expires: home::moment(device.expires()),
    });
    listed.collect()
}

/// This session, then the others, the last used first.
fn listed(
    authenticated: &AuthenticatedRequest,
    user_sessions: &[(UserSessionId, UserSession)],
) -> Vec<pages::Session> {
    let (this, others): (Vec<_>, Vec<_>) =
        user_sessions.iter().partition(|(id, _)| *id == authenticated.user_session);
    let listed =
        this.into_iter().chain(others).take(LISTED).map(|(id, user_session)| pages::Session {
            row: Row {
                id: id.to_string(),
                browser: called(user_session.agent.as_ref()),
                address: user_session.address.map(|address| address.to_string()),
                is_this: *id == authenticated.user_session,
            },
            began: home::moment(user_session.began),
            last_used: home::moment(user_session.seen),
        });
    listed.collect()
}

fn called(agent: Option<&Agent>) -> String {
    agent.map_or_else(|| "A browser".to_owned(), ToString::to_string)
}

fn told(event: &Event) -> pages::Happened {
    pages::Happened {
        at: home::moment(event.at),
        what: event.what,
        browser: event.agent.as_ref().map(ToString::to_string),
        address: event.from.map(|address| address.to_string()),
    }
}

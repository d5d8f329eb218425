//! Every URL of ours, what it asks and who answers: one table, of which the router is made and which
//! `tests/doors.rs` walks.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};

use super::form::StoreAway;
use super::guard::guard;
use super::pages::Notice;
use super::{
    Desk, assets, authenticators, challenge, confirm, devices, email, enter, forgot, headers, home,
    link, offer, password, recovery_codes, security, sessions, set_up, sign_in, sign_out, turn_off,
};
use crate::config::{Config, Site};
use crate::domain::assurance::Requirement;

/// One URL of ours.
#[derive(Debug)]
pub struct Door {
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// What it asks of whoever opens it.
    pub asks: Asks,
    /// What it serves.
    pub serves: Serves,
    /// On which hosts it is.
    pub on: On,
    /// Whether something can be posted to it.
    pub takes_posts: bool,
    answers: fn() -> MethodRouter<Desk>,
}

/// What a door asks; see "Own pages" in the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing.
    Nothing,
    /// That the password was shown in this session.
    Step,
    /// A signed-in user, with a second factor if they have one.
    SignIn,
    /// What a change to one's own protection asks. No demand for a second factor keeps anybody
    /// out: it is met here.
    SetUp,
    /// What a change to one's own protection asks.
    Change,
    /// What a new password asks: the old one shown lately.
    Password,
}

/// On which hosts a door is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// On the portal; every other host leads there.
    Portal,
    /// On every host that is not the portal.
    Others,
    /// On every host.
    All,
}

impl On {
    fn includes(self, site: &Site) -> bool {
        match self {
            Self::Portal => site.is_portal,
            Self::Others => !site.is_portal,
            Self::All => true,
        }
    }
}

/// What a door serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Pages with forms or secrets, for a person's window and nothing else.
    Page,
    /// What scripts and pages may load.
    Data,
}

impl Door {
    /// Whether this is the door at `path`.
    pub(super) fn is_at(&self, path: &str) -> bool {
        let (mut ours, mut theirs) = (self.path.split('/'), path.split('/'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(part), Some(theirs)) if part == theirs || part.starts_with('{') => {}
                _ => return false,
            }
        }
    }
}

impl Asks {
    /// What that means in this configuration.
    pub fn requirement(self, config: &Config) -> Requirement {
        match self {
            Self::Nothing => Requirement::nothing(),
            Self::Step => Requirement::step(),
            Self::SignIn => Requirement::sign_in(),
            Self::SetUp | Self::Change => Requirement::change(config.confirm_for),
            Self::Password => Requirement::password(config.confirm_for),
        }
    }
}

/// Every URL of ours.
pub static DOORS: &[Door] = &[
    page("/.doorward/", Asks::SignIn, || get(home::show)),
    page("/.doorward/enter", Asks::SignIn, || get(enter::give_out)),
    Door { on: On::Others, ..page("/.doorward/ticket", Asks::Nothing, || get(enter::take)) },
    form("/.doorward/sign-in", Asks::Nothing, || get(sign_in::show).post(sign_in::submit)),
    form("/.doorward/challenge", Asks::Step, || get(challenge::show).post(challenge::submit)),
    form("/.doorward/set-up", Asks::SetUp, || get(set_up::show).post(set_up::submit)),
    form("/.doorward/set-up/recovery-codes", Asks::SetUp, || {
        get(recovery_codes::show_codes).post(recovery_codes::submit_codes)
    }),
    page("/.doorward/recovery-codes.txt", Asks::SetUp, || get(recovery_codes::codes_file)),
    form("/.doorward/confirm", Asks::Step, || get(confirm::show).post(confirm::submit)),
    page("/.doorward/recovery-codes", Asks::Change, || get(recovery_codes::view)),
    form("/.doorward/security/recovery-codes/regenerate", Asks::Change, || {
        get(recovery_codes::ask_for_new).post(recovery_codes::make_new)
    }),
    form("/.doorward/security/turn-off", Asks::Change, || {
        get(turn_off::show).post(turn_off::submit)
    }),
    form("/.doorward/security/replace", Asks::Change, || {
        get(authenticators::show_replace).post(authenticators::submit_replace)
    }),
    form("/.doorward/security/authenticators/add", Asks::Change, || {
        get(authenticators::show_add).post(authenticators::submit_add)
    }),
    form("/.doorward/security/authenticators/{id}/rename", Asks::Change, || {
        get(authenticators::show_rename).post(authenticators::submit_rename)
    }),
    form("/.doorward/security/authenticators/{id}/remove", Asks::Change, || {
        get(authenticators::show_remove).post(authenticators::submit_remove)
    }),
    form("/.doorward/forgot", Asks::Nothing, || get(forgot::show).post(forgot::submit)),
    form("/.doorward/security/password", Asks::Password, || {
        get(password::show).post(password::submit)
    }),
    form("/.doorward/security/email", Asks::Change, || get(email::show).post(email::submit)),
    form("/.doorward/offer", Asks::SignIn, || get(offer::show).post(offer::submit)),
    page("/.doorward/security", Asks::SignIn, || get(security::show)),
    form("/.doorward/security/devices/{id}/revoke", Asks::SignIn, || post(devices::revoke)),
    form("/.doorward/security/devices/revoke-all", Asks::SignIn, || post(devices::revoke_all)),
    form("/.doorward/security/sessions/{id}/end", Asks::SignIn, || post(sessions::end)),
    form("/.doorward/security/sessions/end-others", Asks::SignIn, || post(sessions::end_others)),
    form("/.doorward/link/{token}", Asks::Nothing, || get(link::show).post(link::submit)),
    Door {
        on: On::All,
        ..form("/.doorward/sign-out", Asks::Nothing, || get(sign_out::show).post(sign_out::submit))
    },
    data("/.doorward/signed-out", Asks::Nothing, || get(sign_out::clear)),
    data("/.doorward/whoami", Asks::SignIn, || get(home::whoami)),
    data("/.doorward/assets/{file}", Asks::Nothing, || get(assets::serve)),
];

const fn page(path: &'static str, asks: Asks, answers: fn() -> MethodRouter<Desk>) -> Door {
    Door { path, asks, serves: Serves::Page, on: On::Portal, takes_posts: false, answers }
}

const fn form(path: &'static str, asks: Asks, answers: fn() -> MethodRouter<Desk>) -> Door {
    Door { path, asks, serves: Serves::Page, on: On::Portal, takes_posts: true, answers }
}

const fn data(path: &'static str, asks: Asks, answers: fn() -> MethodRouter<Desk>) -> Door {
    Door { path, asks, serves: Serves::Data, on: On::All, takes_posts: false, answers }
}

/// The router over the doors of this host. Each has the guard before it; what is no door is not
/// found, and what is one at the portal is looked for there.
pub(super) fn router(desk: &Desk) -> Router {
    let mut router = Router::new();
    for door in DOORS.iter().filter(|door| door.on.includes(&desk.site)) {
        let guard = middleware::from_fn_with_state((desk.clone(), door), guard);
        router = router.route(door.path, (door.answers)().route_layer(guard));
    }
    let elsewhere = if desk.site.is_portal { get(not_found) } else { get(enter::at_the_portal) };
    router
        .route("/.doorward", get(|| async { headers::see_other("/.doorward/") }))
        .fallback_service(elsewhere.fallback(not_found).with_state(desk.clone()))
        .method_not_allowed_fallback(|State(desk): State<Desk>, request: Request| async move {
            desk.notice(Notice::NotAllowed, request.headers())
        })
        .layer(middleware::from_fn_with_state(desk.clone(), say_unavailable))
        .with_state(desk.clone())
}

async fn not_found(State(desk): State<Desk>, request: Request) -> Response {
    desk.notice(Notice::NotFound, request.headers())
}

/// A handler that met a store that is away says so in one way.
async fn say_unavailable(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let asked = request.headers().clone();
    let response = next.run(request).await;
    if response.extensions().get::<StoreAway>().is_some() {
        return desk.notice(Notice::Unavailable, &asked);
    }
    response
}

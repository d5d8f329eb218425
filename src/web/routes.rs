//! All our own URLs with their requirements and handlers, in one table: the router is made from it,
//! and `tests/routes.rs` tests every row.

use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::FutureExt;
use tokio::task::JoinError;

use super::app_state::AppState;
use super::form::{Failed, failed};
use super::guard::guard;
use super::pages::Notice;
use super::route::{Asks, On, Route, data, form, form_on, page};
use super::{
    assets, challenge, challenge_send, confirm, devices, email, enter, factors, forgot, headers,
    home, link, offer, password, provider, providers, recovery_codes, security, security_key_help,
    sessions, set_up, sign_in, sign_out, turn_off,
};
use crate::flow::request_id;
use crate::unavailable::{Kind, Unavailable};

/// All our own URLs.
pub static ROUTES: &[Route] = &[
    page("/.doorward/", Asks::SignIn, || get(home::show)),
    page("/.doorward/enter", Asks::SignIn, || get(enter::give_out)),
    Route {
        on: On::Others,
        runs_to_its_end: true,
        ..page("/.doorward/ticket", Asks::Nothing, || get(enter::take))
    },
    form("/.doorward/sign-in", Asks::Nothing, || get(sign_in::show).post(sign_in::submit)),
    page("/.doorward/sign-in/provider/{name}", Asks::Nothing, || get(provider::leave)),
    Route {
        runs_to_its_end: true,
        ..page("/.doorward/sign-in/provider/{name}/callback", Asks::Nothing, || {
            get(provider::callback)
        })
    },
    Route {
        on: On::Portal,
        takes_posts: true,
        runs_to_its_end: true,
        ..data("/.doorward/sign-in/provider/{name}/signed-out", Asks::Nothing, || {
            post(provider::signed_out)
        })
    },
    form("/.doorward/challenge", Asks::Step, || get(challenge::show).post(challenge::submit)),
    form_on("/.doorward/challenge", "/.doorward/challenge/send", Asks::Step, || {
        post(challenge_send::submit)
    }),
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
        get(factors::show_replace).post(factors::submit_replace)
    }),
    form("/.doorward/security/factors/add", Asks::Change, || {
        get(factors::show_add).post(factors::submit_add)
    }),
    form("/.doorward/security/phone", Asks::Change, || {
        get(factors::show_phone).post(factors::submit_phone)
    }),
    form("/.doorward/security/factors/{id}/rename", Asks::Change, || {
        get(factors::show_rename).post(factors::submit_rename)
    }),
    form("/.doorward/security/factors/{id}/remove", Asks::Change, || {
        get(factors::show_remove).post(factors::submit_remove)
    }),
    form("/.doorward/security/factors/{id}/keep", Asks::Change, || {
        get(factors::show_keep).post(factors::submit_keep)
    }),
    form("/.doorward/forgot", Asks::Nothing, || get(forgot::show).post(forgot::submit)),
    form("/.doorward/security/password", Asks::Password, || {
        get(password::show).post(password::submit)
    }),
    form("/.doorward/security/email", Asks::Change, || get(email::show).post(email::submit)),
    form("/.doorward/security/providers", Asks::Change, || {
        get(providers::show).post(providers::submit)
    }),
    form("/.doorward/offer", Asks::SignIn, || get(offer::show).post(offer::submit)),
    page("/.doorward/security", Asks::SignIn, || get(security::show)),
    form_on("/.doorward/security", "/.doorward/security/devices/{id}/revoke", Asks::SignIn, || {
        post(devices::revoke)
    }),
    form_on("/.doorward/security", "/.doorward/security/devices/revoke-all", Asks::SignIn, || {
        post(devices::revoke_all)
    }),
    form_on("/.doorward/security", "/.doorward/security/sessions/{id}/end", Asks::SignIn, || {
        post(sessions::end)
    }),
    form_on("/.doorward/security", "/.doorward/security/sessions/end-others", Asks::SignIn, || {
        post(sessions::end_others)
    }),
    form("/.doorward/link/{token}", Asks::Nothing, || get(link::show).post(link::submit)),
    Route {
        on: On::All,
        ..form("/.doorward/sign-out", Asks::Nothing, || get(sign_out::show).post(sign_out::submit))
    },
    page("/.doorward/security-key-help", Asks::Nothing, || get(security_key_help::show)),
    data("/.doorward/signed-out", Asks::Nothing, || get(sign_out::clear)),
    data("/.doorward/whoami", Asks::SignIn, || get(home::whoami)),
    data("/.doorward/assets/{file}", Asks::Nothing, || get(assets::serve)),
];

/// The router over the routes of this host, each behind the guard. Unknown paths are not found;
/// routes of the portal redirect to the portal.
pub(super) fn router(state: &AppState) -> Router {
    let mut router = Router::new();
    for route in ROUTES.iter().filter(|route| route.on.includes(&state.host)) {
        let guard = middleware::from_fn_with_state((state.clone(), route), guard);
        let mut handlers = (route.answers)();
        if let Some(page) = route.shown_on {
            // Its address stays in the browser after a post.
            handlers = handlers.get(move || async move { headers::see_other(page) });
        }
        if route.runs_to_its_end {
            handlers = handlers.route_layer(middleware::from_fn(run_to_the_end));
        }
        router = router.route(route.path, handlers.route_layer(guard));
    }
    let elsewhere = if state.host.is_portal { get(not_found) } else { get(enter::at_the_portal) };
    router
        .route("/.doorward", get(|| async { headers::see_other("/.doorward/") }))
        .fallback_service(elsewhere.fallback(not_found).with_state(state.clone()))
        .method_not_allowed_fallback(|State(state): State<AppState>, request: Request| async move {
            state.notice(Notice::NotAllowed, request.headers())
        })
        .layer(middleware::from_fn_with_state(state.clone(), say_unavailable))
        .with_state(state.clone())
}

async fn not_found(State(state): State<AppState>, request: Request) -> Response {
    state.notice(Notice::NotFound, request.headers())
}

/// Runs a handler in its own task, which continues if the visitor closes the connection.
async fn run_to_the_end(request: Request, next: Next) -> Response {
    match tokio::spawn(request_id::carried(next.run(request)))
        .await
        .map_err(JoinError::try_into_panic)
    {
        Ok(response) => response,
        Err(Ok(panic)) => failed(Unavailable::panicked(&*panic)),
        Err(Err(_)) => failed(Unavailable::new(Kind::Panic, "the gateway is stopping")),
    }
}

/// Every handler that fails or panics is answered in the same way.
async fn say_unavailable(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let asked = request.headers().clone();
    // What a handler shares with others has no state that a panic could leave half changed.
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|panic| failed(Unavailable::panicked(&*panic)));
    match response.extensions_mut().remove::<Failed>() {
        Some(Failed(why)) => {
            state.env.report(&why, "cannot serve a page");
            state.notice(Notice::Unavailable, &asked)
        }
        None => response,
    }
}

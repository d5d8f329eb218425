//! The page that helps if a security key does not work.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::app_state::AppState;
use super::guard::Guest;
use super::pages;

pub(super) async fn show(State(state): State<AppState>, guest: Guest) -> Response {
    state.page(StatusCode::OK, &pages::SecurityKeyHelp { frame: state.frame_for(&guest) })
}

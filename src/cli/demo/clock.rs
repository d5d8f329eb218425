//! A wall clock that an event stream sets.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use futures_util::stream::{self, Stream};
use http::HeaderMap;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::intranet::{page, script};
use crate::domain::time::Timestamp;

/// Reads the time.
pub(super) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The page, its script, and the stream.
pub(super) fn router(now: Now) -> Router {
    Router::new()
        .route("/clock", get(wall))
        .route("/clock.js", get(async || script(include_str!("clock.js"))))
        .route("/clock/ticks", get(ticks))
        .with_state(now)
}

async fn wall(State(now): State<Now>, headers: HeaderMap) -> Html<String> {
    let now = shown(now());
    page(
        &headers,
        "Clock",
        &format!(
            "<p>In Greenwich it is <span id=\"now\">{now}</span></p><p id=\"state\" role=\"status\">\
             This is the time when the page was made. If scripts are allowed, an event stream \
             updates it.</p>\
             <p id=\"ended\" hidden>When you sign out, the gateway closes this event stream. \
             <a href=\"/clock\">Open the clock again</a></p>\
             <script src=\"/clock.js\"></script>"
        ),
    )
}

async fn ticks(State(now): State<Now>) -> impl IntoResponse {
    Sse::new(every_second(now))
}

fn every_second(now: Now) -> impl Stream<Item = Result<Event, Infallible>> {
    let mut second: Interval = interval(Duration::from_secs(1));
    // After a pause, send only the current time, not every missed second.
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    stream::unfold((second, now), async |(mut second, now)| {
        second.tick().await;
        let event = Event::default().data(shown(now()));
        Some((Ok(event), (second, now)))
    })
}

/// The time of day, UTC.
fn shown(at: Timestamp) -> String {
    let seconds = at.seconds();
    format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

//! A small old application that has no sign-in of its own.
//!
//! It trusts the identity headers it receives and shows them, and is otherwise a typical company
//! intranet of 2004.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::chat;
use super::clock::{self, Now};

/// The notes on the board, newest first.
type Board = Arc<Mutex<VecDeque<Note>>>;

struct Note {
    by: String,
    text: String,
}

/// The application, and its clock.
pub(super) fn router(now: Now) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/news", get(news))
        .route("/board", get(board).post(pin))
        .route("/payroll/", get(payroll))
        .route("/bank/", get(bank).post(pay))
        .route("/style.css", get(style))
        .fallback(missing)
        .with_state(Board::default())
        .merge(chat::router())
        .merge(clock::router(now))
}

async fn home(headers: HeaderMap) -> Html<String> {
    let row = |class: &str, (name, value): (&HeaderName, &HeaderValue)| {
        let value = escaped(&String::from_utf8_lossy(value.as_bytes()));
        format!("<tr{class}><th>{name}</th><td>{value}</td></tr>")
    };
    let (us, others): (Vec<_>, Vec<_>) =
        headers.iter().partition(|(name, _)| name.as_str().starts_with("remote-"));
    let us: String = us.into_iter().map(|header| row(" class=\"us\"", header)).collect();
    let others: String = others.into_iter().map(|header| row("", header)).collect();
    page(
        &headers,
        "Welcome",
        &format!(
            "<p>This application has no sign-in of its own. It trusts the request headers. These \
             are the headers of your request:</p><table>{us}{others}</table><p>The marked lines \
             are from the gateway. It removes these headers if a visitor sends them.</p><p>Two \
             pages keep \
             a connection open: <a href=\"/chat\">the chat</a> is a WebSocket, <a \
             href=\"/clock\">the clock</a> an event stream. The gateway checks them like any \
             request, and ends them when you sign out. To see it, open one here and sign \
             out in another window.</p>"
        ),
    )
}

async fn news(headers: HeaderMap) -> Html<String> {
    page(
        &headers,
        "News",
        "<p><b>14 May:</b> The coffee machine on the second floor is back.</p><p><b>3 May:</b> \
         Please switch your monitors off on Fridays.</p><p>This page is open to everybody. Its \
         rule is \
         <code>require: nothing</code>.</p>",
    )
}

async fn board(State(board): State<Board>, headers: HeaderMap) -> Html<String> {
    let notes = board.lock().unwrap_or_else(PoisonError::into_inner).iter().fold(
        String::new(),
        |mut all, note| {
            let (by, text) = (escaped(&note.by), escaped(&note.text));
            write!(all, "<p><b>{by}:</b> {text}</p>").ok();
            all
        },
    );
    page(
        &headers,
        "Notice board",
        &format!(
            "<form method=\"post\"><p><input name=\"text\" size=\"40\" maxlength=\"200\" \
             aria-label=\"Your note\"> <button>Pin it</button></p></form>{notes}"
        ),
    )
}

async fn pin(State(board): State<Board>, headers: HeaderMap, body: Bytes) -> Redirect {
    if let Some(text) = typed(&body) {
        let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
        board.push_front(Note { by: who(&headers), text });
        board.truncate(20);
    }
    Redirect::to("/board")
}

/// The field `text` of a form, if it is not empty.
pub(super) fn typed(body: &[u8]) -> Option<String> {
    let (_, text) = url::form_urlencoded::parse(body).find(|(name, _)| name == "text")?;
    a_line(&text)
}

/// At most a line or two of `text`, if it is not empty.
pub(super) fn a_line(text: &str) -> Option<String> {
    let line: String = text.trim().chars().take(200).collect();
    (!line.is_empty()).then_some(line)
}

async fn payroll(headers: HeaderMap) -> Html<String> {
    page(
        &headers,
        "Payroll",
        "<table><tr><th>March</th><td>2,481.00</td></tr><tr><th>April</th><td>2,481.00</td></tr>\
         <tr><th>May</th><td>2,512.50</td></tr></table><p>The rule of this page is <code>require: \
         second-factor</code>. A trusted device is enough.</p>",
    )
}

async fn bank(headers: HeaderMap) -> Html<String> {
    page(
        &headers,
        "Bank",
        "<form method=\"post\"><p>Pay <input name=\"amount\" size=\"8\" value=\"100.00\" \
         aria-label=\"Amount\"> to the coffee fund <button>Pay</button></p></form><p>The rule of \
         this page requires a code from the last minute. A trusted device is not \
         enough.</p>",
    )
}

async fn pay(headers: HeaderMap) -> Html<String> {
    page(
        &headers,
        "Paid",
        "<p>The coffee fund thanks you. (No money was moved.) <a href=\"/bank/\">Back</a></p>",
    )
}

async fn missing(headers: HeaderMap) -> Response {
    (StatusCode::NOT_FOUND, page(&headers, "Not found", "<p>There is no such page.</p>"))
        .into_response()
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], STYLE)
}

pub(super) fn who(headers: &HeaderMap) -> String {
    let named = headers.get("remote-name").or_else(|| headers.get("remote-user"));
    named.map_or_else(|| "nobody".to_owned(), |n| String::from_utf8_lossy(n.as_bytes()).into())
}

/// A script of this application.
pub(super) fn script(text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], text)
}

pub(super) fn page(headers: &HeaderMap, title: &str, content: &str) -> Html<String> {
    let who = escaped(&who(headers));
    Html(format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title} · Intranet</title><link rel=\"stylesheet\" \
         href=\"/style.css\"></head><body><div id=\"top\"><b>Harbour &amp; Sons</b> Intranet \
         <span>{who}</span></div><ul id=\"nav\"><li><a href=\"/\">Home</a></li><li>\
         <a href=\"/news\">News</a></li><li><a href=\"/board\">Notice board</a></li><li>\
         <a href=\"/chat\">Chat</a></li><li><a href=\"/clock\">Clock</a></li><li>\
         <a href=\"/payroll/\">Payroll</a></li><li><a href=\"/bank/\">Bank</a></li><li>\
         <a href=\"/.doorward/\">Your sign-in</a></li></ul><div id=\"main\"><h1>{title}</h1>\
         {content}</div><p id=\"foot\">Best viewed at 1024 × 768. © 2004</p></body></html>"
    ))
}

pub(super) fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
        safe
    })
}

const STYLE: &str = "\
body { margin: 0; font: 14px Verdana, Geneva, sans-serif; color: #222; background: #e8ecf1; }
#top { padding: 14px 20px; overflow: hidden; color: #fff; background: linear-gradient(#4a6d9c, #2f4f7c); }
#top b { font: bold 20px Georgia, serif; margin-right: 8px; }
#top span { float: right; padding-top: 4px; }
#nav { margin: 0; padding: 0 14px; list-style: none; background: #c9d4e2; overflow: hidden; }
#nav li { float: left; }
#nav a { display: block; padding: 8px 12px; color: #234; text-decoration: none; }
#nav a:hover, #nav a:focus { background: #fff; }
#main { max-width: 760px; margin: 20px; padding: 6px 20px 14px; background: #fff;
  border: 1px solid #b8c4d3; overflow-x: auto; }
input { max-width: 100%; box-sizing: border-box; }
h1 { font: 22px Georgia, serif; color: #2f4f7c; border-bottom: 1px solid #d5dde7; }
table { border-collapse: collapse; }
th, td { padding: 3px 8px; border: 1px solid #d5dde7; text-align: left; vertical-align: top;
  font-size: 12px; overflow-wrap: anywhere; }
th { background: #eef2f7; white-space: nowrap; }
.us th, .us td { background: #fff3c4; font-weight: bold; }
#said { padding: 0; list-style: none; overflow-wrap: anywhere; }
#said li { padding: 3px 0; }
#now { font: 34px Georgia, serif; font-variant-numeric: tabular-nums; }
#foot { margin: 20px; color: #777; font-size: 11px; }
";

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::domain::time::Timestamp;

    fn router() -> Router {
        super::router(Arc::new(|| Timestamp::from_secs(1_800_000_000)))
    }

    async fn get_page(router: &Router, request: Request<axum::body::Body>) -> String {
        let response = router.clone().oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_application_shows_what_it_is_told_and_runs_none_of_it() {
        let request = Request::get("/")
            .header("remote-user", "ada")
            .header("x-odd", "<script>alert(1)</script>")
            .body(axum::body::Body::empty())
            .unwrap();
        let page = get_page(&router(), request).await;
        assert!(page.contains("<tr class=\"us\"><th>remote-user</th><td>ada</td></tr>"), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
    }

    #[tokio::test]
    async fn a_note_is_pinned_in_the_name_of_whoever_the_gateway_says() {
        let router = router();
        let request = Request::post("/board")
            .header("remote-user", "ada")
            .body(axum::body::Body::from("text=Tea+at+four"))
            .unwrap();
        router.clone().oneshot(request).await.unwrap();
        let request = Request::get("/board").body(axum::body::Body::empty()).unwrap();
        assert!(get_page(&router, request).await.contains("<p><b>ada:</b> Tea at four</p>"));
    }
    #[tokio::test]
    async fn the_chat_and_the_clock_are_of_use_without_a_script() {
        let router = router();
        let request = Request::post("/chat")
            .header("remote-user", "grace")
            .body(axum::body::Body::from("text=%3Cb%3EMind+the+bug"))
            .unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::LOCATION], "/chat");
        let request = Request::get("/chat").body(axum::body::Body::empty()).unwrap();
        let page = get_page(&router, request).await;
        assert!(page.contains("<li><b>grace:</b> &lt;b&gt;Mind the bug</li>"), "{page}");
        let request = Request::get("/clock").body(axum::body::Body::empty()).unwrap();
        assert!(get_page(&router, request).await.contains("08:00:00"));
    }
}

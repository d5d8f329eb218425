//! A second small application on its own host: one sign-in is enough for both.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use http::HeaderMap;

use super::intranet::{escaped, who};

/// The application, with a link back to the `intranet`.
pub(super) fn router(intranet: &str) -> Router {
    let front = page_of(
        intranet,
        "Front page",
        "<p>You did not have to sign in here: you are signed in at the intranet, and the gateway \
         signed you in here, too, with a ticket that works once.</p>\
         <p><a href=\"/plans/\">The plans</a> need a second factor that was entered in this \
         session. If you have not entered one, you are asked for it.</p>",
    );
    let plans = page_of(
        intranet,
        "The plans",
        "<p>A second coffee machine. The rule of this page is <code>{ second_factor: { \
         trusted_device: false } }</code>.</p>",
    );
    Router::new()
        .route("/", get(move |headers: HeaderMap| async move { front(&headers) }))
        .route("/plans/", get(move |headers: HeaderMap| async move { plans(&headers) }))
}

fn page_of(
    intranet: &str,
    title: &'static str,
    content: &'static str,
) -> impl Fn(&HeaderMap) -> Html<String> + Clone + Send + Sync + 'static {
    let intranet = intranet.to_owned();
    move |headers| {
        let who = escaped(&who(headers));
        Html(format!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{title} · Wiki</title></head><body><p><b>Wiki</b> \
             of Harbour &amp; Sons · {who} · <a href=\"/\">Front page</a> · <a \
             href=\"{intranet}/\">Intranet</a> · <a href=\"/.doorward/sign-out\">Sign out</a></p>\
             <h1>{title}</h1>{content}</body></html>"
        ))
    }
}

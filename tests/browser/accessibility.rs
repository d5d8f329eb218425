//! Every sample page in a real browser: what axe-core finds wrong with it, and whether the keyboard
//! reaches everything on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path as InUrl, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use doorward::web::assets;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::chromium::Browser;
use crate::pages::samples;

type Pages = Arc<BTreeMap<String, String>>;

/// Serves the sample pages on a port of its own, until the tests end.
fn serves(pages: Pages) -> SocketAddr {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    socket.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let socket = tokio::net::TcpListener::from_std(socket).unwrap();
            let router = Router::new()
                .route("/page/{name}", get(page))
                .route("/.doorward/assets/{file}", get(asset))
                .with_state(pages);
            axum::serve(socket, router).await.unwrap();
        });
    });
    address
}

async fn page(State(pages): State<Pages>, InUrl(name): InUrl<String>) -> Response {
    pages
        .get(&name)
        .cloned()
        .map_or(StatusCode::NOT_FOUND.into_response(), |page| Html(page).into_response())
}

async fn asset(InUrl(file): InUrl<String>) -> Response {
    let Some(asset) = assets::find(&file) else { return StatusCode::NOT_FOUND.into_response() };
    ([(CONTENT_TYPE, asset.content_type)], asset.body).into_response()
}

/// A browser that looks at the sample pages, and their names.
pub(super) fn before_samples() -> (Browser, Vec<String>) {
    let pages: BTreeMap<_, _> = samples().into_iter().collect();
    let names = pages.keys().cloned().collect();
    let browser = Browser::at_origin(&format!("http://{}", serves(Arc::new(pages))));
    (browser, names)
}

/// The rules of WCAG 2.2, level AA, and what axe-core thinks best besides.
#[test]
#[ignore = "needs axe-core from npm: `make test-servers`"]
fn axe_finds_nothing_wrong_with_any_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers/node");
    let axe = fs::read_to_string(folder.join("node_modules/axe-core/axe.min.js"));
    let axe = axe.expect("axe-core is not installed: run .ci/registries");
    let (browser, names) = before_samples();
    let mut found = BTreeSet::new();
    for name in &names {
        for (width, scheme) in [(1280, "light"), (360, "dark")] {
            browser.shows(width, 800, scheme).visits(&format!("/page/{name}"));
            let said = browser.runs(&format!(
                "{axe};
                 const {{ violations }} = await axe.run(document, {{ resultTypes: ['violations'] }});
                 return violations.flatMap(({{ id, nodes }}) =>
                     nodes.map(({{ html }}) => `${{id}}: ${{html}}`))"
            ));
            let said = said.as_array().unwrap().iter().map(Value::to_string);
            found.extend(said.map(|said| format!("{name} ({scheme}): {said}")));
        }
    }
    assert!(names.len() > 150, "{}", names.len());
    assert!(found.is_empty(), "{found:#?}");
}

/// The beginnings of the names of the pages about security keys, providers and codes that are sent.
const NEW: [&str; 20] = [
    "challenge-email",
    "challenge-key",
    "challenge-text",
    "confirm-passkey",
    "confirm-providers",
    "email-add",
    "key-",
    "phone",
    "provider",
    "security-accounts",
    "security-email",
    "security-key",
    "set-up-choice",
    "set-up-key",
    "set-up-text",
    "sign-in-passkey",
    "sign-in-providers",
    "text-",
    "turn-off-key",
    "turn-off-text",
];

#[test]
fn the_keyboard_reaches_everything_on_the_pages_of_keys_providers_and_sent_codes() {
    let (browser, names) = before_samples();
    let is_new = |name: &&String| NEW.iter().any(|new| name.starts_with(new));
    for name in names.iter().filter(is_new) {
        browser.visits(&format!("/page/{name}"));
        // A marked element has had the focus, and could be seen to have it.
        let all = browser.runs(
            "const all = [...document.querySelectorAll('a[href], button, input, select, textarea, \
                 summary')].filter((one) => one.checkVisibility() && !one.disabled);
             addEventListener('focusin', ({ target }) => {
                 const { outlineStyle } = getComputedStyle(target);
                 target.toggleAttribute('data-reached', outlineStyle !== 'none');
             });
             document.activeElement.blur();
             return all.length",
        );
        // From where the page puts the focus to its end, and round again from its start.
        let all = usize::try_from(all.as_u64().unwrap()).unwrap();
        browser.tabs(2 * all + 2);
        let missed = browser.runs(
            "return [...document.querySelectorAll('a[href], button, input, select, textarea, \
                 summary')].filter((one) => one.checkVisibility() && !one.disabled)
                 .filter((one) => !one.hasAttribute('data-reached')).map((one) => one.outerHTML)",
        );
        assert_eq!(missed.as_array().unwrap().len(), 0, "{name}: {missed}");
    }
}

//! GitHub, which speaks OAuth 2 with an API of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use doorward::store::memory::Memory;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, USER_AGENT};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::gate::{Browser, CONFIG, Gate};

const LINK: &str = "/.doorward/sign-in/provider/github";

/// What the stand-in says of the membership in `example`.
type Says = Arc<Mutex<Value>>;

async fn github(says: &Says) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/login/oauth/access_token", post(token))
        .route("/api/v3/user", get(user))
        .route("/api/v3/user/emails", get(emails))
        .route("/api/v3/user/memberships/orgs/{name}", get(membership))
        .with_state(Arc::clone(says));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn token(body: String) -> Response {
    let sent: BTreeMap<String, String> =
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let right = sent["client_secret"] == "a secret for tests only" && sent["code"] == "right";
    // GitHub answers errors with 200.
    let answer = if right && !sent["code_verifier"].is_empty() {
        json!({ "access_token": "opaque", "token_type": "bearer", "scope": "" })
    } else {
        json!({ "error": "bad_verification_code", "error_description": "…" })
    };
    as_json(&answer)
}

fn asks_well(headers: &HeaderMap) -> bool {
    headers[AUTHORIZATION] == "Bearer opaque" && headers.contains_key(USER_AGENT)
}

async fn user(headers: HeaderMap) -> Response {
    if !asks_well(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    as_json(&json!({ "id": 583_231, "login": "octocat", "name": "The Octocat" }))
}

async fn emails() -> Response {
    as_json(&json!([{ "email": "octo@example.com", "primary": true, "verified": true }]))
}

async fn membership(State(says): State<Says>, Path(name): Path<String>) -> Response {
    let state = says.lock().unwrap().clone();
    if state.is_null() || name != "example" {
        return StatusCode::NOT_FOUND.into_response();
    }
    as_json(&json!({ "state": state, "organization": { "login": "Example" } }))
}

fn as_json(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

async fn gate(says: &Says) -> Gate {
    let config = format!(
        "{CONFIG}
providers:
  - name: github
    label: GitHub
    kind: github
    issuer: {}
    client_id: doorward
    client_secret_file: tests/config/provider.secret
    people: {{ create: true, only: {{ organisations: [example] }} }}
",
        github(says).await
    );
    Gate::configured(&config, Arc::new(Memory::new()))
}

async fn comes_back(browser: &mut Browser, code: &str) {
    browser.opens(LINK).await;
    let location = browser.location().unwrap();
    let url: url::Url = location.parse().unwrap();
    let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(asked["scope"], "read:org read:user user:email", "{location}");
    assert_eq!(asked["code_challenge_method"], "S256");
    browser.opens(&format!("{LINK}/callback?code={code}&state={}", asked["state"])).await;
}

#[tokio::test]
async fn members_of_the_organisation_come_in_and_invited_people_do_not() {
    let says = Says::default();
    let gate = gate(&says).await;
    for (state, comes_in) in
        [(json!("active"), true), (json!("pending"), false), (Value::Null, false)]
    {
        *says.lock().unwrap() = state.clone();
        let mut browser = gate.browser();
        comes_back(&mut browser, "right").await;
        assert_eq!(browser.session().is_some(), comes_in, "{state}: {}", browser.page);
        if comes_in {
            browser.visits("/orders").await.declines().await;
            browser.visits("/orders").await;
            assert_eq!(browser.passed, Some(Some("octocat".to_owned())));
        }
    }
}

#[tokio::test]
async fn a_code_that_github_refuses_signs_nobody_in() {
    let says = Says::default();
    *says.lock().unwrap() = json!("active");
    let gate = gate(&says).await;
    let mut browser = gate.browser();
    comes_back(&mut browser, "wrong").await;
    assert_eq!(browser.status, StatusCode::BAD_GATEWAY);
    assert!(browser.session().is_none());
}

#[tokio::test]
async fn github_cannot_confirm_and_its_people_are_told_what_to_do() {
    let says = Says::default();
    *says.lock().unwrap() = json!("active");
    let gate = gate(&says).await;
    let mut browser = gate.browser();
    comes_back(&mut browser, "right").await;
    browser.visits("/.doorward/set-up").await;
    assert!(browser.page.contains("id=\"secret\""), "within a quarter of an hour");
    gate.waits(Duration::from_mins(16));
    browser.visits("/.doorward/set-up").await;
    assert!(browser.page.contains("sign in again") && !browser.page.contains("Confirm with"));
    browser.opens(&format!("{LINK}?for=confirm")).await;
    assert_eq!(browser.status, StatusCode::CONFLICT, "{}", browser.page);
}

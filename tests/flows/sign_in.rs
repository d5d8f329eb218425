use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::support::gate::{Gate, PASSWORD};

#[tokio::test]
async fn a_stranger_is_led_to_sign_in_and_back_to_where_they_were_going() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.visits("/reports?year=2026&x=%20").await;
    assert_eq!(browser.heading(), "Sign in");
    browser.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(browser.location().as_deref(), Some("/reports?year=2026&x=%20"));
    browser.follows().await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
}

#[tokio::test]
async fn the_application_gets_nothing_of_a_stranger() {
    let gate = Gate::new();
    let mut browser = gate.browser();
    assert_eq!(browser.opens("/").await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.passed, None);
    assert_eq!(browser.opens("/closed/").await.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.opens("/public/").await.passed, Some(None));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let (mut known, mut unknown) = (gate.browser(), gate.browser());
    for _ in 0..7 {
        known.signs_in_with("ada", "not the password").await;
        unknown.signs_in_with("bob", "not the password").await;
        assert_eq!(known.status, unknown.status);
        assert_eq!(known.page_about("ada"), unknown.page_about("bob"));
    }
    assert_eq!(known.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_name_is_one_name_in_every_spelling_and_by_its_address() {
    let gate = Gate::new();
    gate.knows("ada").await;
    for login in ["ada", "ADA", "ada@example.com", "Ada@Example.com"] {
        let mut browser = gate.browser();
        browser.signs_in(login).await;
        assert_eq!(browser.visits("/").await.passed, Some(Some("ada".to_owned())), "{login}");
    }
}

#[tokio::test]
async fn spellings_of_one_name_share_one_count() {
    let gate = Gate::new();
    gate.knows("ada").await;
    for login in ["ada", "ADA", "Ada", "ada@example.com", "adA"] {
        gate.browser().signs_in_with(login, "not the password").await;
    }
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    gate.waits(Duration::from_secs(30));
    browser.signs_in("ada").await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_known_browser_is_not_locked_out_by_those_who_guess_elsewhere() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut home = gate.browser();
    home.signs_in("ada").await;
    home.signs_out().await;
    for _ in 0..9 {
        gate.browser().signs_in_with("ada", "not the password").await;
    }
    assert_eq!(gate.browser().signs_in("ada").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(home.signs_in("ada").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn one_address_gets_so_many_passwords_read_wherever_it_types_them() {
    let gate = Gate::taking(3);
    let link = gate.adds("ada").await;
    gate.knows("bob").await;
    let mut bob = gate.browser();
    bob.signs_in("bob").await;
    let mut stranger = gate.browser();
    stranger.address = bob.address;
    for name in ["eve", "mallory", "oscar"] {
        assert_eq!(stranger.signs_in(name).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    let hashed = gate.hashed.load(Ordering::SeqCst);
    assert_eq!(stranger.signs_in("trent").await.status, StatusCode::TOO_MANY_REQUESTS);
    stranger.opens(&link).await.sends(&[("password", PASSWORD)]).await;
    assert_eq!(stranger.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(gate.hashed.load(Ordering::SeqCst), hashed);
    // The browser in which Bob has signed in gets as many of its own, and no more.
    bob.opens("/.doorward/confirm").await;
    for _ in 0..3 {
        bob.sends(&[("password", "not the password")]).await;
        assert_eq!(bob.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    bob.sends(&[("password", PASSWORD)]).await;
    assert_eq!(bob.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(gate.hashed.load(Ordering::SeqCst), hashed + 3);

    gate.waits(Duration::from_mins(1));
    bob.sends(&[("password", PASSWORD)]).await;
    assert_eq!(bob.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_failed_form_keeps_what_was_typed_but_the_secret() {
    let gate = Gate::new();
    let mut browser = gate.browser();
    browser.visits("/deep/page").await;
    browser.sends(&[("username", "ada"), ("password", "hunter2hunter2")]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(browser.field("return_to").as_deref(), Some("/deep/page"));
    assert!(browser.page.contains("value=\"ada\""), "{}", browser.page);
    assert!(!browser.page.contains("hunter2"));
}

#[tokio::test]
async fn a_form_that_was_not_ours_is_shown_again_and_nothing_is_tried() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.opens("/.doorward/sign-in").await;
    let genuine = browser.field("csrf").unwrap();
    let fields =
        |csrf: &str| format!("username=ada&password={}&csrf={csrf}", PASSWORD.replace(' ', "+"));
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (headers, csrf) in [
        (vec![form, ("sec-fetch-site", "same-origin")], ""),
        (vec![form, ("sec-fetch-site", "same-origin")], "AQAAAAAAAAAAAAAAAAAAAAAAAA"),
        (vec![form, ("sec-fetch-site", "cross-site")], genuine.as_str()),
        (vec![form, ("sec-fetch-site", "same-site")], &genuine),
        (vec![form, ("sec-fetch-site", "none")], &genuine),
        (vec![form, ("origin", "https://evil.example")], &genuine),
        (vec![form, ("origin", "null")], &genuine),
        (vec![form], &genuine),
    ] {
        let body = fields(csrf).into();
        browser.requests(Method::POST, "/.doorward/sign-in", &headers, body).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{headers:?} {csrf}");
        assert_eq!(browser.session(), None);
    }
    let headers = [form, ("origin", "https://crm.example.com")];
    let body = fields(&genuine).into();
    browser.requests(Method::POST, "/.doorward/sign-in", &headers, body).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn nobody_is_signed_in_by_a_form_that_another_browser_was_given() {
    let gate = Gate::new();
    gate.knows("mallory").await;
    let mut mallory = gate.browser();
    mallory.opens("/.doorward/sign-in").await;
    let csrf = mallory.field("csrf").unwrap();
    let mut victim = gate.browser();
    victim.opens("/.doorward/sign-in").await;
    let fields = [("username", "mallory"), ("password", PASSWORD), ("csrf", csrf.as_str())];
    victim.posts("/.doorward/sign-in", &fields).await;
    assert_eq!(victim.session(), None);
}

#[tokio::test]
async fn a_form_that_was_given_to_somebody_else_here_is_not_sent_in_a_new_persons_name() {
    let gate = Gate::new();
    gate.knows("ada").await;
    gate.knows("bob").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    let adas = browser.opens("/.doorward/sign-out").await.field("csrf").unwrap();
    browser.signs_out().await;
    browser.signs_in("bob").await;
    browser.posts("/.doorward/sign-out", &[("csrf", &adas)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(browser.visits("/").await.passed, Some(Some("bob".to_owned())));
}

#[tokio::test]
async fn a_script_is_told_what_is_asked_in_json() {
    let gate = Gate::new();
    let mut browser = gate.browser();
    let json = [("accept", "application/json")];
    browser.requests(Method::GET, "/bank/rates", &json, "".into()).await;
    assert_eq!(browser.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.headers["www-authenticate"], "Doorward");
    let body: serde_json::Value = serde_json::from_str(&browser.page).unwrap();
    assert_eq!(body["error"], "sign-in");
    assert_eq!(body["url"], "https://crm.example.com/.doorward/sign-in");
    assert_eq!(body["asks"]["level"], "second-factor");
    assert_eq!(body["asks"]["second_factor_within_seconds"], 300);
}

#[tokio::test]
async fn a_form_sent_to_the_application_by_a_stranger_is_not_passed_on_and_says_so() {
    let gate = Gate::new();
    let mut browser = gate.browser();
    browser.posts("/orders", &[("a", "b")]).await;
    assert_eq!(browser.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.heading(), "Your data was not sent");
    assert!(browser.page.contains("/.doorward/sign-in?return_to=%2Forders"), "{}", browser.page);
}

#[tokio::test]
async fn a_frame_gets_a_page_that_opens_at_the_top() {
    let gate = Gate::new();
    let mut browser = gate.browser();
    let framed = [("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate")];
    for target in ["/orders", "/.doorward/sign-in"] {
        browser.requests(Method::GET, target, &framed, "".into()).await;
        assert_eq!(browser.status, StatusCode::UNAUTHORIZED);
        assert!(browser.page.contains("target=\"_top\""), "{}", browser.page);
        assert_eq!(browser.headers["x-frame-options"], "SAMEORIGIN");
        let policy = browser.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'self'"), "{policy}");
        assert!(!browser.page.contains("<form"), "nothing to type into: {}", browser.page);
    }
}

#[tokio::test]
async fn scripts_cannot_fetch_pages_with_forms_or_secrets() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &ada).await;
    for target in ["/.doorward/", "/.doorward/recovery-codes.txt", "/.doorward/confirm"] {
        let fetched = [("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")];
        browser.requests(Method::GET, target, &fetched, "".into()).await;
        assert_eq!(browser.status, StatusCode::FORBIDDEN, "{target}");
        assert!(!browser.page.contains(&ada.recovery_codes[0]));
    }
}

/// What `curl` gets, which sends neither `Origin` nor a preference for pages.
#[tokio::test]
async fn a_script_that_posts_a_form_is_told_what_is_missing() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.opens("/.doorward/sign-in").await;
    let csrf = browser.field("csrf").unwrap();
    let curl = [("accept", "*/*"), ("content-type", "application/x-www-form-urlencoded")];
    let ours = [curl[0], curl[1], ("origin", "https://crm.example.com")];
    let foreign = [curl[0], curl[1], ("origin", "https://evil.example")];
    let wrong = [curl[0], ("content-type", "application/json")];
    for (headers, csrf, status, says) in [
        (&curl[..], csrf.as_str(), 422, "send `Origin: https://crm.example.com`"),
        (&foreign[..], &csrf, 422, "this form was not sent by a page of https://crm.example.com"),
        (&ours[..], "", 422, "the field `csrf` is missing or not valid"),
        (&wrong[..], &csrf, 400, "\"reference\""),
    ] {
        let body = format!("csrf={csrf}&username=ada&password=three+wet+umbrellas");
        browser.requests(Method::POST, "/.doorward/sign-in", headers, body.into()).await;
        assert_eq!(browser.status.as_u16(), status, "{headers:?}");
        assert!(browser.page.starts_with('{'), "{}", browser.page);
        assert!(browser.page.contains(says), "{says}: {}", browser.page);
        assert_eq!(browser.session(), None);
    }
    let body = format!("csrf={csrf}&username=ada&password=three+wet+umbrellas");
    browser.requests(Method::POST, "/.doorward/sign-in", &ours, body.into()).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
}

#[tokio::test]
async fn a_form_that_the_browser_does_not_vouch_for_comes_back_and_says_so() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    for said in [
        vec![form],
        vec![form, ("origin", "null")],
        vec![form, ("origin", "https://evil.example")],
        vec![form, ("sec-fetch-site", "cross-site")],
        vec![form, ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")],
    ] {
        let mut browser = gate.browser();
        browser.opens("/.doorward/sign-in").await;
        let csrf = browser.field("csrf").unwrap();
        let body = format!("csrf={csrf}&username=ada&password=three+wet+umbrellas");
        browser.requests(Method::POST, "/.doorward/sign-in", &said, body.into()).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{said:?}");
        assert!(
            browser.page.contains("did not confirm that this form came from this site"),
            "{said:?}"
        );
    }
    let mut old = gate.browser();
    old.opens("/.doorward/sign-in").await;
    old.posts("/.doorward/sign-in", &[("csrf", "old"), ("username", "ada")]).await;
    assert!(old.page.contains("open for too long"), "the browser is not to blame");
}

//! Signing in at a certified OpenID provider from npm, in Chromium.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::process::Server;
use super::sites::from_registries;
use crate::browser::application;
use crate::browser::chromium::Browser;
use crate::browser::codes::{saves_codes, sets_up};
use crate::browser::main_job::{reaches_the_application, signs_out};
use crate::browser::tools::code;
use crate::support::instance::{HOST, Instance};

/// The provider, with new keys; at `address`, if it was there before.
fn provider(address: Option<SocketAddr>) -> Server {
    Server::start(|server| {
        server.address = address.unwrap_or(server.address);
        let script = include_str!("sites/openid_provider.mjs");
        let script = server.write("provider.mjs", script);
        let mut command = Command::new("node");
        command.arg(script).arg(from_registries("node/node_modules"));
        command.arg(format!("http://{}", server.address));
        command.arg(format!("http://{HOST}/.doorward/sign-in/provider/idp"));
        command
    })
}

fn gateway(provider: &Server) -> Instance {
    let secret = "tests/config/provider.secret";
    let secret = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(secret);
    let more = format!(
        "confirm: {{ for: 1m }}
providers:
  - name: idp
    label: Example ID
    issuer: http://{}
    client_id: doorward
    client_secret_file: {}
    people: {{ create: true, only: {{ email_domains: [example.com] }} }}
",
        provider.address,
        secret.display()
    );
    Instance::today(application::start(), &more)
}

/// Signs in at the provider as `name`, and consents if it asks.
fn signs_in_there(browser: &Browser, name: &str) {
    browser.types("login", name).types("password", "anything").presses("Sign-in");
    if browser.text("h1").contains("Authorize") {
        browser.presses("Continue");
    }
}

#[test]
#[ignore = "needs packages from npm: make test-servers"]
fn the_whole_way_through_a_certified_provider() {
    let there = provider(None);
    let instance = gateway(&there);
    let browser = Browser::before(&instance);

    // The first sign-in makes the user, who sets up a second factor.
    browser.visits("/page?a=%C3%A9").comes_to("/.doorward/sign-in");
    browser.presses("Sign in with Example ID");
    signs_in_there(&browser, "ada");
    browser.comes_to("/.doorward/offer").presses("Not now");
    reaches_the_application(&browser, "/page?a=%C3%A9", "fed");
    let secret = sets_up(&browser, &instance);
    saves_codes(&browser);
    signs_out(&browser);

    // The second finds them, though the provider has new keys, and asks for the second factor.
    let address = there.address;
    drop(there);
    let there = provider(Some(address));
    instance.waits(Duration::from_secs(61));
    browser.visits("/page").comes_to("/.doorward/sign-in");
    browser.presses("Sign in with Example ID");
    signs_in_there(&browser, "ada");
    browser.comes_to("/.doorward/challenge").enters(&code(&secret, instance.now()));
    reaches_the_application(&browser, "/page", "fed,otp,mfa");

    // To confirm, the provider asks again although it knows the browser; nobody else may answer.
    instance.waits(Duration::from_secs(61));
    let change = "/.doorward/security/factors/add";
    for (name, comes_back_to) in [("eve", None), ("ada", Some("/.doorward/challenge"))] {
        browser.visits(change).comes_to("/.doorward/confirm").presses("Confirm with Example ID");
        // The person takes a while. The clock of the provider goes on by itself.
        instance.waits(Duration::from_secs(90));
        signs_in_there(&browser, name);
        match comes_back_to {
            Some(page) => browser.comes_to(page).sees("#code"),
            None => browser.sees("a.button"),
        };
        assert_eq!(browser.text("h1") == "Not confirmed", comes_back_to.is_none());
    }
    browser.enters(&code(&secret, instance.now()));
    browser.comes_to(change);

    // Whoever signs out there is signed out here.
    there.write("client.address", &instance.address.to_string());
    browser.goes_to(&format!("http://{address}/session/end")).presses("Yes, sign me out");
    browser.visits("/page").comes_to("/.doorward/sign-in");
    // The provider's pages load fonts from elsewhere, and eve was refused.
    let ours = format!("http://{HOST}/");
    let mut complaints = browser.complaints();
    complaints.retain(|one| one.contains(&ours) && !one.contains("403 (Forbidden)"));
    assert_eq!(complaints, [""; 0]);
}

#[test]
#[ignore = "needs packages from npm: make test-servers"]
fn ten_tabs_come_back_in_any_order() {
    let there = provider(None);
    let instance = gateway(&there);
    let browser = Browser::before(&instance);
    let ways: Vec<String> = (0..10)
        .map(|tab| {
            browser.visits(&format!("/page?tab={tab}")).comes_to("/.doorward/sign-in");
            browser.presses("Sign in with Example ID").sees("[name=login]");
            browser.at()
        })
        .collect();
    for tab in [7, 0, 9, 3, 1, 2, 8, 4, 6, 5] {
        browser.goes_to(&ways[tab]);
        signs_in_there(&browser, "ada");
        let page = format!("/page?tab={tab}");
        browser.until("be back", || {
            if browser.at().starts_with("/.doorward/offer") {
                browser.presses("Not now");
            }
            (browser.at() == page).then_some(())
        });
        reaches_the_application(&browser, &page, "fed");
    }
}

//! Those who ask, and what they ask.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use doorward::domain::factor::totp;
use doorward::domain::time::Timestamp;

use super::drive::Ask;
use super::servers::{DOORWARD, HOST, Server};
use super::support::window::Window;

const PASSWORD: &str = "three wet umbrellas";

/// What a browser sends along, as one does today.
const BROWSER: [(&str, &str); 4] = [
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "en-GB,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br"),
];

/// A request for a page, with these cookies.
pub(crate) fn page(target: &str, cookies: &str, status: u16) -> Ask {
    let mut headers: Vec<(String, String)> =
        BROWSER.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    headers.push(("Sec-Fetch-Dest".to_owned(), "document".to_owned()));
    headers.push(("Sec-Fetch-Mode".to_owned(), "navigate".to_owned()));
    if !cookies.is_empty() {
        headers.push(("Cookie".to_owned(), cookies.to_owned()));
    }
    let (target, body) = (target.to_owned(), String::new());
    Ask { method: "GET", host: HOST, target, headers, body, status }
}

/// A request of a script, without cookies.
pub(crate) fn script(target: &str, status: u16) -> Ask {
    let mut ask = page(target, "", status);
    ask.headers.retain(|(name, _)| !name.starts_with("Sec-Fetch"));
    for (name, value) in &mut ask.headers {
        if name == "Accept" {
            "application/json".clone_into(value);
        }
    }
    ask
}

/// Adds somebody, as an operator does, who then chooses their password.
fn person(doorward: &Server, config: &Path, name: &str) -> Window {
    let added = Command::new(DOORWARD)
        .args(["user", "add", name, "--json", "--group", "staff", "--email"])
        .arg(format!("{name}@example.com"))
        .arg("--config")
        .arg(config)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&added.stderr);
    assert!(added.status.success(), "{said}");
    let added: serde_json::Value = serde_json::from_slice(&added.stdout).unwrap();
    let link = added["link"].as_str().unwrap();
    let link = link.strip_prefix(&format!("https://{HOST}")).unwrap();
    let mut window = Window::new(doorward.plain, HOST);
    window.visits(link).posts(&[("password", PASSWORD)]);
    window
}

/// Somebody who has signed in, has set up an authenticator and saved their recovery codes: their
/// cookies, which an application's own stand beside.
pub(crate) fn signed_in(doorward: &Server, config: &Path) -> String {
    let mut window = person(doorward, config, "ada");
    window.visits("/orders");
    if window.at.starts_with("/.doorward/sign-in") {
        window.posts(&[("username", "ada"), ("password", PASSWORD)]);
    }
    let secret = window.secret();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let key = totp::Key::from_bytes(&secret).unwrap();
    let code = key.code_at(Timestamp::from_secs(now.as_secs())).expose().to_owned();
    window.posts(&[("code", &code)]);
    window.posts(&[("saved", "yes")]);
    window.visits("/orders");
    assert_eq!(window.answer.status, 200, "{} {}", window.at, window.answer.body);
    let mut cookies: Vec<_> =
        window.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    cookies.push("theme=dark; PHPSESSID=4j9c0m2v1q8r7t6s5p3n2k1h0g".to_owned());
    cookies.join("; ")
}

/// Sign-ins of so many people, each with their right password.
pub(crate) fn sign_ins(doorward: &Server, config: &Path, people: usize) -> Vec<Ask> {
    (0..people)
        .map(|number| {
            let name = format!("person{number}");
            person(doorward, config, &name);
            let mut window = Window::new(doorward.plain, HOST);
            window.opens("/.doorward/sign-in?return_to=/notes/");
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("csrf", &window.field("csrf").unwrap());
            form.append_pair("return_to", "/notes/");
            form.append_pair("username", &name);
            form.append_pair("password", PASSWORD);
            let cookies: Vec<_> =
                window.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let mut ask = page("/.doorward/sign-in", &cookies.join("; "), 303);
            ask.method = "POST";
            ask.body = form.finish();
            for (name, value) in [
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Sec-Fetch-Site", "same-origin"),
            ] {
                ask.headers.push((name.to_owned(), value.to_owned()));
            }
            ask
        })
        .collect()
}

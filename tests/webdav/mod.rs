//! `WebDAV` as apache's `mod_dav` does it: what lies protected is neither changed nor copied by way of
//! what is open, whatever a request names besides its own target.

mod files;

use crate::support::instance::{HOST, Instance};
use crate::support::spellings::Dice;
use crate::support::wire::{Answer, Wire};
use files::{Files, SECRET};
use rstest::rstest;

fn before(files: &Files) -> Instance {
    Instance::protecting(files.address, "/admin/, /data/secret/", "webdav: true")
}

fn asks(instance: &Instance, method: &str, target: &str, lines: &str) -> Answer {
    let length = "Content-Length: 0\r\nConnection: close\r\n";
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n{lines}{length}\r\n");
    Wire::to(instance.address).asks(head)
}

/// Each is possible with proof, and comes to nothing without.
#[rstest]
#[case::over_a_file("COPY", "/pub/a.html", "Destination: http://{host}/admin/rules.txt\r\n")]
#[case::by_a_path("COPY", "/pub/a.html", "Destination: /admin/rules.txt\r\n")]
#[case::to_a_new_file("MOVE", "/pub/a.html", "Destination: http://{host}/admin/new.html\r\n")]
#[case::spelt_oddly("COPY", "/pub/a.html", "Destination: http://{host}/x/../%61dmin/rules.txt\r\n")]
#[case::over_what_is_above("COPY", "/pub/", "Destination: http://{host}/data/\r\n")]
#[case::out_of_a_parent("COPY", "/data/", "Destination: http://{host}/out/d/\r\n")]
#[case::with_a_parent("MOVE", "/data/", "Destination: http://{host}/out/d/\r\n")]
#[case::a_parent_goes("DELETE", "/data/", "")]
#[case::a_parent_is_told("PROPFIND", "/data/", "Depth: 1\r\n")]
#[case::a_parent_is_locked("LOCK", "/data/", "")]
#[case::another_is_asked_of("PUT", "/pub/b.html", "If: </admin/rules.txt> (Not <DAV:no-lock>)\r\n")]
fn what_lies_protected_is_not_reached_by_another_way(
    #[case] method: &str,
    #[case] target: &str,
    #[case] lines: &str,
) {
    let files = Files::start();
    let instance = before(&files);
    let lines = lines.replace("{host}", HOST);
    let protected = files.protected();
    let stranger = asks(&instance, method, target, &lines);
    assert_eq!(stranger.status, 401, "{stranger:?}");
    assert_eq!(files.protected(), protected);
    assert_eq!(files.leaked(), Vec::<String>::new());
    let cookie = format!("Cookie: {}\r\n", instance.session());
    let known = asks(&instance, method, target, &(lines + &cookie));
    // What the server makes of it is its own affair: it was asked.
    assert!(known.header("server").contains("Apache"), "{known:?}");
}

#[rstest]
#[case("PROPFIND", "/pub/", "Depth: 1\r\n")]
#[case("PROPFIND", "/", "Depth: 0\r\n")]
#[case("COPY", "/pub/a.html", "Destination: http://{host}/out/a.html\r\n")]
#[case("MOVE", "/pub/a.html", "Destination: http://{host}/out/b%20c.html\r\nOverwrite: T\r\n")]
#[case("DELETE", "/pub/a.html", "")]
#[case("DELETE", "/pub/", "")]
#[case("MKCOL", "/out/new/", "")]
#[case("PUT", "/out/new.txt", "")]
fn what_is_open_stays_so(#[case] method: &str, #[case] target: &str, #[case] lines: &str) {
    let files = Files::start();
    let instance = before(&files);
    let answer = asks(&instance, method, target, &lines.replace("{host}", HOST));
    assert!((200..300).contains(&answer.status), "{answer:?}");
}

#[test]
fn a_destination_elsewhere_is_refused() {
    let files = Files::start();
    let instance = before(&files);
    for destination in [
        "http://evil.test/a",
        "https://crm.localhost:8080/out/a",
        "http://crm.localhost/out/a",
        "//crm.localhost:8080/out/a",
        "out/a",
        "http://crm.localhost:8080/.doorward/sign-in",
        "/%2edoorward/",
    ] {
        let answer =
            asks(&instance, "COPY", "/pub/a.html", &format!("Destination: {destination}\r\n"));
        assert_eq!(answer.status, 400, "{destination}: {answer:?}");
    }
    let twice = "Destination: /out/a\r\nDestination: /admin/b\r\n";
    assert_eq!(asks(&instance, "COPY", "/pub/a.html", twice).status, 401);
}

/// Hundreds of requests of a stranger, whatever they come to.
#[test]
fn no_row_of_requests_reaches_what_lies_protected() {
    let files = Files::start();
    let instance = before(&files);
    let protected = files.protected();
    let mut dice = Dice(15);
    let places = ["/", "/pub", "/pub/a.html", "/data", "/data/secret", "/admin/rules.txt", "/out"];
    let methods = ["COPY", "MOVE", "DELETE", "LOCK", "PROPFIND", "PROPPATCH", "PUT", "move", "FOO"];
    let (mut passed, mut stopped) = (0, 0);
    for _ in 0..400 {
        let method = methods[dice.below(methods.len())];
        let (from, to) = (places[dice.below(places.len())], places[dice.below(places.len())]);
        let to = if dice.below(2) == 0 { dice.spelling(to) } else { to.to_owned() };
        let depth = ["", "Depth: 0\r\n", "Depth: 1\r\n", "Depth: infinity\r\n"][dice.below(4)];
        let host = ["http://crm.localhost:8080", "HTTP://CRM.localhost:8080", ""][dice.below(3)];
        let lines = format!("{depth}Destination: {host}{to}\r\n");
        let answer = asks(&instance, method, from, &lines);
        if answer.status == 401 {
            stopped += 1;
        } else {
            passed += 1;
        }
        assert_eq!(files.protected(), protected, "{method} {from} {lines}");
        assert_eq!(files.leaked(), Vec::<String>::new(), "{method} {from} {lines}");
        assert!(!answer.body.contains(SECRET), "{method} {from} {lines}");
        files.restore();
    }
    assert!(passed > 50 && stopped > 50, "{passed} went on, {stopped} were stopped");
}

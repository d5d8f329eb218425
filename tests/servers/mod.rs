//! Hostile spellings against servers and frameworks that people run, each behind a gateway. Nothing
//! that nobody has proven reaches a protected handler; with proof, everything arrives byte for byte.
//!
//! Debian packages most of them. The others (see `sites.rs`) are asked by `make test-servers` alone.

mod asking;
mod openid_provider;
mod policies;
mod process;
mod running;
mod sites;
mod unproven;
mod ways;

use crate::support::instance::{HOST, Instance};
use crate::support::spellings::Dice;
use crate::support::wire::{Answer, Wire};
use process::Server;
use rstest::rstest;
use running::MARK;

/// Everything is open but `/admin/`: the worst case for whoever writes the rules.
fn before(server: &Server) -> Instance {
    Instance::protecting(server.address, "/admin/, /**/secret.php", "")
}

/// Asks over `wire`, or over a new one where that was closed.
fn ask(instance: &Instance, wire: &mut Option<Wire>, target: &str, lines: &str) -> Answer {
    let mut open = wire.take().unwrap_or_else(|| Wire::to(instance.address));
    let answer = open.asks(format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"));
    if answer.header("connection") != "close" {
        *wire = Some(open);
    }
    answer
}

#[rstest]
#[case::apache(Server::apache())]
#[case::nginx(Server::nginx())]
#[case::wsgi(Server::wsgi())]
fn no_spelling_reaches_a_protected_handler_without_proof(#[case] server: Server) {
    let instance = before(&server);
    let proof = format!("Cookie: {}\r\n", instance.session());
    let mut dice = Dice(7);
    let (mut strangers, mut known) = (None, None);
    let mut reached = 0;
    for round in 0..1_000 {
        let place = ["/admin/", "/admin/secret.php", "/x/secret.php"][round % 3];
        let target = dice.spelling(place);
        let answer = ask(&instance, &mut strangers, &target, "");
        assert!(!answer.body.contains(MARK), "{target}: {answer:?}");
        // With proof, the same spelling tells whether it aims at anything.
        if ask(&instance, &mut known, &target, &proof).body.contains(MARK) {
            reached += 1;
        }
    }
    assert!(reached > 20, "only {reached} spellings reach the handler at all");
}

#[rstest]
#[case::apache(Server::apache())]
#[case::nginx(Server::nginx())]
#[case::wsgi(Server::wsgi())]
#[case::php_router(sites::php_router().server)]
#[case::aiohttp(sites::framework("aiohttp").server)]
#[case::tornado(sites::framework("tornado").server)]
#[case::express(sites::express().server)]
fn ordinary_traffic_arrives_as_it_was_sent(#[case] server: Server) {
    let instance = before(&server);
    let proof = format!("Cookie: {}\r\n", instance.session());
    let mut wire = None;
    for target in [
        "/echo?p=1&a[]=1&a[]=2&q=%C3%A9+%2B",
        "/echo/My%20Files/Bild%20%C3%A9.png",
        "/echo/%E9t%E9",
        "/echo/~ada/a:b@c,d;e=f/(1)'!*",
        "/echo/2024/05/caf%C3%A9?utm=%26",
        "/echo/a+b/c%2Bd",
        "/echo/wp-admin/admin-ajax.php?action=x",
        "/echo/index.php/x/y.html",
    ] {
        let open = ask(&instance, &mut wire, target, "");
        let arrived = format!("[{target}]");
        assert!(open.body.contains(&arrived), "{target}: {open:?}");
        let known = ask(&instance, &mut wire, target, &proof);
        assert!(known.body.contains(&arrived), "{target}: {known:?}");
    }
}

/// Forms, uploads, cookies and parameters as such applications use them.
#[test]
fn a_page_like_those_of_wordpress_works_as_it_did() {
    let server = Server::apache();
    let instance = before(&server);
    let page = "/wp-login.php?action=x&a%5B%5D=1&a[]=2&redirect_to=http%3A%2F%2Fcrm%2Fwp-admin%2F";
    let proof = instance.session();
    let cookies =
        format!("Cookie: wp-settings-1=a%3Db; {proof}; wordpress_logged_in_0a=ada%7C1\r\n");
    let asks = |method: &str, lines: &str, body: &[u8]| {
        let head = format!(
            "{method} {page} HTTP/1.1\r\nHost: {HOST}\r\n{cookies}{lines}Content-Length: {}\r\n\r\n",
            body.len()
        );
        Wire::to(instance.address).asks([head.as_bytes(), body].concat())
    };
    let form =
        "Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://crm.localhost:8080\r\n";
    let answer = asks("POST", form, b"log=ad%20a&pwd=%E9+%26&wp-submit=Log+In&meta[k][]=v");
    assert_eq!(answer.header("set-cookie"), "wordpress_test_cookie=WP%20Cookie%20check");
    assert_eq!(answer.header("x-redirect-by"), "WordPress");
    // What is not UTF-8 cannot be told in JSON: PHP says so with nothing.
    let answer_of = |answer: &Answer| -> serde_json::Value {
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap_or_default()
    };
    assert!(answer_of(&answer).is_null());
    let answer = answer_of(&asks("POST", form, b"log=ad%20a&pwd=%C3%A9+%26&meta[k][]=v"));
    assert_eq!(answer["user"], "ada");
    assert_eq!(answer["post"]["pwd"], "\u{e9} &");
    assert_eq!(answer["post"]["meta"]["k"][0], "v");
    assert_eq!(answer["get"]["a"], serde_json::json!(["1", "2"]));
    assert_eq!(answer["get"]["redirect_to"], "http://crm/wp-admin/");
    assert_eq!(answer["cookie"]["wp-settings-1"], "a=b");
    assert_eq!(answer["cookie"]["wordpress_logged_in_0a"], "ada|1");
    assert_eq!(answer["cookie"].as_object().unwrap().len(), 2, "ours stay with us");
    let upload = "Content-Type: multipart/form-data; boundary=x\r\n";
    let body = b"--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a b;.png\"\r\n\
                 Content-Type: image/png\r\n\r\nhello\r\n--x--\r\n";
    let answer = answer_of(&asks("POST", upload, body));
    assert_eq!(answer["file"], "5d41402abc4b2a76b9719d911017c592");
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let json = "Content-Type: application/json\r\nX-WP-Nonce: 1\r\nX-Requested-With: XMLHttpRequest\r\n";
        let answer = answer_of(&asks(method, json, b"{}"));
        assert_eq!((&answer["as"], &answer["type"]), (&method.into(), &"application/json".into()));
    }
}

#[rstest]
#[case::apache(Server::apache())]
#[case::wsgi(Server::wsgi())]
#[case::php_router(sites::php_router().server)]
#[case::nginx_fpm(sites::nginx_try_files().server)]
#[case::aiohttp(sites::framework("aiohttp").server)]
#[case::tornado(sites::framework("tornado").server)]
#[case::express(sites::express().server)]
fn with_proof_every_spelling_arrives_byte_for_byte(#[case] server: Server) {
    let instance = before(&server);
    let proof = format!("Cookie: {}\r\n", instance.session());
    let mut dice = Dice(11);
    let mut wire = None;
    let mut arrived = 0;
    for _ in 0..300 {
        let target = format!("/echo{}", dice.spelling("/a/report"));
        let answer = ask(&instance, &mut wire, &target, &proof);
        if answer.body.contains('[') {
            assert!(answer.body.contains(&format!("[{target}]")), "{target}: {answer:?}");
            arrived += 1;
        }
    }
    assert!(arrived > 100, "only {arrived} arrive");
}

//! Hostile spellings against servers that people run: apache2 with PHP, nginx, and Python's WSGI
//! server, each behind a gateway. Nothing that nobody has proven reaches a protected handler; with
//! proof, everything arrives byte for byte.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]
#![allow(dead_code, reason = "what other tests need of the shared means")]

#[path = "support/door.rs"]
mod door;
#[path = "servers/running.rs"]
mod running;
#[path = "spellings/mod.rs"]
mod spellings;
#[path = "support/window.rs"]
mod window;
#[path = "support/wire.rs"]
mod wire;

use door::{Door, HOST};
use rstest::rstest;
use running::{MARK, Server};
use spellings::Dice;
use wire::{Answer, Wire};

/// Everything is open but `/admin/`: the worst case for whoever writes the rules.
fn before(server: &Server) -> Door {
    Door::with(|folder| {
        format!(
            "
listen: [{{ address: '127.0.0.1:0' }}]
operators: {{ address: '127.0.0.1:0' }}
state: {}
shutdown: {{ within: 1s }}
limits: {{ sign_in_posts: 10000/m }}
apps:
  - name: crm
    hosts: ['http://{HOST}']
    upstream: http://{}
    rules:
      - {{ paths: [/admin/, /**/secret.php], require: sign-in }}
    otherwise: nothing
",
            folder.join("state").display(),
            server.address
        )
    })
}

/// Asks over `wire`, or over a new one where that was closed.
fn ask(door: &Door, wire: &mut Option<Wire>, target: &str, lines: &str) -> Answer {
    let mut open = wire.take().unwrap_or_else(|| Wire::to(door.address));
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
    let door = before(&server);
    let proof = format!("Cookie: {}\r\n", door.session());
    let mut dice = Dice(7);
    let (mut strangers, mut known) = (None, None);
    let mut reached = 0;
    for round in 0..700 {
        let place = ["/admin/", "/admin/secret.php", "/x/secret.php"][round % 3];
        let target = dice.spelling(place);
        let answer = ask(&door, &mut strangers, &target, "");
        assert!(!answer.body.contains(MARK), "{target}: {answer:?}");
        // With proof, the same spelling tells whether it aims at anything.
        if ask(&door, &mut known, &target, &proof).body.contains(MARK) {
            reached += 1;
        }
    }
    assert!(reached > 20, "only {reached} spellings reach the handler at all");
}

#[rstest]
#[case::apache(Server::apache())]
#[case::nginx(Server::nginx())]
#[case::wsgi(Server::wsgi())]
fn ordinary_traffic_arrives_as_it_was_sent(#[case] server: Server) {
    let door = before(&server);
    let proof = format!("Cookie: {}\r\n", door.session());
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
        let open = ask(&door, &mut wire, target, "");
        let arrived = format!("[{target}]");
        assert!(open.body.contains(&arrived), "{target}: {open:?}");
        let known = ask(&door, &mut wire, target, &proof);
        assert!(known.body.contains(&arrived), "{target}: {known:?}");
    }
}

#[rstest]
#[case::apache(Server::apache())]
#[case::wsgi(Server::wsgi())]
fn with_proof_every_spelling_arrives_byte_for_byte(#[case] server: Server) {
    let door = before(&server);
    let proof = format!("Cookie: {}\r\n", door.session());
    let mut dice = Dice(11);
    let mut wire = None;
    let mut arrived = 0;
    for _ in 0..300 {
        let target = format!("/echo{}", dice.spelling("/a/report"));
        let answer = ask(&door, &mut wire, &target, &proof);
        if answer.body.contains('[') {
            assert!(answer.body.contains(&format!("[{target}]")), "{target}: {answer:?}");
            arrived += 1;
        }
    }
    assert!(arrived > 100, "only {arrived} arrive");
}

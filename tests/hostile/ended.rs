//! What is under way ends when it is allowed no more, also where no byte flows (39 of the table).

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use rstest::rstest;

use super::{HOST, before, before_app_with, before_with, metric, until};
use crate::support::instance::Instance;
use crate::support::upstream::Upstream;
use crate::support::wire::Wire;

/// An application that answers with the beginning of something, and goes on for ever or is silent.
fn application(goes_on: bool) -> std::net::SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                let length = stream.read(&mut head).unwrap();
                let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
                let lasts = ["get /private/", "get /staff/"].map(|place| head.starts_with(place));
                if lasts == [false, false] && !head.contains("upgrade") {
                    let answer =
                        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    stream.write_all(answer).unwrap();
                    return;
                }
                let answer = if head.contains("upgrade: websocket") {
                    "101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                } else if head.contains("text/event-stream") {
                    "200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                } else {
                    "200 OK\r\nContent-Length: 1073741824\r\n\r\n"
                };
                stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).unwrap();
                if answer.contains("Content-Length") {
                    stream.write_all(b"begun").unwrap();
                }
                let chunk = vec![b'a'; 65_536];
                while goes_on && stream.write_all(&chunk).is_ok() {}
                // Silent until the other side has gone.
                while let Ok(1..) = stream.read(&mut [0; 4096]) {}
            });
        }
    });
    address
}

const SOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
const EVENTS: &str = "Accept: text/event-stream\r\n";
const DOWNLOAD: &str = "Accept: */*\r\n";

fn get(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n")
}

fn opens(instance: &Instance, cookie: &str, lines: &str) -> Wire {
    let mut wire = Wire::to(instance.address);
    wire.sends(format!(
        "GET /private/a HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n{lines}\r\n"
    ));
    assert!([101, 200].contains(&wire.head().status));
    wire
}

#[rstest]
fn whatever_is_under_way_ends_with_what_allowed_it(
    #[values(SOCKET, EVENTS, DOWNLOAD)] lines: &str,
    #[values("disabled", "signed out", "idle", "rule")] by: &str,
) {
    let instance = before(application(false));
    let cookie = instance.session();
    let mut under_way = opens(&instance, &cookie, lines);
    match by {
        "disabled" => instance.disables("ada"),
        "signed out" => signs_out(&instance, &cookie),
        "idle" => instance.waits(Duration::from_secs(3_700)),
        _ => instance
            .reloads_with(|text| {
                text.replace("[/private/], require: sign-in", "[/private/], require: nobody")
            })
            .unwrap(),
    }
    assert!(under_way.is_over());
}

#[test]
fn a_silent_download_ends_soon_after_its_session() {
    let instance = before(application(false));
    let cookie = instance.session();
    let mut under_way = opens(&instance, &cookie, DOWNLOAD);
    assert_eq!(under_way.until("begun"), "begun", "what was said is not held back in the silence");
    signs_out(&instance, &cookie);
    // Long before anything else would end it.
    assert!(under_way.is_over());
}

/// 43: what somebody belonged to once opens nothing, and holds nothing open.
#[test]
fn former_groups_open_nothing_and_keep_nothing_open() {
    let instance = before(application(false));
    let cookie = instance.session();
    let staff = format!("GET /staff/a HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n");
    let mut under_way = Wire::to(instance.address);
    under_way.sends(format!("{staff}{SOCKET}\r\n"));
    assert_eq!(under_way.head().status, 101);
    instance.takes_out_of_staff("ada");
    assert_eq!(Wire::to(instance.address).asks(format!("{staff}\r\n")).status, 403);
    assert!(under_way.is_over());
}

#[test]
fn a_download_ends_in_the_middle() {
    let instance = before(application(true));
    let mut under_way = opens(&instance, &instance.session(), DOWNLOAD);
    instance.disables("ada");
    let read = under_way.reads_to_the_end().len();
    assert!(read < 1 << 30, "all of it came");
}

#[test]
fn what_others_have_under_way_goes_on() {
    let instance = before(application(false));
    let (ada, bob) = (instance.session(), instance.session_of("bob"));
    let (mut adas, mut bobs) = (opens(&instance, &ada, SOCKET), opens(&instance, &bob, SOCKET));
    let mut open = Wire::to(instance.address);
    open.sends(format!("GET /open HTTP/1.1\r\nHost: {HOST}\r\n{SOCKET}\r\n"));
    assert_eq!(open.head().status, 101);
    instance.disables("ada");
    assert!(adas.is_over());
    assert!(bobs.tries(b"still there") && open.tries(b"still there"));
    // A reload that changes nothing for them ends nothing.
    instance.reloads_with(|text| text.replace("/secret/]", "/secret/, /more/]")).unwrap();
    let mut carol = opens(&instance, &instance.session_of("carol"), SOCKET);
    instance.disables("carol");
    assert!(carol.is_over(), "everybody was asked about again meanwhile");
    assert!(bobs.tries(b"still there") && open.tries(b"still there"));
}

#[test]
fn a_new_session_id_ends_nothing_that_the_same_user_session_has_under_way() {
    let instance = before(application(false));
    let mut window = instance.window();
    let link = instance.adds("ada");
    window.visits(&link).posts(&[("password", crate::support::instance::PASSWORD)]);
    let cookie = format!("doorward-session={}", window.cookies["doorward-session"]);
    let mut under_way = opens(&instance, &cookie, SOCKET);
    // The password is shown again, and the session goes on under another id.
    window.visits("/.doorward/confirm").posts(&[("password", crate::support::instance::PASSWORD)]);
    let risen = format!("doorward-session={}", window.cookies["doorward-session"]);
    assert_ne!(risen, cookie);
    let mut bobs = opens(&instance, &instance.session_of("bob"), SOCKET);
    instance.disables("bob");
    assert!(bobs.is_over(), "everybody was asked about again meanwhile");
    assert!(under_way.tries(b"still there"));
    instance.disables("ada");
    assert!(under_way.is_over());
}

/// Time and again everybody is looked at; but nobody is judged again for nothing.
#[test]
fn nobody_is_judged_again_where_nothing_has_changed() {
    const IDLE: u64 = 20;
    let upstream = Upstream::start();
    let instance = before_with(upstream.address, "");
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let mut idle: Vec<_> = (0..IDLE).map(|_| Wire::to(instance.address)).collect();
    for wire in &mut idle {
        wire.sends(get("/socket", socket));
        assert_eq!(wire.head().status, 101);
    }
    let reviewed = || metric(&instance, "doorward_requests_reauthorized_total");
    until(|| reviewed() >= IDLE);
    for name in ["ada", "bob", "carol", "dan"] {
        let cookie = format!("Cookie: {}\r\n{socket}", instance.session_of(name));
        let mut theirs = Wire::to(instance.address);
        theirs.sends(get("/socket", &cookie));
        assert_eq!(theirs.head().status, 101);
        instance.disables(name);
        assert!(theirs.is_over());
    }
    assert!(reviewed() < 2 * IDLE, "{} judgements of {IDLE} and four", reviewed());
    // What everything rests on concerns all of them.
    instance.reloads_with(|text| text.replace("/secret/]", "/secret/, /more/]")).unwrap();
    until(|| reviewed() >= 2 * IDLE);
    assert!(idle.iter_mut().all(|wire| wire.tries(b"still there")));
}

fn signs_out(instance: &Instance, cookie: &str) {
    let mut window = instance.window();
    let (name, value) = cookie.split_once('=').unwrap();
    window.cookies.insert(name.to_owned(), value.to_owned());
    window.visits("/.doorward/sign-out").posts(&[]);
}

#[test]
fn a_request_that_signs_out_is_answered_however_long_the_application_takes() {
    let upstream = Upstream::start();
    let instance = before_app_with(upstream.address, "", "sign_out_paths: [/held]");
    let cookie = instance.session();
    let asks = |path: &str, lines: &str| {
        let mut wire = Wire::to(instance.address);
        wire.sends(get(path, lines));
        wire
    };
    let mut leaves = asks("/held", &format!("Cookie: {cookie}\r\n"));
    upstream.is_reached();
    // Whatever was under way before this one has been judged again when this one has been.
    let mut later = asks("/parts", "");
    assert_eq!(later.head().status, 200);
    until(|| metric(&instance, "doorward_requests_reauthorized_total") > 0);
    upstream.releases();
    assert_eq!(leaves.answer().body, "released");
    let mut gone = Wire::to(instance.address);
    assert_eq!(gone.asks(get("/private/", &format!("Cookie: {cookie}\r\n"))).status, 401);
}

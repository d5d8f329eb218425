//! Bodies that an application does not read (CL.0), and answers that are longer than they may be: what
//! is left over on a connection is neither a request nor an answer to the next visitor.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rstest::rstest;

use super::{HOST, before_app_with, before_with};
use crate::support::exact::{Bodies, Exact, Heard, answer};
use crate::support::instance::Instance;
use crate::support::wire::Wire;

const SECRET: &str =
    "GET /secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\nRemote-User: root\r\n\r\n";
/// A head that swallows the one behind it.
const PREFIX: &str = "GET /secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\nX-Pad: ";

fn with_length(head: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!("{head} HTTP/1.1\r\nHost: {HOST}\r\n{more}Content-Length: {length}\r\n\r\n{body}")
}

fn chunked(head: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{head} HTTP/1.1\r\nHost: {HOST}\r\n{more}Transfer-Encoding: chunked\r\n\r\n\
         {length:x}\r\n{body}\r\n0\r\n\r\n"
    )
}

/// Others ask, each over a connection of their own, and get their own answers.
fn others_are_answered(instance: &Instance) {
    for number in 0..3 {
        let request = format!("GET /other{number} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let mut wire = Wire::to(instance.address);
        let answer = wire.asks(and_leaves(&request));
        assert_eq!((answer.status, answer.body), (200, format!("GET /other{number}")));
        // Once this one has ended, the connection to the application has been given back.
        wire.reads_to_the_end();
    }
}

/// The same request of somebody who leaves then.
fn and_leaves(sent: &str) -> String {
    sent.replacen("\r\n", "\r\nConnection: close\r\n", 1)
}

#[rstest]
#[case::get_with_length(with_length("GET /a", "", SECRET))]
#[case::post_with_length(with_length("POST /a", "", SECRET))]
#[case::post_whose_body_swallows_the_next_head(with_length("POST /a", "", PREFIX))]
#[case::get_chunked(chunked("GET /a", "", SECRET))]
#[case::post_chunked(chunked("POST /a", "", SECRET))]
#[case::put(with_length("PUT /a", "", SECRET))]
#[case::delete(with_length("DELETE /a", "", SECRET))]
#[case::options(with_length("OPTIONS /a", "", SECRET))]
#[case::unknown_method(with_length("FOO /a", "", SECRET))]
#[case::head_with_length(with_length("HEAD /a", "", SECRET))]
#[case::head_chunked(chunked("HEAD /a", "", SECRET))]
#[case::to_be_kept(with_length("POST /a", "Connection: keep-alive\r\n", SECRET))]
#[case::that_expects(with_length("POST /a", "Expect: 100-continue\r\n", SECRET))]
#[case::that_would_upgrade(with_length(
    "POST /a",
    "Connection: Upgrade\r\nUpgrade: h2c\r\n",
    SECRET
))]
#[case::that_would_be_a_websocket(with_length(
    "GET /a",
    "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    SECRET
))]
#[case::that_signs_in_a_connection(with_length(
    "POST /a",
    "Authorization: NTLM TlRMTVNTUAAB\r\n",
    SECRET
))]
#[case::that_negotiates(chunked("POST /a", "Authorization: Negotiate YII\r\n", SECRET))]
#[case::with_zeros_before_the_length(
    with_length("POST /a", "", SECRET).replace("Content-Length: ", "Content-Length: 000")
)]
#[case::of_old(with_length("POST /a", "Connection: keep-alive\r\n", SECRET).replace("HTTP/1.1\r\nHost: crm.localhost:8080\r\nConn", "HTTP/1.0\r\nHost: crm.localhost:8080\r\nConn"))]
fn a_body_that_the_application_does_not_read_runs_nowhere(#[case] sent: String) {
    let notes = Exact::start(Bodies::Unread);
    let instance = before_with(notes.address, "");
    let mut wire = Wire::to(instance.address);
    wire.sends(&sent);
    let status = wire.head().status;
    assert!([200, 400].contains(&status), "{status}");
    others_are_answered(&instance);
    assert!(!notes.asked().iter().any(|asked| asked.contains("/secret/")), "{:?}", notes.heard());
}

/// What the application is told decides; and it is told nothing where nothing can follow.
#[rstest]
#[case::a_body(with_length("POST /a", "", "x"), "close")]
#[case::chunks(chunked("PUT /a", "", "x"), "close")]
#[case::no_chunks(chunked("PUT /a", "", ""), "close")]
#[case::head("HEAD /a HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n".to_owned(), "close")]
#[case::no_body(with_length("POST /a", "", ""), "")]
#[case::get("GET /a HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n".to_owned(), "")]
fn a_connection_is_closed_behind_each_body(#[case] sent: String, #[case] told: &str) {
    let notes = Exact::start(Bodies::Unread);
    let instance = before_with(notes.address, "");
    let mut wire = Wire::to(instance.address);
    wire.sends(and_leaves(&sent));
    assert_eq!(wire.head().status, 200);
    wire.reads_to_the_end();
    others_are_answered(&instance);
    let heard = notes.heard();
    assert_eq!(heard[0].header("connection"), told);
    let again = heard[1..].iter().any(|next| next.connection == heard[0].connection);
    assert_eq!(again, told.is_empty(), "{heard:?}");
}

#[test]
fn connections_are_kept_where_the_operator_says_that_bodies_are_read() {
    let notes = Exact::start(Bodies::Read);
    let instance = before_app_with(notes.address, "", "upstream_reuse_after_body: true");
    let mut wire = Wire::to(instance.address);
    assert_eq!(wire.asks(and_leaves(&with_length("POST /a", "", "x"))).status, 200);
    wire.reads_to_the_end();
    others_are_answered(&instance);
    assert!(notes.heard().iter().all(|heard| heard.connection == 0), "{:?}", notes.heard());
}

/// An application that signs in connections loses what it has found out if they are closed. It has to
/// ask for such credentials itself; a visitor who sends some gets no connection kept by that.
#[test]
fn a_connection_that_was_signed_in_is_kept_for_its_visitor_alone() {
    let notes = Exact::answering(Bodies::Read, |heard| match heard.header("authorization") {
        "" if heard.asks() == "GET /sign-in" => {
            answer("401 No", "WWW-Authenticate: NTLM\r\n", "who?")
        }
        _ => answer("200 OK", "", &heard.asks()),
    });
    let instance = before_with(notes.address, "");
    let signed = "Authorization: NTLM TlRMTVNTUAAB\r\n";
    let mut eve = Wire::to(instance.address);
    eve.asks(with_length("POST /eve", signed, "x"));
    let mut ada = Wire::to(instance.address);
    let get = |more: &str| format!("GET /sign-in HTTP/1.1\r\nHost: {HOST}\r\n{more}\r\n");
    assert_eq!(ada.asks(get("")).status, 401);
    assert_eq!(ada.asks(get(signed)).status, 200);
    assert_eq!(ada.asks(with_length("POST /ada", "", "x")).status, 200);
    assert_eq!(ada.asks(with_length("POST /ada", "", "y")).status, 200);
    others_are_answered(&instance);
    let heard = notes.heard();
    let of = |asked: &str| heard.iter().filter(|heard| heard.asks() == asked).collect::<Vec<_>>();
    assert_eq!(of("POST /eve")[0].header("connection"), "close");
    let own = of("POST /ada")[0].connection;
    assert!(of("POST /ada").iter().all(|heard| heard.connection == own), "{heard:?}");
    let signed_in = of("GET /sign-in").iter().any(|heard| heard.connection == own);
    assert!(signed_in, "{heard:?}");
    let others = heard.iter().filter(|heard| heard.asks().contains("/other"));
    assert!(others.clone().count() == 3 && others.into_iter().all(|heard| heard.connection != own));
}

/// Says `first` to the first request; and whatever else is asked on that connection gets `left` first,
/// as if it had been on its way all the time.
fn leaves(first: &'static str, left: &'static str) -> Exact {
    let spoilt = Arc::new(Mutex::new(None::<usize>));
    Exact::answering(Bodies::Read, move |heard: &Heard| {
        let mut spoilt = spoilt.lock().unwrap();
        if spoilt.is_none() {
            *spoilt = Some(heard.connection);
            return first.as_bytes().to_vec();
        }
        let left = if *spoilt == Some(heard.connection) { left } else { "" };
        [left.as_bytes(), &answer("200 OK", "", &heard.asks())].concat()
    })
}

const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

#[rstest]
#[case::head("HEAD /a", "HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n", 200)]
#[case::head_without_length("HEAD /a", "HTTP/1.1 200 OK\r\n\r\n", 200)]
#[case::no_content("GET /a", "HTTP/1.1 204 No\r\nContent-Length: 42\r\n\r\n", 204)]
#[case::no_content_chunked("GET /a", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", 204)]
#[case::not_modified("GET /a", "HTTP/1.1 304 No\r\nContent-Length: 42\r\n\r\n", 304)]
#[case::not_modified_chunked(
    "GET /a",
    "HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n",
    304
)]
fn a_body_where_none_may_be_is_no_answer_to_the_next_visitor(
    #[case] asked: &str,
    #[case] first: &'static str,
    #[case] status: u16,
) {
    let notes = leaves(first, EVIL);
    let instance = before_with(notes.address, "");
    let mut wire = Wire::to(instance.address);
    wire.sends(format!("{asked} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!(wire.head().status, status);
    others_are_answered(&instance);
}

/// What comes along with an answer, behind its end, is seen at once.
#[rstest]
#[case::length(
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
)]
#[case::chunks(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
)]
#[case::no_length(
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
)]
#[case::no_content("HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")]
#[case::not_modified("HTTP/1.1 304 No\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")]
fn what_stands_behind_an_answer_is_no_answer_to_the_next_visitor(#[case] first: &'static str) {
    let notes = leaves(first, "");
    let instance = before_with(notes.address, "");
    let mut wire = Wire::to(instance.address);
    wire.sends(format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    wire.head();
    others_are_answered(&instance);
}

/// Where the chunks of a body cannot be read, nobody knows where it ends (RFC 9112 §11.2): what follows
/// is no request. So it is for our own pages, which read the body, and for the application's.
#[rstest]
fn what_follows_a_chunk_that_cannot_be_read_is_no_request(
    #[values("/.doorward/sign-in", "/.doorward/nothing", "/a")] path: &str,
    #[values("ZZ\r\n", "ffffffffffffffff1\r\n", "3\r\nabcdefg\r\n")] chunk: &str,
) {
    let notes = Exact::start(Bodies::Read);
    let instance = before_with(notes.address, "");
    let mut wire = Wire::to(instance.address);
    wire.sends(format!(
        "POST {path} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
    ));
    let answer = wire.answer();
    assert_eq!((answer.status, answer.header("connection")), (400, "close"), "{answer:?}");
    // The other side may be gone already.
    wire.tries(SECRET.as_bytes());
    assert!(wire.is_over());
    assert!(!notes.asked().iter().any(|asked| asked.contains("/secret/")), "{:?}", notes.heard());
}

/// RFC 9112 §9.3.2: a visitor may send the next request before the answer to this one. Each is judged
/// for itself, and they are answered in order. Empty lines between them are ignored (§2.2).
#[rstest]
fn requests_in_a_row_are_answered_in_order(
    #[values("", "\r\n", "\r\n\r\n")] between: &str,
    #[values("", "abc")] body: &str,
    #[values(false, true)] is_apart: bool,
) {
    let (all_is_sent, waits) = std::sync::mpsc::channel();
    let waits = Mutex::new(waits);
    let notes = Exact::answering(Bodies::Read, move |heard| {
        if heard.asks().ends_with("/held") {
            waits.lock().unwrap().recv().unwrap();
        }
        answer("200 OK", "", &heard.asks())
    });
    let instance = before_with(notes.address, "");
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let post = |path: &str| with_length(&format!("POST {path}"), "", body);
    let first = if body.is_empty() { get("/held") } else { post("/held") };
    let others = [get("/secret/x"), post("/.doorward/nothing"), get("/last")].join(between);
    let mut wire = Wire::to(instance.address);
    if is_apart {
        wire.sends(&first);
        let bytes = format!("{between}{others}").into_bytes();
        for packet in bytes.chunks(1).take(40).chain(bytes[40..].chunks(23)) {
            comes_apart();
            wire.sends(packet);
        }
    } else {
        wire.sends(format!("{first}{between}{others}"));
    }
    all_is_sent.send(()).unwrap();
    let answers: Vec<_> = (0..4).map(|_| wire.answer()).collect();
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 403, 404, 200], "{answers:?}");
    assert!(answers[0].body.ends_with(" /held") && answers[3].body == "GET /last", "{answers:?}");
    assert!(!notes.asked().iter().any(|asked| asked.contains("/secret/")), "{:?}", notes.heard());
}

#[expect(clippy::disallowed_methods, reason = "packets come apart only by time")]
fn comes_apart() {
    std::thread::sleep(Duration::from_millis(5));
}

//! Answers on their way between HTTP/2 and the versions before it (RFC 9113 §8).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use rstest::rstest;

use super::applications::answers_in_http2;
use super::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RST_STREAM, SETTINGS, fields, frame,
};
use super::http2::{asks, connects, get, runs};
use super::means::{HOST, certificate, config, visitor};
use crate::support::exact::{Bodies, Exact};
use crate::support::instance::Instance;

fn before(upstream: SocketAddr, more: &str) -> Instance {
    Instance::with(|folder| {
        certificate(folder, "all", &[HOST, "id.example.com"]);
        certificate(folder, "wiki", &["wiki.example.com"]);
        config(upstream, folder, "").replace("    otherwise", &format!("{more}    otherwise"))
    })
}

/// An application that speaks HTTP/2, and says to each request what `says` makes of its stream.
fn framed(says: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let says = std::sync::Arc::new(says);
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let (mut stream, says) = (stream.unwrap(), std::sync::Arc::clone(&says));
            std::thread::spawn(move || {
                let mut preface = [0; 24];
                stream.read_exact(&mut preface).unwrap();
                stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
                let mut head = [0; 9];
                while stream.read_exact(&mut head).is_ok() {
                    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                    let mut payload = vec![0; length];
                    stream.read_exact(&mut payload).unwrap();
                    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    let said = match (head[3], head[4] & ACK) {
                        (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
                        (PING, 0) => frame(PING, ACK, 0, &payload),
                        (HEADERS, _) => says(id),
                        _ => continue,
                    };
                    if stream.write_all(&said).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn head(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    let mut all = vec![(":status", "200")];
    all.extend(more);
    frame(HEADERS, END_HEADERS, stream, &fields(&all))
}

const HTTP2: &str = "    upstream_http2: true\n";

/// RFC 9113 §8.1.1, §8.2, §8.3.2: a malformed answer is none.
#[rstest]
#[case::connection(&[(":status", "200"), ("connection", "close")])]
#[case::keep_alive(&[(":status", "200"), ("keep-alive", "timeout=5")])]
#[case::proxy_connection(&[(":status", "200"), ("proxy-connection", "close")])]
#[case::transfer_encoding(&[(":status", "200"), ("transfer-encoding", "chunked")])]
#[case::upgrade(&[(":status", "200"), ("upgrade", "websocket")])]
#[case::switching(&[(":status", "101")])]
#[case::no_status(&[("x-a", "1")])]
#[case::two(&[(":status", "200"), (":status", "204")])]
#[case::late(&[("x-a", "1"), (":status", "200")])]
#[case::unknown(&[(":status", "200"), (":wombat", "1")])]
#[case::upper_case(&[(":status", "200"), ("X-A", "1")])]
#[case::line_break(&[(":status", "200"), ("x-a", "1\r\nx-b: 2")])]
#[case::two_lengths(&[(":status", "200"), ("content-length", "2"), ("content-length", "3")])]
fn a_malformed_answer_of_http_2_is_not_passed_on(#[case] said: &'static [(&str, &str)]) {
    let upstream = framed(move |stream| {
        let head = frame(HEADERS, END_HEADERS, stream, &fields(said));
        [head, frame(DATA, END_STREAM, stream, b"ok")].concat()
    });
    let instance = before(upstream, HTTP2);
    let answer =
        visitor(&instance, HOST).asks(format!("GET /open/a HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!(answer.status, 502, "{answer:?}");
    runs(async {
        let mut sender = connects(&instance).await;
        let (answer, ..) = asks(&mut sender, get("/open/a"), None).await;
        assert_eq!(answer.status().as_u16(), 502);
    });
}

/// RFC 9113 §8.1.1: a length that is not kept, and an answer that is reset, break off for the visitor.
#[rstest]
#[case::short(|stream| [head(stream, &[("content-length", "9")]), frame(DATA, END_STREAM, stream, b"ok")].concat())]
#[case::long(|stream| [head(stream, &[("content-length", "1")]), frame(DATA, END_STREAM, stream, b"ok")].concat())]
#[case::reset(|stream| [head(stream, &[]), frame(DATA, 0, stream, b"ok"), frame(RST_STREAM, 0, stream, &[0, 0, 0, 2])].concat())]
fn an_answer_of_http_2_that_breaks_off_is_not_ended(#[case] says: fn(u32) -> Vec<u8>) {
    let instance = before(framed(says), HTTP2);
    let mut wire = visitor(&instance, HOST);
    wire.sends(format!("GET /open/a HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    let got = wire.reads_to_the_end();
    assert!(!got.starts_with("HTTP/1.1 200") || !got.ends_with("0\r\n\r\n"), "{got}");
    let mut frames = Frames::to(&instance);
    frames.sends(&request("/open/a"));
    loop {
        let next = frames.until_any(&[HEADERS, DATA, RST_STREAM]);
        let ends = next.kind == DATA && next.flags & END_STREAM != 0;
        let refused = next.kind == HEADERS && next.payload.windows(3).any(|part| part == b"502");
        assert!(!ends || refused, "{next:?}");
        if next.kind == RST_STREAM || refused {
            break;
        }
    }
}

fn request(path: &str) -> Vec<u8> {
    let all = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", path)];
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&all))
}

/// RFC 9112 §6.1, RFC 9113 §8.1: the end is told in the visitor's own way, trailers only where there are
/// some.
#[test]
fn an_answer_of_http_2_ends_as_its_visitor_understands() {
    let upstream = framed(|stream| {
        let trailers =
            [("x-sum", "1"), ("set-cookie", "doorward-session=forged"), ("content-length", "9")];
        [
            frame(HEADERS, END_HEADERS, stream, &fields(&[(":status", "103"), ("link", "</a>")])),
            head(stream, &[("trailer", "x-sum")]),
            frame(DATA, 0, stream, b""),
            frame(DATA, 0, stream, b"hel"),
            frame(DATA, 0, stream, b""),
            frame(DATA, 0, stream, b"lo!"),
            frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(&trailers)),
        ]
        .concat()
    });
    let instance = before(upstream, HTTP2);
    for more in ["", "Connection: keep-alive\r\n"] {
        let mut old = visitor(&instance, HOST);
        old.sends(format!("GET /open/a HTTP/1.0\r\nHost: {HOST}\r\n{more}\r\n"));
        let got = old.reads_to_the_end();
        let (head, body) = got.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
        assert_eq!(body, "hello!");
    }
    let mut wire = visitor(&instance, HOST);
    for _ in 0..2 {
        let got = wire.asks(format!("GET /open/a HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        assert_eq!((got.status, got.body.as_str()), (200, "hello!"));
        assert!(got.all("trailer").is_empty(), "{got:?}");
    }
    runs(async {
        let mut sender = connects(&instance).await;
        let (answer, body, trailers) = asks(&mut sender, get("/open/a"), None).await;
        assert_eq!((answer.status().as_u16(), body.as_str()), (200, "hello!"));
        let trailers = trailers.unwrap();
        assert_eq!((trailers.len(), &trailers["x-sum"]), (1, &"1".parse().unwrap()));
    });
}

/// RFC 9113 §8.2.2: what HTTP/1.1 says of a connection is no part of HTTP/2.
#[test]
fn an_answer_of_http_1_1_says_nothing_of_its_connection_in_http_2() {
    let upstream = Exact::answering(Bodies::Read, |_| {
        b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\n\
          X-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\n\
          TE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\nX-End: 1\r\n\r\n\
          2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
            .to_vec()
    });
    let instance = before(upstream.address, "");
    runs(async {
        let mut sender = connects(&instance).await;
        let (answer, body, trailers) = asks(&mut sender, get("/open/a"), None).await;
        assert_eq!((answer.status().as_u16(), body.as_str()), (200, "ok"));
        let mut names: Vec<_> = answer.headers().keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["date", "strict-transport-security", "x-end"]);
        assert!(trailers.is_none_or(|trailers| trailers.is_empty()));
    });
}

/// RFC 9113 §8.2.2, RFC 9110 §11.7.2: what a visitor says of the way to us goes no further in HTTP/2
/// either; but `te: trailers` does, since trailers come back.
#[test]
fn what_a_visitor_says_of_the_way_to_us_ends_here_in_http_2() {
    let heard = std::sync::Arc::<std::sync::Mutex<Vec<http::HeaderMap>>>::default();
    let noting = std::sync::Arc::clone(&heard);
    let upstream = answers_in_http2(move |request, mut respond| {
        noting.lock().unwrap().push(request.headers().clone());
        respond.send_response(http::Response::new(()), true).unwrap();
        std::future::ready(())
    });
    let instance = before(upstream, HTTP2);
    runs(async {
        let mut sender = connects(&instance).await;
        let request = get("/open/a")
            .header("te", "trailers")
            .header("trailer", "x-sum")
            .header("proxy-authorization", "Basic YTpi");
        assert_eq!(asks(&mut sender, request, None).await.0.status().as_u16(), 200);
    });
    let lines = "Connection: X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nTrailer: X-Sum\r\n\
                 Proxy-Authorization: Basic YTpi\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n";
    let request = format!("GET /open/a HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n");
    assert_eq!(visitor(&instance, HOST).asks(request).status, 200);
    let heard = heard.lock().unwrap();
    let names = |headers: &http::HeaderMap| {
        let names = headers.keys().map(|name| name.as_str().to_owned());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with("x-forwarded-")).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&heard[0]), ["te", "x-request-id"]);
    assert_eq!(names(&heard[1]), ["x-request-id"]);
}

//! HTTP/2 (RFC 9113) as ordinary visitors speak it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use rstest::rstest;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::means::{HOST, WIKI, believes, certificates, session, visitor};
use crate::support::instance::Instance;
use crate::support::upstream::Upstream;

pub(crate) fn runs<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub(crate) async fn connects(instance: &Instance) -> SendRequest<Bytes> {
    connects_with(instance, believes(&certificates(instance), &[b"h2"])).await
}

pub(crate) async fn connects_with(instance: &Instance, config: ClientConfig) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(instance.address).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move {
        // How it ends is each test's own affair.
        connection.await.ok();
    });
    sender
}

pub(crate) fn get(path: &str) -> http::request::Builder {
    Request::get(format!("https://{HOST}{path}"))
}

pub(crate) async fn asks(
    sender: &mut SendRequest<Bytes>,
    request: http::request::Builder,
    body: Option<&str>,
) -> (Response<()>, String, Option<HeaderMap>) {
    let mut ready = sender.clone().ready().await.unwrap();
    let (answer, mut sending) =
        ready.send_request(request.body(()).unwrap(), body.is_none()).unwrap();
    if let Some(body) = body {
        sending.send_data(Bytes::from(body.to_owned()), true).unwrap();
    }
    let (head, mut body) = answer.await.unwrap().into_parts();
    let mut all = Vec::new();
    while let Some(part) = body.data().await {
        let part = part.unwrap();
        body.flow_control().release_capacity(part.len()).unwrap();
        all.extend_from_slice(&part);
    }
    let trailers = body.trailers().await.unwrap();
    (Response::from_parts(head, ()), String::from_utf8(all).unwrap(), trailers)
}

fn received(body: &str) -> serde_json::Value {
    serde_json::from_str(body).unwrap()
}

fn values(received: &serde_json::Value, name: &str) -> Vec<String> {
    let all = received["headers"].as_array().unwrap();
    let named = all.iter().filter(|pair| pair[0] == name);
    named.map(|pair| pair[1].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_application_that_does_not_answer_is_not_waited_for_for_ever() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "upstream_timeouts: { read: 1s }");
    runs(async {
        let mut sender = connects(&instance).await;
        let held = sender.send_request(get("/held").body(()).unwrap(), true).unwrap().0;
        let (answer, ..) = asks(&mut sender, get("/open/other"), None).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(held.await.unwrap().status(), 504);
    });
    upstream.releases();
}

#[test]
fn requests_go_through_and_many_at_once() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    runs(async {
        let sender = connects(&instance).await;
        let asked = (0..50).map(|number| {
            let mut sender = sender.clone();
            async move {
                let target = format!("/open/{number}?a=%2F");
                let (answer, body, _) = asks(&mut sender, get(&target), None).await;
                assert_eq!(answer.status(), 200);
                assert_eq!(received(&body)["target"], target);
            }
        });
        let mut set = tokio::task::JoinSet::new();
        asked.for_each(|one| drop(set.spawn(one)));
        while let Some(done) = set.join_next().await {
            done.unwrap();
        }
    });
}

#[test]
fn the_application_learns_the_host_and_whole_cookies_and_who_is_there() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let session = session(&instance, "ada");
    runs(async {
        let mut sender = connects(&instance).await;
        let request = get("/orders")
            .header("cookie", "a=1")
            .header("cookie", session)
            .header("cookie", "b=2")
            .header("remote-user", "root");
        let (answer, body, _) = asks(&mut sender, request, None).await;
        assert_eq!(answer.status(), 200, "{body}");
        let received = received(&body);
        assert_eq!(values(&received, "host"), [HOST]);
        assert_eq!(values(&received, "cookie"), ["a=1; b=2"]);
        assert_eq!(values(&received, "remote-user"), ["ada"]);
        assert_eq!(values(&received, "x-forwarded-proto"), ["https"]);
    });
}

#[test]
fn strangers_are_stopped_and_the_connection_goes_on() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    runs(async {
        let mut sender = connects(&instance).await;
        let (refused, ..) = asks(&mut sender, get("/orders"), None).await;
        assert_eq!(refused.status(), 401);
        let post = Request::post(format!("https://{HOST}/orders"));
        let (refused, ..) = asks(&mut sender, post, Some(&"x".repeat(60_000))).await;
        assert_eq!(refused.status(), 401);
        let (page, body, _) = asks(&mut sender, get("/.doorward/sign-in"), None).await;
        assert_eq!((page.status().as_u16(), body.contains("name=\"password\"")), (200, true));
        let (passed, ..) = asks(&mut sender, get("/open/a"), None).await;
        assert_eq!(passed.status(), 200);
    });
}

#[test]
fn a_tunnel_is_refused_in_our_words() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    runs(async {
        let mut sender = connects(&instance).await;
        let tunnel = Request::connect("evil.test:443");
        let (answer, body, _) = asks(&mut sender, tunnel, None).await;
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert!(body.contains("method-not-allowed"), "{body}");
        assert_eq!(asks(&mut sender, get("/open/a"), None).await.0.status(), 200);
    });
}

#[test]
fn whoever_speaks_plain_http_on_a_port_for_tls_is_told_so() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let sends = |head: &str| crate::support::wire::Wire::to(instance.address).asks(head);
    let answer = sends(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/html\r\n\r\n"));
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("This address is not valid"), "{answer:?}");
    assert!(!answer.body.contains(HOST), "whoever names it under http names none of ours");
    let answer = sends("PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\n");
    assert_eq!((answer.status, answer.header("content-type")), (400, "application/json"));
}

#[test]
fn a_request_is_for_one_host() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    runs(async {
        let mut sender = connects(&instance).await;
        let two = get("/open/a").header("host", "wiki.example.com");
        assert!([400, 421].contains(&asks(&mut sender, two, None).await.0.status().as_u16()));
        let foreign = Request::get("https://evil.test/open/a");
        assert_eq!(asks(&mut sender, foreign, None).await.0.status(), 421);
        let same = get("/open/a").header("host", HOST);
        assert_eq!(asks(&mut sender, same, None).await.0.status(), 200);
    });
}

#[test]
fn bodies_go_both_ways() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    runs(async {
        let mut sender = connects(&instance).await;
        let post = Request::post(format!("https://{HOST}/back"));
        let sent = "0123456789".repeat(6_000);
        let (answer, body, _) = asks(&mut sender, post, Some(&sent)).await;
        assert_eq!((answer.status().as_u16(), body == sent), (200, true));
    });
}

#[test]
fn a_head_that_is_too_long_is_told_so() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "limits: { headers: 20 }");
    runs(async {
        let mut sender = connects(&instance).await;
        let many = (0..30)
            .fold(get("/open/a"), |request, number| request.header(format!("x-{number}"), "a"));
        assert_eq!(asks(&mut sender, many, None).await.0.status(), 431);
        assert_eq!(asks(&mut sender, get("/open/a"), None).await.0.status(), 200);
    });
}

#[test]
fn whoever_asks_and_does_not_wait_is_sent_away() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "limits: { stream_resets: 10 }");
    runs(async {
        let mut sender = connects(&instance).await;
        let mut turned_away = false;
        for _ in 0..2_000 {
            let Ok(ready) = sender.clone().ready().await else {
                turned_away = true;
                break;
            };
            let mut ready = ready;
            let request = get("/held").body(()).unwrap();
            let Ok((answer, mut sending)) = ready.send_request(request, true) else {
                turned_away = true;
                break;
            };
            tokio::task::yield_now().await;
            sending.send_reset(h2::Reason::CANCEL);
            drop(answer);
        }
        assert!(turned_away);
        // Others are not concerned.
        sender = connects(&instance).await;
        assert_eq!(asks(&mut sender, get("/open/a"), None).await.0.status(), 200);
    });
}

#[test]
fn a_stream_ends_with_what_allowed_it_and_its_connection_goes_on() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let cookie = session(&instance, "ada");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut sender, mut events) = runtime.block_on(async {
        let sender = connects(&instance).await;
        let request = get("/parts").header("accept", "text/event-stream").header("cookie", cookie);
        let mut ready = sender.clone().ready().await.unwrap();
        let (answer, _) = ready.send_request(request.body(()).unwrap(), true).unwrap();
        let mut events = answer.await.unwrap().into_body();
        assert_eq!(events.data().await.unwrap().unwrap(), "first");
        (sender, events)
    });
    instance.disables("ada");
    runtime.block_on(async {
        assert!(events.data().await.unwrap().is_err(), "it is silent, and ends");
        assert_eq!(asks(&mut sender, get("/open/a"), None).await.0.status(), 200);
    });
}

/// What the visitor has no room for waits on our side, up to 64 KiB of it.
#[test]
fn a_stream_that_has_lost_what_allowed_it_sends_nothing_that_it_still_holds() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let cookie = session(&instance, "ada");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut sender, mut much) = runtime.block_on(async {
        let mut sender = connects(&instance).await;
        let request = get("/much").header("cookie", cookie).body(()).unwrap();
        let mut much = sender.send_request(request, true).unwrap().0.await.unwrap().into_body();
        let mut came = 0;
        while came < ROOM {
            came += much.data().await.unwrap().unwrap().len();
        }
        (sender, much)
    });
    instance.disables("ada");
    runtime.block_on(async {
        let end = tokio::time::timeout(PATIENCE, much.data());
        let end = end.await.expect("it does not wait until there is room again").unwrap();
        assert!(end.is_err(), "{end:?}");
        // Room for more, and for what others are answered behind it.
        much.flow_control().release_capacity(ROOM).unwrap();
        assert_eq!(asks(&mut sender, get("/open/a"), None).await.0.status(), 200);
        assert!(much.data().await.is_none_or(|end| end.is_err()), "nothing came that was held");
    });
}

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// How much of a stream its visitor has room for (RFC 9113 §6.9.2).
const ROOM: usize = 65_535;

#[test]
fn what_was_said_so_far_goes_out_under_tls_too() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    // Pingora sends each chunk as it comes; what is counted it would keep.
    for path in ["/parts", "/counted"] {
        let mut visitor = visitor(&instance, WIKI);
        visitor.sends(format!("GET {path} HTTP/1.1\r\nHost: {WIKI}\r\n\r\n"));
        visitor.until("first");
        upstream.releases();
        visitor.until("last");
        runs(async {
            let mut sender = connects(&instance).await;
            let request = Request::get(format!("https://{WIKI}{path}")).body(()).unwrap();
            let mut body = sender.send_request(request, true).unwrap().0.await.unwrap().into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "first");
            upstream.releases();
            assert_eq!(body.data().await.unwrap().unwrap(), "last");
        });
    }
}

#[test]
fn no_service_worker_can_be_had_at_the_portal() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    for line in
        ["Service-Worker: script", "service-worker:  Script ", "Sec-Fetch-Dest: serviceworker"]
    {
        for (host, is_ours) in [(HOST, true), (WIKI, false)] {
            let asked = format!("GET /open/a HTTP/1.1\r\nHost: {host}\r\n{line}\r\n\r\n");
            let answer = visitor(&instance, host).asks(asked);
            assert_eq!(answer.status, 200, "{host}: {line}");
            assert_eq!(answer.body.contains("throw new Error(why)"), is_ours, "{host}: {line}");
        }
        let (name, value) = line.split_once(':').unwrap();
        runs(async {
            let mut sender = connects(&instance).await;
            let request = get("/open/a").header(name, value.trim());
            let (answer, ..) = asks(&mut sender, request, None).await;
            let kind = answer.headers()["content-type"].to_str().unwrap();
            assert_eq!(kind, "text/javascript; charset=utf-8", "{line}");
            assert_eq!(asks_for(&mut sender, get("/open/a")).await, 200);
        });
    }
}

async fn asks_for(sender: &mut SendRequest<Bytes>, request: http::request::Builder) -> u16 {
    asks(sender, request, None).await.0.status().as_u16()
}

#[rstest]
fn head_of_an_own_page_tells_the_length_of_its_body(
    #[values("/.doorward/sign-in", "/.doorward/nothing", "/.doorward/forgot")] path: &str,
) {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    runs(async {
        let mut sender = connects(&instance).await;
        let (got, page, _) = asks(&mut sender, get(path).header("accept", "text/html"), None).await;
        let head = get(path).method("HEAD").header("accept", "text/html");
        let (told, nothing, _) = asks(&mut sender, head, None).await;
        assert_eq!(told.status(), got.status());
        assert_eq!(told.headers()["content-length"].to_str().unwrap(), page.len().to_string());
        assert!(nothing.is_empty() && !page.is_empty());
    });
}

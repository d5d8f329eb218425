//! How applications are reached: over TLS, in a socket file, in several places, in HTTP/2, and those
//! that sign in connections.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use rstest::rstest;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::time::Instant;

use super::http2::{asks, connects, get, runs};
use super::means::{certificate, config, key, read, visitor};
use crate::support::free_address::free_address;
use crate::support::instance::{HOST, Instance};
use crate::support::wire::Wire;

/// Serves one connection of an application: `answer` makes an answer of the connection's number and
/// each head.
fn serve(mut stream: impl Read + Write, number: usize, answer: &dyn Fn(usize, &str) -> String) {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while let Ok(1) = stream.read(&mut byte) {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            let answer = answer(number, &String::from_utf8_lossy(&head));
            if stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_err() {
                return;
            }
            head.clear();
        }
    }
}

pub(crate) fn says(status: &str, more: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// An application on a port of its own.
pub(crate) fn application(
    answer: impl Fn(usize, &str) -> String + Send + Sync + 'static,
) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for (number, stream) in socket.incoming().enumerate() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || serve(stream.unwrap(), number, &*answer));
        }
    });
    address
}

/// How an application under TLS shows the certificate called `name` in `folder`.
fn serves_with(folder: &Path, name: &str) -> Arc<ServerConfig> {
    let own = read(&folder.join(format!("{name}.pem")));
    let key = key(&folder.join(format!("{name}.key")));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own], key)
        .unwrap();
    Arc::new(config)
}

/// An application under TLS, with the certificate called `name` in `folder`.
pub(crate) fn secure(folder: &Path, name: &str) -> SocketAddr {
    let config = serves_with(folder, name);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let stream = StreamOwned::new(connection, stream.unwrap());
            std::thread::spawn(move || {
                serve(stream, 0, &|_, head| {
                    if head.to_lowercase().contains("upgrade: websocket") {
                        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                         \r\nhello"
                            .to_owned()
                    } else {
                        says("200 OK", "", head)
                    }
                });
            });
        }
    });
    address
}

/// A gateway before an application that is described by `lines`.
pub(crate) fn before(lines: impl FnOnce(&Path) -> String) -> Instance {
    Instance::with(|folder| {
        let lines = lines(folder);
        let state = folder.join("state");
        format!(
            "
listen: [{{ address: '127.0.0.1:0' }}]
operators: {{ address: '127.0.0.1:0' }}
state: {}
shutdown: {{ within: 1s }}
apps:
  - name: crm
    hosts: ['http://{HOST}']
    otherwise: nothing
{lines}
",
            state.display()
        )
    })
}

pub(crate) fn ask(instance: &Instance, path: &str) -> crate::support::wire::Answer {
    Wire::to(instance.address).asks(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"))
}

#[test]
fn an_application_under_tls_is_believed_if_its_authority_is_named_and_the_name_is_right() {
    let instance = before(|folder| {
        certificate(folder, "app", &["crm.internal"]);
        let address = secure(folder, "app");
        format!(
            "    upstream: https://{address}\n    upstream_tls: {{ authority: app.pem, name: \
             crm.internal }}\n    upstream_host: crm.internal"
        )
    });
    let answer = ask(&instance, "/a");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.to_lowercase().contains("\r\nhost: crm.internal\r\n"), "{}", answer.body);
    let tunnel = format!(
        "GET /a HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    let mut tunnelled = Wire::to(instance.address);
    tunnelled.sends(tunnel);
    assert_eq!(tunnelled.head().status, 101);
    assert_eq!(tunnelled.until("hello"), "hello");
}

#[test]
fn an_application_under_tls_that_is_somebody_else_gets_nothing() {
    for (signed_by, name) in [("app", "other.internal"), ("other", "crm.internal")] {
        let instance = before(|folder| {
            certificate(folder, "app", &["crm.internal"]);
            certificate(folder, "other", &["crm.internal"]);
            let address = secure(folder, "app");
            format!(
                "    upstream: https://{address}\n    upstream_tls: {{ authority: {signed_by}.pem, \
                 name: {name} }}"
            )
        });
        assert_eq!(ask(&instance, "/a").status, 502);
        let tunnel = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        let tunnel = format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\n{tunnel}\r\n");
        assert_eq!(Wire::to(instance.address).asks(tunnel).status, 502);
    }
}

#[test]
fn an_application_may_listen_in_a_socket_file() {
    let instance = before(|folder| {
        let path = folder.join("app.sock");
        let socket = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            for stream in socket.incoming() {
                let stream = stream.unwrap();
                std::thread::spawn(move || serve(stream, 0, &|_, head| says("200 OK", "", head)));
            }
        });
        format!("    upstream: 'unix:{}'", path.display())
    });
    let answer = ask(&instance, "/a");
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with("GET /a HTTP/1.1"), "{}", answer.body);
}

#[test]
fn several_endpoints_take_turns_and_one_that_is_away_is_skipped() {
    let one = application(|_, _| says("200 OK", "", "one"));
    let two = application(|_, _| says("200 OK", "", "two"));
    let instance = before(|_| {
        format!("    upstream: ['http://{one}', 'http://{}', 'http://{two}']", free_address())
    });
    let answers: Vec<_> = (0..12).map(|_| ask(&instance, "/a")).collect();
    assert!(answers.iter().all(|answer| answer.status == 200));
    for name in ["one", "two"] {
        assert!(answers.iter().filter(|answer| answer.body == name).count() >= 3, "{name}");
    }
}

#[test]
fn what_was_sent_once_is_not_sent_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let breaks_off = {
        let asked = Arc::clone(&asked);
        move |_: usize, _: &str| {
            asked.fetch_add(1, Ordering::SeqCst);
            // An answer that ends before it began.
            panic!("the application dies")
        }
    };
    let (one, two) = (application(breaks_off.clone()), application(breaks_off));
    let instance = before(|_| format!("    upstream: ['http://{one}', 'http://{two}']"));
    let post = format!("POST /a HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(Wire::to(instance.address).asks(post).status, 502);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn what_was_sent_once_over_a_connection_that_was_used_before_is_not_sent_again() {
    let posted = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&posted);
    let one = application(move |_, head| {
        if head.starts_with("POST") {
            counting.fetch_add(1, Ordering::SeqCst);
            panic!("the application dies")
        }
        says("200 OK", "", "kept open")
    });
    let instance = before(|_| format!("    upstream: 'http://{one}'"));
    assert_eq!(ask(&instance, "/a").body, "kept open");
    let post = format!("POST /a HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(Wire::to(instance.address).asks(post).status, 502);
    assert_eq!(posted.load(Ordering::SeqCst), 1);
}

/// A WebSocket and a stream of events may last, once the application has answered.
#[rstest]
#[case::ordinary("")]
#[case::a_tunnel("Connection: Upgrade\r\nUpgrade: websocket\r\n")]
#[case::events("Accept: text/event-stream\r\n")]
fn an_application_that_does_not_answer_is_not_waited_for_for_ever(#[case] lines: &str) {
    let one = application(|_, _| {
        std::thread::park();
        String::new()
    });
    let instance =
        before(|_| format!("    upstream: 'http://{one}'\nupstream_timeouts: {{ read: 1s }}"));
    let mut wire = Wire::to(instance.address);
    let answer = wire.asks(format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"));
    assert_eq!(answer.status, 504);
}

/// What has begun cannot be told any more that it will not be finished; it ends.
#[test]
fn an_answer_that_stops_in_its_middle_ends() {
    let one = application(|_, head| {
        if head.starts_with("GET /half ") {
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_owned()
        } else {
            says("200 OK", "", "whole")
        }
    });
    let instance =
        before(|_| format!("    upstream: 'http://{one}'\nupstream_timeouts: {{ read: 1s }}"));
    let mut wire = Wire::to(instance.address);
    wire.sends(format!("GET /half HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert!(wire.reads_to_the_end().ends_with("\r\n\r\nhalf"));
    assert_eq!(ask(&instance, "/a").body, "whole");
}

/// Each silence is waited for, not all of them together.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how long an application takes is what is asked here"
)]
fn an_answer_may_come_bit_by_bit() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut application = Wire::over(socket.accept().unwrap().0);
        application.until("\r\n\r\n");
        application.sends("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n");
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(700));
            application.sends("a");
        }
    });
    let instance =
        before(|_| format!("    upstream: 'http://{one}'\nupstream_timeouts: {{ read: 3s }}"));
    assert_eq!(ask(&instance, "/a").body, "aaaaaaaa");
}

/// The application is not to blame for a visitor who does not take what it has said.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long a visitor takes is what is asked here")]
fn a_visitor_may_take_their_time() {
    let length = 32 << 20;
    let one = application(move |_, _| says("200 OK", "", &"a".repeat(length)));
    let instance =
        before(|_| format!("    upstream: 'http://{one}'\nupstream_timeouts: {{ read: 1s }}"));
    let mut wire = Wire::to(instance.address);
    wire.sends(format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"));
    assert_eq!(wire.head().status, 200);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(wire.reads_to_the_end().len(), length);
}

/// Nor where what they do not take has been encrypted already.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long a visitor takes is what is asked here")]
fn a_visitor_under_tls_may_take_their_time() {
    let one = application(|_, _| {
        let chunks = format!("10000\r\n{}\r\n", "a".repeat(0x10000)).repeat(512);
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    });
    let instance = Instance::with(|folder| {
        certificate(folder, "all", &[super::means::HOST]);
        certificate(folder, "wiki", &[super::means::WIKI]);
        config(one, folder, "upstream_timeouts: { read: 1s }")
    });
    let mut wire = visitor(&instance, super::means::HOST);
    let host = super::means::HOST;
    wire.sends(format!("GET /open/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    assert_eq!(wire.head().status, 200);
    std::thread::sleep(Duration::from_secs(4));
    assert!(wire.reads_to_the_end().ends_with("a\r\n0\r\n\r\n"));
}

/// Nor is one who takes long to say what they want.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long a visitor takes is what is asked here")]
fn a_visitor_may_say_it_slowly() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut application = Wire::over(socket.accept().unwrap().0);
        application.until("aaaaaaaaaa");
        application.sends(says("200 OK", "", "heard"));
    });
    let instance =
        before(|_| format!("    upstream: 'http://{one}'\nupstream_timeouts: {{ read: 3s }}"));
    let mut wire = Wire::to(instance.address);
    wire.sends(format!("POST /a HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\n"));
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(600));
        wire.sends("a");
    }
    assert_eq!(wire.answer().body, "heard");
}

/// An application under TLS that says of each request by which name its certificate was asked for.
fn hears_names(folder: &Path, name: &str) -> (SocketAddr, Receiver<(String, Option<String>)>) {
    let config = serves_with(folder, name);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let tell = tell.clone();
            std::thread::spawn(move || {
                while stream.conn.is_handshaking() {
                    if stream.conn.complete_io(&mut stream.sock).is_err() {
                        return;
                    }
                }
                let name = stream.conn.server_name().map(str::to_owned);
                serve(stream, 0, &|_, head| {
                    let path = head.split(' ').nth(1).unwrap().to_owned();
                    tell.send((path, name.clone())).ok();
                    says("200 OK", "", "ok")
                });
            });
        }
    });
    (address, heard)
}

/// A server that has many certificates must know which is meant: requests, tunnels and whoever asks
/// how it is say so.
#[test]
fn an_application_under_tls_is_always_told_who_is_meant() {
    let (tell, heard) = channel();
    let instance = before(|folder| {
        certificate(folder, "app", &["crm.internal"]);
        let (address, names) = hears_names(folder, "app");
        tell.send(names).unwrap();
        format!(
            "    upstream: https://{address}\n    upstream_tls: {{ authority: app.pem, name: \
             crm.internal }}\n    health: {{ path: /health, every: 1s }}"
        )
    });
    assert_eq!(ask(&instance, "/request").status, 200);
    let tunnel = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let tunnel = format!("GET /tunnel HTTP/1.1\r\nHost: {HOST}\r\n{tunnel}\r\n");
    assert_eq!(Wire::to(instance.address).asks(tunnel).status, 200);
    let heard = heard.recv().unwrap();
    let mut missing = BTreeSet::from(["/request", "/tunnel", "/health"]);
    while !missing.is_empty() {
        let (path, name) = heard.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(name.as_deref(), Some("crm.internal"), "{path}");
        missing.remove(path.as_str());
    }
}

/// What is meant to be silent for long, a WebSocket and a stream of events, outlives the patience
/// that others get.
#[test]
fn what_lasts_may_be_silent_for_longer_than_an_answer_takes() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = socket.local_addr().unwrap();
    let (tell, waiting) = channel();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            let length = stream.read(&mut [0; 4096]).unwrap();
            assert!(length > 0);
            tell.send(stream).unwrap();
        }
    });
    let instance =
        before(|_| format!("    upstream: 'http://{one}'\nupstream_timeouts: {{ read: 1s }}"));
    let opens = |lines: &str, begins: &str| {
        let mut wire = Wire::to(instance.address);
        wire.sends(format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"));
        let mut application = waiting.recv().unwrap();
        application.write_all(begins.as_bytes()).unwrap();
        (wire, application)
    };
    let (mut tunnel, mut talks) = opens(
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert_eq!(tunnel.head().status, 101);
    let (mut events, mut happens) =
        opens("Accept: text/event-stream\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(events.head().status, 200);
    // Begun later than both, and its patience is at an end.
    let (mut late, _held) = opens("", "");
    assert_eq!(late.answer().status, 504);
    happens.write_all(b"event").unwrap();
    assert_eq!(events.until("event"), "event");
    talks.write_all(b"there?").unwrap();
    assert_eq!(tunnel.until("there?"), "there?");
    tunnel.sends("yes");
    let mut heard = [0; 3];
    talks.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"yes");
    // No page of ours follows in a tunnel that breaks off.
    socket2::SockRef::from(&talks).set_linger(Some(Duration::ZERO)).unwrap();
    drop(talks);
    assert_eq!(tunnel.reads_to_the_end(), "");
}

/// Nor is it waited for to take a request, and then to answer what it did not take.
#[test]
fn an_application_that_does_not_listen_is_not_spoken_to_for_ever() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = socket.local_addr().unwrap();
    let _deaf = std::thread::spawn(move || socket.incoming().collect::<Vec<_>>());
    let instance = before(|_| {
        format!("    upstream: 'http://{one}'\nupstream_timeouts: {{ read: 1s, write: 1s }}")
    });
    let mut stream = TcpStream::connect(instance.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut visitor = Wire::over(stream.try_clone().unwrap());
    // More than systems keep for whoever does not listen.
    let length = 32 << 20;
    visitor.sends(format!("POST /a HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n"));
    std::thread::spawn(move || stream.write_all(&vec![b'a'; length]));
    assert_eq!(visitor.answer().status, 504);
}

#[test]
fn an_endpoint_that_says_it_is_not_well_gets_no_requests() {
    let ill = Arc::new(AtomicBool::new(false));
    let says_so = {
        let ill = Arc::clone(&ill);
        move |_: usize, head: &str| match head.starts_with("GET /health ") {
            true if ill.load(Ordering::SeqCst) => says("503 No", "", ""),
            true => says("200 OK", "", ""),
            false => says("200 OK", "", "one"),
        }
    };
    let one = application(says_so);
    let two = application(|_, _| says("200 OK", "", "two"));
    let instance = before(|_| {
        format!(
            "    upstream: ['http://{one}', 'http://{two}']\n    health: {{ path: /health, every: 1s }}"
        )
    });
    let in_turn = || -> Vec<String> { (0..4).map(|_| ask(&instance, "/a").body).collect() };
    let until = |wanted: &dyn Fn(&[String]) -> bool| {
        let since = Instant::now();
        while !wanted(&in_turn()) {
            assert!(since.elapsed() < Duration::from_secs(60), "nobody was asked how it is");
        }
    };
    until(&|bodies| bodies.contains(&"one".to_owned()));
    ill.store(true, Ordering::SeqCst);
    until(&|bodies| bodies.iter().all(|body| body == "two"));
    ill.store(false, Ordering::SeqCst);
    until(&|bodies| bodies.contains(&"one".to_owned()));
}

#[test]
fn grpc_goes_through_with_its_trailers_and_strangers_are_told_in_its_words() {
    let address = speaks_http2();
    let upstream = crate::support::upstream::Upstream::start();
    let instance = Instance::with(|folder| {
        certificate(folder, "all", &[super::means::HOST, "id.example.com"]);
        certificate(folder, "wiki", &["wiki.example.com"]);
        super::means::config(upstream.address, folder, "").replacen(
            &format!("    upstream: http://{}\n", upstream.address),
            &format!("    upstream: http://{address}\n    upstream_http2: true\n"),
            1,
        )
    });
    runs(async {
        let mut sender = connects(&instance).await;
        let call = |path: &str| {
            http::Request::post(format!("https://{}{path}", super::means::HOST))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
        };
        let (answer, body, trailers) = asks(&mut sender, call("/open/greet"), Some("ping")).await;
        assert_eq!((answer.status().as_u16(), body.as_str()), (200, "ping"));
        assert_eq!(trailers.unwrap()["grpc-status"], "0");
        let (refused, ..) = asks(&mut sender, call("/private"), Some("ping")).await;
        assert_eq!(refused.headers()["grpc-status"], "16");
        let (plain, body, _) = asks(&mut sender, get("/open/greet"), None).await;
        assert_eq!((plain.status().as_u16(), body.as_str()), (200, ""));
    });
}

/// An application that says back in HTTP/2 what it hears, and in trailers that all went well.
fn speaks_http2() -> SocketAddr {
    answers_in_http2(|request, mut respond| async move {
        let mut body = request.into_body();
        let mut heard = Vec::new();
        while let Some(Ok(part)) = body.data().await {
            heard.extend_from_slice(&part);
        }
        let mut sending = respond.send_response(http::Response::new(()), false).unwrap();
        sending.send_data(Bytes::from(heard), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        sending.send_trailers(trailers).unwrap();
    })
}

/// An application that speaks HTTP/2 without TLS, and does this with each request.
pub(crate) fn answers_in_http2<A: Future<Output = ()> + Send + 'static>(
    answer: impl Fn(http::Request<h2::RecvStream>, h2::server::SendResponse<Bytes>) -> A
    + Clone
    + Send
    + 'static,
) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    socket.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        runs(async {
            let socket = tokio::net::TcpListener::from_std(socket).unwrap();
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(answer(request, respond));
                    }
                });
            }
        });
    });
    address
}

/// An application that signs in connections: after an `Authorization` of NTLM, everything on that
/// connection comes from that person.
fn signs_in_connections() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            std::thread::spawn(move || {
                let who = std::cell::RefCell::new(None::<String>);
                serve(stream.unwrap(), 0, &|_, head| {
                    let lower = head.to_lowercase();
                    if let Some((_, token)) = lower.split_once("authorization: ntlm ") {
                        *who.borrow_mut() =
                            Some(token.split("\r\n").next().unwrap_or_default().to_owned());
                    }
                    match &*who.borrow() {
                        Some(who) => says("200 OK", "", who),
                        None => says("401 No", "WWW-Authenticate: NTLM\r\n", "who?"),
                    }
                });
            });
        }
    });
    address
}

#[test]
fn a_connection_that_was_signed_in_serves_nobody_else() {
    let address = signs_in_connections();
    let instance = before(|_| format!("    upstream: http://{address}"));
    let ask = |wire: &mut Wire, more: &str| {
        wire.asks(format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\n{more}\r\n"))
    };
    let (mut ada, mut eve) = (Wire::to(instance.address), Wire::to(instance.address));
    assert_eq!(ask(&mut ada, "").status, 401);
    assert_eq!(ask(&mut ada, "Authorization: NTLM ada\r\n").body, "ada");
    // What was signed in stays so, for this visitor.
    assert_eq!(ask(&mut ada, "").body, "ada");
    for _ in 0..10 {
        assert_eq!(ask(&mut eve, "").status, 401);
        assert_eq!(
            Wire::to(instance.address)
                .asks(format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\n\r\n"))
                .status,
            401
        );
    }
    assert_eq!(ask(&mut eve, "Authorization: nTLM eve\r\n").body, "eve");
    assert_eq!(ask(&mut ada, "").body, "ada");
}

#[test]
fn an_application_that_signs_in_a_shared_connection_is_not_answered_for() {
    let address = application(|_, _| says("200 OK", "Persistent-Auth: true\r\n", "secret"));
    let instance = before(|_| format!("    upstream: http://{address}"));
    let answer = ask(&instance, "/a");
    assert_eq!(answer.status, 502);
    assert!(!answer.body.contains("secret"));
}

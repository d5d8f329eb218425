//! What RFC 9113 asks of a server, frame by frame: one test for a section, with raw bytes under TLS.
//!
//! A connection error ends with GOAWAY or the end of the connection (§5.4.1), a stream error with
//! `RST_STREAM` or an answer of 4xx (§5.4.2, §8.1.1).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rstest::rstest;
use rustls::{ClientConnection, StreamOwned};

use super::applications::answers_in_http2;
use super::means::{HOST, believes, certificate, certificates, config, connects, connects_from};
use crate::support::instance::Instance;
use crate::support::upstream::Upstream;
use crate::support::wire::Wire;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The whole connection is over.
    Over,
    /// This stream is over.
    Reset,
    /// It was answered, with this status.
    Answered(u16),
}

pub(super) struct Frames {
    stream: StreamOwned<ClientConnection, TcpStream>,
    /// What came while an answer to a ping was waited for.
    kept: VecDeque<Frame>,
    /// What it talks to, where nobody else holds it: what was begun is served to its end.
    held: Option<(Upstream, Instance)>,
}

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Header fields as literals without indexing (RFC 7541 §6.2.2).
pub(super) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

fn request(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut all =
        vec![(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", path)];
    all.extend(more);
    fields(&all)
}

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("/open/a", &[]))
}

impl Frames {
    /// A connection on which both sides have said their settings.
    pub(super) fn to(instance: &Instance) -> Self {
        let mut frames = Self::silent(instance);
        frames.sends(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        frames.sends(&frame(SETTINGS, 0, 0, &[]));
        frames
    }

    fn silent(instance: &Instance) -> Self {
        let config = believes(&certificates(instance), &[b"h2"]);
        let stream = connects(instance.address, HOST, config).unwrap();
        Self { stream, kept: VecDeque::new(), held: None }
    }

    /// A connection from `address` whose streams have windows of this size.
    fn from(address: [u8; 4], instance: &Instance, window: u32) -> Self {
        let config = believes(&certificates(instance), &[b"h2"]);
        let stream = connects_from(address, instance.address, HOST, config).unwrap();
        let mut frames = Self { stream, kept: VecDeque::new(), held: None };
        frames.sends(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let [a, b, c, d] = window.to_be_bytes();
        frames.sends(&frame(SETTINGS, 0, 0, &[0, 4, a, b, c, d]));
        frames.sends(&frame(WINDOW_UPDATE, 0, 0, &0x7f00_0000_u32.to_be_bytes()));
        frames
    }

    /// What cannot be sent any more was not wanted any more.
    pub(super) fn sends(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    fn fills(&mut self, bytes: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(bytes) {
            Ok(()) => Some(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("neither an answer came nor an end")
            }
            Err(_) => None,
        }
    }

    /// The next frame; none at the end.
    fn next(&mut self) -> Option<Frame> {
        self.kept.pop_front().or_else(|| self.reads())
    }

    fn reads(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.fills(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.fills(&mut payload)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads until something of this kind has come.
    pub(super) fn until(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next()?;
            if frame.kind == kind && !(kind == SETTINGS && frame.flags & ACK != 0) {
                return Some(frame);
            }
        }
    }

    /// The next frame of one of these kinds.
    pub(super) fn until_any(&mut self, kinds: &[u8]) -> Frame {
        loop {
            let frame = self.next().unwrap();
            if kinds.contains(&frame.kind) {
                return frame;
            }
        }
    }

    /// Whether the connection goes on: a ping behind what was sent is answered.
    pub(super) fn goes_on(&mut self) -> bool {
        self.sends(&frame(PING, 0, 0, b"outcome?"));
        loop {
            let Some(frame) = self.reads() else { return false };
            match frame.kind {
                GOAWAY if frame.payload[4..8] != [0; 4] => return false,
                PING if frame.flags & ACK != 0 => return true,
                _ => self.kept.push_back(frame),
            }
        }
    }

    /// Whether a frame of this kind came while an answer to a ping was waited for.
    pub(super) fn has_kept(&self, kind: u8) -> bool {
        self.kept.iter().any(|frame| frame.kind == kind)
    }

    /// Whether the connection goes on until `done`.
    fn goes_on_until(&mut self, done: impl Fn() -> bool) -> bool {
        while !done() {
            if !self.goes_on() {
                return false;
            }
        }
        true
    }

    /// What becomes of stream 1.
    pub(super) fn fate(&mut self) -> Fate {
        loop {
            let Some(frame) = self.next() else { return Fate::Over };
            match (frame.kind, frame.stream) {
                (GOAWAY, _) if frame.payload[4..8] != [0; 4] => return Fate::Over,
                (RST_STREAM, 1) => return Fate::Reset,
                (HEADERS, 1) => return Fate::Answered(status(&frame.payload)),
                _ => {}
            }
        }
    }
}

/// The `:status` at the beginning of a header block (RFC 7541 appendix A); 0 where it is coded in
/// another way.
fn status(block: &[u8]) -> u16 {
    match block {
        [0x88, ..] => 200,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        [0x48 | 0x08, length, text @ ..] if length & 0x80 == 0 => {
            let text = text.get(..3).and_then(|text| std::str::from_utf8(text).ok());
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        }
        _ => 0,
    }
}

fn after(sent: &[u8]) -> Frames {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let mut frames = Frames::to(&instance);
    frames.sends(sent);
    frames.held = Some((upstream, instance));
    frames
}

/// Whether something was refused: 2xx would mean that it went through.
fn refuses(fate: &Fate) -> bool {
    !matches!(fate, Fate::Answered(200..300))
}

fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn section_3_4_a_connection_begins_with_the_preface() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let mut frames = Frames::silent(&instance);
    frames.sends(b"GET / HTTP/1.1\r\nHost: crm.example.com\r\n\r\n");
    while frames.next().is_some() {}
    let mut frames = Frames::to(&instance);
    assert_eq!(frames.next().unwrap().kind, SETTINGS);
}

#[test]
fn section_6_5_3_settings_are_acknowledged() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let mut frames = Frames::to(&instance);
    loop {
        let frame = frames.next().unwrap();
        if frame.kind == SETTINGS && frame.flags & ACK != 0 {
            break;
        }
    }
}

#[test]
fn section_6_7_pings_are_answered_with_what_they_carry() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let mut frames = Frames::to(&instance);
    frames.sends(&frame(PING, 0, 0, b"12345678"));
    let pong = frames.until(PING).unwrap();
    assert_eq!((pong.flags & ACK, &pong.payload[..]), (ACK, &b"12345678"[..]));
}

#[test]
fn section_8_1_a_request_is_answered() {
    assert_eq!(after(&get(1)).fate(), Fate::Answered(200));
}

#[test]
fn section_5_5_frames_that_nobody_knows_are_passed_over() {
    let sent = joined(&[frame(0x42, 0xff, 0, b"?"), get(1)]);
    assert_eq!(after(&sent).fate(), Fate::Answered(200));
}

#[test]
fn section_6_1_padding_is_no_part_of_the_body() {
    let head = fields(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", HOST),
        (":path", "/open/a"),
        ("content-length", "2"),
    ]);
    let sent = joined(&[
        frame(HEADERS, END_HEADERS, 1, &head),
        frame(DATA, END_STREAM | PADDED, 1, b"\x03hi\0\0\0"),
    ]);
    assert_eq!(after(&sent).fate(), Fate::Answered(200));
}

#[test]
fn section_5_1_2_no_more_streams_are_open_than_we_say() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "limits: { streams: 4 }");
    let mut frames = Frames::to(&instance);
    let settings = frames.until(SETTINGS).unwrap().payload;
    let said = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).unwrap();
    assert_eq!(said[2..], [0, 0, 0, 4]);
    for stream in [1, 3, 5, 7, 9] {
        frames.sends(&frame(HEADERS, END_HEADERS, stream, &request("/open/a", &[])));
    }
    let refused = frames.until(RST_STREAM).unwrap();
    // REFUSED_STREAM (§8.7): nothing was done with it.
    assert_eq!((refused.stream, &refused.payload[..]), (9, &[0, 0, 0, 7][..]));
    assert!(frames.goes_on());
}

#[test]
fn section_6_9_what_a_visitor_has_no_room_for_is_not_sent() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let mut frames = Frames::silent(&instance);
    frames.sends(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    // A window of one byte (§6.9.2), which grows by another (§6.9.1).
    frames.sends(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]));
    frames.sends(&get(1));
    assert_eq!(frames.until(DATA).unwrap().payload.len(), 1);
    assert!(frames.goes_on());
    frames.sends(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]));
    assert_eq!(frames.until(DATA).unwrap().payload.len(), 1);
}

#[test]
fn section_6_9_2_a_window_that_became_negative_is_waited_for() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let mut frames = Frames::silent(&instance);
    frames.sends(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frames.sends(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 3]));
    frames.sends(&get(1));
    assert_eq!(frames.until(DATA).unwrap().payload.len(), 3);
    frames.sends(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 2]));
    // It is at minus one: two more make it one.
    frames.sends(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 2]));
    assert_eq!(frames.until(DATA).unwrap().payload.len(), 1);
}

/// Streams that take nothing hold no more of our pages than an address has room for. The others hear
/// that they should come later, in a head, which needs no window.
#[test]
fn section_6_9_streams_that_take_nothing_cost_no_pages() {
    let upstream = Upstream::start();
    let more = "limits: { requests_per_address: 16 }\ndeadlines: { queue: 1s }";
    let instance = super::means::instance(&upstream, more);
    let mut frames = Frames::silent(&instance);
    frames.sends(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frames.sends(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let page = request("/.doorward/sign-in", &[("accept", "text/html")]);
    for number in 0..60 {
        frames.sends(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &page));
    }
    let mut refused = 0;
    while refused < 44 {
        let head = frames.until(HEADERS).unwrap();
        refused += u32::from(head.flags & END_STREAM != 0);
    }
    assert!(frames.goes_on());
}

/// The same in bytes, whoever asks: a page is not made before there is room for it.
#[test]
fn section_6_9_pages_that_nobody_takes_are_so_many_in_all() {
    let upstream = Upstream::start();
    let more = "limits: { unsent_mib: 1 }\ndeadlines: { queue: 1s }\ntrusted_proxies: [127.0.0.1]";
    let instance = super::means::instance(&upstream, more);
    let mut frames = Frames::silent(&instance);
    frames.sends(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frames.sends(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let page = request("/.doorward/sign-in", &[("accept", "text/html")]);
    for number in 0..40 {
        frames.sends(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &page));
    }
    let mut refused = 0;
    while refused < 24 {
        let head = frames.until(HEADERS).unwrap();
        refused += u32::from(head.flags & END_STREAM != 0);
    }
    assert!(frames.goes_on());
}

/// Where too much waits on one connection, streams end of which nothing is taken.
#[test]
fn section_6_9_answers_of_an_application_that_nobody_takes_are_not_kept() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "limits: { unsent_mib_per_connection: 1 }");
    let mut frames = Frames::silent(&instance);
    frames.sends(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frames.sends(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let large = request("/open/large", &[]);
    for number in 0..16 {
        frames.sends(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &large));
    }
    frames.until(RST_STREAM).unwrap();
    assert!(frames.goes_on());
}

/// Where much waits in all, an address that takes nothing gets no more. Others are served as before.
#[test]
fn section_6_9_an_address_that_takes_nothing_does_not_keep_out_others() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "limits: { unsent_mib: 8 }");
    let large = request("/open/large", &[]);
    let ask = |frames: &mut Frames, stream| {
        frames.sends(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &large));
        frames.until(HEADERS).unwrap().flags & END_STREAM == 0
    };
    let mut flood = Frames::from([127, 6, 0, 1], &instance, 0);
    let served = (0..100).take_while(|number| ask(&mut flood, 2 * number + 1)).count();
    assert!((4..100).contains(&served), "{served} of a hundred large answers");
    let refused = "doorward_limit_rejections_total{limit=\"limits.unsent_mib\"} 1\n";
    assert!(told(&instance).contains(refused), "{}", told(&instance));

    let mut visitor = Frames::from([127, 0, 0, 1], &instance, 16 << 20);
    assert!(ask(&mut visitor, 1));
    while visitor.until(DATA).unwrap().flags & END_STREAM == 0 {}
}

/// An answer that began to come before there was too much is not passed on.
#[test]
fn section_6_9_a_large_answer_for_which_there_is_no_room_is_refused() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "limits: { unsent_mib: 8 }");
    let mut flood = Frames::from([127, 6, 0, 1], &instance, 0);
    let large = request("/open/large", &[]);
    let asks =
        (0..100).map(|number| frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &large));
    flood.sends(&joined(&asks.collect::<Vec<_>>()));
    let heads = (0..100).map(|_| flood.until(HEADERS).unwrap());
    let refused = heads.filter(|head| head.flags & END_STREAM != 0).count();
    assert!(refused > 40, "{refused} of a hundred, all asked before any was answered");
}

/// An application that speaks HTTP/2 has one connection for many visitors.
#[test]
fn section_6_9_a_visitor_who_takes_nothing_does_not_hold_up_others_at_the_application() {
    let sent = Arc::<AtomicUsize>::default();
    let counts = Arc::clone(&sent);
    let application = answers_in_http2(move |request, mut respond| {
        let sent = Arc::clone(&counts);
        async move {
            let mut sending = respond.send_response(http::Response::new(()), false).unwrap();
            let mut left = if request.uri().path() == "/open/large" { 32 << 20 } else { 2 };
            while left > 0 {
                sending.reserve_capacity(left.min(16 * 1024));
                let capacity = poll_fn(|context| sending.poll_capacity(context)).await;
                let Some(Ok(length)) = capacity else { return };
                left -= length.min(left);
                sending.send_data(vec![b'a'; length].into(), left == 0).unwrap();
                sent.fetch_add(length, Ordering::SeqCst);
            }
        }
    });
    let upstream = Upstream::start();
    let instance = Instance::with(|folder| {
        certificate(folder, "all", &[HOST, "id.example.com"]);
        certificate(folder, "wiki", &["wiki.example.com"]);
        config(upstream.address, folder, "").replacen(
            &format!("    upstream: http://{}\n", upstream.address),
            &format!("    upstream: http://{application}\n    upstream_http2: true\n"),
            1,
        )
    });
    let mut idle = Frames::from([127, 6, 0, 1], &instance, 0);
    let large = request("/open/large", &[]);
    idle.sends(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &large));
    idle.until(HEADERS).unwrap();
    let mut visitor = Frames::from([127, 0, 0, 1], &instance, 65_535);
    let (mut before, mut still) = (0, 0);
    let mut streams = (1..).step_by(2);
    // Nothing more comes of the large answer, and others come.
    while still < 100 {
        let stream = streams.next().unwrap();
        visitor.sends(&get(stream));
        while visitor.until(DATA).unwrap().flags & END_STREAM == 0 {}
        let now = sent.load(Ordering::SeqCst);
        still = if now == before + 2 { still + 1 } else { 0 };
        before = now;
    }
    assert!(before < 2 << 20, "{before} bytes for one who takes nothing");
}

/// What the library beneath holds for a visitor who reads nothing goes with the connection.
#[test]
fn section_6_9_a_connection_that_is_not_read_is_not_kept_where_too_much_waits() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "limits: { unsent_mib_per_connection: 1 }");
    let mut frames = Frames::silent(&instance);
    frames.sends(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frames.sends(&frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]));
    frames.sends(&frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]));
    let large = request("/open/large", &[]);
    for number in 0..80 {
        frames.sends(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &large));
    }
    let shed = "doorward_limit_rejections_total{limit=\"limits.unsent_mib_per_connection\"} ";
    // What has not happened yet is told, too, as 0.
    let has_shed = |metrics: &str| {
        let number = metrics.lines().find_map(|line| line.strip_prefix(shed));
        number.is_some_and(|number| number != "0")
    };
    while !has_shed(&told(&instance)) {
        std::thread::yield_now();
    }
    while frames.next().is_some() {}
}

/// What operators are told.
fn told(instance: &Instance) -> String {
    let ask = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    Wire::to(instance.operators).asks(ask).body
}

#[test]
fn section_6_8_whoever_says_goodbye_is_answered_what_they_asked() {
    let sent = joined(&[get(1), frame(GOAWAY, 0, 0, &[0; 8])]);
    assert_eq!(after(&sent).fate(), Fate::Answered(200));
}

#[test]
fn section_5_1_window_updates_and_resets_of_what_is_over_are_passed_over() {
    let mut frames = after(&get(1));
    assert_eq!(frames.fate(), Fate::Answered(200));
    frames.sends(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]));
    frames.sends(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    frames.sends(&frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]));
    assert!(frames.goes_on());
}

#[test]
fn section_8_1_trailers_end_a_request() {
    let head = request("/open/a", &[]);
    let sent = joined(&[
        frame(HEADERS, END_HEADERS, 1, &head),
        frame(DATA, 0, 1, b"hi"),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&[("x-sum", "1")])),
    ]);
    assert_eq!(after(&sent).fate(), Fate::Answered(200));
}

/// They should be refused; they are not read at all.
#[test]
fn section_8_1_pseudo_headers_in_trailers_change_nothing() {
    let sent = joined(&[
        frame(HEADERS, END_HEADERS, 1, &request("/open/a", &[])),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&[(":path", "/private/")])),
    ]);
    let mut frames = after(&sent);
    assert_eq!(frames.fate(), Fate::Answered(200));
    let body = String::from_utf8(frames.until(DATA).unwrap().payload).unwrap();
    assert!(body.contains("/open/a") && !body.contains("/private/"), "{body}");
}

#[rstest]
#[case::section_6_3_a_priority_of_the_wrong_length(joined(&[
    frame(HEADERS, END_HEADERS, 1, &request("/held", &[])),
    frame(PRIORITY, 0, 1, &[0, 0, 0, 0]),
]))]
#[case::section_5_1_data_after_the_end(joined(&[
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/held", &[])),
    frame(DATA, END_STREAM, 1, b"x"),
]))]
#[case::section_5_1_headers_after_the_end(joined(&[
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/held", &[])),
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/held", &[])),
]))]
#[case::section_6_9_a_stream_whose_window_does_not_grow(joined(&[
    frame(HEADERS, END_HEADERS, 1, &request("/held", &[])),
    frame(WINDOW_UPDATE, 0, 1, &[0; 4]),
]))]
#[case::section_6_9_1_a_stream_whose_window_overflows(joined(&[
    frame(HEADERS, END_HEADERS, 1, &request("/held", &[])),
    frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff]),
]))]
#[case::section_8_1_trailers_that_do_not_end_it(joined(&[
    frame(HEADERS, END_HEADERS, 1, &request("/held", &[])),
    frame(HEADERS, END_HEADERS, 1, &fields(&[("x-sum", "1")])),
]))]
fn what_breaks_a_stream_ends_it(#[case] sent: Vec<u8>) {
    let fate = after(&sent).fate();
    assert!(refuses(&fate), "{fate:?}");
}

#[rstest]
#[case::section_4_2_a_frame_longer_than_allowed(frame(DATA, 0, 1, &vec![0; 16_385]))]
#[case::section_4_3_a_header_block_that_cannot_be_read(frame(HEADERS, END_HEADERS, 1, &[0xff; 8]))]
#[case::section_5_1_data_on_a_stream_that_is_idle(frame(DATA, 0, 1, b"x"))]
#[case::section_5_1_reset_of_a_stream_that_is_idle(frame(RST_STREAM, 0, 1, &[0; 4]))]
#[case::section_5_1_window_of_a_stream_that_is_idle(frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]))]
#[case::section_5_1_continuation_of_nothing(frame(CONTINUATION, END_HEADERS, 1, &request("/", &[])))]
#[case::section_5_1_1_a_stream_with_an_even_number(get(2))]
#[case::section_5_1_1_a_stream_that_goes_back(joined(&[get(5), get(3)]))]
#[case::section_6_1_data_on_no_stream(frame(DATA, 0, 0, b"x"))]
#[case::section_6_1_padding_longer_than_the_frame(joined(&[
    frame(HEADERS, END_HEADERS, 1, &request("/open/a", &[])),
    frame(DATA, PADDED, 1, &[9, 0]),
]))]
#[case::section_6_2_headers_on_no_stream(frame(HEADERS, END_HEADERS, 0, &request("/", &[])))]
#[case::section_6_2_something_between_headers_and_continuation(joined(&[
    frame(HEADERS, 0, 1, &request("/", &[])),
    frame(PING, 0, 0, &[0; 8]),
]))]
#[case::section_6_2_padding_longer_than_the_frame(frame(HEADERS, END_HEADERS | PADDED, 1, &[9, 0]))]
#[case::section_6_3_a_priority_of_no_stream(frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 16]))]
#[case::section_6_4_a_reset_of_no_stream(frame(RST_STREAM, 0, 0, &[0; 4]))]
#[case::section_6_4_a_reset_of_the_wrong_length(joined(&[get(1), frame(RST_STREAM, 0, 1, &[0; 3])]))]
#[case::section_6_5_settings_on_a_stream(frame(SETTINGS, 0, 1, &[]))]
#[case::section_6_5_settings_of_the_wrong_length(frame(SETTINGS, 0, 0, &[0; 5]))]
#[case::section_6_5_an_acknowledgement_that_says_something(frame(SETTINGS, ACK, 0, &[0; 6]))]
#[case::section_6_5_2_a_window_larger_than_any(frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]))]
#[case::section_6_5_2_frames_smaller_than_any(frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]))]
#[case::section_6_5_2_push_neither_on_nor_off(frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]))]
#[case::section_6_6_a_promise_from_a_visitor(frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]))]
#[case::section_6_7_a_ping_on_a_stream(frame(PING, 0, 1, &[0; 8]))]
#[case::section_6_7_a_ping_of_the_wrong_length(frame(PING, 0, 0, &[0; 6]))]
#[case::section_6_8_goaway_on_a_stream(frame(GOAWAY, 0, 1, &[0; 8]))]
#[case::section_6_9_a_window_that_does_not_grow(frame(WINDOW_UPDATE, 0, 0, &[0; 4]))]
#[case::section_6_9_a_window_of_the_wrong_length(frame(WINDOW_UPDATE, 0, 0, &[0; 3]))]
#[case::section_6_9_1_a_window_that_overflows(joined(&[
    frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
    frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
]))]
#[case::section_6_10_continuation_after_the_end_of_the_head(joined(&[
    get(1),
    frame(CONTINUATION, END_HEADERS, 1, &fields(&[("x-a", "a")])),
]))]
#[case::section_6_10_continuation_of_no_stream(joined(&[
    frame(HEADERS, END_STREAM, 1, &request("/", &[])),
    frame(CONTINUATION, END_HEADERS, 0, &[]),
]))]
#[case::section_6_10_continuation_of_another_stream(joined(&[
    frame(HEADERS, END_STREAM, 1, &request("/", &[])),
    frame(CONTINUATION, END_HEADERS, 3, &[]),
]))]
fn what_breaks_the_connection_ends_it(#[case] sent: Vec<u8>) {
    assert!(!after(&sent).goes_on());
}

#[rstest]
#[case::section_8_1_1_content_length_that_is_not_kept("POST", &[("content-length", "9")], Some(&b"hi"[..]))]
#[case::section_8_2_1_upper_case_in_a_name("GET", &[("X-Upper", "a")], None)]
#[case::section_8_2_1_a_line_break_in_a_value("GET", &[("x-a", "a\r\nb")], None)]
#[case::section_8_2_2_connection("GET", &[("connection", "close")], None)]
#[case::section_8_2_2_keep_alive("GET", &[("keep-alive", "1")], None)]
#[case::section_8_2_2_proxy_connection("GET", &[("proxy-connection", "close")], None)]
#[case::section_8_2_2_transfer_encoding("POST", &[("transfer-encoding", "chunked")], Some(&b"hi"[..]))]
#[case::section_8_2_2_upgrade("GET", &[("upgrade", "websocket")], None)]
#[case::section_8_2_2_te("GET", &[("te", "gzip")], None)]
#[case::section_8_3_a_pseudo_header_that_nobody_knows("GET", &[(":wombat", "a")], None)]
#[case::section_8_3_a_pseudo_header_of_answers("GET", &[(":status", "200")], None)]
#[case::section_8_3_a_pseudo_header_after_others("GET", &[("x-a", "a"), (":path", "/open/b")], None)]
#[case::section_8_3_1_a_second_path("GET", &[(":path", "/open/b")], None)]
#[case::section_8_3_1_a_second_method("GET", &[(":method", "POST")], None)]
#[case::section_8_5_connect("CONNECT", &[], None)]
fn a_malformed_request_does_not_go_through(
    #[case] method: &str,
    #[case] more: &[(&str, &str)],
    #[case] body: Option<&[u8]>,
) {
    let mut all =
        vec![(":method", method), (":scheme", "https"), (":authority", HOST), (":path", "/open/a")];
    all.extend(more);
    let end = if body.is_some() { 0 } else { END_STREAM };
    let mut sent = frame(HEADERS, END_HEADERS | end, 1, &fields(&all));
    if let Some(body) = body {
        sent.extend(frame(DATA, END_STREAM, 1, body));
    }
    let fate = after(&sent).fate();
    assert!(refuses(&fate), "{fate:?}");
}

#[rstest]
#[case::no_method(&[(":scheme", "https"), (":authority", HOST), (":path", "/open/a")])]
#[case::no_scheme(&[(":method", "GET"), (":authority", HOST), (":path", "/open/a")])]
#[case::no_path(&[(":method", "GET"), (":scheme", "https"), (":authority", HOST)])]
#[case::an_empty_path(&[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "")])]
#[case::a_star(&[(":method", "OPTIONS"), (":scheme", "https"), (":authority", HOST), (":path", "*")])]
#[case::no_host(&[(":method", "GET"), (":scheme", "https"), (":path", "/open/a")])]
#[case::a_user(&[(":method", "GET"), (":scheme", "https"), (":authority", "me@crm.example.com"), (":path", "/open/a")])]
#[case::a_line_break_in_the_path(&[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/open/a HTTP/1.1\r\nx: y")])]
fn section_8_3_1_a_request_without_what_it_needs_does_not_go_through(
    #[case] sent: &[(&str, &str)],
) {
    let fate = after(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(sent))).fate();
    assert!(refuses(&fate), "{fate:?}");
}

#[test]
fn section_10_5_1_a_head_without_end_is_not_collected() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let mut frames = Frames::to(&instance);
    frames.sends(&frame(HEADERS, END_STREAM, 1, &request("/open/a", &[])));
    let more = frame(CONTINUATION, 0, 1, &fields(&[("x-a", &"a".repeat(100))]).repeat(100));
    for _ in 0..1_000 {
        frames.sends(&more);
    }
    while let Some(frame) = frames.next() {
        assert_ne!((frame.kind, frame.stream), (HEADERS, 1), "ten megabytes of headers were read");
    }
}

/// CVE-2023-44487: each request is on its way to the application before it is given up, so that no
/// limit of the library beneath counts it.
#[test]
fn section_10_5_whoever_gives_up_what_is_under_way_again_and_again_is_sent_away() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "limits: { stream_resets: 10 }");
    let mut frames = Frames::to(&instance);
    let mut given_up = 0_u32;
    let ended = loop {
        assert!(given_up < 500, "they may go on for ever");
        let stream = 2 * given_up + 1;
        frames.sends(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("/held", &[])));
        if !frames.goes_on_until(|| upstream.was_reached()) {
            break frames;
        }
        frames.sends(&frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
        given_up += 1;
    };
    assert!(given_up > 10, "as many as one may have: {given_up}");
    drop(ended);
    // Others are not concerned, and nor is whoever comes again.
    let mut next = Frames::to(&instance);
    next.sends(&get(1));
    assert_eq!(next.fate(), Fate::Answered(200));
}

/// gRPC over HTTP/2, "Trailers-Only": callers do not understand a refusal behind which an empty frame
/// comes. The same holds for every answer that has no body (§8.1).
#[test]
fn section_8_1_a_refusal_in_the_words_of_grpc_is_a_head_and_nothing_else() {
    let call = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", HOST),
        (":path", "/private.Service/Call"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let mut frames = after(&joined(&[
        frame(HEADERS, END_HEADERS, 1, &fields(&call)),
        frame(DATA, END_STREAM, 1, &[0; 5]),
    ]));
    let head = frames.until(HEADERS).unwrap();
    assert_eq!((status(&head.payload), head.flags & END_STREAM), (200, END_STREAM));
    assert!(frames.goes_on());
}

/// Not one of the RFC's: nobody keeps a connection for ever on which nothing is asked.
#[test]
fn an_idle_connection_is_closed_whatever_it_says_of_itself() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "deadlines: { idle: 1s }");
    let mut frames = Frames::to(&instance);
    frames.sends(&get(1));
    assert_eq!(frames.fate(), Fate::Answered(200));
    while frames.goes_on() {}
    // Half a head is no request either.
    let mut frames = Frames::to(&instance);
    frames.sends(&frame(HEADERS, END_STREAM, 1, &request("/open/a", &[])));
    while frames.next().is_some() {}
}

//! What a request costs, in allocations, and what rules cost, in bytes: numbers that do not depend
//! on the machine.
//!
//! A change that makes it larger has to say so here. `cargo bench --bench load` has the times.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

#[allow(dead_code, reason = "the suite uses the rest")]
mod support {
    pub(crate) mod instance;
    pub(crate) mod window;
    pub(crate) mod wire;
}

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::support::instance::{HOST, Instance, PASSWORD};
use doorward::config::Config;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// All that is allocated is counted, whoever does it: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// What is measured must be the gateway's alone: nothing is allocated here for a request.
fn application() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut read = [0; 8192];
                while let Ok(1..) = stream.read(&mut read) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\
                                   Content-Length: 2\r\n\r\nok";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Asks so often, on one connection.
fn asks(stream: &mut TcpStream, request: &[u8], times: u64) {
    let mut read = [0; 8192];
    for _ in 0..times {
        stream.write_all(request).unwrap();
        let mut length = 0;
        while !read[..length].ends_with(b"\r\n\r\nok") {
            let came = stream.read(&mut read[length..]).unwrap();
            assert!(came > 0 && read.starts_with(b"HTTP/1.1 200"), "{}", shown(&read[..length]));
            length += came;
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_signed_in_request_allocates_no_more_than_it_did() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (blocks, bytes) = costs(&Instance::before(application()));
    println!("{blocks} allocations and {bytes} bytes for each request");
    assert!(blocks <= BLOCKS, "{blocks} allocations for a request, where {BLOCKS} were enough");
    assert!(bytes <= BYTES, "{bytes} bytes for a request, where {BYTES} were enough");
}

/// The record of the request, and its method and path, are two.
#[test]
fn a_line_of_the_access_log_costs_two_small_allocations() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let log = "access_log: { to: ./access.log }\n";
    let (blocks, bytes) = costs(&Instance::with_more(application(), log));
    println!("{blocks} allocations and {bytes} bytes for each request with the access log");
    assert!(blocks <= BLOCKS + 2, "{blocks} allocations for a request with its line");
    assert!(bytes <= BYTES + 500, "{bytes} bytes for a request with its line");
}

/// The allocations and bytes of a signed-in request to `instance`.
fn costs(instance: &Instance) -> (u64, u64) {
    let mut window = instance.window();
    let link = instance.adds("ada");
    window.visits(&link).posts(&[("password", PASSWORD)]);
    window.visits("/strict/report");
    if window.at.starts_with("/.doorward/sign-in") {
        window.posts(&[("username", "ada"), ("password", PASSWORD)]);
    }
    let secret = window.secret();
    window.posts(&[("code", &instance.code(&secret))]).posts(&[("saved", "yes")]);
    let cookies: Vec<_> =
        window.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = format!(
        "GET /strict/report?page=2 HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: browser\r\n\
         Accept: text/html\r\nAccept-Language: en\r\nCookie: theme=dark; {}\r\n\r\n",
        cookies.join("; ")
    );
    let mut stream = TcpStream::connect(instance.address).unwrap();
    asks(&mut stream, request.as_bytes(), 200);

    let profiler = dhat::Profiler::builder().testing().build();
    asks(&mut stream, request.as_bytes(), TIMES);
    let stats = dhat::HeapStats::get();
    drop(profiler);
    (stats.total_blocks / TIMES, stats.total_bytes / TIMES)
}

/// A rule of each kind, and what it may take in bytes: while the file is read, and from then on.
#[test]
fn a_rule_takes_no_more_memory_than_it_did() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, rule, reading, kept) in KINDS {
        let rules: Vec<_> = (0..RULES).map(|n| format!("\n      - {{ {} }}", rule(n))).collect();
        let rules = rules.concat();
        let text = format!(
            "listen: [{{ address: '127.0.0.1:8080' }}]\nstate: ./state\napps:\n  - name: crm\n    \
             hosts: ['http://crm.localhost:8080']\n    upstream: http://127.0.0.1:9\n    rules:{rules}"
        );
        // What another thread still frees or keeps, such as one of a gateway that ends, only adds.
        let costs: Vec<_> = (0..3).map(|_| to_read(&text)).collect();
        let least = |of: fn(&(usize, usize)) -> usize| costs.iter().map(of).min().unwrap() / RULES;
        let (most, now) = (least(|cost| cost.0), least(|cost| cost.1));
        println!("{name}: {most} bytes while a rule is read, {now} from then on");
        assert!(most <= reading, "{name}: {most} bytes to read a rule, {reading} were enough");
        assert!(now <= kept, "{name}: {now} bytes to keep a rule, {kept} were enough");
    }
}

/// How many bytes it takes to read a configuration at most, and to keep it.
fn to_read(text: &str) -> (usize, usize) {
    let profiler = dhat::Profiler::builder().testing().trim_backtraces(Some(1)).build();
    let config = Config::read("doorward.yaml", text);
    let stats = dhat::HeapStats::get();
    drop(profiler);
    config.unwrap_or_else(|problems| panic!("{problems}"));
    (stats.max_bytes, stats.curr_bytes)
}

/// A configuration in which letter case counts and some rules are only watched has its rules laid
/// out four times.
fn mixed(n: usize) -> String {
    let place = format!("/Place-{n}/");
    match n % 4 {
        0 => format!("paths: [{place}], require: sign-in, enforce: false"),
        1 => format!("paths: [{place}], methods: [POST], require: second-factor"),
        2 => format!("paths: ['{place}*/edit', '/**/private-{n}/'], require: second-factor"),
        _ => format!("paths: [{place}], networks: [10.0.0.0/8], require: nothing"),
    }
}

const RULES: usize = 400;

/// By name, the rule with this number, and how many bytes it takes to read it and to keep it.
type Kind = (&'static str, fn(usize) -> String, usize, usize);

const KINDS: [Kind; 5] = [
    ("plain", |n| format!("paths: [/place-{n}/], require: sign-in"), 2_230, 510),
    ("long", |n| format!("paths: [/a/b-{n}/c/d/e/f/g/h/i/], require: sign-in"), 3_100, 1_150),
    (
        "groups",
        |n| format!("paths: [/place-{n}/], groups: [staff-{n}, admins], require: sign-in"),
        3_650,
        630,
    ),
    (
        "query",
        |n| format!("paths: [/place-{n}/], query: {{ do-{n}: [edit] }}, require: second-factor"),
        4_700,
        1_420,
    ),
    ("mixed", mixed, 3_480, 1_190),
];

/// Of these, 64 KiB are Pingora's buffer for the body of an answer, and 14 the future that serves a
/// request.
const BLOCKS: u64 = 96;
const BYTES: u64 = 117_000;

const TIMES: u64 = 2_000;

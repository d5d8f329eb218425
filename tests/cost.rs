//! What a request costs, in allocations: a number that does not depend on the machine.
//!
//! A change that makes it larger has to say so here. `cargo bench --bench load` has the times.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

#[path = "support/door.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod door;
#[path = "support/window.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod window;
#[path = "support/wire.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod wire;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use door::{Door, HOST, PASSWORD};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

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
    let door = Door::before(application());
    let mut window = door.window();
    let link = door.adds("ada");
    window.visits(&link).posts(&[("password", PASSWORD)]);
    window.visits("/strict/report");
    if window.at.starts_with("/.doorward/sign-in") {
        window.posts(&[("username", "ada"), ("password", PASSWORD)]);
    }
    let secret = window.secret();
    window.posts(&[("code", &door.code(&secret))]).posts(&[("saved", "yes")]);
    let cookies: Vec<_> =
        window.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = format!(
        "GET /strict/report?page=2 HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: browser\r\n\
         Accept: text/html\r\nAccept-Language: en\r\nCookie: theme=dark; {}\r\n\r\n",
        cookies.join("; ")
    );
    let mut stream = TcpStream::connect(door.address).unwrap();
    asks(&mut stream, request.as_bytes(), 200);

    let profiler = dhat::Profiler::builder().testing().build();
    asks(&mut stream, request.as_bytes(), TIMES);
    let stats = dhat::HeapStats::get();
    drop(profiler);
    let (blocks, bytes) = (stats.total_blocks / TIMES, stats.total_bytes / TIMES);
    println!("{blocks} allocations and {bytes} bytes for each request");
    assert!(blocks <= BLOCKS, "{blocks} allocations for a request, where {BLOCKS} were enough");
    assert!(bytes <= BYTES, "{bytes} bytes for a request, where {BYTES} were enough");
}

/// Of these, 64 KiB are Pingora's buffer for the body of an answer, and 14 the future that serves a
/// request.
const BLOCKS: u64 = 96;
const BYTES: u64 = 117_000;

const TIMES: u64 = 2_000;

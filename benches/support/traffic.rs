//! What several benches need: an application, and a question to a gateway with its answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use memchr::memmem;

/// An application that answers everything with a kilobyte.
pub(crate) fn application() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let body = "a".repeat(1024);
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n{body}");
                let mut read = [0; 8192];
                while let Ok(1..) = stream.read(&mut read) {
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Sends a request and reads its answer; its status.
pub(crate) fn ask(stream: &mut (impl Read + Write), request: &str) -> Option<u16> {
    status(&answer(stream, request)?)
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}

/// Sends a request and reads its answer, which has a length.
pub(crate) fn answer(stream: &mut (impl Read + Write), request: &str) -> Option<String> {
    stream.write_all(request.as_bytes()).ok()?;
    stream.flush().ok()?;
    let mut seen = Vec::new();
    let mut read = [0; 16_384];
    loop {
        let length = stream.read(&mut read).ok().filter(|length| *length > 0)?;
        seen.extend_from_slice(&read[..length]);
        let Some(end) = memmem::find(&seen, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
        let expected = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next()?.trim().parse::<usize>().ok());
        if seen.len() - end - 4 >= expected.unwrap_or(0) {
            return Some(String::from_utf8_lossy(&seen).into_owned());
        }
    }
}

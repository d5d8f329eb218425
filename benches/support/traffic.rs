//! What several benches need: an application, and a question to a gateway with its answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

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
pub(crate) fn ask(stream: &mut TcpStream, request: &str) -> Option<u16> {
    stream.write_all(request.as_bytes()).ok()?;
    let mut seen = Vec::new();
    let mut read = [0; 16_384];
    loop {
        let length = stream.read(&mut read).ok().filter(|length| *length > 0)?;
        seen.extend_from_slice(&read[..length]);
        let text = String::from_utf8_lossy(&seen);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_lowercase();
        let expected = lower
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next()?.trim().parse::<usize>().ok());
        if body.len() >= expected.unwrap_or(0) {
            return head.split(' ').nth(1)?.parse().ok();
        }
    }
}

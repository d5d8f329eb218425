//! The application behind everybody: as little as can answer.

use std::net::TcpListener;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::drive::{LARGE, SMALL};

/// Answers on `socket` for ever: `/large` with a mebibyte, everything else with a kibibyte.
pub(crate) fn serve(address: &str) {
    let socket = TcpListener::bind(address).unwrap();
    socket.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpListener::from_std(socket).unwrap();
        let (small, large) = (answer(SMALL), answer(LARGE));
        loop {
            let (mut stream, _) = socket.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (small, large) = (small.clone(), large.clone());
            tokio::spawn(async move {
                let mut read = Vec::with_capacity(8 * 1024);
                loop {
                    match stream.read_buf(&mut read).await {
                        Ok(1..) => {}
                        _ => return,
                    }
                    if !read.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let is_large = read.starts_with(b"GET /large");
                    read.clear();
                    let answer = if is_large { &large } else { &small };
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}

fn answer(length: usize) -> bytes::Bytes {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: application\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         Content-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut answer = head.into_bytes();
    answer.resize(answer.len() + length, b'a');
    answer.into()
}

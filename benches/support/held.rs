//! An application that holds what it is asked, and counts who is connected to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// It answers `/open/a` and `/open/large` at once, begins an answer to `/signed-in/held` and does not
/// end it, answers `/signed-in/` with its path, reads no upload to `/open/unread`, and whatever else it
/// is asked it never answers.
pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    /// How many were connected at most.
    most: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl Application {
    pub(crate) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let socket = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = socket.local_addr().unwrap();
        let (connected, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counts = (Arc::clone(&connected), Arc::clone(&most));
        runtime.spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let (connected, most) = counts.clone();
                tokio::spawn(async move {
                    let now = connected.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    serves(stream).await;
                    connected.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, most, runtime: Some(runtime) }
    }

    /// How many were connected at most.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

async fn serves(mut stream: TcpStream) {
    let mut read = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut read).await {
        let asked = String::from_utf8_lossy(&read[..length]);
        if asked.starts_with("POST /open/unread ") {
            return closes(&stream).await;
        }
        let Some(path) = asked.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()) else {
            continue;
        };
        let (length, body) = match path {
            "/open/a" => (2, b"aa".to_vec()),
            "/open/large" => (1 << 20, vec![b'a'; 1 << 20]),
            "/signed-in/held" => (1 << 20, b"a".to_vec()),
            path if path.starts_with("/signed-in/") => (path.len(), path.as_bytes().to_vec()),
            _ => continue,
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        if stream.write_all(&[head.into_bytes(), body].concat()).await.is_err() {
            return;
        }
    }
}

/// Waits until the other side closes, and reads nothing.
async fn closes(stream: &TcpStream) {
    while stream.ready(Interest::READABLE).await.is_ok_and(|ready| !ready.is_read_closed()) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

//! An application that knows nothing of us: its one page shows the headers that it received.

use std::fmt::Write;
use std::net::SocketAddr;

use axum::Router;
use axum::response::Html;
use http::HeaderMap;

/// Starts it on a port of its own; it runs until the tests end.
pub(crate) fn start() -> SocketAddr {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    socket.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let socket = tokio::net::TcpListener::from_std(socket).unwrap();
            axum::serve(socket, Router::new().fallback(page)).await.unwrap();
        });
    });
    address
}

async fn page(headers: HeaderMap) -> Html<String> {
    let mut page = "<!doctype html><title>Orders</title><h1>Orders</h1><dl>".to_owned();
    for (name, value) in &headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        write!(page, "<dt>{name}</dt><dd id=\"{name}\">{value}</dd>").unwrap();
    }
    Html(page)
}

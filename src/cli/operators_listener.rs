//! The listener for operators: whether we live, whether we are ready, and metrics.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::task::JoinSet;

use super::disk;
use super::reload::Live;

/// Answers `/healthz`, `/readyz` and `/metrics` on `socket`. Returns its address.
pub(super) fn listen(
    background: &mut JoinSet<()>,
    socket: TcpListener,
    live: &Arc<Live>,
    ready: Arc<AtomicBool>,
) -> io::Result<SocketAddr> {
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    let socket = tokio::net::TcpListener::from_std(socket)?;
    let router = Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(readiness))
        .route("/metrics", get(numbers))
        .with_state((Arc::clone(live), ready));
    background.spawn(async move {
        if let Err(error) = axum::serve(socket, router).await {
            tracing::error!(%error, "operators listener failed");
        }
    });
    Ok(address)
}

/// Metrics for Prometheus.
async fn numbers(State((live, _)): State<(Arc<Live>, Arc<AtomicBool>)>) -> impl IntoResponse {
    live.measure();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], live.env().metrics.text())
}

/// Whether to send requests here: not during shutdown, and not while the store cannot be read or
/// written. Also reports low disk space.
async fn readiness(
    State((live, ready)): State<(Arc<Live>, Arc<AtomicBool>)>,
) -> (StatusCode, String) {
    let unready = |why: String| (StatusCode::SERVICE_UNAVAILABLE, why + "\n");
    if !ready.load(Ordering::Relaxed) {
        return unready("stopping".to_owned());
    }
    let env = live.env();
    let works = async {
        env.now()?;
        env.store.writable()?;
        env.store.probe().await
    };
    if let Err(why) = works.await {
        return unready(format!("{}\n{}", why.told(), why.kind().help()));
    }
    let short = disk::short_of_space(&live).map_or_else(String::new, |free| {
        format!("low disk space for the state folder: {} MiB free\n", free >> 20)
    });
    (StatusCode::OK, format!("ready\n{short}"))
}

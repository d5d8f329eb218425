//! How a command asks the running gateway: HTTP over its Unix socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::api::Refusal;
use super::failure::Failure;
use super::socket;

/// Asks the gateway whose state lies in `state` for the deed at `path`.
///
/// # Errors
/// Says for the operator that no gateway runs, or why the deed was not done.
pub(super) async fn ask<A: DeserializeOwned>(
    state: &Path,
    path: &str,
    question: &impl Serialize,
) -> Result<A, Failure> {
    let stream = UnixStream::connect(socket::path_in(state)).await;
    let stream = stream.map_err(|error| unreachable(state, &error))?;
    let asked = timeout(PATIENCE, exchange(stream, path, question)).await;
    let (status, body) =
        asked.map_err(|_| Failure::new("the gateway did not answer in time"))??;
    if status == StatusCode::OK {
        return serde_json::from_slice(&body).map_err(|_| foreign());
    }
    let refusal = serde_json::from_slice::<Refusal>(&body).map_err(|_| foreign())?;
    Err(Failure::new(refusal.problem))
}

async fn exchange(
    stream: UnixStream,
    path: &str,
    question: &impl Serialize,
) -> Result<(StatusCode, Bytes), Failure> {
    let broken =
        |error: hyper::Error| Failure::new("the gateway broke off its answer").because(error);
    let body = serde_json::to_vec(question)
        .map_err(|error| Failure::new("the question cannot be written down").because(error))?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, "doorward")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| Failure::new("the question cannot be asked").because(error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with the exchange; what is wrong with it, the exchange says.
    tokio::spawn(async move { connection.await.ok() });
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_AT_MOST).collect().await;
    let body = body.map_err(|error| Failure::new("the answer cannot be read").because(error))?;
    Ok((status, body.to_bytes()))
}

fn unreachable(state: &Path, error: &io::Error) -> Failure {
    let state = state.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            Failure::new(format!("no gateway is running with the state directory {state}"))
                .cure("start one with `doorward serve`, then run this command again")
        }
        io::ErrorKind::PermissionDenied => {
            Failure::new(format!("the state directory {state} belongs to another system user"))
                .cure("run this command as the user whom the gateway runs as, or as root")
        }
        _ => Failure::new(format!("cannot reach the gateway through {state}")).because(error),
    }
}

fn foreign() -> Failure {
    Failure::new("what answers at the socket is no gateway of this version")
        .cure("restart the gateway after an update")
}

/// Everything the gateway does for an operator is done by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// A list of a hundred thousand people fits.
const ANSWER_AT_MOST: usize = 64 * 1024 * 1024;

//! Whether an application is well: it is asked from time to time.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::place::{Place, Way};
use crate::config::Health;

/// Asks the application at `place` for as long as somebody holds it.
pub(super) fn keep_asking(place: &Arc<Place>, health: Health, host: Option<HeaderValue>) {
    let host = host.or_else(|| HeaderValue::from_str(&place.host()).ok());
    tokio::spawn(ask_again_and_again(Arc::downgrade(place), health, host));
}

async fn ask_again_and_again(place: Weak<Place>, health: Health, host: Option<HeaderValue>) {
    loop {
        {
            let Some(place) = place.upgrade() else { return };
            let said = match place.way_now() {
                Some(way) => ask(&way, &health.path, host.as_ref(), place.speaks_http2()).await,
                None => Err("nobody knows where it is".to_owned()),
            };
            place.says(said);
        }
        tokio::time::sleep(health.every).await;
    }
}

/// Asks once.
///
/// # Errors
/// Why it is not well, in words for the log.
async fn ask(way: &Way, path: &str, host: Option<&HeaderValue>, http2: bool) -> Result<(), String> {
    let asked = tokio::time::timeout(ANSWER_WITHIN, status(way, path, host, http2)).await;
    match asked {
        Ok(Ok(status)) if status < 400 => Ok(()),
        Ok(Ok(status)) => Err(format!("it answers {status}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it does not answer in time".to_owned()),
    }
}

async fn status(way: &Way, path: &str, host: Option<&HeaderValue>, http2: bool) -> io::Result<u16> {
    let stream = TokioIo::new(way.go().await?);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let uri = if http2 { format!("http://{host}{path}") } else { path.to_owned() };
    let mut request = Request::get(uri).header(USER_AGENT, "Doorward (health)");
    if !http2 {
        request = request.header(HOST, host);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
    let answer = if http2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
                .await
                .map_err(io::Error::other)?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(io::Error::other);
        connection.abort();
        answer?
    } else {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(io::Error::other)?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(io::Error::other);
        connection.abort();
        answer?
    };
    Ok(answer.status().as_u16())
}

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

//! Health checks: requests that show whether an application is healthy.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::dial::Dial;
use super::endpoint::Endpoint;
use super::fault;
use crate::config::Health;

/// Checks `endpoint` at intervals for as long as it is in use.
pub(super) fn keep_asking(endpoint: &Arc<Endpoint>, health: Health, host: Option<HeaderValue>) {
    let host = host.or_else(|| HeaderValue::from_str(&endpoint.host()).ok());
    tokio::spawn(ask_again_and_again(Arc::downgrade(endpoint), health, host));
}

async fn ask_again_and_again(endpoint: Weak<Endpoint>, health: Health, host: Option<HeaderValue>) {
    loop {
        {
            let Some(endpoint) = endpoint.upgrade() else { return };
            let said = match endpoint.dial_now() {
                Some(dial) => {
                    ask(&dial, &health.path, host.as_ref(), endpoint.speaks_http2()).await
                }
                None => Err("its name was not resolved yet".to_owned()),
            };
            endpoint.says(said);
        }
        tokio::time::sleep(health.every).await;
    }
}

/// The status of the answer to a request for the health path or `/`.
///
/// # Errors
/// Why there is no answer, in words for the operator.
pub(super) async fn ask_once(
    endpoint: &Endpoint,
    health: Option<&Health>,
    host: Option<&HeaderValue>,
) -> Result<u16, String> {
    let dial = endpoint.dial_now().ok_or("its name was not resolved yet")?;
    let own = HeaderValue::from_str(&endpoint.host()).ok();
    let path = health.map_or("/", |health| &health.path);
    answer(&dial, path, host.or(own.as_ref()), endpoint.speaks_http2()).await
}

/// Checks once.
///
/// # Errors
/// Why it is not healthy, in words for the log.
async fn ask(
    dial: &Dial,
    path: &str,
    host: Option<&HeaderValue>,
    http2: bool,
) -> Result<(), String> {
    match answer(dial, path, host, http2).await? {
        status if status < 400 => Ok(()),
        status => Err(format!("it answers {status}")),
    }
}

async fn answer(
    dial: &Dial,
    path: &str,
    host: Option<&HeaderValue>,
    http2: bool,
) -> Result<u16, String> {
    match tokio::time::timeout(ANSWER_WITHIN, status(dial, path, host, http2)).await {
        Ok(answer) => answer.map_err(|error| told(&error)),
        Err(_) => Err(format!("timeout: no answer within {} s", ANSWER_WITHIN.as_secs())),
    }
}

/// An error with its causes.
fn told(error: &io::Error) -> String {
    if let Some(inner) = error.get_ref()
        && let Some(rustls) = inner.downcast_ref::<rustls::Error>()
    {
        return format!("TLS handshake failed: {}", fault::tls(&rustls.to_string()));
    }
    let mut told = error.to_string();
    let mut next = error.get_ref().and_then(|inner| std::error::Error::source(inner));
    while let Some(source) = next {
        let source_told = source.to_string();
        if !told.contains(&source_told) {
            told.push_str(": ");
            told.push_str(&source_told);
        }
        next = source.source();
    }
    told
}

async fn status(
    dial: &Dial,
    path: &str,
    host: Option<&HeaderValue>,
    http2: bool,
) -> io::Result<u16> {
    let stream = TokioIo::new(dial.go().await?);
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

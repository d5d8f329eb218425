//! Health checks: requests that show whether an application is healthy.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio_util::io::InspectReader;

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
    well(answer(dial, path, host, http2).await?).map(drop)
}

/// The status again, if it is that of a healthy application.
///
/// # Errors
/// It is not, in words for the log.
pub(super) fn well(status: u16) -> Result<u16, String> {
    if status < 400 { Ok(status) } else { Err(format!("it answers {status}")) }
}

async fn answer(
    dial: &Dial,
    path: &str,
    host: Option<&HeaderValue>,
    http2: bool,
) -> Result<u16, String> {
    let heard = Heard::default();
    let asking = status(dial, path, host, http2, &heard);
    match tokio::time::timeout(ANSWER_WITHIN, asking).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(Failed::Connect(error))) => Err(unreachable(&error, dial)),
        Ok(Err(Failed::Ask(error))) => Err(unanswered(&error, &heard.bytes(), dial)),
        Err(_) => Err(format!("timeout: no answer within {} s", ANSWER_WITHIN.as_secs())),
    }
}

/// Why there is no answer.
enum Failed {
    Connect(io::Error),
    Ask(hyper::Error),
}

/// Why no connection was made, in words.
fn unreachable(error: &io::Error, dial: &Dial) -> String {
    if let Some(fault) = fault::of_tls(error) {
        return format!("TLS handshake failed: {fault}");
    }
    if error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none() {
        let within = humantime::format_duration(dial.within);
        let what =
            if dial.secure.is_some() { "connection and TLS handshake" } else { "connection" };
        return format!("timeout: no {what} within upstream_timeouts.connect ({within})");
    }
    error.to_string()
}

/// Why no answer was understood, in words, after these first bytes of it.
fn unanswered(error: &hyper::Error, heard: &[u8], dial: &Dial) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let (mut told, mut of_tls) = (error.to_string(), None);
    for cause in causes {
        of_tls = of_tls.or_else(|| cause.downcast_ref().and_then(fault::of_tls));
        let cause = cause.to_string();
        if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    if let Some(fault) = of_tls {
        return format!("TLS failed: {fault}");
    }
    if heard.starts_with(b"HTTP/1") && told.contains("http2") {
        return "it does not speak HTTP/2 as `upstream_http2` says".to_owned();
    }
    match heard {
        [] if dial.secure.is_none() && dial.upstream.socket().is_none() => {
            "it closed the connection without an answer; does it use https://?".to_owned()
        }
        [] => "it closed the connection without an answer".to_owned(),
        _ if error.is_parse_too_large() => "the head of its answer is too large".to_owned(),
        _ if error.is_incomplete_message() => {
            "it closed the connection before the end of its answer".to_owned()
        }
        _ if error.is_parse() || error.is_canceled() => {
            format!("invalid HTTP response: {}", fault::bad_line(heard))
        }
        _ => fault::without_debug_data(&told).to_owned(),
    }
}

async fn status(
    dial: &Dial,
    path: &str,
    host: Option<&HeaderValue>,
    http2: bool,
    heard: &Heard,
) -> Result<u16, Failed> {
    let (stream, http2) = dial.go_speaking(http2).await.map_err(Failed::Connect)?;
    let listening = heard.clone();
    let stream = InspectReader::new(stream, move |bytes: &[u8]| listening.adds(bytes));
    let stream = TokioIo::new(stream);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let uri = if http2 { format!("http://{host}{path}") } else { path.to_owned() };
    let mut request = Request::get(uri).header(USER_AGENT, "Doorward (health)");
    if !http2 {
        request = request.header(HOST, host);
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|error| Failed::Connect(io::Error::other(error)))?;
    let answer = if http2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
                .await
                .map_err(Failed::Ask)?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(Failed::Ask);
        connection.abort();
        answer?
    } else {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(Failed::Ask)?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(Failed::Ask);
        connection.abort();
        answer?
    };
    Ok(answer.status().as_u16())
}

/// The first bytes that a server sent: they show what is wrong with an answer that cannot be parsed.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn adds(&self, bytes: &[u8]) {
        let mut heard = self.0.lock();
        let room = AT_MOST_HEARD.saturating_sub(heard.len());
        heard.extend(bytes.iter().take(room));
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().clone()
    }
}

/// More than the head of any answer that we understand.
const AT_MOST_HEARD: usize = 64 * 1024;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

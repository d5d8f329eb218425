//! What the access log says of a request: collected on its way, and written at its end.
//!
//! With the access log off, nothing is collected.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use pingora::http::RequestHeader;
use tokio::time::Instant;

use crate::access_log::{AccessLog, Entry, Rule};
use crate::config::App;
use crate::domain::assurance::Permit;
use crate::domain::request_id::RequestId;
use crate::domain::time::Timestamp;
use crate::flow::{Clock, Env, Line, LogThrottle};
use crate::policy::{Governor, OwnPage};
use crate::web::{Decision, refusal};

/// What is needed to write lines. It outlives every configuration.
pub(super) struct Recorder {
    log: Arc<AccessLog>,
    clock: Arc<Clock>,
    throttle: Arc<LogThrottle>,
}

/// What is known of one request so far.
pub(super) struct Record {
    recorder: Arc<Recorder>,
    at: Timestamp,
    /// The method, then the path, in one buffer.
    head: Vec<u8>,
    method: usize,
    /// Whether the path is that of an application, so that it contains no one-time link of ours.
    is_elsewhere: bool,
    decision: Decision,
    status: Option<StatusCode>,
    asked: Option<Instant>,
    upstream_time: Option<Duration>,
}

/// The rest, which is known at the end.
pub(super) struct End<'a> {
    pub(super) request_id: Option<&'a str>,
    pub(super) client: Option<IpAddr>,
    pub(super) app: Option<&'a App>,
    pub(super) permit: Option<&'a Permit>,
    pub(super) upstream: Option<&'a str>,
    pub(super) bytes: u64,
    pub(super) duration: Duration,
}

impl Recorder {
    pub(super) fn of(env: &Env) -> Arc<Self> {
        let (log, clock) = (Arc::clone(&env.access_log), Arc::clone(&env.clock));
        Arc::new(Self { log, clock, throttle: Arc::clone(&env.log_throttle) })
    }

    /// A record of the request with this head; `None` if the access log is off.
    pub(super) fn begin(self: &Arc<Self>, request: &RequestHeader) -> Option<Box<Record>> {
        if !self.log.is_on() {
            return None;
        }
        let (method, path) = (request.method.as_str().as_bytes(), path_of(request));
        let mut head = Vec::with_capacity(method.len() + path.len());
        head.extend_from_slice(method);
        head.extend_from_slice(path);
        Some(Box::new(Record {
            recorder: Arc::clone(self),
            at: self.clock.reading(),
            head,
            method: method.len(),
            is_elsewhere: false,
            decision: Decision::default(),
            status: None,
            asked: None,
            upstream_time: None,
        }))
    }

    /// Writes the line of bytes that are no request, which was answered with this status, if any.
    pub(super) fn write_unread(
        &self,
        id: Option<&RequestId>,
        client: IpAddr,
        status: Option<StatusCode>,
    ) {
        if !self.log.is_on() {
            return;
        }
        self.write(&Entry {
            at: self.clock.reading(),
            request_id: id.map(RequestId::as_str),
            client: Some(client),
            user: None,
            app: None,
            method: None,
            path: None,
            status: status.map(|status| status.as_u16()),
            bytes: 0,
            duration: Duration::ZERO,
            upstream: None,
            upstream_time: None,
            verdict: Decision::malformed().verdict,
            rule: None,
        });
    }

    fn write(&self, entry: &Entry<'_>) {
        if !self.log.write(entry)
            && let Some(left_out) = self.throttle.due(Line::AccessLog, self.clock.reading())
        {
            tracing::warn!(
                left_out,
                "access log: line dropped: the disk or the reader of standard output is too slow"
            );
        }
    }
}

impl Record {
    /// Notes whether the path is that of one of our own pages.
    pub(super) fn is_of(&mut self, page: &OwnPage<'_>) {
        self.is_elsewhere = matches!(page, OwnPage::No);
    }

    /// Notes what was decided.
    pub(super) fn decided(&mut self, decision: Decision) {
        self.decision = decision;
    }

    /// Notes that an endpoint is about to be asked.
    pub(super) fn asks(&mut self) {
        (self.asked, self.upstream_time) = (Some(Instant::now()), None);
    }

    /// Notes the status that the application has answered with.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            self.upstream_time = self.asked.map(|asked| asked.elapsed());
        }
    }

    /// Notes the status of our own answer.
    pub(super) fn replies(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Writes the line.
    pub(super) fn write(&self, end: &End<'_>) {
        let (method, path) = self.head.split_at(self.method);
        let path = if self.is_elsewhere { path } else { refusal::without_link(path) };
        let identity = end.permit.and_then(Permit::identity).or(self.decision.user.as_ref());
        let rule = self.decision.rule.map(|governor| match governor {
            Governor::Otherwise => Rule::Otherwise,
            Governor::Rule(index) => {
                let rule = end.app.and_then(|app| app.policy.rules().get(index));
                Rule::Number { number: index + 1, line: rule.and_then(|rule| rule.line) }
            }
        });
        self.recorder.write(&Entry {
            at: self.at,
            request_id: end.request_id,
            client: end.client,
            user: identity.map(|identity| identity.written.as_str()),
            app: end.app.map(|app| app.name.as_str()),
            method: Some(method),
            path: Some(path),
            status: self.status.map(|status| status.as_u16()),
            bytes: end.bytes,
            duration: end.duration,
            upstream: end.upstream,
            upstream_time: self.upstream_time,
            verdict: self.decision.verdict,
            rule,
        });
    }
}

/// The path as it was sent, without query and fragment. Of a target that is no path (a URL, which
/// may contain a password), only what is a path in it.
fn path_of(request: &RequestHeader) -> &[u8] {
    let sent = request.raw_path();
    let path = if sent.first() == Some(&b'/') { sent } else { request.uri.path().as_bytes() };
    let end = memchr::memchr2(b'?', b'#', path).unwrap_or(path.len());
    &path[..end]
}

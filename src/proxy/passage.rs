//! One request on its way through the proxy: what the filters find out and keep for later ones.

use std::sync::Arc;
use std::time::Duration;

use http::header::STRICT_TRANSPORT_SECURITY;
use http::{HeaderValue, Method, Version};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::domain::assurance::Permit;
use crate::domain::request_id::RequestId;
use crate::domain::user::UserId;
use crate::flow::ClientAddress;
use crate::proxy::access::{End, Record};
use crate::proxy::downstream::connection::Connection;
use crate::proxy::drain::RequestGuard;
use crate::proxy::request::request_id::{self, X_REQUEST_ID};
use crate::proxy::request_limit::Slot;
use crate::proxy::sites::VirtualHost;
use crate::proxy::upstream::{Length, Tried, connection_auth};

/// The state of one request. It keeps the virtual host that it began with, even if the
/// configuration is reloaded meanwhile.
pub struct Passage {
    _in_flight: RequestGuard,
    pub(super) began: Instant,
    /// Its id; `None` until its head was read.
    pub(super) id: Option<RequestId>,
    /// For the access log, if it is on.
    pub(super) record: Option<Box<Record>>,
    /// How many bytes of the response's body were passed on, and when the request ended.
    pub(super) sent: u64,
    ended: Option<Instant>,
    /// The connection or stream that it came over.
    pub(super) connection: Option<Arc<Connection>>,
    pub(super) virtual_host: Option<Arc<VirtualHost>>,
    pub(super) client: Option<ClientAddress>,
    /// The value of `X-Forwarded-For`, if it is more than the peer's address.
    pub(super) forwarded_for: Option<HeaderValue>,
    pub(super) permit: Option<Permit>,
    pub(super) length: Length,
    /// Whether it has a body, or may have one.
    pub(super) has_body: bool,
    /// Whether its response has no content, whatever the application sends.
    pub(super) has_no_content: bool,
    /// How many ticks the application may be silent, if our watchdog is responsible instead of
    /// Pingora's timeout.
    pub(super) silent_ticks: Option<u64>,
    /// The application's endpoints that were tried.
    pub(super) tried: Tried,
    /// Its slots in the limits on concurrent requests.
    pub(super) slots: SmallVec<[Slot; 3]>,
}

impl Passage {
    /// A request that begins now, over `connection`.
    pub(super) fn new(in_flight: RequestGuard, connection: Option<Arc<Connection>>) -> Self {
        Self {
            _in_flight: in_flight,
            began: Instant::now(),
            id: None,
            record: None,
            sent: 0,
            ended: None,
            connection,
            virtual_host: None,
            client: None,
            forwarded_for: None,
            permit: None,
            length: Length::Ordinary,
            has_body: true,
            has_no_content: false,
            silent_ticks: None,
            tried: Tried::new(),
            slots: SmallVec::new(),
        }
    }

    /// Notes that the request has ended, and how many bytes of the response's body were sent. Gives
    /// how long it took.
    pub(super) fn ends(&mut self, sent: usize) -> Duration {
        self.sent = sent as u64;
        *self.ended.get_or_insert_with(Instant::now) - self.began
    }

    /// Notes that the answer was given: what is read of the request from now on is only so that the
    /// visitor gets it. Other visitors may have its place at the application.
    pub(super) fn is_answered(&mut self) {
        self.ended = Some(Instant::now());
        self.slots.truncate(self.slots_of_address());
    }

    /// Takes its slots: the one in the limit of its address, if there is one, and the others.
    pub(super) fn take_slots(&mut self) -> (Option<Arc<Slot>>, SmallVec<[Slot; 3]>) {
        let mut slots = std::mem::take(&mut self.slots);
        let others = slots.drain(self.slots_of_address().min(slots.len())..).collect();
        (slots.pop().map(Arc::new), others)
    }

    /// The first slot is that of the address.
    fn slots_of_address(&self) -> usize {
        let limits = self.connection.as_ref().and_then(|connection| connection.address_limits());
        usize::from(limits.is_some())
    }

    /// Whether this must be the last request on its connection to the application. The application
    /// is told so, and then processes nothing that follows it (RFC 9112 §9.6).
    ///
    /// Some servers answer without reading the body, and then take it for the next request, which
    /// no rule has judged (CL.0). Others answer HEAD with a body, which the next visitor would get.
    /// Over HTTP/2, each stream has its own frames, so neither can happen.
    pub(super) fn ends_with(&self, session: &mut Session, request: &RequestHeader) -> bool {
        if request.version == Version::HTTP_2 {
            return false;
        }
        if session.is_body_empty() {
            return request.method == Method::HEAD;
        }
        let app = self
            .virtual_host
            .as_ref()
            .and_then(|virtual_host| virtual_host.web.host().app.as_ref());
        let trusted = app.is_some_and(|app| app.reach.reuse_after_body);
        !trusted && !self.is_kept_signed_in()
    }

    /// Whether the connection to the application must stay open after the request, because the
    /// application authenticates connections and this one serves nobody else.
    pub(super) fn is_kept_signed_in(&self) -> bool {
        let application =
            self.virtual_host.as_ref().and_then(|virtual_host| virtual_host.application.as_ref());
        self.connection.as_ref().is_some_and(|connection| connection.is_bound())
            && application.is_some_and(|known| known.signs_in_connections())
            && self.client.is_some_and(|client| connection_auth::is_told_apart(self.user(), client))
    }

    pub(super) fn user(&self) -> Option<UserId> {
        self.permit.as_ref().and_then(Permit::identity).map(|identity| identity.user)
    }

    /// The number of the connections to the application that serve only this visitor, if that is
    /// necessary.
    pub(super) fn alone(&self) -> Option<u64> {
        let (connection, client) = (self.connection.as_ref()?, self.client?);
        connection
            .is_bound()
            .then(|| connection_auth::number(connection.number(), self.user(), client))
    }

    /// The `Strict-Transport-Security` header, if this host has one.
    pub(super) fn promise_of_https(&self) -> Option<&HeaderValue> {
        self.virtual_host.as_ref()?.promise.as_ref()
    }

    /// Adds to a response of ours what each response has; the promise of https only if `promises`.
    pub(super) fn complete(&self, headers: &mut http::HeaderMap, promises: bool) {
        if let Some(promise) = self.promise_of_https().filter(|_| promises) {
            headers.insert(STRICT_TRANSPORT_SECURITY, promise.clone());
        }
        if let Some(id) = &self.id {
            headers.insert(X_REQUEST_ID, request_id::value(id));
        }
    }
}

/// A request also ends if its connection is cut or its task panics.
impl Drop for Passage {
    fn drop(&mut self) {
        let Some(record) = self.record.take() else { return };
        let host = self.virtual_host.as_deref();
        let application = host.and_then(|host| host.application.as_ref());
        record.write(&End {
            request_id: self.id.as_ref().map(RequestId::as_str),
            client: self.client.map(ClientAddress::address),
            app: host.and_then(|host| host.web.host().app.as_deref()),
            permit: self.permit.as_ref(),
            upstream: application.and_then(|known| known.address_of(&self.tried)),
            bytes: self.sent,
            duration: self.ended.unwrap_or_else(Instant::now) - self.began,
        });
    }
}

//! The upstream of an app: one endpoint or several, each healthy or not.
//!
//! Requests rotate among the healthy endpoints. One that cannot be reached is skipped for a while,
//! and requests that were not sent to it yet go to another.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pingora::upstreams::peer::HttpPeer;
use smallvec::SmallVec;

use super::endpoint::Endpoint;
use super::health;
use super::length::Length;
use super::trust::Trust;
use crate::config::{App, Health, Upstream, UpstreamTimeouts};
use crate::proxy::downstream::watchdog::ticks;
use crate::proxy::request_limit::RequestLimit;

/// An application, with all its endpoints.
pub(in crate::proxy) struct Application {
    endpoints: Vec<Arc<Endpoint>>,
    turn: AtomicUsize,
    /// How long it may be silent before our watchdog ends a request, in ticks; `None` if the
    /// watchdog cannot.
    silent_ticks: Option<u64>,
    /// Whether it has ever asked for credentials that authenticate a connection.
    signs_in_connections: AtomicBool,
    /// Limits the requests in progress at this application.
    request_limit: Arc<RequestLimit>,
    made_of: MadeOf,
}

/// The configuration that decides how an application is reached. If a reload does not change it,
/// everything is kept.
#[derive(Clone, PartialEq, Eq)]
struct MadeOf {
    upstreams: Vec<Upstream>,
    timeouts: UpstreamTimeouts,
    host: Option<http::HeaderValue>,
    http2: bool,
    health: Option<Health>,
    trust: Option<Trust>,
}

/// The endpoints that were tried for one request, by index.
pub(in crate::proxy) type Tried = SmallVec<[usize; 4]>;

/// What an endpoint that could not be reached means for its request.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::proxy) struct Failed {
    /// Whether this is its first failure, or the first since it answered.
    pub(in crate::proxy) is_new: bool,
    /// Whether there is one that was not tried.
    pub(in crate::proxy) is_another_left: bool,
}

impl Application {
    /// The endpoints of `app`; `before` itself if nothing has changed. Names are resolved now, and
    /// again at intervals for as long as the endpoint is in use. If resolution fails, the endpoint
    /// has no address yet. Call it within a runtime.
    ///
    /// # Errors
    /// The CA certificates cannot be read.
    pub(in crate::proxy) async fn found(
        app: &App,
        timeouts: UpstreamTimeouts,
        before: Option<&Arc<Self>>,
    ) -> io::Result<Arc<Self>> {
        let secure = app.upstreams.iter().any(Upstream::is_secure);
        let made_of = MadeOf {
            upstreams: app.upstreams.clone(),
            timeouts,
            host: app.reach.host.clone(),
            http2: app.reach.http2,
            health: app.reach.health.clone(),
            trust: if secure { Some(Trust::of(&app.reach)?) } else { None },
        };
        if let Some(before) = before.filter(|before| before.made_of == made_of) {
            return Ok(Arc::clone(before));
        }
        let mut endpoints = Vec::with_capacity(made_of.upstreams.len());
        for upstream in &made_of.upstreams {
            let endpoint =
                Endpoint::new(&app.name, upstream, timeouts, made_of.trust.clone(), made_of.http2)?;
            let endpoint = endpoint.found().await;
            if let Some(health) = &made_of.health {
                health::keep_asking(&endpoint, health.clone(), made_of.host.clone());
            }
            endpoints.push(endpoint);
        }
        let silent_ticks = (!made_of.http2).then(|| ticks(timeouts.read));
        let (turn, signs_in_connections) = (AtomicUsize::new(0), AtomicBool::new(false));
        let request_limit =
            before.map_or_else(Arc::default, |before| Arc::clone(&before.request_limit));
        Ok(Arc::new(Self {
            endpoints,
            turn,
            silent_ticks,
            signs_in_connections,
            request_limit,
            made_of,
        }))
    }

    /// The peer for an endpoint that was not `tried`, and adds it to `tried`; `None` if its name is
    /// not resolved yet. A connection for `alone` serves no other visitor. If the request is
    /// `watched`, our watchdog ends it when the application is silent, instead of Pingora's
    /// timeout.
    pub(in crate::proxy) fn peer(
        &self,
        length: Length,
        watched: bool,
        alone: Option<u64>,
        tried: &mut Tried,
    ) -> Option<Box<HttpPeer>> {
        let count = self.endpoints.len();
        let start = if count > 1 { self.turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let in_turn = || (start..start + count).map(|index| index % count);
        let fresh = |index: &usize| !tried.contains(index);
        let well =
            |index: &usize| self.endpoints.get(*index).is_some_and(|endpoint| endpoint.is_well());
        // If none is healthy, try one anyway: it may have recovered.
        let index = in_turn()
            .find(|index| fresh(index) && well(index))
            .or_else(|| in_turn().find(fresh))
            .or_else(|| in_turn().next())?;
        tried.push(index);
        self.endpoints.get(index)?.peer(length, watched, alone)
    }

    /// How many ticks it may be silent, for a request that the watchdog can end.
    pub(in crate::proxy) fn silent_ticks(&self) -> Option<u64> {
        self.silent_ticks
    }

    /// Whether the endpoint that was tried last may have this certificate (its SHA-256). Always
    /// true if none is pinned.
    pub(in crate::proxy) fn knows(&self, tried: &Tried, certificate: Option<&[u8]>) -> bool {
        let endpoint = tried.last().and_then(|index| self.endpoints.get(*index));
        endpoint.is_none_or(|endpoint| {
            endpoint.pinned().is_none_or(|pinned| Some(pinned) == certificate)
        })
    }

    /// Notes that the endpoint that was tried last could not be reached.
    pub(in crate::proxy) fn failed(&self, tried: &Tried) -> Failed {
        let endpoint = tried.last().and_then(|index| self.endpoints.get(*index));
        Failed {
            is_new: endpoint.is_some_and(|endpoint| endpoint.failed()),
            is_another_left: (0..self.endpoints.len()).any(|index| !tried.contains(&index)),
        }
    }

    /// How many of its endpoints answer, and how many do not.
    pub(in crate::proxy) fn health(&self) -> (usize, usize) {
        let up = self.endpoints.iter().filter(|endpoint| endpoint.is_well()).count();
        (up, self.endpoints.len() - up)
    }

    /// Limits the requests in progress at this application.
    pub(in crate::proxy) fn request_limit(&self) -> &Arc<RequestLimit> {
        &self.request_limit
    }

    /// Notes that it has asked for credentials that authenticate a connection.
    pub(in crate::proxy) fn asks_to_sign_in_connections(&self) {
        self.signs_in_connections.store(true, Ordering::Relaxed);
    }

    /// Whether it has ever asked for credentials that authenticate a connection.
    pub(in crate::proxy) fn signs_in_connections(&self) -> bool {
        self.signs_in_connections.load(Ordering::Relaxed)
    }

    /// The address of the endpoint that was tried last, as the configuration has it.
    pub(in crate::proxy) fn address_of(&self, tried: &Tried) -> Option<&str> {
        tried.last().and_then(|index| self.endpoints.get(*index)).map(|endpoint| endpoint.address())
    }

    /// Notes that the endpoint that was tried last has answered.
    pub(in crate::proxy) fn answered(&self, tried: &Tried) {
        if let Some(endpoint) = tried.last().and_then(|index| self.endpoints.get(*index)) {
            endpoint.answered();
        }
    }
}

//! Where an application is: one place or several, each of them well or not.
//!
//! Requests take turns among the places that are well. One that cannot be reached is left alone for
//! a while, and whatever was not sent there yet goes to another.

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
use crate::proxy::room::Room;

/// An application: everywhere it is.
pub(in crate::proxy) struct Application {
    endpoints: Vec<Arc<Endpoint>>,
    turn: AtomicUsize,
    /// How long it may be silent where somebody looks, in ticks; `None` where nobody can.
    silent_ticks: Option<u64>,
    /// Whether it has ever asked for credentials that sign in a connection.
    signs_in_connections: AtomicBool,
    /// Room for the requests that are under way to it.
    room: Arc<Room>,
    made_of: MadeOf,
}

/// What decides how an application is reached. What is unchanged by a reload stays as it is.
#[derive(Clone, PartialEq, Eq)]
struct MadeOf {
    upstreams: Vec<Upstream>,
    timeouts: UpstreamTimeouts,
    host: Option<http::HeaderValue>,
    http2: bool,
    health: Option<Health>,
    trust: Option<Trust>,
}

/// The places that were tried for one request.
pub(in crate::proxy) type Tried = SmallVec<[usize; 4]>;

impl Application {
    /// Where `app` is, as it was `before` if nothing has changed. Names are looked up now, and again
    /// from time to time for as long as somebody holds this; where that fails, nobody knows where
    /// the place is yet. Call it within a runtime.
    ///
    /// # Errors
    /// If the certificates of the authority cannot be read.
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
        let room = before.map_or_else(Arc::default, |before| Arc::clone(&before.room));
        Ok(Arc::new(Self { endpoints, turn, silent_ticks, signs_in_connections, room, made_of }))
    }

    /// How to get to a place that was not `tried`, which it is from now on; `None` if nobody knows
    /// where one is. A connection for somebody `alone` serves nobody else. Who is `watched` is not
    /// told by Pingora that the application is silent.
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
        // Where nobody is well, somebody is asked all the same: they may have recovered.
        let index = in_turn()
            .find(|index| fresh(index) && well(index))
            .or_else(|| in_turn().find(fresh))
            .or_else(|| in_turn().next())?;
        tried.push(index);
        self.endpoints.get(index)?.peer(length, watched, alone)
    }

    /// How many ticks it may be silent towards a request that can be watched.
    pub(in crate::proxy) fn silent_ticks(&self, length: Length) -> Option<u64> {
        self.silent_ticks.filter(|_| length == Length::Ordinary)
    }

    /// Whether the place that was tried last is one that shows this certificate (its SHA-256), where it
    /// must be a certain one.
    pub(in crate::proxy) fn knows(&self, tried: &Tried, certificate: Option<&[u8]>) -> bool {
        let endpoint = tried.last().and_then(|index| self.endpoints.get(*index));
        endpoint.is_none_or(|endpoint| {
            endpoint.pinned().is_none_or(|pinned| Some(pinned) == certificate)
        })
    }

    /// The place that was tried last could not be reached. Says whether another is left.
    pub(in crate::proxy) fn failed(&self, tried: &Tried) -> bool {
        if let Some(endpoint) = tried.last().and_then(|index| self.endpoints.get(*index)) {
            endpoint.failed();
        }
        (0..self.endpoints.len()).any(|index| !tried.contains(&index))
    }

    /// Room for the requests that are under way to it.
    pub(in crate::proxy) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// It has asked for credentials that sign in a connection.
    pub(in crate::proxy) fn asks_to_sign_in_connections(&self) {
        self.signs_in_connections.store(true, Ordering::Relaxed);
    }

    /// Whether it has ever asked for credentials that sign in a connection.
    pub(in crate::proxy) fn signs_in_connections(&self) -> bool {
        self.signs_in_connections.load(Ordering::Relaxed)
    }

    /// The place that was tried last has answered.
    pub(in crate::proxy) fn answered(&self, tried: &Tried) {
        if let Some(endpoint) = tried.last().and_then(|index| self.endpoints.get(*index)) {
            endpoint.answered();
        }
    }
}

//! When too many requests are in progress: in which limits a request needs a slot, and the 503 if
//! none becomes free in time.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::flow::Line;
use crate::proxy::application_share;
use crate::proxy::downstream::connection::Connection;
use crate::proxy::downstream::table::ConnectionTable;
use crate::proxy::downstream::unsent_limits;
use crate::proxy::downstream::unsent_room;
use crate::proxy::request_limit::{RequestLimit, Slot};
use crate::proxy::sites::{Sites, VirtualHost};

/// The limits that all requests share. (Those of one address are with its connections, that of one
/// application with its endpoints.)
pub(super) struct SharedLimits {
    connections: Arc<ConnectionTable>,
    /// Limits how many requests may be in progress at all applications together.
    to_applications: Arc<RequestLimit>,
    /// Limits how many of our own pages may be waiting to be sent.
    own_pages: Arc<RequestLimit>,
}

impl SharedLimits {
    pub(super) fn new(connections: Arc<ConnectionTable>) -> Self {
        Self { connections, to_applications: Arc::default(), own_pages: Arc::default() }
    }

    /// Slots for a request in the limits of its application and of all applications.
    ///
    /// # Errors
    /// The limit that was reached, if no slot became free in time, or if the address has more than its
    /// share of those of the application.
    pub(super) async fn at_application(
        &self,
        sites: &Sites,
        virtual_host: &VirtualHost,
        connection: &Connection,
        has_signed_in: bool,
    ) -> Result<[Slot; 2], &'static str> {
        const ONE: &str = "limits.requests_per_application";
        let Some(known) = &virtual_host.application else { return Err("apps") };
        let within = sites.deadlines().queue;
        let one = application_share::slots(sites.limits().requests_per_application, has_signed_in);
        let all = self.connections.files_for_applications();
        if let Some(address) = connection.address_limits() {
            let of_address = address.requests(has_signed_in).taken();
            let taken = known.request_limit().taken();
            if application_share::is_over(of_address, taken, one, has_signed_in) {
                return Err(ONE);
            }
        }
        let Some(to_one) = known.request_limit().enter(one, within).await else {
            return Err(ONE);
        };
        let Some(to_all) = self.to_applications.enter(all, within).await else {
            return Err("open files");
        };
        Ok([to_one, to_all])
    }

    /// A slot for a request in the limit of its address; `None` if the address has no limit.
    ///
    /// # Errors
    /// The answer if no slot became free in time. It has no body, so it can be sent even to
    /// visitors who do not read bodies.
    pub(super) async fn at_address(
        &self,
        sites: &Sites,
        connection: &Connection,
        has_signed_in: bool,
    ) -> Result<Option<Slot>, Response<Bytes>> {
        if let Some(limit) = unsent_room::lacking(connection, sites.limits(), has_signed_in) {
            return Err(busy(sites, connection, limit));
        }
        let Some(address) = connection.address_limits() else { return Ok(None) };
        let size = sites.limits().requests_per_address;
        let size = if has_signed_in { size.saturating_mul(SIGNED_IN) } else { size };
        let limit = address.requests(has_signed_in);
        if let Some(slot) = limit.enter(size, sites.deadlines().queue).await {
            return Ok(Some(slot));
        }
        Err(busy(sites, connection, "limits.requests_per_address"))
    }

    /// A slot for one of our own pages among those that are not sent yet.
    ///
    /// # Errors
    /// The answer if no slot became free in time.
    pub(super) async fn at_own_pages(
        &self,
        sites: &Sites,
        connection: &Connection,
    ) -> Result<Slot, Response<Bytes>> {
        let pages = sites.limits().unsent / unsent_limits::PAGE;
        let slot = self.own_pages.enter(pages, sites.deadlines().queue).await;
        slot.ok_or_else(|| busy(sites, connection, unsent_room::IN_ALL))
    }
}

/// The answer when too many requests are in progress. It has no body, so it can be sent even to
/// visitors who do not read bodies.
pub(super) fn busy(sites: &Sites, connection: &Connection, limit: &'static str) -> Response<Bytes> {
    tell_busy(sites, connection, limit);
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    later(response)
}

/// Adds `Retry-After` to `response`.
pub(super) fn later(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

pub(super) fn tell_busy(sites: &Sites, connection: &Connection, limit: &'static str) {
    let env = sites.env();
    env.metrics.limit_rejected(limit);
    if let Ok(now) = env.now()
        && let Some(left_out) = env.log_throttle.due(Line::Busy, now)
    {
        let peer = connection.peer();
        tracing::warn!(%peer, limit, left_out, "request refused: a limit is reached");
    }
}

/// Visitors who are signed in may have this many times as many requests in progress from one
/// address.
const SIGNED_IN: usize = 16;

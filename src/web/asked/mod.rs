//! A request that is judged, as a value: what the proxy received, or what another proxy says that
//! it received.

use std::borrow::Cow;

use http::Method;
use http::header::{HOST, HeaderMap};
use http::request::Parts;

use crate::config::Origin;
use crate::flow::ClientAddress;
use crate::policy::{self, Sent, Unreadable};

mod other_targets;
mod presence;

pub use presence::Present;

/// A request that is judged.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'r> {
    /// The host that the request names, as it was sent; empty if it names none.
    pub host: &'r [u8],
    /// The method.
    pub method: &'r Method,
    /// The target as it was sent: a path with its query, once the request has been read.
    pub target: &'r [u8],
    /// The headers.
    pub headers: &'r HeaderMap,
    /// Where it comes from.
    pub client: ClientAddress,
}

impl<'r> Asked<'r> {
    /// The request with this head.
    pub fn of(head: &'r Parts, client: ClientAddress) -> Self {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let named = head.headers.get(HOST).map(http::HeaderValue::as_bytes);
        let authority = || head.uri.authority().map(|authority| authority.host().as_bytes());
        Self {
            host: named.or_else(authority).unwrap_or_default(),
            method: &head.method,
            target: target.as_bytes(),
            headers: &head.headers,
            client,
        }
    }

    /// The request to `origin` as the rules see it. `present`: which headers it has.
    ///
    /// # Errors
    /// [`Unreadable`] if no application should receive it.
    pub fn read(&self, present: Present, origin: &Origin) -> Result<policy::Request, Unreadable> {
        let read = self.path_and_method(present)?;
        if !present.reaches_further {
            return Ok(read);
        }
        let further = other_targets::read(self.headers, origin)?;
        read.reaching(further.depth, &further.targets)
    }

    fn path_and_method(&self, present: Present) -> Result<policy::Request, Unreadable> {
        let (target, method) = (self.target, self.method.as_str());
        if !present.method_override {
            return policy::Request::read_sent(&Sent { target, method, overrides: &[] });
        }
        let said = self.headers.iter();
        let said = said.filter(|(name, _)| presence::is_method_override(name.as_str()));
        let said: Vec<_> =
            said.map(|(_, value)| String::from_utf8_lossy(value.as_bytes())).collect();
        let overrides: Vec<&str> = said.iter().map(AsRef::as_ref).collect();
        policy::Request::read_sent(&Sent { target, method, overrides: &overrides })
    }

    /// The path as it was sent, without the query.
    pub(super) fn path(&self) -> Cow<'r, str> {
        let end = memchr::memchr2(b'?', b'#', self.target).unwrap_or(self.target.len());
        String::from_utf8_lossy(&self.target[..end])
    }
}

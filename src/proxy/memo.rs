//! Remembers, for each connection, the cookie line of the last request and what it meant: a browser
//! sends the same cookies with every request.
//!
//! Only what follows from the header alone is remembered. Whether the session is still valid, and
//! what it allows, is checked for every request.

use std::sync::{Arc, Weak};

use http::header::{COOKIE, HeaderMap, HeaderValue};
use parking_lot::Mutex;
use pingora::Result;

use crate::domain::assurance::Permit;
use crate::domain::secret::TokenHash;
use crate::proxy::request::cookies::{self, Cookies};
use crate::proxy::request::identity_headers::Stamp;
use crate::proxy::sites::VirtualHost;
use crate::web::introduction::Introduction;

/// What is remembered for one connection.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// The virtual host that was addressed: another one has other keys and other headers.
    virtual_host: Weak<VirtualHost>,
    /// When keys are dropped, cookies that they have signed mean nothing.
    dropped_keys: u64,
    cookies: Option<Cookies>,
    introduction: Option<Introduction>,
}

impl Memo {
    /// The session that the cookies of a request to `virtual_host` name.
    pub(super) fn session(
        &self,
        virtual_host: &Arc<VirtualHost>,
        headers: &HeaderMap,
    ) -> Option<TokenHash> {
        let mut lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        let line = match (lines.next(), lines.next()) {
            (Some(line), None) if line.len() <= LONGEST => line,
            _ => return virtual_host.web.session(headers),
        };
        let mut remembered = self.0.lock();
        let cookies = &mut remembered.at(virtual_host).cookies;
        match cookies {
            Some(known) if *known.line == *line => known.session,
            _ => {
                let session = virtual_host.web.session(headers);
                // Do not memoize unauthenticated cookies: they would cost memory on every idle
                // connection.
                *cookies = session.map(|_| Cookies {
                    line: line.into(),
                    session,
                    kept: cookies::kept(line).ok(),
                });
                session
            }
        }
    }

    /// Calls `tell` with the identity headers for `permit`, made by the `stamp` of `virtual_host`,
    /// and with the cookies that are known already.
    ///
    /// # Errors
    /// Those of [`Stamp::introduce`] and of `tell`.
    pub(super) fn introduce(
        &self,
        virtual_host: &Arc<VirtualHost>,
        stamp: &Stamp,
        permit: &Permit,
        tell: impl FnOnce(&Introduction, Option<&Cookies>) -> Result<()>,
    ) -> Result<()> {
        let mut remembered = self.0.lock();
        let Remembered { cookies, introduction, .. } = remembered.at(virtual_host);
        let introduction = match introduction {
            Some(known) if known.is_of(permit) => known,
            other => other.insert(stamp.introduce(permit)?),
        };
        tell(introduction, cookies.as_ref())
    }
}

impl Remembered {
    /// What is remembered for this virtual host. Forgets everything if it was for another one, or if
    /// keys were dropped since.
    fn at(&mut self, virtual_host: &Arc<VirtualHost>) -> &mut Self {
        let dropped_keys = virtual_host.web.dropped_keys();
        // The `Weak` keeps the allocation alive, so pointer equality cannot hit a reused address.
        if !std::ptr::eq(self.virtual_host.as_ptr(), Arc::as_ptr(virtual_host))
            || self.dropped_keys != dropped_keys
        {
            let virtual_host = Arc::downgrade(virtual_host);
            *self = Self { virtual_host, dropped_keys, ..Self::default() };
        }
        self
    }
}

/// The longest cookie line that is remembered, in bytes: it costs memory while the connection is
/// idle.
const LONGEST: usize = 1024;

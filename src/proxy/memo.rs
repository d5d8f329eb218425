//! What the last request of a connection said of its visitor, and what that meant: a browser says
//! the same with every request, and the same words mean the same at the same place.
//!
//! Only what follows from the words alone is remembered. Whether the session is alive, and what it
//! may, is asked for every request.

use std::sync::{Arc, Weak};

use http::header::{COOKIE, HeaderMap, HeaderValue};
use parking_lot::Mutex;
use pingora::Result;

use crate::domain::assurance::Permit;
use crate::domain::secret::TokenHash;
use crate::proxy::request::cookies::{self, Cookies};
use crate::proxy::request::identity_headers::{Introduction, Stamp};
use crate::proxy::sites::VirtualHost;

/// What is remembered of one connection.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// Where it was said: elsewhere there are other keys, another host, other headers.
    virtual_host: Weak<VirtualHost>,
    cookies: Option<Cookies>,
    introduction: Option<Introduction>,
}

impl Memo {
    /// The session that the cookies of a request to `place` name.
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
                // What strangers say does not wait with their connections.
                *cookies = session.map(|_| Cookies {
                    line: line.into(),
                    session,
                    kept: cookies::kept(line).ok(),
                });
                session
            }
        }
    }

    /// Hands `tell` how the application at `place`, whose `stamp` this is, is told who comes by this
    /// `permit`; and what cookies are known already.
    ///
    /// # Errors
    /// As [`Stamp::introduce`], and as `tell`.
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
    /// What is remembered of this place; elsewhere nothing was said.
    fn at(&mut self, virtual_host: &Arc<VirtualHost>) -> &mut Self {
        // What is referred to, however weakly, leaves its address to nothing else.
        if !std::ptr::eq(self.virtual_host.as_ptr(), Arc::as_ptr(virtual_host)) {
            *self = Self { virtual_host: Arc::downgrade(virtual_host), ..Self::default() };
        }
        self
    }
}

/// The longest line that is remembered, in bytes: it waits with the connection.
const LONGEST: usize = 1024;

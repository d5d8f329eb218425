//! What the last request of a connection said of its visitor, and what that meant: a browser says
//! the same with every request, and the same words mean the same at the same place.
//!
//! Only what follows from the words alone is remembered. Whether the session is alive, and what it
//! may, is asked for every request.

use std::sync::{Arc, Weak};

use http::header::{COOKIE, HeaderMap, HeaderValue};
use parking_lot::Mutex;
use pingora::Result;

use super::cookies::{self, Kept};
use super::headers::{Introduction, Stamp};
use super::house::Place;
use crate::domain::assurance::Permit;
use crate::domain::secret::TokenHash;

/// What is remembered of one connection.
#[derive(Debug, Default)]
pub(super) struct Recall {
    cookies: Mutex<Option<Arc<Cookies>>>,
    introduction: Mutex<Option<(Weak<Place>, Arc<Introduction>)>>,
}

/// What the cookies of a request say.
#[derive(Debug)]
pub(super) struct Cookies {
    /// Where they were read: elsewhere there are other keys, or another host.
    place: Weak<Place>,
    /// The line in which they stood; empty where it was not one.
    line: Box<[u8]>,
    session: Option<TokenHash>,
    /// What the application gets of that line; unknown where it could not be written.
    kept: Option<Kept>,
}

impl Recall {
    /// What the cookies of a request to `place` say.
    pub(super) fn cookies(&self, place: &Arc<Place>, headers: &HeaderMap) -> Arc<Cookies> {
        let mut lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        let line = match (lines.next(), lines.next()) {
            (Some(line), None) if line.len() <= LONGEST => line,
            _ => return Arc::new(Cookies::read(place, headers, &[])),
        };
        let mut known = self.cookies.lock();
        match &*known {
            Some(known) if *known.line == *line && is_at(&known.place, place) => Arc::clone(known),
            _ => Arc::clone(known.insert(Arc::new(Cookies::read(place, headers, line)))),
        }
    }

    /// How the application at `place`, whose `stamp` this is, is told who comes by this `permit`.
    ///
    /// # Errors
    /// As [`Stamp::introduce`].
    pub(super) fn introduction(
        &self,
        place: &Arc<Place>,
        stamp: &Stamp,
        permit: &Permit,
    ) -> Result<Arc<Introduction>> {
        let mut known = self.introduction.lock();
        if let Some((where_, known)) = &*known
            && known.is_of(permit)
            && is_at(where_, place)
        {
            return Ok(Arc::clone(known));
        }
        let introduction = Arc::new(stamp.introduce(permit)?);
        *known = Some((Arc::downgrade(place), Arc::clone(&introduction)));
        Ok(introduction)
    }
}

impl Cookies {
    fn read(place: &Arc<Place>, headers: &HeaderMap, line: &[u8]) -> Self {
        Self {
            place: Arc::downgrade(place),
            session: place.web.session(headers),
            kept: cookies::kept(line).ok(),
            line: line.into(),
        }
    }

    /// The session that they name.
    pub(super) fn session(&self) -> Option<TokenHash> {
        self.session
    }

    /// What the application gets of `line`, if that is the one that was read.
    pub(super) fn kept(&self, line: &[u8]) -> Option<&Kept> {
        self.kept.as_ref().filter(|_| *self.line == *line)
    }
}

fn is_at(remembered: &Weak<Place>, place: &Arc<Place>) -> bool {
    // What is referred to, however weakly, leaves its address to nothing else.
    std::ptr::eq(remembered.as_ptr(), Arc::as_ptr(place))
}

/// The longest line that is remembered, in bytes: it waits with the connection.
const LONGEST: usize = 1024;

//! The request as policy sees it: one target, and every way in which an application may read it.
//!
//! The path is read with all plausible decodings, and the visitor must meet the requirements of all
//! of them. The bytes that are forwarded stay as they were received: nothing is normalized. A
//! request that no application should receive is refused here.

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use super::marks::Marks;
use super::method::Methods;
use super::own::{OWN, OwnPage};
use super::query::{Parameter, Query};
use super::reach::{Depth, OtherTarget, Role};
use super::reading;
use super::unreadable::Unreadable;
use super::work::Work;

/// What was sent, as far as rules have conditions on it.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The request target, in origin form.
    pub target: &'a [u8],
    /// The method.
    pub method: &'a str,
    /// The values of headers that override the method: `X-HTTP-Method-Override`, `X-HTTP-Method`,
    /// `X-Method-Override`, in any spelling.
    pub overrides: &'a [&'a str],
}

/// A request's method, path and query, with every plausible reading of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    own: Own,
    /// The plain reading first. A plain reading with a last slash is followed by the one without.
    readings: Readings,
    methods: Methods,
    query: Option<Query>,
    /// The readings of the path at the beginning of the query, if there is one.
    in_query: Option<Box<[Vec<u8>]>>,
    /// The work of reading it and the other targets.
    work: Work,
    /// How deep below its path it reaches, if its method does.
    depth: Depth,
    /// Other targets that headers name.
    others: Option<Box<[(Role, Self)]>>,
    /// The header that names this target; `None` for the request's own.
    named_by: Option<&'static str>,
}

/// An ordinary path has one reading, and needs no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Readings {
    Plain(SmallVec<[u8; 64]>),
    Several(Vec<Vec<u8>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    No,
    Page,
    Odd,
}

impl Request {
    /// Reads the target of a GET; see [`Request::read_sent`].
    ///
    /// # Errors
    /// [`Unreadable`] if no application should receive this target: answer 400.
    pub fn read(target: &[u8]) -> Result<Self, Unreadable> {
        Self::read_sent(&Sent { target, method: "GET", overrides: &[] })
    }

    /// Reads a request with a target in origin form (RFC 9112 §3.2.1), as it was received.
    ///
    /// # Errors
    /// [`Unreadable`] if no application should receive this request: answer 400.
    pub fn read_sent(sent: &Sent<'_>) -> Result<Self, Unreadable> {
        Self::read_after(Work::default(), sent)
    }

    /// The same, with the `work` that was spent on this request before.
    fn read_after(mut work: Work, sent: &Sent<'_>) -> Result<Self, Unreadable> {
        work.spend(sent.target.len() / 2);
        let Target { path, query, in_path, in_query } = Target::read(sent.target)?;
        let whole =
            query_in_path(path, in_path).map(|more| [query.unwrap_or_default(), &more].join(&b'&'));
        let query = whole.as_deref().or(query);
        // A path that becomes a part of the query brings its marks with it.
        let may_override = in_path.and(in_query).may_override_method();
        let overriding = query.filter(|_| may_override);
        let methods = Methods::read(sent.method, sent.overrides, overriding)?;
        let in_query = path_in(query, &mut work)?;
        let query = query.map(Query::new);
        let plain = plain(path, in_path);
        let in_plain = if matches!(plain, Cow::Owned(_)) { Marks::of(&plain) } else { in_path };
        let readings = if is_ordinary(&plain, in_plain) {
            Readings::Plain(SmallVec::from_slice(&plain))
        } else {
            let readings = reading::closure(plain.into_owned(), &mut work)
                .map_err(|_| Unreadable::TooManyReadings)?;
            if readings.iter().flatten().any(u8::is_ascii_control) {
                return Err(Unreadable::HiddenControl);
            }
            Readings::Several(readings)
        };
        let own = match &readings {
            Readings::Plain(plain) => own_page(path, [&**plain]),
            Readings::Several(readings) => own_page(path, readings.iter().map(Vec::as_slice)),
        };
        let depth = Depth::Infinity;
        let (others, named_by) = (None, None);
        Ok(Self { own, readings, methods, query, in_query, work, depth, others, named_by })
    }

    /// The same request, with a depth and `others`, the targets that headers name. What it does to
    /// them is judged as well.
    ///
    /// # Errors
    /// [`Unreadable::InHeader`] if no application should receive one of them, or it is one of our
    /// own pages.
    pub fn reaching(self, depth: Depth, others: &[OtherTarget]) -> Result<Self, Unreadable> {
        let mut work = self.work.clone();
        let read = others.iter().map(|OtherTarget { header, role, target }| {
            let sent = Sent { target, method: "GET", overrides: &[] };
            let other = Self::read_after(std::mem::take(&mut work), &sent)
                .and_then(|other| match other.own {
                    _ if other.work.is_spent() => Err(Unreadable::TooCostly),
                    Own::No => Ok(other),
                    Own::Page | Own::Odd => Err(Unreadable::OwnTarget),
                })
                .map_err(|why| why.in_header(header))?;
            work = other.work.clone();
            let named_by = Some(*header);
            Ok((*role, Self { methods: self.methods.clone(), named_by, ..other }))
        });
        let read: Box<[(Role, Self)]> = read.collect::<Result<_, _>>()?;
        Ok(Self { depth, others: (!read.is_empty()).then_some(read), work, ..self })
    }

    /// The request's own target, and the others with their roles.
    pub(super) fn targets(&self) -> impl Iterator<Item = (Option<Role>, &Self)> {
        let others = self.others.iter().flat_map(|others| others.iter());
        std::iter::once((None, self)).chain(others.map(|(role, other)| (Some(*role), other)))
    }

    /// The header that names this target; `None` for the request's own.
    pub(super) fn named_by(&self) -> Option<&'static str> {
        self.named_by
    }

    /// How deep below its path it reaches, if its method does.
    pub(super) fn depth(&self) -> Depth {
        self.depth
    }

    /// A GET whose path has these readings, at least one.
    #[cfg(test)]
    pub(super) fn of_readings(readings: Vec<Vec<u8>>) -> Self {
        let request = Self::read(b"/").unwrap_or_else(|why| panic!("{why}"));
        Self { readings: Readings::Several(readings), ..request }
    }

    /// The path as an application reads it that follows RFC 3986 and decodes only what cannot be
    /// sent unescaped (`%20`, `%C3%A9`): bytes in no particular character set.
    pub fn path(&self) -> &[u8] {
        match &self.readings {
            Readings::Plain(path) => path,
            Readings::Several(readings) => readings.first().map_or(&[], Vec::as_slice),
        }
    }

    /// Every reading of the path, the plain one first, without duplicates.
    pub fn readings(&self) -> impl Iterator<Item = &[u8]> {
        let (plain, several): (_, &[Vec<u8>]) = match &self.readings {
            Readings::Plain(path) => (Some(&**path), &[]),
            Readings::Several(readings) => (None, readings),
        };
        plain
            .into_iter()
            .chain(plain.and_then(reading::without_last_slash))
            .chain(several.iter().map(Vec::as_slice))
    }

    /// Every reading of the method, beginning with the one that was sent, without duplicates. At
    /// most five.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.methods.all()
    }

    /// The method and the beginning of the path, as much as a log may contain: the first segment if
    /// more follow, and `…` for the rest. The rest may be a secret of the application, such as a
    /// link to reset a password.
    pub fn example(&self) -> String {
        let path = self.path();
        let end = path.iter().skip(1).position(|byte| *byte == b'/').map_or(1, |end| end + 2);
        let rest = if path.len() > end { "…" } else { "" };
        format!("{} {}{rest}", self.method(), Shown(&path[..end]))
    }

    /// The method, the whole path and the query, for a request that the configuration names.
    pub fn whole_example(&self) -> String {
        let query = self.query().map(|query| format!("?{}", Shown(query.sent())));
        format!("{} {}{}", self.method(), Shown(self.path()), query.unwrap_or_default())
    }

    fn method(&self) -> &str {
        self.methods.all().next().unwrap_or_default()
    }

    /// Every reading of the path in the query, for applications that look there
    /// (`/index.php?/panel/`); usually none.
    pub(super) fn paths_in_query(&self) -> impl Iterator<Item = &[u8]> {
        self.in_query.iter().flat_map(|paths| paths.iter()).map(Vec::as_slice)
    }

    /// The work of reading it and the other targets that it names.
    pub(super) fn work(&self) -> Work {
        self.work.clone()
    }

    /// Whether all of these parameters were sent, in any reading of the query; letter case counts.
    pub fn has_sent(&self, parameters: &[Parameter]) -> bool {
        parameters.is_empty()
            || self
                .query()
                .is_some_and(|query| parameters.iter().all(|wanted| wanted.is_in(query, true)))
    }

    /// The query, without its `?`; `None` if there is none.
    pub(super) fn query(&self) -> Option<&Query> {
        self.query.as_ref()
    }

    /// Whether one of its methods was not written in upper case.
    pub(super) fn has_cased_method(&self) -> bool {
        self.methods.is_cased()
    }

    /// Whether it is worth caching: as short and as plainly spelled as ordinary requests.
    pub fn is_modest(&self) -> bool {
        let query = self.query.as_ref().map_or(0, |query| query.sent().len());
        self.path().len() <= 1024
            && query <= 1024
            && self.others.is_none()
            && self.readings().count() <= 8
    }

    /// Whether every reading of the path is the plain one or that one decoded once, apart from a
    /// last slash, and is UTF-8. An application that follows the standard needs no more. Includes
    /// the paths of other targets.
    pub fn is_plainly_spelt(&self) -> bool {
        self.targets().all(|(_, target)| target.has_plain_path())
    }

    fn has_plain_path(&self) -> bool {
        let plain = self.path();
        let Readings::Several(readings) = &self.readings else {
            return str::from_utf8(plain).is_ok();
        };
        let decoded = reading::decode_where(plain, |_| true);
        let allowed = [Some(plain), decoded.as_deref()];
        let is_allowed = |path: &[u8]| {
            let same =
                |other: &[u8]| other == path || reading::without_last_slash(other) == Some(path);
            allowed.into_iter().flatten().any(same)
        };
        let is_text = |path: &[u8]| str::from_utf8(path).is_ok();
        readings.iter().all(|path| is_allowed(path) && is_text(path))
    }

    /// Whether this is for one of our own pages, which are below [`OWN`] on every host.
    pub fn own_page(&self) -> OwnPage<'_> {
        let below = || str::from_utf8(self.path()).ok()?.strip_prefix(OWN).or(Some(""));
        match self.own {
            Own::No => OwnPage::No,
            Own::Page => below().map_or(OwnPage::Odd, OwnPage::Page),
            Own::Odd => OwnPage::Odd,
        }
    }
}

/// The parts of a target, and which special bytes they have.
struct Target<'a> {
    path: &'a [u8],
    query: Option<&'a [u8]>,
    in_path: Marks,
    in_query: Marks,
}

impl<'a> Target<'a> {
    fn read(target: &'a [u8]) -> Result<Self, Unreadable> {
        match target.first() {
            None => return Err(Unreadable::Empty),
            Some(b'/') => {}
            Some(_) => return Err(Unreadable::NotOriginForm),
        }
        let path = &target[..memchr::memchr(b'?', target).unwrap_or(target.len())];
        let query = target.get(path.len() + 1..).filter(|query| !query.is_empty());
        let (in_path, in_query) = (Marks::of(path), Marks::of(query.unwrap_or_default()));
        if in_path.and(in_query).any(Marks::CONTROL) {
            return Err(Unreadable::Control);
        }
        if in_path.any(Marks::FRAGMENT) {
            return Err(Unreadable::Fragment);
        }
        let is_broken = |at: usize| reading::escape(&path[at..]).is_none();
        if in_path.any(Marks::PERCENT) && memchr::memchr_iter(b'%', path).any(is_broken) {
            return Err(Unreadable::BrokenEscape);
        }
        Ok(Self { path, query, in_path, in_query })
    }
}

/// The part of `path` that becomes a part of the query if a server rewrites the path into one, like
/// Apache's `mod_rewrite` with `RewriteRule ^/wiki/(.*)$ /index.php?title=$1`. The server decodes
/// first, so a `&` in the path begins another parameter. `None` if there is no such part.
fn query_in_path(path: &[u8], marks: Marks) -> Option<Vec<u8>> {
    if !marks.any(Marks::AMPERSAND.and(Marks::PERCENT)) {
        return None;
    }
    let begins = |at: usize| match path[at] {
        b'&' => true,
        // `&`, `?`, and `%`, which may become one of them.
        _ => matches!(path.get(at + 1..at + 3), Some(b"26" | b"3f" | b"3F" | b"25")),
    };
    memchr::memchr2_iter(b'&', b'%', path).find(|at| begins(*at))?;
    let decode = |path: &[u8]| reading::decode_where(path, |_| true);
    let once = decode(path).unwrap_or_else(|| path.to_vec());
    let twice = decode(&once).unwrap_or(once);
    let begin = twice.iter().position(|byte| matches!(byte, b'&' | b'?'))?;
    Some(twice[begin + 1..].to_vec())
}

/// The readings of the path at the beginning of `query`, if there is one.
fn path_in(query: Option<&[u8]>, work: &mut Work) -> Result<Option<Box<[Vec<u8>]>>, Unreadable> {
    let Some(path) = query.filter(|query| query.starts_with(b"/")) else { return Ok(None) };
    let path = path.split(|byte| *byte == b'&').next().unwrap_or_default();
    let readings =
        reading::closure(path.to_vec(), work).map_err(|_| Unreadable::TooManyReadings)?;
    Ok(Some(readings.into()))
}

/// Decodes the bytes that can only be sent escaped, because they are neither reserved nor
/// unreserved (RFC 3986 §2). Escaping them is the plain spelling.
fn plain(path: &[u8], marks: Marks) -> Cow<'_, [u8]> {
    if !marks.any(Marks::PERCENT) {
        return Cow::Borrowed(path);
    }
    let only_escaped = |byte: u8| byte >= 0x80 || b" \"<>^`{|}".contains(&byte);
    reading::decode_where(path, only_escaped).map_or(Cow::Borrowed(path), Cow::Owned)
}

/// Whether no step of `reading`, apart from removing a last slash, changes this path, which has
/// these `marks`.
fn is_ordinary(path: &[u8], marks: Marks) -> bool {
    let last_slash = reading::without_last_slash(path).unwrap_or(path);
    let odd_segment = |segment: &[u8]| match segment.last() {
        None => true,
        // Only such a segment can be trimmed, or be a dot segment.
        Some(b' ' | b'.') => reading::trims(segment) || segment == b"." || segment == b"..",
        Some(_) => false,
    };
    path == b"/"
        || !marks.any(Marks::PERCENT.and(Marks::ODD))
            && !reading::segments(last_slash).any(odd_segment)
}

fn own_page<'a>(sent: &[u8], readings: impl IntoIterator<Item = &'a [u8]>) -> Own {
    let canonical =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/-._~".contains(byte);
    let ours = |path: &[u8]| {
        let place = OWN.trim_end_matches('/').as_bytes();
        path.get(..place.len()).is_some_and(|start| start.eq_ignore_ascii_case(place))
            && matches!(path.get(place.len()), None | Some(b'/'))
    };
    let mut readings = readings.into_iter();
    if !readings.any(ours) {
        Own::No
    } else if sent.iter().all(canonical) && is_ordinary(sent, Marks::of(sent)) {
        Own::Page
    } else {
        Own::Odd
    }
}

/// A path in a log line: everything but printable ASCII is escaped.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            match byte {
                b' '..=b'~' => write!(f, "{}", char::from(*byte))?,
                byte => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

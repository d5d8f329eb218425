//! Paths as operators write them: `/admin/`, `/health`, `/files/*/edit`, `/**/private/`.
//!
//! With a slash at the end, a pattern matches the path, with or without that slash, and everything
//! below it. Without one, it matches only that path. `*` stands for one segment, `**` for any
//! number of segments. Bytes are compared; a byte that is not UTF-8 is written percent-encoded,
//! `%E9`.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::own::OWN;
use super::reading;

/// One path of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    written: Box<str>,
    segments: Box<[Segment]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    /// This segment, as written and, if that is not the same, with its letter case folded.
    Literal { exact: Box<[u8]>, folded: Option<Box<[u8]>> },
    /// Any one segment that is not empty.
    One,
    /// Any number of segments, including none.
    Any,
}

/// How letter case counts when a path is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Letter case counts.
    Exact,
    /// Letter case does not count. The path must be [`fold`]ed.
    Folded,
}

impl Pattern {
    /// Whether this pattern matches `path`, one reading of a request's path.
    pub fn matches(&self, path: &[u8], case: Case) -> bool {
        let mut pattern: &[Segment] = &self.segments;
        let mut rest = Some(path.strip_prefix(b"/").unwrap_or(path));
        let mut retry = None;
        loop {
            match (pattern, rest) {
                ([], None) | ([Segment::Any], _) => return true,
                ([Segment::Any, after @ ..], _) => {
                    retry = rest.map(|path| (pattern, split(path).1));
                    pattern = after;
                }
                ([segment, after @ ..], Some(path)) if segment.takes(split(path).0, case) => {
                    pattern = after;
                    rest = split(path).1;
                }
                _ => match retry.take() {
                    Some((from, skipped)) => (pattern, rest) = (from, skipped),
                    None => return false,
                },
            }
        }
    }

    /// The segments of the pattern.
    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether this pattern matches every path that `other` matches. A simple check: `false` may
    /// also mean that it cannot tell.
    pub fn covers(&self, other: &Self) -> bool {
        self.segments == other.segments
            || self.place().is_some_and(|place| other.segments.starts_with(place))
    }

    /// The path below which the pattern matches everything, if it has this form.
    fn place(&self) -> Option<&[Segment]> {
        match &*self.segments {
            [place @ .., Segment::Any] if !place.contains(&Segment::Any) => Some(place),
            _ => None,
        }
    }

    /// A request target that it matches.
    pub fn example(&self) -> String {
        let mut path = self.written.replace("/**", "/x").replace("/*", "/x");
        if path.contains(' ') {
            path = path.replace(' ', "%20");
        }
        path
    }

    /// Whether it names one folder literally and matches everything in it.
    pub fn is_literal_folder(&self) -> bool {
        let is_literal = |segment: &Segment| matches!(segment, Segment::Literal { .. });
        self.written.ends_with('/')
            && self.place().is_some_and(|place| place.iter().all(is_literal))
    }

    /// Whether the pattern is for exactly this folder, which ends with a slash, in any letter case.
    pub(super) fn is_folder(&self, folder: &[u8]) -> bool {
        let Some(place) = self.place() else { return false };
        let mut segments = folder.split(|byte| *byte == b'/').skip(1);
        let all = place
            .iter()
            .all(|named| segments.next().is_some_and(|segment| named.takes_in_any_case(segment)));
        all && segments.next() == Some(b"") && segments.next().is_none()
    }

    /// Whether this folder is in the one that the pattern is for, in any letter case.
    pub(super) fn holds(&self, folder: &[u8]) -> bool {
        let Some(place) = self.place() else { return false };
        let mut segments = folder.split(|byte| *byte == b'/').skip(1);
        place
            .iter()
            .all(|named| segments.next().is_some_and(|segment| named.takes_in_any_case(segment)))
    }

    /// Whether `path` may be in the folder that the pattern is for.
    pub(super) fn may_hold(&self, path: &[u8]) -> bool {
        let first = path.split(|byte| *byte == b'/').nth(1).unwrap_or_default();
        self.segments.first().is_none_or(|segment| segment.takes_in_any_case(first))
    }

    /// Whether it names a segment: `/admin/` does; `/`, `/*` and `/**/*` do not.
    pub fn is_named(&self) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Literal { .. }))
    }

    /// Whether one of its segments is this one, which must be [`fold`]ed.
    pub(super) fn names(&self, segment: &[u8]) -> bool {
        self.segments.iter().any(|named| match named {
            Segment::Literal { exact, folded } => {
                *segment_in(Case::Folded, exact, folded.as_deref()) == *segment
            }
            Segment::One | Segment::Any => false,
        })
    }

    /// Whether this pattern matches every path.
    pub fn takes_all(&self) -> bool {
        matches!(*self.segments, [Segment::Any])
    }

    /// Whether its letter case makes a difference.
    pub fn is_cased(&self) -> bool {
        self.segments
            .iter()
            .any(|segment| matches!(segment, Segment::Literal { folded: Some(_), .. }))
    }
}

/// Patterns in a tree, to find those that [cover](Pattern::covers) others quickly, even among many.
/// Each has a number.
///
/// Patterns share their first segments: otherwise a long pattern would be stored once for each of
/// its segments.
#[derive(Debug)]
pub struct Covering {
    segments: HashMap<Segment, usize>,
    /// From a node, by a segment, to the next node.
    steps: HashMap<(usize, usize), usize>,
    /// Nodes; every pattern begins at the first.
    places: Vec<Place>,
}

/// A node of the tree.
#[derive(Debug, Default)]
struct Place {
    /// The nodes one segment further.
    next: Vec<usize>,
    /// The numbers of the patterns that end here.
    numbers: Vec<usize>,
}

impl Default for Covering {
    fn default() -> Self {
        let (segments, steps) = (HashMap::new(), HashMap::new());
        Self { segments, steps, places: vec![Place::default()] }
    }
}

impl Covering {
    /// Adds a pattern.
    pub fn add(&mut self, pattern: &Pattern, number: usize) {
        let mut at = 0;
        for segment in &pattern.segments {
            let (new_segment, new) = (self.segments.len(), self.places.len());
            let segment = match self.segments.get(segment) {
                Some(known) => *known,
                None => *self.segments.entry(segment.clone()).or_insert(new_segment),
            };
            let next = *self.steps.entry((at, segment)).or_insert(new);
            if next == new {
                self.places[at].next.push(new);
                self.places.push(Place::default());
            }
            at = next;
        }
        self.places[at].numbers.push(number);
    }

    /// The numbers of the patterns that cover `pattern`; one may come twice.
    pub fn covering(&self, pattern: &Pattern) -> impl Iterator<Item = usize> {
        // A pattern that matches everything below a literal prefix ends at that prefix.
        let any = self.segments.get(&Segment::Any).copied();
        let is_any = |segment: &&Segment| **segment == Segment::Any;
        let named = pattern.segments.iter().take_while(|segment| !is_any(segment)).count();
        let above = self.places_of(&pattern.segments[..named]).filter_map(move |place| {
            let everything = *self.steps.get(&(place, any?))?;
            self.places.get(everything)
        });
        self.place_of(&pattern.segments).into_iter().chain(above).flat_map(Place::numbers)
    }

    /// The numbers of the patterns that `pattern` covers; one may come twice.
    pub fn covered(&self, pattern: &Pattern) -> impl Iterator<Item = usize> {
        let mut open: Vec<&Place> =
            pattern.place().and_then(|place| self.place_of(place)).into_iter().collect();
        let below = std::iter::from_fn(move || {
            let place = open.pop()?;
            open.extend(place.next.iter().filter_map(|next| self.places.get(*next)));
            Some(place)
        });
        self.place_of(&pattern.segments).into_iter().chain(below).flat_map(Place::numbers)
    }

    fn place_of(&self, segments: &[Segment]) -> Option<&Place> {
        self.places.get(self.places_of(segments).nth(segments.len())?)
    }

    /// The nodes along `segments`, as far as any pattern goes.
    fn places_of(&self, segments: &[Segment]) -> impl Iterator<Item = usize> {
        let mut segments = segments.iter();
        std::iter::successors(Some(0), move |at| {
            let segment = self.segments.get(segments.next()?)?;
            self.steps.get(&(*at, *segment)).copied()
        })
    }
}

impl Place {
    fn numbers(&self) -> impl Iterator<Item = usize> {
        self.numbers.iter().copied()
    }
}

impl Segment {
    fn takes_in_any_case(&self, segment: &[u8]) -> bool {
        match self {
            Self::Literal { exact, folded } => {
                let folded = segment_in(Case::Folded, exact, folded.as_deref());
                if segment.is_ascii() {
                    return segment.eq_ignore_ascii_case(folded);
                }
                fold(segment).map_or(*folded == *segment, |segment| *folded == *segment)
            }
            Self::One => !segment.is_empty(),
            Self::Any => true,
        }
    }

    pub(super) fn takes(&self, segment: &[u8], case: Case) -> bool {
        match self {
            Self::Literal { exact, folded } => {
                *segment_in(case, exact, folded.as_deref()) == *segment
            }
            Self::One => !segment.is_empty(),
            Self::Any => true,
        }
    }
}

/// A literal segment in this letter case. `folded` is absent if folding does not change it.
pub(super) fn segment_in<'s>(case: Case, exact: &'s [u8], folded: Option<&'s [u8]>) -> &'s [u8] {
    match case {
        Case::Exact => exact,
        Case::Folded => folded.unwrap_or(exact),
    }
}

/// The first segment, and what follows its slash; `None` if there is no slash.
pub(super) fn split(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], Some(&path[slash + 1..])),
        None => (path, None),
    }
}

/// `path` with its letter case folded, segment by segment: as Unicode if the segment is valid
/// UTF-8, otherwise as Latin-1. `None` if nothing changes.
pub fn fold(path: &[u8]) -> Option<Vec<u8>> {
    if !path.iter().any(|byte| byte.is_ascii_uppercase() || *byte >= 0x80) {
        return None;
    }
    let mut out = Vec::with_capacity(path.len());
    for (index, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        match str::from_utf8(segment) {
            // First to upper case, then to lower case: ſ and s have only the capital in common.
            Ok(text) => out.extend(text.to_uppercase().to_lowercase().bytes()),
            Err(_) => out.extend(segment.iter().map(|byte| match byte {
                0xC0..=0xD6 | 0xD8..=0xDE => byte + 0x20,
                byte => byte.to_ascii_lowercase(),
            })),
        }
    }
    (out != path).then_some(out)
}

/// Why a pattern is not valid. `Display` is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not begin with a slash.
    #[error("`{0}` does not begin with a slash: write `/{0}`")]
    NotRooted(String),
    /// It contains `?` or `#`.
    #[error(
        "a path ends before `?` and `#`: write `query: {{ name: [value] }}` beside `paths` for what \
         comes after `?`"
    )]
    QueryOrFragment,
    /// It contains `;`.
    #[error("write the path without `;`: path parameters are ignored")]
    Parameters,
    /// It contains a backslash.
    #[error("a path is written with `/`, not `\\`")]
    Backslash,
    /// It contains an empty segment.
    #[error("a path has no empty segment: write one `/`, not `//`")]
    EmptySegment,
    /// It contains a dot segment.
    #[error("write the path without `.` and `..` segments")]
    DotSegment,
    /// A segment ends in a dot or a space.
    #[error(
        "the segment `{0}` ends with a dot or a space, which some applications ignore: write it without"
    )]
    TrailingDotOrSpace(String),
    /// A star is only part of a segment.
    #[error("`*` matches one whole segment and `**` any number of segments: `{0}` is neither")]
    PartialStar(String),
    /// A `%` is not followed by two hexadecimal digits.
    #[error("`%` is followed by two hexadecimal digits")]
    BrokenEscape,
    /// A character is escaped that must be written as it is, or that is not allowed.
    #[error("write the character for `%{0:02X}`: only spaces and bytes from %80 on are escaped")]
    NeedlessEscape(u8),
    /// It contains a control character.
    #[error("write the path without control characters")]
    Control,
    /// It is for our own pages, which no rule of an app governs.
    #[error("remove it: `/.doorward/` is for Doorward's own pages, which have no rules")]
    Own,
}

impl FromStr for Pattern {
    type Err = Malformed;

    fn from_str(written: &str) -> Result<Self, Malformed> {
        let path =
            written.strip_prefix('/').ok_or_else(|| Malformed::NotRooted(written.to_owned()))?;
        for (found, why) in [
            (path.contains(['?', '#']), Malformed::QueryOrFragment),
            (path.contains(';'), Malformed::Parameters),
            (path.contains('\\'), Malformed::Backslash),
            (path.contains(char::is_control), Malformed::Control),
            (path.contains("//") || path.starts_with('/'), Malformed::EmptySegment),
            (is_own(written), Malformed::Own),
        ] {
            if found {
                return Err(why);
            }
        }
        let (place, below) = match path.strip_suffix('/') {
            Some(place) => (place, true),
            None => (path, path.is_empty()),
        };
        let named = place.split('/').filter(|segment| !segment.is_empty());
        let mut segments = named.map(segment).collect::<Result<Vec<_>, _>>()?;
        if below && segments.last() != Some(&Segment::Any) {
            segments.push(Segment::Any);
        }
        Ok(Self { written: written.into(), segments: segments.into() })
    }
}

fn segment(written: &str) -> Result<Segment, Malformed> {
    match written {
        "*" => return Ok(Segment::One),
        "**" => return Ok(Segment::Any),
        "." | ".." => return Err(Malformed::DotSegment),
        _ if written.contains('*') => return Err(Malformed::PartialStar(written.to_owned())),
        _ => {}
    }
    let bytes = written.as_bytes();
    for at in (0..bytes.len()).filter(|at| bytes[*at] == b'%') {
        match reading::escape(&bytes[at..]) {
            None => return Err(Malformed::BrokenEscape),
            Some(b' ' | 0x80..) => {}
            Some(byte) => return Err(Malformed::NeedlessEscape(byte)),
        }
    }
    let exact = reading::decode_where(bytes, |_| true).unwrap_or_else(|| bytes.to_vec());
    if reading::trims(&exact) {
        return Err(Malformed::TrailingDotOrSpace(written.to_owned()));
    }
    let folded = fold(&exact).map(Into::into);
    Ok(Segment::Literal { exact: exact.into(), folded })
}

fn is_own(written: &str) -> bool {
    let own = OWN.trim_matches('/');
    written.split('/').nth(1).is_some_and(|first| first.eq_ignore_ascii_case(own))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

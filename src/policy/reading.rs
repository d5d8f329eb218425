//! The ways in which software reads a path, step by step, and their closure.
//!
//! Servers, frameworks and applications differ in what they decode, and in which order. Each
//! [`Step`] is something that real software does. [`closure`] applies the steps in every order and
//! combination, and keeps every path that results. No reading is discarded.

use std::hash::{Hash as _, Hasher as _};

use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;

use super::work::Work;

/// How often software decodes a path: once itself, and once more in a server before or behind it.
const MOST_DECODINGS: u8 = 2;

/// What software does to a path. Writes the result to an empty buffer, even if nothing changes.
type Step = fn(&[u8], &mut Vec<u8>);

/// Each step, and what a path must contain for the step to change anything.
const STEPS: &[(Has, Step)] = &[
    (Has::DOUBLE_SLASH, merge_slashes),
    (Has::DOTS, resolve_dots),
    (Has::BACKSLASH, turn_backslashes),
    (Has::SEMICOLON, cut_parameters),
    (Has::SEMICOLON, cut_at_first_parameter),
    (Has::QUERY, cut_at_query),
    (Has::TRAILING, trim_segments),
    (Has::DOUBLE_SLASH, drop_authority),
    (Has::LAST_SLASH, drop_last_slash),
    (Has::OVERLONG, decode_overlong),
];

/// Each of these steps counts as one decoding.
const DECODINGS: &[Step] = &[decode, decode_but_separators, decode_utf_16];

/// There are more readings than the limit allows.
#[derive(Debug)]
pub(super) struct TooMany;

/// Every reading of `path`, without duplicates, beginning with `path` itself.
pub(super) fn closure(path: Vec<u8>, work: &mut Work) -> Result<Vec<Vec<u8>>, TooMany> {
    let mut readings = Readings::default();
    readings.add(&path, 0, work)?;
    let (mut path, mut reading) = (path, Vec::new());
    let mut next = 0;
    while let Some((index, decodings)) = readings.queue.get(next).copied() {
        next += 1;
        path.clone_from(&readings.found[index]);
        let has = Has::of(&path);
        let mut take = |step: Step, decodings| {
            reading.clear();
            step(&path, &mut reading);
            if reading == path { Ok(()) } else { readings.add(&reading, decodings, work) }
        };
        for (_, step) in STEPS.iter().filter(|(needs, _)| has.any(*needs)) {
            take(*step, decodings)?;
        }
        if decodings < MOST_DECODINGS && has.any(Has::PERCENT) {
            for step in DECODINGS {
                take(*step, decodings + 1)?;
            }
        }
    }
    Ok(readings.found)
}

/// The readings found so far, and those that must be read further. A path that is found again after
/// fewer decodings is read again.
#[derive(Default)]
struct Readings {
    found: Vec<Vec<u8>>,
    /// The fewest decodings after which each of `found` was reached.
    fewest: Vec<u8>,
    queue: Vec<(usize, u8)>,
    /// The indexes in `found` of the paths with this hash.
    by_hash: FxHashMap<u64, SmallVec<[usize; 1]>>,
}

impl Readings {
    fn add(&mut self, path: &[u8], decodings: u8, work: &mut Work) -> Result<(), TooMany> {
        work.spend(READING + 2 * path.len());
        if work.is_spent() {
            return Err(TooMany);
        }
        let mut hasher = FxHasher::default();
        path.hash(&mut hasher);
        let alike = self.by_hash.entry(hasher.finish()).or_default();
        if let Some(index) = alike.iter().copied().find(|index| self.found[*index] == path) {
            if self.fewest[index] > decodings {
                self.fewest[index] = decodings;
                self.queue.push((index, decodings));
            }
            return Ok(());
        }
        // Hash collisions cost work, because each path must be compared.
        work.spend(READING * alike.len());
        let index = self.found.len();
        alike.push(index);
        self.found.push(path.to_vec());
        self.fewest.push(decodings);
        self.queue.push((index, decodings));
        Ok(())
    }
}

/// The cost of one more reading, besides its bytes.
const READING: usize = 48;

/// What a path contains that steps may change.
#[derive(Clone, Copy)]
struct Has(u16);

impl Has {
    const PERCENT: Self = Self(1);
    const BACKSLASH: Self = Self(1 << 1);
    const SEMICOLON: Self = Self(1 << 2);
    const QUERY: Self = Self(1 << 3);
    const DOUBLE_SLASH: Self = Self(1 << 4);
    const LAST_SLASH: Self = Self(1 << 5);
    const DOTS: Self = Self(1 << 6);
    const TRAILING: Self = Self(1 << 7);
    const OVERLONG: Self = Self(1 << 8);

    fn of(path: &[u8]) -> Self {
        let mut has = if path.ends_with(b"/") { Self::LAST_SLASH.0 } else { 0 };
        let mut before = 0;
        for &byte in path {
            has |= match byte {
                b'%' => Self::PERCENT.0,
                b'\\' => Self::BACKSLASH.0,
                b';' => Self::SEMICOLON.0,
                b'?' | b'#' => Self::QUERY.0,
                b'/' => match before {
                    b'/' => Self::DOUBLE_SLASH.0,
                    b'.' => Self::DOTS.0 | Self::TRAILING.0,
                    b' ' => Self::TRAILING.0,
                    _ => 0,
                },
                0xC0 | 0xC1 | 0xE0 | 0xF0 => Self::OVERLONG.0,
                _ => 0,
            };
            before = byte;
        }
        has |= match before {
            b'.' => Self::DOTS.0 | Self::TRAILING.0,
            b' ' => Self::TRAILING.0,
            _ => 0,
        };
        Self(has)
    }

    const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }
}

/// The value of the percent escape at the beginning of `bytes`; `None` if there is none, or it is
/// malformed (RFC 3986 §2.1).
pub(super) fn escape(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    Some(hexadecimal(*high)? << 4 | hexadecimal(*low)?)
}

const fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Decodes the escapes of bytes for which `wanted` is true; malformed ones stay unchanged.
pub(super) fn decode_where(path: &[u8], wanted: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
    decode_into(path, wanted, &mut out);
    (out.len() != path.len()).then_some(out)
}

fn decode_into(path: &[u8], wanted: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        if let Some(byte) = escape(rest).filter(|byte| wanted(*byte)) {
            out.push(byte);
            rest = &rest[3..];
        } else {
            out.push(*first);
            rest = tail;
        }
    }
}

fn decode(path: &[u8], out: &mut Vec<u8>) {
    decode_into(path, |_| true, out);
}

/// Like routers that split a path and then decode each segment, and servers that leave `%2F`
/// unchanged: a segment stays one segment.
fn decode_but_separators(path: &[u8], out: &mut Vec<u8>) {
    decode_into(path, |byte| byte != b'/' && byte != b'\\', out);
}

/// `%u0061`: how IIS and old scripts encode UTF-16.
fn decode_utf_16(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        if let Some(letter) = utf_16_escape(rest) {
            let mut bytes = [0; 4];
            out.extend_from_slice(letter.encode_utf8(&mut bytes).as_bytes());
            rest = &rest[6..];
        } else {
            out.push(*first);
            rest = tail;
        }
    }
}

/// The character of `%u0041` at the beginning of `bytes` (ECMA-262 annex B.2.1.1).
pub(super) fn utf_16_escape(bytes: &[u8]) -> Option<char> {
    let [b'%', b'u' | b'U', digits @ ..] = bytes else { return None };
    let digits = digits.get(..4)?;
    let value = digits
        .iter()
        .try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))?;
    char::from_u32(value)
}

fn merge_slashes(path: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(path);
    out.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
}

/// RFC 3986 §5.2.4; `..` at the root has no effect.
fn resolve_dots(path: &[u8], out: &mut Vec<u8>) {
    let mut kept: SmallVec<[&[u8]; 16]> = SmallVec::new();
    let mut ends_in_dots = false;
    for segment in segments(path) {
        ends_in_dots = matches!(segment, b"." | b"..");
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    if ends_in_dots {
        kept.push(b"");
    }
    join(kept, out);
}

fn turn_backslashes(path: &[u8], out: &mut Vec<u8>) {
    out.extend(path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }));
}

/// `/a;x=1/b` as `/a/b` (RFC 3986 §3.3 leaves parameters to the application).
fn cut_parameters(path: &[u8], out: &mut Vec<u8>) {
    join(segments(path).map(|segment| before(segment, |byte| byte == b';')), out);
}

/// `/a;x=1/b` as `/a`: some filters only know `;jsessionid`.
fn cut_at_first_parameter(path: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(rooted(before(path, |byte| byte == b';')));
}

/// Software that decodes before splitting takes a decoded `?` or `#` for the end of the path.
fn cut_at_query(path: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(rooted(before(path, |byte| matches!(byte, b'?' | b'#'))));
}

/// Windows ignores dots and spaces at the end of file names.
fn trim_segments(path: &[u8], out: &mut Vec<u8>) {
    join(segments(path).map(trim), out);
}

/// Whether [`trim_segments`] would change this segment; dot segments do not count.
pub(super) fn trims(segment: &[u8]) -> bool {
    trim(segment).len() != segment.len()
}

fn trim(segment: &[u8]) -> &[u8] {
    let end = |cut: &[u8]| {
        let last = segment.iter().rposition(|byte| !cut.contains(byte));
        &segment[..last.map_or(0, |last| last + 1)]
    };
    match end(b" ") {
        dots @ (b"." | b"..") => dots,
        _ => end(b" ."),
    }
}

/// `//host/a` as `/a`: some programs parse a target as a reference (RFC 3986 §4.2). The URL
/// standard of browsers allows any number of slashes before the host.
fn drop_authority(path: &[u8], out: &mut Vec<u8>) {
    let host = path.iter().position(|byte| *byte != b'/').filter(|_| path.starts_with(b"//"));
    let Some(host) = host else { return out.extend_from_slice(path) };
    let end = path[host..].iter().position(|byte| *byte == b'/');
    out.extend_from_slice(end.map_or(b"/", |end| &path[host + end..]));
}

/// Many routers treat `/a/` like `/a`.
fn drop_last_slash(path: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(without_last_slash(path).unwrap_or(path));
}

/// `path` without its last slash; `None` for the root, or if there is none.
pub(super) fn without_last_slash(path: &[u8]) -> Option<&[u8]> {
    path.strip_suffix(b"/").filter(|path| !path.is_empty())
}

/// Decodes overlong UTF-8 to the ASCII that it stands for (RFC 3629 §3 forbids it, old decoders
/// accept it).
fn decode_overlong(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    loop {
        let (byte, length) = match rest {
            [] => break,
            [first @ 0xC0..=0xC1, last @ 0x80..=0xBF, ..] => ((first & 1) << 6 | last & 0x3F, 2),
            [0xE0, middle @ 0x80..=0x81, last @ 0x80..=0xBF, ..]
            | [0xF0, 0x80, middle @ 0x80..=0x81, last @ 0x80..=0xBF, ..] => {
                let length = if rest[0] == 0xE0 { 3 } else { 4 };
                ((middle & 1) << 6 | last & 0x3F, length)
            }
            [first, ..] => (*first, 1),
        };
        out.push(byte);
        rest = &rest[length..];
    }
}

/// The same for any text; `None` if nothing changes.
pub(super) fn read_overlong(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    decode_overlong(text, &mut out);
    (out.len() != text.len()).then_some(out)
}

/// The segments of `path`, without its first slash.
pub(super) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/')
}

fn join<'a>(segments: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for segment in segments {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    if out.is_empty() {
        out.push(b'/');
    }
}

fn rooted(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"/" } else { path }
}

fn before(bytes: &[u8], end: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|byte| end(*byte)).unwrap_or(bytes.len());
    &bytes[..end]
}

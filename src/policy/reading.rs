//! The ways in which software reads a path, one step at a time, and their closure.
//!
//! Servers, frameworks and applications differ in what they decode, and in which order. Each
//! [`Step`] here is something that real software does; [`closure`] takes them in every order and
//! combination, and keeps every path it meets on the way. Nothing is cleaned away.

use std::collections::HashMap;

/// More readings than this of one path are not plausible but hostile.
pub(super) const MOST_READINGS: usize = 512;

/// What all steps on the way write is no longer than this, in bytes: it bounds the work that one
/// long odd target can make.
const MOST_BYTES: usize = 512 * 1024;

/// How often software decodes: once itself, and once what stands in front of it or behind it.
const MOST_DECODINGS: u8 = 2;

/// What software does to a path. `None`: this step changes nothing here.
type Step = fn(&[u8]) -> Option<Vec<u8>>;

const STEPS: &[Step] = &[
    merge_slashes,
    resolve_dots,
    turn_backslashes,
    cut_parameters,
    cut_at_first_parameter,
    cut_at_query,
    trim_segments,
    drop_authority,
    drop_last_slash,
    read_overlong,
];

/// These steps use up one decoding each.
const DECODINGS: &[Step] = &[decode, decode_but_separators];

/// There are more readings than [`MOST_READINGS`], or they are too long.
#[derive(Debug)]
pub(super) struct TooMany;

/// Every reading of `path`, itself first, each once.
pub(super) fn closure(path: Vec<u8>) -> Result<Vec<Vec<u8>>, TooMany> {
    let mut readings = Readings::default();
    readings.add(path, 0)?;
    let mut next = 0;
    while let Some((index, decodings)) = readings.queue.get(next).copied() {
        next += 1;
        let path = readings.found[index].clone();
        for reading in STEPS.iter().filter_map(|step| step(&path)) {
            readings.add(reading, decodings)?;
        }
        if decodings < MOST_DECODINGS {
            for reading in DECODINGS.iter().filter_map(|step| step(&path)) {
                readings.add(reading, decodings + 1)?;
            }
        }
    }
    Ok(readings.found)
}

/// What was found, and what must still be read further: a path that is met again after fewer
/// decodings is worth reading again.
#[derive(Default)]
struct Readings {
    found: Vec<Vec<u8>>,
    queue: Vec<(usize, u8)>,
    /// Where each path is in `found`, and after how few decodings it was met.
    fewest: HashMap<Vec<u8>, (usize, u8)>,
    bytes: usize,
}

impl Readings {
    fn add(&mut self, path: Vec<u8>, decodings: u8) -> Result<(), TooMany> {
        self.bytes += path.len();
        let index = match self.fewest.get_mut(&path) {
            Some((_, fewest)) if *fewest <= decodings => return Ok(()),
            Some((index, fewest)) => {
                *fewest = decodings;
                *index
            }
            None => {
                let index = self.found.len();
                self.found.push(path.clone());
                self.fewest.insert(path, (index, decodings));
                index
            }
        };
        self.queue.push((index, decodings));
        if self.found.len() > MOST_READINGS || self.bytes > MOST_BYTES {
            return Err(TooMany);
        }
        Ok(())
    }
}

/// The value of the escape that `bytes` starts with; `None` if it starts with none, or a broken
/// one (RFC 3986 §2.1).
pub(super) fn escape(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

/// Decodes the escapes of the bytes that `wanted` picks; broken ones stay as they are.
pub(super) fn decode_where(path: &[u8], wanted: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
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
    (out.len() != path.len()).then_some(out)
}

fn decode(path: &[u8]) -> Option<Vec<u8>> {
    decode_where(path, |_| true)
}

/// As routers do that split first and decode each segment then, and servers that leave `%2F` be:
/// what was one segment stays one.
fn decode_but_separators(path: &[u8]) -> Option<Vec<u8>> {
    decode_where(path, |byte| byte != b'/' && byte != b'\\')
}

fn merge_slashes(path: &[u8]) -> Option<Vec<u8>> {
    let mut out = path.to_vec();
    out.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
    changed(out, path)
}

/// RFC 3986 §5.2.4; what would climb above the root stays there.
fn resolve_dots(path: &[u8]) -> Option<Vec<u8>> {
    let mut kept: Vec<&[u8]> = Vec::new();
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
    changed(joined(kept), path)
}

fn turn_backslashes(path: &[u8]) -> Option<Vec<u8>> {
    let out = path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
    changed(out, path)
}

/// `/a;x=1/b` as `/a/b` (RFC 3986 §3.3 leaves parameters to the application).
fn cut_parameters(path: &[u8]) -> Option<Vec<u8>> {
    changed(joined(segments(path).map(|segment| before(segment, |byte| byte == b';'))), path)
}

/// `/a;x=1/b` as `/a`: as filters do that only know `;jsessionid`.
fn cut_at_first_parameter(path: &[u8]) -> Option<Vec<u8>> {
    changed(rooted(before(path, |byte| byte == b';')), path)
}

/// A `?` or `#` that came out of an escape ends the path for whoever decodes before splitting.
fn cut_at_query(path: &[u8]) -> Option<Vec<u8>> {
    changed(rooted(before(path, |byte| matches!(byte, b'?' | b'#'))), path)
}

/// As Windows names files: trailing dots and spaces do not count.
fn trim_segments(path: &[u8]) -> Option<Vec<u8>> {
    changed(joined(segments(path).map(trim)), path)
}

/// Whether [`trim_segments`] would change this segment, dot segments apart.
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

/// `//host/a` as `/a`: as programs do that parse a target as a reference (RFC 3986 §4.2), with
/// any number of slashes before the host (the URL standard of the browsers).
fn drop_authority(path: &[u8]) -> Option<Vec<u8>> {
    if !path.starts_with(b"//") {
        return None;
    }
    let host = path.iter().position(|byte| *byte != b'/')?;
    let end = path[host..].iter().position(|byte| *byte == b'/');
    changed(end.map_or_else(|| b"/".to_vec(), |end| path[host + end..].to_vec()), path)
}

/// Many routers answer for `/a/` as they do for `/a`.
fn drop_last_slash(path: &[u8]) -> Option<Vec<u8>> {
    without_last_slash(path).map(<[u8]>::to_vec)
}

/// `path` without its last slash; `None` for the root, or where there is none.
pub(super) fn without_last_slash(path: &[u8]) -> Option<&[u8]> {
    path.strip_suffix(b"/").filter(|path| !path.is_empty())
}

/// Reads the overlong forms of UTF-8 (RFC 3629 §3 forbids them, old decoders take them) as the
/// ASCII they stand for.
pub(super) fn read_overlong(path: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
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
    (out.len() != path.len()).then_some(out)
}

/// The segments of `path`, without the slash it begins with.
pub(super) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/')
}

fn joined<'a>(segments: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for segment in segments {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    rooted(&out)
}

fn rooted(path: &[u8]) -> Vec<u8> {
    if path.is_empty() { b"/".to_vec() } else { path.to_vec() }
}

fn before(bytes: &[u8], end: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|byte| end(*byte)).unwrap_or(bytes.len());
    &bytes[..end]
}

fn changed(out: Vec<u8>, path: &[u8]) -> Option<Vec<u8>> {
    (out != path).then_some(out)
}

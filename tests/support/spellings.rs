//! How software decodes a path, and how somebody might write one so that it is decoded.
//!
//! The decoders are written as real software decodes, each in its own words, and know nothing of how
//! we read: they are the other side of the bargain.

use std::fmt::Write as _;

/// Software that decodes a path, step by step.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one habit of software")]
pub(crate) struct Decoder {
    /// How often percent-encoding is undone.
    pub percent: usize,
    /// Whether dot segments and double slashes are resolved after that.
    pub dots: bool,
    /// Whether `;` and what follows in a segment is cut.
    pub parameters: bool,
    /// Whether `\` is a slash.
    pub backslash: bool,
    /// Whether letter case is ignored.
    pub caseless: bool,
}

impl Decoder {
    /// Every combination.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..48).map(|bits| Self {
            percent: bits % 3,
            dots: (bits / 3) & 1 == 1,
            parameters: (bits / 6) & 1 == 1,
            backslash: (bits / 12) & 1 == 1,
            caseless: (bits / 24) & 1 == 1,
        })
    }

    /// The path that this software sees.
    pub(crate) fn decode(self, target: &[u8]) -> Vec<u8> {
        let end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
        let mut path = target[..end].to_vec();
        for _ in 0..self.percent {
            path = unescape(&path);
        }
        if self.backslash {
            path.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
        }
        if self.parameters {
            let segments = path.split(|byte| *byte == b'/');
            let cut = segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap());
            path = cut.collect::<Vec<_>>().join(&b'/');
        }
        if self.dots {
            path = resolve(&path);
        }
        if self.caseless {
            path.make_ascii_lowercase();
        }
        path
    }

    /// Whether it takes `target` for something below `place`, which ends in a slash.
    pub(crate) fn reaches(self, target: &[u8], place: &[u8]) -> bool {
        let path = self.decode(target);
        path.starts_with(place) || path == place[..place.len() - 1]
    }
}

fn unescape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, more @ ..] = rest {
        let digits = more.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        if let (b'%', Some(byte)) = (first, byte) {
            out.push(byte);
            rest = &more[2..];
        } else {
            out.push(*first);
            rest = more;
        }
    }
    out
}

/// RFC 3986 §5.2.4, and empty segments dropped.
fn resolve(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(out.pop()),
            _ => out.push(segment),
        }
    }
    let mut joined = vec![b'/'];
    joined.extend(out.join(&b'/'));
    if path.ends_with(b"/") && joined.len() > 1 {
        joined.push(b'/');
    }
    joined
}

/// A stream of numbers that is the same each time (`SplitMix64`).
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }

    fn often(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    /// A hostile spelling of a path to `place`, or of something near it.
    pub(crate) fn spelling(&mut self, place: &str) -> String {
        let mut path = String::new();
        for _ in 0..self.below(3) {
            path.push_str(["/open", "/.", "/x/..", "/", "/a;b", "/%2e"][self.below(6)]);
        }
        let climbs = self.often(3);
        if climbs {
            path.push_str(
                ["/open/..", "/a/b/../..", "/%2e%2e", "/..;", "/open/%2e."][self.below(5)],
            );
        }
        for letter in place.chars() {
            match letter {
                '/' => path.push_str(
                    ["/", "/", "/", "//", "/./", "\\", "%2f", "%2F", "%5c", "%252f", "/;x/"]
                        [self.below(11)],
                ),
                letter => self.letter(letter, &mut path),
            }
        }
        path.push_str(
            [
                "", "", "", "/", "?", "?a=/open", ";x", ";a=b/", "/.", ".", "%20", "%23", "%3f",
                "%00",
            ][self.below(14)],
        );
        if path.starts_with('/') { path } else { format!("/{path}") }
    }

    fn letter(&mut self, letter: char, path: &mut String) {
        let code = u32::from(letter);
        let written = match self.below(12) {
            0 => write!(path, "%{code:02x}"),
            1 => write!(path, "%{code:02X}"),
            2 => write!(path, "%25{code:02x}"),
            3 => write!(path, "{}", letter.to_ascii_uppercase()),
            _ => write!(path, "{letter}"),
        };
        written.unwrap();
    }
}

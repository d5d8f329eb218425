//! A name or a value of a query, in every way in which software may read it.
//!
//! Readings are normalized, so that texts that most software takes for equal compare as equal: `+`
//! becomes a space, and control characters and surrounding white space are removed.

use std::borrow::Cow;

use crate::policy::pattern::fold;
use crate::policy::reading::{escape, read_overlong, utf_16_escape};

/// How often software decodes: once itself, and once more in a server before or behind it.
const MOST_DECODINGS: usize = 2;

/// Calls `each` with every reading of `sent`, with duplicates, and gives how many bytes were
/// examined. Letter case counts if `exact`.
///
/// The text is decoded not at all, once and twice (also `%uXXXX`, as in ASP and CGI.pm). It may end
/// at NUL, as strings in C do. A malformed escape loses its `%`, as in ASP. Overlong UTF-8 and
/// full-width letters become ASCII.
pub(super) fn each_reading(sent: &[u8], exact: bool, mut each: impl FnMut(&[u8])) -> usize {
    if sent.iter().copied().all(is_plain) {
        each(sent);
        return sent.len();
    }
    let mut work = 0;
    let mut buffer = Vec::with_capacity(sent.len());
    let mut clean = |text: &[u8]| {
        clean(text, exact, &mut buffer);
        each(&buffer);
    };
    let mut next = Some(Cow::Borrowed(sent));
    for _ in 0..=MOST_DECODINGS {
        let Some(text) = next else { break };
        work += text.len();
        clean(&text);
        if let Some(end) = memchr::memchr(0, &text) {
            clean(&text[..end]);
        }
        next = decode(&text).map(Cow::Owned);
        if next.is_none() && text.contains(&b'%') {
            clean(&text.iter().copied().filter(|byte| *byte != b'%').collect::<Vec<u8>>());
        }
        if !text.is_ascii() {
            let narrow = narrow(&text);
            read_overlong(&text).into_iter().chain(narrow).for_each(|text| clean(&text));
        }
    }
    work
}

/// The normalized form of a rule's text, with which readings are compared.
pub(super) fn meant(text: &str, exact: bool) -> Vec<u8> {
    let mut out = Vec::new();
    clean(text.as_bytes(), exact, &mut out);
    out
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.,:;/[]!*()@".contains(&byte)
}

fn clean(text: &[u8], exact: bool, out: &mut Vec<u8>) {
    out.clear();
    let kept = text.iter().filter(|byte| !byte.is_ascii_control());
    out.extend(kept.map(|byte| if *byte == b'+' { b' ' } else { *byte }));
    let trimmed = match str::from_utf8(out) {
        Ok(text) if !text.is_ascii() => text.trim_matches(is_space).as_bytes(),
        _ => out.trim_ascii(),
    };
    if trimmed.len() < out.len() {
        *out = trimmed.to_vec();
    }
    if !exact && let Some(folded) = fold(out) {
        *out = folded;
    }
}

/// Characters that some language trims (Unicode white space, and the byte-order mark).
fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{180e}' | '\u{200b}' | '\u{feff}')
}

/// Decodes once; `None` if nothing changes. Malformed escapes stay unchanged.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let first = memchr::memchr(b'%', text)?;
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(&text[..first]);
    let mut rest = &text[first..];
    while let [byte, tail @ ..] = rest {
        if let Some(byte) = escape(rest) {
            out.push(byte);
            rest = &rest[3..];
        } else if let Some(character) = utf_16_escape(rest) {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[6..];
        } else {
            out.push(*byte);
            rest = tail;
        }
    }
    (out.len() != text.len()).then_some(out)
}

/// Full-width letters as the ASCII letters to which Windows code pages convert them.
fn narrow(text: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(text).ok()?;
    let narrow = |letter: char| match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(letter),
        letter => letter,
    };
    let narrowed: String = text.chars().map(narrow).collect();
    (narrowed != text).then(|| narrowed.into_bytes())
}

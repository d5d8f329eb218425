//! Names of parameters, as frameworks read them.
//!
//! PHP makes `_` of a space, a dot and an unclosed bracket, and drops what stands in front
//! (`main/php_variables.c`); PHP, Rack, Express and others keep `user[id]` as a part of `user`, ASP.NET
//! and Spring `user.id`, too; Rack and Express take brackets around a name off; Spring fills `user`
//! for `_user` and `!user` (`WebDataBinder`). Letter case is not told apart, as in ASP.NET.

use super::text::{each_reading, meant};

/// Longer names are in no rule.
pub const LONGEST_NAME: usize = 128;

/// As deep as anybody nests (Express).
const DEEPEST: usize = 5;

/// Whether a name is all of what a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It is the parameter, with its value.
    Whole,
    /// It is something inside of it: the parameter may have any value.
    Inside,
}

/// Under what a rule's parameter is found.
pub(super) fn key(name: &str) -> Vec<u8> {
    let name = meant(name, false);
    if name.contains(&b'[') {
        components(&name).collect::<Vec<_>>().join(&b'_')
    } else {
        mangled(&name)
    }
}

/// Calls `each` with every key under which a rule may look for a parameter that is sent under this
/// name, some of them twice, and says how many bytes were looked at.
pub(super) fn each_key(name: &[u8], mut each: impl FnMut(&[u8], Part)) -> usize {
    each_reading(name, false, |name| {
        keys_of(name, &mut each);
        // Spring's markers: the field was there, or has a value of its own.
        if let [b'_' | b'!', field @ ..] = name {
            keys_of(field, &mut each);
        }
    })
}

fn keys_of(name: &[u8], each: &mut impl FnMut(&[u8], Part)) {
    let mut add = |key: &[u8], part| {
        if !key.is_empty() && key.len() <= LONGEST_NAME {
            each(key, part);
        }
    };
    let is_flat = |byte: u8| !matches!(byte, b' ' | b'.' | b'[' | b']');
    if name.iter().copied().all(is_flat) {
        return add(name, Part::Whole);
    }
    add(&mangled(name), Part::Whole);
    if let Some(bracket) = memchr::memchr(b'[', name) {
        add(&mangled(&name[..bracket]), Part::Inside);
    }
    let all: Vec<&[u8]> = components(name).take(DEEPEST + 1).collect();
    // The elements of a list may be counted before they are named (ASP.NET).
    let is_index = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    let counted = usize::from(all.first().is_some_and(|first| is_index(first)));
    let closes = !name.ends_with(b"[]") && matches!(name.last(), Some(byte) if *byte != b'.');
    for first in 0..=counted {
        for end in first + 1..=all.len().min(DEEPEST) {
            let is_all = end == all.len() && closes;
            let key: Vec<u8> = all[first..end].join(&b'_');
            add(&key, if is_all { Part::Whole } else { Part::Inside });
        }
    }
}

/// As PHP keeps a name that is not nested.
fn mangled(name: &[u8]) -> Vec<u8> {
    let kept = name.iter().filter(|byte| **byte != b']');
    kept.map(|byte| if matches!(byte, b' ' | b'.' | b'[') { b'_' } else { *byte }).collect()
}

/// What stands between brackets and dots.
fn components(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = name.split(|byte| matches!(byte, b'.' | b'[' | b']'));
    parts.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}

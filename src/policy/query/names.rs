//! Names of parameters as frameworks read them.
//!
//! PHP turns a space, a dot and an unclosed bracket into `_`, and drops spaces in front
//! (`main/php_variables.c`). PHP, Rack, Express and others read `user[id]` as a part of `user`;
//! ASP.NET and Spring also `user.id`. Rack and Express remove brackets around a name. Spring sets
//! `user` for `_user` and `!user` (`WebDataBinder`). Letter case does not count, as in ASP.NET.

use super::text::{each_reading, meant};

/// No rule has a longer name.
pub const LONGEST_NAME: usize = 128;

/// The deepest nesting that is read (Express).
const DEEPEST: usize = 5;

/// Whether a name is the whole parameter or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The parameter itself, with its value.
    Whole,
    /// Something inside the parameter: it may have any value.
    Inside,
}

/// The key of a rule's parameter.
pub(super) fn key(name: &str) -> Vec<u8> {
    let name = meant(name, false);
    if name.contains(&b'[') {
        components(&name).collect::<Vec<_>>().join(&b'_')
    } else {
        mangled(&name)
    }
}

/// Calls `each` with every key under which a rule may look for a parameter with this name, with
/// duplicates. Gives how many bytes were examined.
pub(super) fn each_key(name: &[u8], mut each: impl FnMut(&[u8], Part)) -> usize {
    each_reading(name, false, |name| {
        keys_of(name, &mut each);
        // Spring's markers: the field was present, or has a default value.
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
    // The elements of a list may have an index before their name (ASP.NET).
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

/// As PHP stores a name that is not nested.
fn mangled(name: &[u8]) -> Vec<u8> {
    let kept = name.iter().filter(|byte| **byte != b']');
    kept.map(|byte| if matches!(byte, b' ' | b'.' | b'[') { b'_' } else { *byte }).collect()
}

/// The parts between brackets and dots.
fn components(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = name.split(|byte| matches!(byte, b'.' | b'[' | b']'));
    parts.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}

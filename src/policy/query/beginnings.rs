//! The first letters of the names that rules look for: a fast check that excludes most names of a
//! query.
//!
//! Only letters and digits count, in lower case, after decoding twice. Whatever key is made from a
//! name, its letters are the first letters of the name, or of what follows a number in front of it.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::policy::reading::escape;

/// The first letters of a name, at most eight.
type Beginning = u64;

/// The names that are looked for, by their first letters.
#[derive(Clone, Debug, Default)]
pub(super) struct Beginnings {
    /// By length, from 1 to 8.
    by_length: [HashMap<Beginning, SmallVec<[usize; 2]>>; 8],
    /// Names for which the first letters say too little.
    odd: Vec<usize>,
}

impl Beginnings {
    /// Adds the name with this key and number.
    pub(super) fn add(&mut self, key: &[u8], number: usize) {
        let letters = || key.iter().copied().filter(u8::is_ascii_alphanumeric);
        let is_plain = key.is_ascii() && !key.contains(&b'%');
        match letters().count().min(8) {
            1..=8 if is_plain => {
                let length = letters().count().min(8);
                let beginning = letters().take(8).fold(0, with);
                self.by_length[length - 1].entry(beginning).or_default().push(number);
            }
            _ => self.odd.push(number),
        }
    }

    /// Whether a parameter sent as `name` may be one of those that are `open`; `false` is certain.
    pub(super) fn may_be(&self, name: &[u8], open: impl Fn(&usize) -> bool) -> bool {
        if self.odd.iter().any(&open) {
            return true;
        }
        let mut letters = Letters(name);
        let mut beginning: Beginning = 0;
        let (mut length, mut in_number, mut digits) = (0, true, 0);
        while let Some(letter) = letters.next() {
            let Some(letter) = letter else { return true };
            if in_number && length > 0 {
                // A list index may come first, and a name may itself begin with a digit.
                digits += 1;
                if digits > LONGEST_NUMBER || self.may_begin(letter, Letters(letters.0), &open) {
                    return true;
                }
            }
            in_number &= letter.is_ascii_digit();
            if length < 8 {
                beginning = with(beginning, letter);
                length += 1;
                if self.has(length, beginning, &open) {
                    return true;
                }
            } else if !in_number {
                return false;
            }
        }
        false
    }

    fn may_begin(&self, first: u8, rest: Letters<'_>, open: &impl Fn(&usize) -> bool) -> bool {
        let mut beginning = with(0, first);
        if self.has(1, beginning, open) {
            return true;
        }
        for (letter, length) in rest.zip(2..=8) {
            let Some(letter) = letter else { return true };
            beginning = with(beginning, letter);
            if self.has(length, beginning, open) {
                return true;
            }
        }
        false
    }

    fn has(&self, length: usize, beginning: Beginning, open: &impl Fn(&usize) -> bool) -> bool {
        let known = &self.by_length[length - 1];
        !known.is_empty() && known.get(&beginning).is_some_and(|names| names.iter().any(open))
    }
}

/// With more leading digits than this, a name may be anything: no list is that long.
const LONGEST_NUMBER: usize = 20;

fn with(beginning: Beginning, letter: u8) -> Beginning {
    beginning << 8 | u64::from(letter)
}

/// Letters and digits of a name, in lower case, after decoding twice; `None` stands for any letter.
pub(super) struct Letters<'n>(pub(super) &'n [u8]);

impl Iterator for Letters<'_> {
    type Item = Option<u8>;

    fn next(&mut self) -> Option<Option<u8>> {
        while let [first, tail @ ..] = self.0 {
            let byte = if *first == b'%' {
                let (byte, length) = escaped(self.0);
                self.0 = &self.0[length..];
                byte
            } else {
                self.0 = tail;
                *first
            };
            match byte {
                0x80.. => return Some(None),
                letter if letter.is_ascii_alphanumeric() => {
                    return Some(Some(letter.to_ascii_lowercase()));
                }
                _ => {}
            }
        }
        None
    }
}

/// The byte at the beginning of `text`, which is a `%`, after decoding twice, and the number of
/// bytes that it takes. 0x80 if it may be anything, as when the digits after the `%` are escaped
/// themselves.
fn escaped(text: &[u8]) -> (u8, usize) {
    let is_open = |at: usize| {
        let next = &text[at.min(text.len())..text.len().min(at + 5)];
        matches!(next.first(), Some(b'u' | b'U')) || next.contains(&b'%')
    };
    match escape(text) {
        Some(b'%') => match text.get(3..5).and_then(|two| escape(&[b'%', two[0], two[1]])) {
            Some(byte) => (byte, 5),
            None if is_open(3) => (0x80, 1),
            None => (b'%', 3),
        },
        Some(byte) => (byte, 3),
        None if is_open(1) => (0x80, 1),
        None => (b'%', 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_be_meant_are_told_from_others() {
        let mut beginnings = Beginnings::default();
        for (number, key) in ["action", "user_identity", "q", "2fa"].iter().enumerate() {
            beginnings.add(key.as_bytes(), number);
        }
        let may_be = |name: &str| beginnings.may_be(name.as_bytes(), |_| true);
        for name in [
            "action",
            "Action[x]",
            "%61ction",
            "%2561ction",
            "a%63%00tion",
            "action-x",
            "[7].action",
            "12.action",
            "_action",
            "u.s.e.r.i.d.e.n",
            "userident",
            "q",
            "Q[1]",
            "2fa",
            "%u0061ction",
            "%ef%bd%81ction",
            "a%c1%83tion",
            "quite",
            "%6%31ction",
            "%%361ction",
            "%25%36%31ction",
            "%256%31ction",
            "3.2fa",
            "[0].2fa",
            "31.2fa",
            "1111111111111111111111111",
        ] {
            assert!(may_be(name), "{name}");
        }
        for name in ["", "%", "act", "page", "xaction", "x.action", "useridea", "%7", "1", "%2578"]
        {
            assert!(!may_be(name), "{name}");
        }
        assert!(!beginnings.may_be(b"action[1]", |name| *name != 0), "it is heard already");
    }
}

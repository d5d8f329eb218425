//! A set of texts that takes no more memory than its texts need.

use std::collections::BTreeSet;
use std::iter::Map;
use std::slice;

/// Texts, sorted, each once. A rule names one or two methods or groups, and a `BTreeSet` has room
/// for eleven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextSet(Box<[Box<str>]>);

/// The texts of a set, in byte order.
pub(super) type Iter<'s> = Map<slice::Iter<'s, Box<str>>, fn(&Box<str>) -> &str>;

impl TextSet {
    /// Whether it has no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first text in byte order.
    pub fn first(&self) -> Option<&str> {
        self.iter().next()
    }

    /// All texts, in byte order.
    pub fn iter(&self) -> Iter<'_> {
        self.0.iter().map(|text| &**text)
    }

    /// Whether it has this text.
    pub fn contains(&self, text: &str) -> bool {
        self.0.binary_search_by(|known| (**known).cmp(text)).is_ok()
    }

    /// Whether `other` has every text of this set.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|text| other.contains(text))
    }

    /// Whether no text is in both sets.
    pub fn is_disjoint(&self, other: &BTreeSet<String>) -> bool {
        if self.0.len() < other.len() {
            !self.iter().any(|text| other.contains(text))
        } else {
            !other.iter().any(|text| self.contains(text))
        }
    }
}

impl FromIterator<String> for TextSet {
    fn from_iter<I: IntoIterator<Item = String>>(texts: I) -> Self {
        let mut texts: Vec<Box<str>> = texts.into_iter().map(Into::into).collect();
        texts.sort_unstable();
        texts.dedup();
        Self(texts.into())
    }
}

impl From<BTreeSet<String>> for TextSet {
    fn from(texts: BTreeSet<String>) -> Self {
        texts.into_iter().collect()
    }
}

impl<const N: usize> From<[String; N]> for TextSet {
    fn from(texts: [String; N]) -> Self {
        texts.into_iter().collect()
    }
}

impl<'s> IntoIterator for &'s TextSet {
    type Item = &'s str;
    type IntoIter = Iter<'s>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> TextSet {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn texts_are_sorted_and_each_is_there_once() {
        let texts = set(&["PUT", "GET", "PUT"]);
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["GET", "PUT"]);
        assert!(texts.contains("GET") && texts.contains("PUT") && !texts.contains("HEAD"));
        assert_eq!(texts.first(), Some("GET"));
    }

    #[test]
    fn sets_are_compared_whichever_is_larger() {
        let (few, many) = (set(&["b"]), set(&["a", "b", "c"]));
        assert!(few.is_subset(&many) && !many.is_subset(&few));
        let other = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        for (texts, others, disjoint) in [
            (&few, other(&["a", "b", "c"]), false),
            (&few, other(&["a", "c"]), true),
            (&many, other(&["b"]), false),
            (&many, other(&["d"]), true),
            (&set(&[]), other(&["a"]), true),
            (&few, other(&[]), true),
        ] {
            assert_eq!(texts.is_disjoint(&others), disjoint, "{texts:?} {others:?}");
        }
    }
}

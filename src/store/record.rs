//! A record, where it lies, and what a commit changes.

use std::ops::Bound;

use crate::domain::time::Timestamp;

/// How many records one call of [`Records::sweep`](super::Records::sweep) deletes at most: few enough that nobody who
/// signs in meanwhile notices.
pub const SWEEP_AT_MOST: usize = 512;

/// How many changes a receiver may fall behind before it is told to take everything for changed.
pub(super) const CHANGES_KEPT: usize = 1024;

/// What a record is about. The tags are written to disk and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A person.
    User = 1,
    /// A user name or e-mail address, keyed by its HMAC, that leads to a user.
    Name = 2,
    /// Failures of a name that no user has.
    Attempts = 3,
    /// A session.
    Session = 4,
    /// That something happened to somebody: where to find it, the newest first.
    Happened = 5,
    /// A one-time link.
    Token = 6,
    /// What is set at run time.
    Setting = 7,
    /// Something that happened.
    Event = 8,
    /// That a user has a stay: where to find it.
    StayOf = 9,
    /// What takes a visitor to another host.
    Ticket = 10,
    /// A stay, to which sessions belong.
    Stay = 11,
    /// A letter that waits to be sent.
    Letter = 12,
}

impl Kind {
    /// Every kind, in the order of the tags.
    pub const ALL: [Self; 12] = [
        Self::User,
        Self::Name,
        Self::Attempts,
        Self::Session,
        Self::Happened,
        Self::Token,
        Self::Setting,
        Self::Event,
        Self::StayOf,
        Self::Ticket,
        Self::Stay,
        Self::Letter,
    ];

    /// The byte that stands for this kind on disk and under every seal.
    pub const fn tag(self) -> u8 {
        self as u8
    }

    /// The kind that `tag` stands for, if any.
    pub fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.tag() == tag)
    }
}

/// Which commit wrote a record. Commits of a store are counted, so a version never comes back,
/// not even for a key that was deleted and written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The version that the commit of this number gives.
    pub const fn of_commit(number: u64) -> Self {
        Self(number)
    }

    /// The number of the commit.
    pub const fn commit(self) -> u64 {
        self.0
    }
}

/// What lies under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which commit wrote it.
    pub version: Version,
    /// From when on it counts as gone; `None`: it stays.
    pub expires: Option<Timestamp>,
    /// The sealed bytes.
    pub body: Vec<u8>,
}

impl Record {
    /// Whether the record still counts at `now`; one that expires at this very moment does not.
    pub fn counts(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// A record together with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Vec<u8>,
    /// What lies there.
    pub record: Record,
}

/// A stretch of keys, in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// Where it begins.
    pub from: Bound<Vec<u8>>,
    /// Where it ends.
    pub to: Bound<Vec<u8>>,
}

impl KeyRange {
    /// All keys.
    pub const fn all() -> Self {
        Self { from: Bound::Unbounded, to: Bound::Unbounded }
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { from: Bound::Included(prefix.to_vec()), to: end_of_prefix(prefix) }
    }

    /// What is left of this range behind `key`.
    #[must_use]
    pub fn behind(self, key: &[u8]) -> Self {
        Self { from: Bound::Excluded(key.to_vec()), to: self.to }
    }

    /// Whether no key can lie in the range. Ordered maps panic when asked for such a range.
    pub(super) fn is_empty(&self) -> bool {
        match (&self.from, &self.to) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
            | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        }
    }
}

/// The first key behind all that begin with `prefix`: its last byte that can grow, grown.
fn end_of_prefix(prefix: &[u8]) -> Bound<Vec<u8>> {
    let Some(last) = prefix.iter().rposition(|byte| *byte != u8::MAX) else {
        return Bound::Unbounded;
    };
    let mut end = prefix.get(..=last).unwrap_or_default().to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Bound::Excluded(end)
}

/// What one commit touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The version that the commit gave.
    pub version: Version,
    /// The records that were put or deleted.
    pub touched: Vec<(Kind, Vec<u8>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_means_one_kind_for_ever() {
        let tags = Kind::ALL.map(|kind| (kind.tag(), kind));
        assert_eq!(
            tags,
            [
                (1, Kind::User),
                (2, Kind::Name),
                (3, Kind::Attempts),
                (4, Kind::Session),
                (5, Kind::Happened),
                (6, Kind::Token),
                (7, Kind::Setting),
                (8, Kind::Event),
                (9, Kind::StayOf),
                (10, Kind::Ticket),
                (11, Kind::Stay),
                (12, Kind::Letter),
            ]
        );
        assert!(tags.iter().all(|(tag, kind)| Kind::from_tag(*tag) == Some(*kind)));
        assert_eq!(Kind::from_tag(0), None);
    }

    #[test]
    fn a_prefix_ends_where_its_last_byte_that_can_grow_has_grown() {
        let end = |prefix: &[u8]| KeyRange::prefix(prefix).to;
        assert_eq!(end(b"ab"), Bound::Excluded(b"ac".to_vec()));
        assert_eq!(end(&[7, 255, 255]), Bound::Excluded(vec![8]));
        assert_eq!(end(&[255]), Bound::Unbounded);
        assert_eq!(end(b""), Bound::Unbounded);
    }

    #[test]
    fn a_record_is_gone_at_the_very_moment_at_which_it_expires() {
        let expires = Some(Timestamp::from_secs(100));
        let record = Record { version: Version::of_commit(1), expires, body: Vec::new() };
        assert!(record.counts(Timestamp::from_millis(99_999)));
        assert!(!record.counts(Timestamp::from_secs(100)));
    }
}

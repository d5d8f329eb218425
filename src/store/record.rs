//! Records, their keys, and the changes of a commit.

use std::ops::Bound;

use crate::domain::time::Timestamp;

/// How many records one call of [`Records::sweep`](super::Records::sweep) deletes at most. Few
/// enough not to delay sign-ins noticeably.
pub const SWEEP_AT_MOST: usize = 512;

/// How many changes a receiver may fall behind before it must treat everything as changed.
pub(super) const CHANGES_KEPT: usize = 1024;

/// What a record contains. The tags are stored on disk and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A user.
    User = 1,
    /// A user name or e-mail address, keyed by its HMAC. It refers to a user.
    Name = 2,
    /// The failed passwords of a user or an unknown name.
    Attempts = 3,
    /// A host session.
    HostSession = 4,
    /// An index entry: an event of a user, newest first.
    Happened = 5,
    /// A one-time link.
    Token = 6,
    /// A run-time setting.
    Setting = 7,
    /// An event.
    Event = 8,
    /// An index entry: a user session of a user.
    UserSessionOf = 9,
    /// A ticket, which transfers a sign-in to another host.
    Ticket = 10,
    /// A user session, to which host sessions belong.
    UserSession = 11,
    /// An e-mail message that waits to be sent.
    Message = 12,
    /// A state that came back from an identity provider.
    SpentState = 13,
    /// The name of a removed user, keyed like a [`Kind::Name`].
    FormerName = 14,
    /// Whose a session at an identity provider is, by its name there.
    NamedAtProvider = 15,
    /// What asks a provider whether a user session may go on.
    Renewal = 16,
    /// A text message that waits to be sent.
    Text = 17,
    /// The text messages of the last day.
    TextLedger = 18,
}

impl Kind {
    /// All kinds, in the order of their tags.
    pub const ALL: [Self; 18] = [
        Self::User,
        Self::Name,
        Self::Attempts,
        Self::HostSession,
        Self::Happened,
        Self::Token,
        Self::Setting,
        Self::Event,
        Self::UserSessionOf,
        Self::Ticket,
        Self::UserSession,
        Self::Message,
        Self::SpentState,
        Self::FormerName,
        Self::NamedAtProvider,
        Self::Renewal,
        Self::Text,
        Self::TextLedger,
    ];

    /// The byte that identifies this kind on disk and in sealed records.
    pub const fn tag(self) -> u8 {
        self as u8
    }

    /// The kind with this tag, if there is one.
    pub fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.tag() == tag)
    }
}

/// The number of the commit that wrote a record. Commits are counted, so a version is never reused,
/// even if a key is deleted and written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The version that the commit with this number gives to its records.
    pub const fn of_commit(number: u64) -> Self {
        Self(number)
    }

    /// The number of the commit.
    pub const fn commit(self) -> u64 {
        self.0
    }
}

/// A stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The commit that wrote it.
    pub version: Version,
    /// When it expires; `None` if never.
    pub expires: Option<Timestamp>,
    /// The sealed bytes.
    pub body: Vec<u8>,
}

impl Record {
    /// Whether the record has not expired at `now`. One that expires exactly at `now` has expired.
    pub fn counts(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// A record together with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Vec<u8>,
    /// The record.
    pub record: Record,
}

/// A range of keys in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The lower bound.
    pub from: Bound<Vec<u8>>,
    /// The upper bound.
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

    /// The part of this range after `key`.
    #[must_use]
    pub fn behind(self, key: &[u8]) -> Self {
        Self { from: Bound::Excluded(key.to_vec()), to: self.to }
    }

    /// Whether the range contains no key. Ordered maps panic if they are asked for such a range.
    pub(super) fn is_empty(&self) -> bool {
        match (&self.from, &self.to) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
            | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        }
    }
}

/// The first key after all keys with `prefix`: its last byte below 255 is incremented, and the rest
/// is cut off.
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

/// The records that one commit changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The version of the commit.
    pub version: Version,
    /// The records that were written or deleted.
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
                (4, Kind::HostSession),
                (5, Kind::Happened),
                (6, Kind::Token),
                (7, Kind::Setting),
                (8, Kind::Event),
                (9, Kind::UserSessionOf),
                (10, Kind::Ticket),
                (11, Kind::UserSession),
                (12, Kind::Message),
                (13, Kind::SpentState),
                (14, Kind::FormerName),
                (15, Kind::NamedAtProvider),
                (16, Kind::Renewal),
                (17, Kind::Text),
                (18, Kind::TextLedger),
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

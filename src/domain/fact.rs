//! Identity facts: what an application can be told about the user of a request.
//!
//! Each fact is one row of [`FACTS`]. The keys of `identity_headers`, their usual names, the schema
//! and the headers of a request are made from the table, so a new fact is a new row.

use std::borrow::Cow;

use super::assurance::Amr;
use super::identity::Identity;

/// What can be told about a user.
pub struct Fact {
    /// Its key in `identity_headers`.
    pub word: &'static str,
    /// The header that tells it unless the operator names another one, in lower case.
    pub header: &'static str,
    /// What the header contains, as the schema says it.
    pub about: &'static str,
    /// Its value for a user who has shown these factors; empty if there is none.
    pub value: for<'u> fn(&'u Identity, Amr) -> Cow<'u, str>,
    /// How long a value may be told again without asking for it.
    pub holds: Holds,
}

/// How long the value of a fact may be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// As long as the user's record does not change.
    ForRecord,
    /// As long as, besides, the factors are the same that the user has shown.
    ForFactors,
}

/// The table. Headers are set in this order.
pub static FACTS: [Fact; 5] = [
    Fact {
        word: "user",
        header: "remote-user",
        about: "the header with the user name",
        value: |identity, _| Cow::Borrowed(&identity.written),
        holds: Holds::ForRecord,
    },
    Fact {
        word: "groups",
        header: "remote-groups",
        about: "the header with the groups",
        value: |identity, _| listed(identity.groups.iter().map(String::as_str)),
        holds: Holds::ForRecord,
    },
    Fact {
        word: "name",
        header: "remote-name",
        about: "the header with the full name",
        value: |identity, _| Cow::Borrowed(identity.full_name.as_deref().unwrap_or_default()),
        holds: Holds::ForRecord,
    },
    Fact {
        word: "email",
        header: "remote-email",
        about: "the header with the e-mail address",
        value: |identity, _| Cow::Borrowed(identity.email.as_deref().unwrap_or_default()),
        holds: Holds::ForRecord,
    },
    Fact {
        word: "amr",
        header: "remote-amr",
        about: "the header with the authentication methods (RFC 8176)",
        value: |_, amr| listed(amr.methods()),
        holds: Holds::ForFactors,
    },
];

impl Fact {
    /// The fact with this key in `identity_headers`.
    pub fn named(word: &str) -> Option<&'static Self> {
        FACTS.iter().find(|fact| fact.word == word)
    }
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word)
    }
}

impl PartialEq for Fact {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl Eq for Fact {}

fn listed<'w>(words: impl Iterator<Item = &'w str>) -> Cow<'w, str> {
    let mut list = String::new();
    for word in words {
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(word);
    }
    Cow::Owned(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_has_a_word_and_a_header_of_its_own() {
        for (index, fact) in FACTS.iter().enumerate() {
            assert_eq!(Fact::named(fact.word), Some(fact));
            assert_eq!(fact.header, fact.header.to_ascii_lowercase(), "{fact:?}");
            let others = FACTS.iter().skip(index + 1);
            assert!(others.map(|other| other.header).all(|other| other != fact.header));
        }
    }
}

//! What keys are for: a table with one row for each purpose.
//!
//! The keys file, `doorward keys` and the start are made from it, so a new purpose is one more row.
//! A keys file from before that row gets its first key at the next start.

use std::fmt;
use std::time::Duration;

/// Until when an older key is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Until {
    /// Until every record is sealed with the newer key.
    Resealed,
    /// Until every name is stored under the newer key.
    Rekeyed,
    /// For this long after it was replaced: the longest life of what it signed.
    Over(Duration),
}

macro_rules! purposes {
    ($($(#[$doc:meta])+ $name:ident: $word:literal, $about:literal, $until:expr;)+) => {
        /// What a key is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Purpose { $($(#[$doc])+ $name,)+ }

        impl Purpose {
            /// All purposes, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            const fn row(self) -> (&'static str, &'static str, Until) {
                match self { $(Self::$name => ($word, $about, $until),)+ }
            }

            /// What is wrong with a keys file that has none of its keys.
            pub(super) const fn lacks(self) -> &'static str {
                match self { $(Self::$name => concat!("the `", $word, "` key is missing"),)+ }
            }
        }
    };
}

purposes! {
    /// Names and e-mail addresses are stored under their HMAC, so that a stolen store lists none.
    Names: "names", "look up names and e-mail addresses", Until::Rekeyed;
    /// Records are encrypted.
    Sealing: "sealing", "encrypt the records of the store", Until::Resealed;
    /// Cookies are signed. A known browser's lasts longest.
    Cookies: "cookies", "sign cookies", Until::Over(DAY.saturating_mul(365));
    /// Forms are signed. No user session is longer, and a form ends with it.
    Csrf: "csrf", "sign forms, so that no other site can send them",
        Until::Over(DAY.saturating_mul(30));
}

const DAY: Duration = Duration::from_hours(24);

impl Purpose {
    /// The word for it in the keys file, in commands and in events.
    pub const fn word(self) -> &'static str {
        self.row().0
    }

    /// What its keys do, as a verb with its object.
    pub const fn about(self) -> &'static str {
        self.row().1
    }

    /// The purpose with this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|purpose| purpose.word() == word)
    }

    pub(in crate::store) const fn until(self) -> Until {
        self.row().2
    }

    /// How long a key is accepted after it was replaced; `None` if that depends on the store.
    pub const fn accepted_for(self) -> Option<Duration> {
        match self.until() {
            Until::Over(life) => Some(life),
            Until::Resealed | Until::Rekeyed => None,
        }
    }

    /// Whether records of the store cannot be used without its keys.
    pub(in crate::store) const fn is_rested_on(self) -> bool {
        matches!(self.until(), Until::Resealed | Until::Rekeyed)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

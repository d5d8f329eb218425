//! Recovery codes: single-use codes that replace the second factor.
//!
//! They are stored in readable form inside a sealed record, so that users can look at the unused
//! ones again. They are compared in constant time.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use super::{FactorId, Kind, News, Rejection, Row, Told};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// This kind in the table of factors. A recovery code is no factor that anybody adds.
pub const ROW: Row = Row {
    kind: Kind::RecoveryCode,
    word: "recovery-code",
    also: &["recovery_code"],
    name: "recovery code",
    amr: "recovery-code",
    amr_of_copies: "recovery-code",
    at_most: 0,
    backs_up: None,
    can_be_guessed: false,
    resists_phishing: false,
    told: Told {
        shown: News {
            event: "recovery-code-used",
            logged: "recovery code used",
            read: "You used a recovery code.",
            mailed: Some(("a recovery code was used", "One of your recovery codes was used.")),
        },
        replaced: RENEWED,
        // A whole set is only ever replaced.
        added: NEVER,
        removed: NEVER,
        renamed: NEVER,
    },
};

const RENEWED: News = News {
    event: "recovery-codes-renewed",
    logged: "new recovery codes created",
    read: "You made new recovery codes. The old ones no longer work.",
    mailed: Some((
        "new recovery codes",
        "You have new recovery codes. The old ones no longer work.",
    )),
};

const NEVER: News = News { mailed: None, ..RENEWED };

/// One set of recovery codes. A new set replaces the whole old one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecoveryCodes {
    #[n(0)]
    codes: Vec<Entry>,
    #[n(1)]
    made: Timestamp,
    /// When the user confirmed that the codes are saved.
    #[n(2)]
    saved: Option<Timestamp>,
    #[n(3)]
    id: FactorId,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Entry {
    #[n(0)]
    code: Code,
    #[n(1)]
    used: Option<Timestamp>,
}

impl RecoveryCodes {
    /// With this many codes left or fewer, the user is warned on their page and after a sign-in
    /// (S22).
    pub const FEW: usize = 3;

    /// A new set of `count` codes that the user has not saved yet.
    pub fn random(rng: &mut dyn CryptoRng, count: usize, now: Timestamp) -> Self {
        let codes = (0..count).map(|_| Entry { code: Code::random(rng), used: None }).collect();
        Self { codes, made: now, saved: None, id: FactorId::random(rng) }
    }

    /// The id of the set; never reused.
    pub fn id(&self) -> FactorId {
        self.id
    }

    /// Checks `code` and, if it is right, marks it as used.
    ///
    /// Compares every code of the set, each in constant time.
    ///
    /// # Errors
    /// [`Rejection::Wrong`] if the set has no such code, [`Rejection::Used`] if it was used before.
    pub fn check(&mut self, code: &Code, now: Timestamp) -> Result<(), Rejection> {
        let mut found = None;
        for entry in &mut self.codes {
            if entry.code == *code {
                found = Some(entry);
            }
        }
        let entry = found.ok_or(Rejection::Wrong)?;
        if entry.used.is_some() {
            return Err(Rejection::Used);
        }
        entry.used = Some(now);
        Ok(())
    }

    /// Marks all codes as used.
    pub fn void(&mut self, now: Timestamp) {
        for entry in &mut self.codes {
            entry.used.get_or_insert(now);
        }
    }

    /// The codes that can still be used, in order.
    pub fn unused(&self) -> impl Iterator<Item = &Code> {
        self.codes.iter().filter(|entry| entry.used.is_none()).map(|entry| &entry.code)
    }

    /// The number of codes, including used ones.
    pub fn count(&self) -> usize {
        self.codes.len()
    }

    /// When the set was made.
    pub fn made(&self) -> Timestamp {
        self.made
    }

    /// Whether the user has confirmed that the codes are saved.
    pub fn are_saved(&self) -> bool {
        self.saved.is_some()
    }

    /// Records that the user has saved the codes; has no effect the second time.
    pub fn save(&mut self, now: Timestamp) {
        self.saved.get_or_insert(now);
    }
}

/// A recovery code: thirteen base32 symbols, 65 bits.
///
/// NIST SP 800-63B-4 §3.1.2.1 requires at least 20 bits. Codes of 64 bits or more need neither a
/// slow hash nor a rate limit of their own.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Code(#[n(0)] Secret);

impl Code {
    const SYMBOLS: usize = 13;

    fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; 9];
        rng.fill_bytes(&mut bytes);
        let mut symbols = BASE32_NOPAD.encode(&bytes).into_bytes();
        symbols.truncate(Self::SYMBOLS);
        Self(Secret::new(symbols))
    }

    /// The code in groups, as people read it: `ABCD-EFGH-JKLMN`.
    pub fn expose_grouped(&self) -> String {
        let symbols = self.0.expose_str();
        let (first, rest) = symbols.split_at_checked(4).unwrap_or((symbols, ""));
        let (second, third) = rest.split_at_checked(4).unwrap_or((rest, ""));
        format!("{first}-{second}-{third}")
    }
}

impl FromStr for Code {
    type Err = Rejection;

    /// Parses a code in upper or lower case, with or without dashes and spaces. The digits `0`, `1`
    /// and `8`, which base32 does not have, are read as the letters that they resemble.
    fn from_str(typed: &str) -> Result<Self, Rejection> {
        let symbols: Vec<u8> = typed
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '–' | '‐'))
            .map(|c| match c.to_ascii_uppercase() {
                '0' => 'O',
                '1' => 'I',
                '8' => 'B',
                symbol => symbol,
            })
            .map(|c| if c.is_ascii() { c as u8 } else { b'?' })
            .take(Self::SYMBOLS + 1)
            .collect();
        let base32 = |b: &u8| b.is_ascii_uppercase() || matches!(b, b'2'..=b'7');
        if symbols.len() == Self::SYMBOLS && symbols.iter().all(base32) {
            Ok(Self(Secret::new(symbols)))
        } else {
            Err(Rejection::Wrong)
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn twelve() -> RecoveryCodes {
        RecoveryCodes::random(&mut StdRng::seed_from_u64(1), 12, NOW)
    }

    #[test]
    fn each_code_works_once() {
        let mut codes = twelve();
        let code = codes.unused().nth(4).unwrap().clone();
        assert_eq!(codes.check(&code, NOW), Ok(()));
        assert_eq!(codes.check(&code, NOW), Err(Rejection::Used));
        assert_eq!(codes.unused().count(), 11);
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let mut codes = twelve();
        let code = codes.unused().next().unwrap().clone();
        let typed = format!(" {} ", code.expose_grouped().to_lowercase().replace('-', " "));
        assert_eq!(codes.check(&typed.parse().unwrap(), NOW), Ok(()));
        assert_eq!("O0I1B8AAAAAAA".parse::<Code>().unwrap(), "OOIIBBAAAAAAA".parse().unwrap());
        for odd in ["", "123456", "ABCD-EFGH-IJKL", "ABCD-EFGH-IJKL-MN", "ABCD-EFGH-IJKLé"] {
            assert_eq!(odd.parse::<Code>().err(), Some(Rejection::Wrong), "{odd}");
        }
    }

    #[test]
    fn codes_differ_and_have_sixty_five_bits() {
        let codes = twelve();
        let all: std::collections::BTreeSet<_> = codes.unused().map(Code::expose_grouped).collect();
        assert_eq!(all.len(), 12);
        assert!(all.iter().all(|code| code.len() == 15), "{all:?}");
    }

    #[test]
    fn a_set_is_unsaved_until_the_person_says_so() {
        let mut codes = twelve();
        assert!(!codes.are_saved());
        codes.save(NOW);
        assert!(codes.are_saved());
    }
}

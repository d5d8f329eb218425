//! Recovery codes: single-use codes instead of a factor.
//!
//! They are kept readable (the whole record is sealed), so that people can look at the unused ones
//! again, and are compared in constant time.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use super::{FactorId, Rejection};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// One set of recovery codes; a new set replaces it whole.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecoveryCodes {
    #[n(0)]
    codes: Vec<Entry>,
    #[n(1)]
    made: Timestamp,
    /// When the person said that the codes are saved.
    #[n(2)]
    saved: Option<Timestamp>,
    /// Sets from when a proof did not name its factor have none.
    #[n(3)]
    id: Option<FactorId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Entry {
    #[n(0)]
    code: Code,
    #[n(1)]
    used: Option<Timestamp>,
}

impl RecoveryCodes {
    /// So many left are few: the person is told, on their page and after a sign-in (S22).
    pub const FEW: usize = 3;

    /// A new set of `count` codes, not yet saved by the person.
    pub fn random(rng: &mut dyn CryptoRng, count: usize, now: Timestamp) -> Self {
        let codes = (0..count).map(|_| Entry { code: Code::random(rng), used: None }).collect();
        Self { codes, made: now, saved: None, id: Some(FactorId::random(rng)) }
    }

    /// Which set: no other ever has the same name.
    pub fn id(&self) -> FactorId {
        self.id.unwrap_or_else(FactorId::unknown)
    }

    /// Judges `code` and, if it is right, uses it up.
    ///
    /// Every code of the set is compared, each in constant time.
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

    /// None of the codes can be used from now on.
    pub fn void(&mut self, now: Timestamp) {
        for entry in &mut self.codes {
            entry.used.get_or_insert(now);
        }
    }

    /// The codes that can still be used, in their order.
    pub fn unused(&self) -> impl Iterator<Item = &Code> {
        self.codes.iter().filter(|entry| entry.used.is_none()).map(|entry| &entry.code)
    }

    /// How many there were, used ones among them.
    pub fn count(&self) -> usize {
        self.codes.len()
    }

    /// When the set was made.
    pub fn made(&self) -> Timestamp {
        self.made
    }

    /// Whether the person has said that the codes are saved.
    pub fn are_saved(&self) -> bool {
        self.saved.is_some()
    }

    /// The person says that the codes are saved; saying so again changes nothing.
    pub fn save(&mut self, now: Timestamp) {
        self.saved.get_or_insert(now);
    }
}

/// A recovery code: thirteen symbols of base32, sixty-five bits.
///
/// NIST SP 800-63B-4 §3.1.2.1 wants at least twenty; with sixty-four or more they need no slow
/// hash and no rate limit of their own.
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

    /// The code as people read it: in groups, `ABCD-EFGH-JKLMN`.
    pub fn expose_grouped(&self) -> String {
        let symbols = self.0.expose_str();
        let (first, rest) = symbols.split_at_checked(4).unwrap_or((symbols, ""));
        let (second, third) = rest.split_at_checked(4).unwrap_or((rest, ""));
        format!("{first}-{second}-{third}")
    }
}

impl FromStr for Code {
    type Err = Rejection;

    /// Reads a code in either case, with or without its dashes and spaces; `0`, `1` and `8`, which
    /// base32 does not have, are read as the letters they are mistaken for.
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

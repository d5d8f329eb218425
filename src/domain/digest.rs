//! Password digests imported from elsewhere: Apache's htpasswd or crypt(3).
//!
//! Such a digest is weaker than our own hashes and is never stored as it is. It is hashed again,
//! and its scheme and salt are stored beside the hash, so that the same digest can be computed from
//! a typed password.

use std::fmt;

use data_encoding::{BASE64, BitOrder, Encoding, Specification};
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::secret::Secret;

/// How a digest is computed from a password.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Scheme {
    /// bcrypt (`$2y$`, `$2a$`, `$2b$`). The digest is 23 bytes.
    #[n(0)]
    Bcrypt {
        /// The binary logarithm of the number of rounds, 4 to [`Scheme::BCRYPT_COST_AT_MOST`].
        #[n(0)]
        cost: u8,
        /// The salt.
        #[n(1)]
        salt: ByteArray<16>,
    },
    /// Apache's MD5 (`$apr1$`). The digest is the 22 symbols after the salt.
    #[n(1)]
    Apr1 {
        /// 1 to 8 symbols.
        #[n(0)]
        salt: String,
    },
    /// SHA-1 without a salt (`{SHA}`). The digest is 20 bytes.
    #[n(2)]
    Sha1,
    /// SHA-256 of crypt(3) (`$5$`). The digest is the 43 symbols after the salt.
    #[n(3)]
    Sha256Crypt {
        /// 1 to 16 symbols.
        #[n(0)]
        salt: String,
        /// 1,000 to [`Scheme::ROUNDS_AT_MOST`].
        #[n(1)]
        rounds: u32,
    },
    /// SHA-512 of crypt(3) (`$6$`). The digest is the 86 symbols after the salt.
    #[n(4)]
    Sha512Crypt {
        /// 1 to 16 symbols.
        #[n(0)]
        salt: String,
        /// 1,000 to [`Scheme::ROUNDS_AT_MOST`].
        #[n(1)]
        rounds: u32,
    },
}

impl Scheme {
    /// The highest cost that is accepted: a sign-in takes about a second. One step more doubles
    /// that.
    pub const BCRYPT_COST_AT_MOST: u8 = 14;

    /// The same limit for the schemes of crypt(3). passlib's default, 656,000, is below it.
    pub const ROUNDS_AT_MOST: u32 = 1_000_000;

    /// The name of the scheme, for operators.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bcrypt { .. } => "bcrypt",
            Self::Apr1 { .. } => "apr1",
            Self::Sha1 => "sha1",
            Self::Sha256Crypt { .. } => "sha256-crypt",
            Self::Sha512Crypt { .. } => "sha512-crypt",
        }
    }
}

/// The work of computing a digest, apart from the password. Equal efforts take equal time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Effort {
    /// The kind of scheme.
    #[n(0)]
    pub how: How,
    /// The length of the salt in bytes. It matters because the salt is hashed in every round.
    #[n(1)]
    pub salt: u8,
    /// The number of rounds; for bcrypt, two to the power of its cost.
    #[n(2)]
    pub rounds: u32,
}

/// The kinds of schemes, without their parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum How {
    /// See [`Scheme::Bcrypt`].
    #[n(0)]
    Bcrypt,
    /// See [`Scheme::Apr1`].
    #[n(1)]
    Apr1,
    /// See [`Scheme::Sha1`].
    #[n(2)]
    Sha1,
    /// See [`Scheme::Sha256Crypt`].
    #[n(3)]
    Sha256Crypt,
    /// See [`Scheme::Sha512Crypt`].
    #[n(4)]
    Sha512Crypt,
}

impl Scheme {
    /// The work of computing a digest of this scheme. Rounds are rounded up to a sixteenth of a
    /// power of two, because some programs choose a random number of rounds for each digest.
    pub fn effort(&self) -> Effort {
        let length = |salt: &str| u8::try_from(salt.len()).unwrap_or(u8::MAX);
        let rounded = |rounds: u32| {
            let step = (rounds.checked_ilog2().unwrap_or(0)).saturating_sub(4);
            rounds.checked_next_multiple_of(1 << step).unwrap_or(rounds)
        };
        match self {
            Self::Bcrypt { cost, salt } => Effort {
                how: How::Bcrypt,
                salt: u8::try_from(salt.len()).unwrap_or(u8::MAX),
                rounds: 1_u32.checked_shl(u32::from(*cost)).unwrap_or(u32::MAX),
            },
            Self::Apr1 { salt } => Effort { how: How::Apr1, salt: length(salt), rounds: 1 },
            Self::Sha1 => Effort { how: How::Sha1, salt: 0, rounds: 1 },
            Self::Sha256Crypt { salt, rounds } => {
                Effort { how: How::Sha256Crypt, salt: length(salt), rounds: rounded(*rounds) }
            }
            Self::Sha512Crypt { salt, rounds } => {
                Effort { how: How::Sha512Crypt, salt: length(salt), rounds: rounded(*rounds) }
            }
        }
    }
}

/// How many users still have an imported digest, by the work that it takes.
///
/// A sign-in with an imported digest would be recognisable by its duration. So every other sign-in
/// must take as long, also for users with our own hash and for names that do not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Imported {
    #[n(0)]
    people: Vec<(Effort, u64)>,
}

impl Imported {
    /// Records that a user changed from scheme `before` to `after`. `None` means our own hash or no
    /// password.
    pub fn change(&mut self, before: Option<&Scheme>, after: Option<&Scheme>) {
        let (before, after) = (before.map(Scheme::effort), after.map(Scheme::effort));
        if before == after {
            return;
        }
        if let Some((_, count)) = self.people.iter_mut().find(|(effort, _)| Some(*effort) == before)
        {
            *count = count.saturating_sub(1);
        }
        self.people.retain(|(_, count)| *count > 0);
        let Some(after) = after else { return };
        match self.people.iter_mut().find(|(effort, _)| *effort == after) {
            Some((_, count)) => *count += 1,
            None => self.people.push((after, 1)),
        }
    }

    /// The greatest effort for each kind of scheme and length of salt: the work that every sign-in
    /// must do.
    pub fn dearest(&self) -> Vec<Effort> {
        let mut all: Vec<Effort> = self.people.iter().map(|(effort, _)| *effort).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.dedup_by_key(|effort| (effort.how, effort.salt));
        all
    }
}

/// An imported digest as it was read, to be hashed again immediately. Its `Debug` output hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest {
    /// The scheme and its parameters.
    pub scheme: Scheme,
    /// The digest itself: bytes or symbols, as [`Scheme`] says.
    pub digest: Secret,
}

impl Digest {
    /// Parses the part after the colon in a line of htpasswd.
    ///
    /// # Errors
    /// Tells the operator why the digest cannot be imported. The text is not repeated, because it
    /// may be a password.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        if let Some(rest) = text.strip_prefix("{SHA}") {
            let bytes = BASE64.decode(rest.as_bytes()).ok().filter(|bytes| bytes.len() == 20);
            return Ok(Self::of(Scheme::Sha1, bytes.ok_or(DigestError::Broken("{SHA}"))?));
        }
        let Some(rest) = text.strip_prefix('$') else {
            let symbols = text.bytes().all(|b| CRYPT.contains(&b));
            return Err(match text.len() {
                0 => DigestError::Nothing,
                13 if symbols => DigestError::Des,
                _ => DigestError::Plain,
            });
        };
        match rest.split('$').collect::<Vec<_>>().as_slice() {
            ["2y" | "2a" | "2b", cost, both] => bcrypt(cost, both),
            ["apr1", salt, symbols] => {
                let salt = salt_of(salt, 8).ok_or(DigestError::Broken("$apr1$"))?;
                symbols_of(Scheme::Apr1 { salt }, symbols, 22, "$apr1$")
            }
            ["5", more @ ..] => {
                crypt(more, 43, "$5$", |salt, rounds| Scheme::Sha256Crypt { salt, rounds })
            }
            ["6", more @ ..] => {
                crypt(more, 86, "$6$", |salt, rounds| Scheme::Sha512Crypt { salt, rounds })
            }
            _ => Err(DigestError::Unknown),
        }
    }

    fn of(scheme: Scheme, digest: Vec<u8>) -> Self {
        Self { scheme, digest: Secret::new(digest) }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digest").field("scheme", &self.scheme.name()).finish_non_exhaustive()
    }
}

/// Why a digest cannot be imported; for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The text is empty.
    #[error("the password hash is missing")]
    Nothing,
    /// It starts like this scheme, but is malformed.
    #[error("the hash begins with {0} but is not complete")]
    Broken(&'static str),
    /// It looks like crypt(3) with DES, which uses only the first eight characters.
    #[error("it is a DES hash, which is not secure")]
    Des,
    /// It does not look like any digest.
    #[error("it seems to be a password in plain text, not a hash")]
    Plain,
    /// Its scheme is not supported.
    #[error("its scheme is not supported: use bcrypt, apr1, SHA-1, SHA-256 crypt or SHA-512 crypt")]
    Unknown,
    /// Its cost is too high: a sign-in would take too long.
    #[error("its bcrypt cost is {0}; above {most} a sign-in takes too long", most = Scheme::BCRYPT_COST_AT_MOST)]
    Costly(u8),
    /// It has too many rounds: a sign-in would take too long.
    #[error("it has {0} rounds; above {most} a sign-in takes too long", most = Scheme::ROUNDS_AT_MOST)]
    ManyRounds(u32),
}

fn bcrypt(cost: &str, both: &str) -> Result<Digest, DigestError> {
    const BROKEN: DigestError = DigestError::Broken("$2y$");
    let cost = Some(cost).filter(|cost| cost.len() == 2).and_then(|cost| cost.parse().ok());
    let cost = cost.filter(|cost| (4..=31).contains(cost)).ok_or(BROKEN)?;
    let (salt, digest) = both.split_at_checked(22).ok_or(BROKEN)?;
    let encoding = bcrypt_encoding().ok_or(BROKEN)?;
    let bytes = |text: &str| encoding.decode(text.as_bytes()).map_err(|_| BROKEN);
    let salt: [u8; 16] = bytes(salt)?.try_into().map_err(|_| BROKEN)?;
    let digest = bytes(digest)?;
    if digest.len() != 23 {
        return Err(BROKEN);
    }
    if cost > Scheme::BCRYPT_COST_AT_MOST {
        return Err(DigestError::Costly(cost));
    }
    Ok(Digest::of(Scheme::Bcrypt { cost, salt: salt.into() }, digest))
}

/// bcrypt's own base64 alphabet; unused bits in the last symbols are ignored.
fn bcrypt_encoding() -> Option<Encoding> {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    specification.bit_order = BitOrder::MostSignificantFirst;
    specification.check_trailing_bits = false;
    specification.encoding().ok()
}

/// Parses `[rounds=N$]salt$symbols`.
fn crypt(
    fields: &[&str],
    length: usize,
    scheme: &'static str,
    made: impl Fn(String, u32) -> Scheme,
) -> Result<Digest, DigestError> {
    let broken = DigestError::Broken(scheme);
    let (rounds, salt, symbols) = match fields {
        [salt, symbols] => (5_000, salt, symbols),
        [rounds, salt, symbols] => {
            let rounds = rounds.strip_prefix("rounds=").and_then(|rounds| rounds.parse().ok());
            (rounds.filter(|rounds| *rounds >= 1_000).ok_or(broken)?, salt, symbols)
        }
        _ => return Err(broken),
    };
    let salt = salt_of(salt, 16).ok_or(broken)?;
    let digest = symbols_of(made(salt, rounds), symbols, length, scheme)?;
    if rounds > Scheme::ROUNDS_AT_MOST {
        return Err(DigestError::ManyRounds(rounds));
    }
    Ok(digest)
}

fn salt_of(text: &str, at_most: usize) -> Option<String> {
    let fits = (1..=at_most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

fn symbols_of(
    made: Scheme,
    symbols: &str,
    length: usize,
    scheme: &'static str,
) -> Result<Digest, DigestError> {
    if symbols.len() != length || !symbols.bytes().all(|b| CRYPT.contains(&b)) {
        return Err(DigestError::Broken(scheme));
    }
    Ok(Digest::of(made, symbols.as_bytes().to_vec()))
}

/// The alphabet of crypt(3), in order.
const CRYPT: &[u8] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_dearest_of_each_kind_is_known_until_nobody_has_it_any_more() {
        let bcrypt = |cost| Scheme::Bcrypt { cost, salt: [0; 16].into() };
        let crypt = |rounds| Scheme::Sha512Crypt { salt: "saltsalt".to_owned(), rounds };
        let mut imported = Imported::default();
        for scheme in [bcrypt(10), bcrypt(12), bcrypt(12), crypt(5_000), Scheme::Sha1] {
            imported.change(None, Some(&scheme));
        }
        let dearest = |imported: &Imported| {
            imported.dearest().iter().map(|effort| (effort.how, effort.rounds)).collect::<Vec<_>>()
        };
        let (all, sha1) = ((How::Sha512Crypt, 5_120), (How::Sha1, 1));
        assert_eq!(dearest(&imported), [all, sha1, (How::Bcrypt, 4_096)]);
        imported.change(Some(&bcrypt(12)), None);
        assert_eq!(dearest(&imported), [all, sha1, (How::Bcrypt, 4_096)]);
        imported.change(Some(&bcrypt(12)), None);
        assert_eq!(dearest(&imported), [all, sha1, (How::Bcrypt, 1_024)]);
        for scheme in [bcrypt(10), crypt(5_000), Scheme::Sha1] {
            imported.change(Some(&scheme), None);
        }
        assert_eq!(imported, Imported::default());
    }

    #[test]
    fn salts_of_different_lengths_are_different_efforts_and_rounds_are_rounded_up_a_little() {
        let effort =
            |salt: &str, rounds| Scheme::Sha512Crypt { salt: salt.to_owned(), rounds }.effort();
        assert_ne!(effort("saltsalt", 5_000), effort("saltsaltsaltsalt", 5_000));
        for rounds in [1_000, 5_000, 535_001, 656_000, Scheme::ROUNDS_AT_MOST] {
            let up = effort("salt", rounds).rounds;
            assert!((rounds..=rounds + rounds / 16).contains(&up), "{rounds}: {up}");
        }
    }

    #[rstest]
    #[case("$2y$05$0123456789abcdefghijkOIBFUC2Zsr6cfZVpfPjpxIxDGwbVpLRi", "bcrypt")]
    #[case("$apr1$saltsalt$ofRGFZ4wXdxSKvAkHIkNC0", "apr1")]
    #[case("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "sha1")]
    #[case("$5$saltsalt$QRHzr3EhvHMgVpZuFPB6x.TJS3A0ePGFHE2MOKEsVt2", "sha256-crypt")]
    fn the_scheme_of_a_digest_is_told_by_its_form(#[case] text: &str, #[case] scheme: &str) {
        assert_eq!(Digest::parse(text).unwrap().scheme.name(), scheme);
    }

    #[rstest]
    #[case("", DigestError::Nothing)]
    #[case("secret", DigestError::Plain)]
    #[case("rqXexS6ZhobKA", DigestError::Des)]
    #[case("$1$saltsalt$ofRGFZ4wXdxSKvAkHIkNC0", DigestError::Unknown)]
    #[case("$2x$05$0123456789abcdefghijkOIBFUC2Zsr6cfZVpfPjpxIxDGwbVpLRi", DigestError::Unknown)]
    #[case("$2y$15$0123456789abcdefghijkOIBFUC2Zsr6cfZVpfPjpxIxDGwbVpLRi", DigestError::Costly(15))]
    #[case(
        "$2y$05$0123456789abcdefghijkOIBFUC2Zsr6cfZVpfPjpxIxDGwbVpLR",
        DigestError::Broken("$2y$")
    )]
    #[case(
        "$2y$5$0123456789abcdefghijkOIBFUC2Zsr6cfZVpfPjpxIxDGwbVpLRi",
        DigestError::Broken("$2y$")
    )]
    #[case("$2y$05$0123456789abcdefghijk\u{f6}", DigestError::Broken("$2y$"))]
    #[case("$apr1$$ofRGFZ4wXdxSKvAkHIkNC0", DigestError::Broken("$apr1$"))]
    #[case("$apr1$saltsalts$ofRGFZ4wXdxSKvAkHIkNC0", DigestError::Broken("$apr1$"))]
    #[case("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9", DigestError::Broken("{SHA}"))]
    #[case(
        "$5$rounds=999$salt$QRHzr3EhvHMgVpZuFPB6x.TJS3A0ePGFHE2MOKEsVt2",
        DigestError::Broken("$5$")
    )]
    #[case(
        "$5$rounds=1000001$salt$QRHzr3EhvHMgVpZuFPB6x.TJS3A0ePGFHE2MOKEsVt2",
        DigestError::ManyRounds(1_000_001)
    )]
    #[case("$6$saltsalt$short", DigestError::Broken("$6$"))]
    fn what_cannot_be_taken_over_is_refused(#[case] text: &str, #[case] why: DigestError) {
        assert_eq!(Digest::parse(text), Err(why));
        if text.len() > 1 {
            assert!(!why.to_string().contains(text), "it may be a password");
        }
    }
}

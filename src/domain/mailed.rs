//! A mailed code, which proves that somebody reads a mailbox.
//!
//! Six digits, valid for ten minutes, bound to the session that asked; a new code replaces the old
//! one. Only its digest is stored. Wrong codes count as failures of the second factor.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::factor::{Rejection, six_digits};
use super::secret::Secret;
use super::time::Timestamp;

/// The stored part of a code that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct MailedCode {
    #[n(0)]
    salt: ByteArray<16>,
    #[n(1)]
    digest: ByteArray<32>,
    #[n(2)]
    sent: Timestamp,
}

impl MailedCode {
    /// How long it is valid (NIST SP 800-63B-4 §3.1.3.1: at most ten minutes).
    pub const LASTS: Duration = Duration::from_mins(10);
    /// How long to wait before another code is sent.
    pub const AGAIN_AFTER: Duration = Duration::from_mins(1);

    /// A new code, and the part of it to store.
    pub fn random(rng: &mut dyn CryptoRng, now: Timestamp) -> (Code, Self) {
        let code = Code::random(rng);
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        let digest = ByteArray::from(digest(&salt, &code));
        (code, Self { salt: salt.into(), digest, sent: now })
    }

    /// Whether `code` is this code and has not expired. Constant time in `code`.
    pub fn is(&self, code: &Code, now: Timestamp) -> bool {
        let right: bool = digest(&self.salt, code).ct_eq(&*self.digest).into();
        right && now.within(Self::LASTS, self.sent)
    }

    /// Whether it has not expired.
    pub fn is_good(&self, now: Timestamp) -> bool {
        now.within(Self::LASTS, self.sent)
    }

    /// When another code may be sent.
    pub fn again(&self) -> Timestamp {
        self.sent.plus(Self::AGAIN_AFTER)
    }
}

fn digest(salt: &[u8; 16], code: &Code) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(code.0.expose()).finalize().into()
}

/// Six digits, as typed.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(Secret);

impl Code {
    /// Six random digits, uniformly distributed.
    fn random(rng: &mut dyn CryptoRng) -> Self {
        // Below this limit every remainder is equally likely.
        const FAIR: u32 = u32::MAX - u32::MAX % 1_000_000;
        loop {
            let drawn = rng.next_u32();
            if drawn < FAIR {
                return Self(Secret::from(format!("{:06}", drawn % 1_000_000)));
            }
        }
    }

    /// The six digits.
    pub fn expose(&self) -> &str {
        self.0.expose_str()
    }
}

impl FromStr for Code {
    type Err = Rejection;

    /// Parses six digits; see [`six_digits`].
    fn from_str(typed: &str) -> Result<Self, Rejection> {
        six_digits(typed).map(Self)
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

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[test]
    fn a_code_is_good_for_ten_minutes() {
        let (code, mailed) = MailedCode::random(&mut StdRng::seed_from_u64(7), NOW);
        assert!(mailed.is(&code, NOW.plus(MailedCode::LASTS)));
        assert!(!mailed.is(&code, NOW.plus(MailedCode::LASTS + Duration::from_secs(1))));
    }

    #[test]
    fn another_code_is_another() {
        let (_, mailed) = MailedCode::random(&mut StdRng::seed_from_u64(7), NOW);
        let (other, _) = MailedCode::random(&mut StdRng::seed_from_u64(8), NOW);
        assert!(!mailed.is(&other, NOW));
    }

    #[test]
    fn it_does_not_print() {
        let (code, _) = MailedCode::random(&mut StdRng::seed_from_u64(7), NOW);
        assert_eq!(format!("{code:?}"), "Code(…)");
        assert_eq!(code.expose().len(), 6);
    }
}

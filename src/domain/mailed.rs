//! A code that was mailed, to prove that somebody reads a mailbox.
//!
//! Six digits, ten minutes, bound to the session that asked; a new one replaces the old. Only its
//! digest is kept. Wrong ones are counted with the failures of the second factor.

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

/// A code that is under way.
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
    /// How long it is good (NIST SP 800-63B-4 §3.1.3.1: at most ten minutes).
    pub const LASTS: Duration = Duration::from_mins(10);
    /// How long to wait before another is sent.
    pub const AGAIN_AFTER: Duration = Duration::from_mins(1);

    /// A new code, and what is kept of it.
    pub fn random(rng: &mut dyn CryptoRng, now: Timestamp) -> (Code, Self) {
        let code = Code::random(rng);
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        let digest = ByteArray::from(digest(&salt, &code));
        (code, Self { salt: salt.into(), digest, sent: now })
    }

    /// Whether it is this one, and its time is not over. Constant time in `code`.
    pub fn is(&self, code: &Code, now: Timestamp) -> bool {
        let right: bool = digest(&self.salt, code).ct_eq(&*self.digest).into();
        right && now.within(Self::LASTS, self.sent)
    }

    /// Whether its time is not over.
    pub fn is_good(&self, now: Timestamp) -> bool {
        now.within(Self::LASTS, self.sent)
    }

    /// From when on another may be sent.
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
    /// Six digits, each as likely as the other.
    fn random(rng: &mut dyn CryptoRng) -> Self {
        // Below this, every remainder is equally frequent.
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

    /// Reads six digits; see [`six_digits`].
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

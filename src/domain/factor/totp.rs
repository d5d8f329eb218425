//! Codes of an authenticator app (RFC 6238).
//!
//! SHA-1, six digits, thirty seconds: every app supports these. Each time step is accepted once,
//! and never one before the last accepted step.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use super::{Kind, News, Rejection, Row, Told, six_digits};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// This kind in the table of factors.
pub const ROW: Row = Row {
    kind: Kind::Totp,
    word: "totp",
    also: &["otp", "authenticator"],
    name: "authenticator app",
    amr: "otp",
    amr_of_copies: "otp",
    at_most: 5,
    backs_up: None,
    can_be_guessed: true,
    resists_phishing: false,
    told: Told {
        shown: News {
            event: "totp-shown",
            logged: "authenticator code accepted",
            read: "You typed a code from your authenticator app.",
            mailed: None,
        },
        added: News {
            event: "authenticator-added",
            logged: "authenticator added",
            read: "You added an authenticator app.",
            mailed: Some(("an authenticator was added", "Another authenticator was added.")),
        },
        replaced: News {
            event: "authenticator-replaced",
            logged: "factors replaced with an authenticator app",
            read: "You replaced your second factors with an authenticator app.",
            mailed: Some((
                "your second factors were replaced",
                "Your second factors were replaced with an authenticator app.",
            )),
        },
        removed: News {
            event: "authenticator-removed",
            logged: "authenticator removed",
            read: "You removed an authenticator app.",
            mailed: Some((
                "an authenticator was removed",
                "One of your authenticators was removed.",
            )),
        },
        renamed: News {
            event: "authenticator-renamed",
            logged: "authenticator renamed",
            read: "You renamed an authenticator app.",
            mailed: None,
        },
    },
};

/// An authenticator whose first code was right.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Totp {
    #[n(0)]
    key: Key,
    /// The last accepted step: `seconds / 30`.
    #[n(1)]
    used: u64,
}

impl Totp {
    /// Makes `key` an authenticator. Its first right code proves it and is used up.
    ///
    /// # Errors
    /// [`Rejection::Wrong`] if no step in the window has this code.
    pub fn set_up(key: Key, code: &Code, skew: Skew, now: Timestamp) -> Result<Self, Rejection> {
        let used = key.step_of(code, skew, now).ok_or(Rejection::Wrong)?;
        Ok(Self { key, used })
    }

    /// Checks `code` and, if it is right, uses it up (RFC 6238 §5.2: accepted once).
    ///
    /// Accepts the thirty-second step of `now` and `skew` steps on either side. Each step is
    /// compared in constant time. The number of comparisons shows which step matched, but nothing
    /// about the code.
    ///
    /// # Errors
    /// [`Rejection::Wrong`] if no step in the window has this code, [`Rejection::Used`] if its
    /// step, or a later one, was accepted before.
    /// step, or a later one, was accepted before.
    pub fn check(&mut self, code: &Code, skew: Skew, now: Timestamp) -> Result<(), Rejection> {
        let step = self.key.step_of(code, skew, now).ok_or(Rejection::Wrong)?;
        if step <= self.used {
            return Err(Rejection::Used);
        }
        self.used = step;
        Ok(())
    }

    /// Marks every code as used that could be accepted at `now`.
    pub fn void(&mut self, skew: Skew, now: Timestamp) {
        self.used = self.used.max(now.seconds() / 30 + u64::from(skew.0));
    }
}

/// The secret that the authenticator and we share.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Key(#[n(0)] Secret);

impl Key {
    /// Twenty random bytes: the length of an HMAC-SHA-1 (RFC 4226 §4, R6: 160 bits recommended).
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(rng, 20))
    }

    /// An existing key, at least 128 bits long (RFC 4226 §4, R6).
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= 16).then(|| Self(Secret::new(bytes.to_vec())))
    }

    /// The key as people type it: base32 without padding (RFC 4648 §6).
    pub fn expose_base32(&self) -> String {
        BASE32_NOPAD.encode(self.0.expose())
    }

    /// The `otpauth` URL that an authenticator reads from a QR code.
    ///
    /// `None` if `issuer` or `user` contains a `:`.
    pub fn expose_url(&self, issuer: &str, user: &str) -> Option<String> {
        totp_rs::Builder::new()
            .with_secret(self.0.expose())
            .with_issuer(Some(issuer))
            .with_account_name(user)
            .build()
            .and_then(|totp| totp.to_url())
            .ok()
    }

    /// The code of the time step that contains `now`.
    pub fn code_at(&self, now: Timestamp) -> Code {
        let code = self.generator(Skew::default()).generate(now.seconds());
        Code(Secret::from(code.to_string()))
    }

    fn step_of(&self, code: &Code, skew: Skew, now: Timestamp) -> Option<u64> {
        self.generator(skew).check(code.expose(), now.seconds())
    }

    fn generator(&self, skew: Skew) -> totp_rs::Totp {
        totp_rs::Builder::new().with_secret(self.0.expose()).with_skew(skew.0).build_noncompliant()
    }
}

/// How many steps on either side of the current one are accepted, because phone clocks drift.
///
/// 0 to 2; 1 by default (RFC 6238 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew(u16);

impl Skew {
    /// `None` if `steps` is more than 2.
    pub const fn new(steps: u16) -> Option<Self> {
        if steps <= 2 { Some(Self(steps)) } else { None }
    }
}

impl Default for Skew {
    fn default() -> Self {
        Self(1)
    }
}

/// Six digits, as typed.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(Secret);

impl Code {
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
    use super::*;

    /// The secret of RFC 4226 appendix D and RFC 6238 appendix B.
    const RFC_KEY: &[u8] = b"12345678901234567890";

    fn rfc_key() -> Key {
        Key::from_bytes(RFC_KEY).unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn authenticator_set_up_at(seconds: u64) -> Totp {
        let code = rfc_key().code_at(at(seconds));
        Totp::set_up(rfc_key(), &code, Skew::default(), at(seconds)).unwrap()
    }

    #[test]
    fn the_vectors_of_rfc_4226_hold() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, code) in (0..).zip(codes) {
            assert_eq!(rfc_key().code_at(at(counter * 30)).expose(), code);
        }
    }

    #[test]
    fn the_vectors_of_rfc_6238_hold() {
        // The RFC prints eight digits; ours are the last six of them.
        for (seconds, eight) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(rfc_key().code_at(at(seconds)).expose(), &eight[2..]);
        }
    }

    #[test]
    fn the_same_code_twice_is_refused() {
        let mut totp = authenticator_set_up_at(30_000);
        let code = rfc_key().code_at(at(30_090));
        assert_eq!(totp.check(&code, Skew::default(), at(30_090)), Ok(()));
        assert_eq!(totp.check(&code, Skew::default(), at(30_091)), Err(Rejection::Used));
    }

    #[test]
    fn the_first_code_counts_as_used() {
        let mut totp = authenticator_set_up_at(30_000);
        let code = rfc_key().code_at(at(30_000));
        assert_eq!(totp.check(&code, Skew::default(), at(30_001)), Err(Rejection::Used));
    }

    #[test]
    fn a_step_before_the_last_used_is_refused() {
        let mut totp = authenticator_set_up_at(29_000);
        let (earlier, later) = (rfc_key().code_at(at(29_970)), rfc_key().code_at(at(30_000)));
        assert_eq!(totp.check(&later, Skew::default(), at(30_000)), Ok(()));
        assert_eq!(totp.check(&earlier, Skew::default(), at(30_000)), Err(Rejection::Used));
    }

    #[test]
    fn one_step_of_drift_is_forgiven_and_two_are_not() {
        let now = at(30_000);
        for (drift, accepted) in [(-60_i64, false), (-30, true), (30, true), (60, false)] {
            let mut totp = authenticator_set_up_at(10_000);
            let code = rfc_key().code_at(at(30_000_u64.saturating_add_signed(drift)));
            assert_eq!(totp.check(&code, Skew::default(), now).is_ok(), accepted, "{drift}");
        }
    }

    #[test]
    fn without_skew_only_the_present_step_counts() {
        let none = Skew::new(0).unwrap();
        let mut totp = authenticator_set_up_at(10_000);
        let late = rfc_key().code_at(at(29_970));
        assert_eq!(totp.check(&late, none, at(30_000)), Err(Rejection::Wrong));
        assert_eq!(Skew::new(3), None);
    }

    #[test]
    fn a_code_is_six_digits_with_or_without_a_space() {
        assert_eq!("123 456".parse::<Code>().unwrap().expose(), "123456");
        for odd in ["12345", "1234567", "12345a", "١٢٣٤٥٦", "", "-12345"] {
            assert_eq!(odd.parse::<Code>(), Err(Rejection::Wrong), "{odd}");
        }
    }

    #[test]
    fn the_url_names_issuer_and_user() {
        let url = rfc_key().expose_url("Example Inc.", "ada").unwrap();
        assert!(url.starts_with("otpauth://totp/Example%20Inc.:ada?secret="), "{url}");
        assert!(url.contains("issuer=Example%20Inc."), "{url}");
    }
}

//! A ticket, which transfers a sign-in from the portal to another host.
//!
//! It can be used once, within thirty seconds, on one host, in the browser that asked for it, and
//! only while its user session lasts. The new host session has exactly the proofs that were shown
//! at the portal.

use std::time::Duration;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use super::assurance::{Kinds, Level, Proofs, Requirement};
use super::identity::UserId;
use super::time::Timestamp;
use super::user_session::UserSessionId;

/// What the token of a ticket refers to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ticket {
    /// The user.
    #[n(0)]
    pub user: UserId,
    /// The user session that the new host session will belong to.
    #[n(1)]
    pub user_session: UserSessionId,
    /// The destination host as browsers write it, with the port if needed.
    #[n(2)]
    pub host: String,
    /// A digest of the id that the destination host gave to the browser that asked.
    #[n(3)]
    pub browser: ByteArray<16>,
    /// The path on that host that the visitor wanted.
    #[n(4)]
    pub return_to: String,
    /// The proofs for the new host session.
    #[n(5)]
    pub proofs: Proofs,
    /// When it expires.
    #[n(6)]
    pub expires: Timestamp,
}

/// A host's request to the portal for one browser: which browser to send back, and what it must
/// prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// A digest of the id that the host gave to the browser.
    pub browser: [u8; 16],
    /// What the requested page requires: the level and the conditions on the second factor.
    pub requirement: Requirement,
    /// Whether the visitor has a session at the host, which asks all the same. Then the host would
    /// not refuse them, whatever the portal, which may see another address, thinks of it.
    pub is_of_user: bool,
}

impl Ask {
    /// The length of the encoding in bytes.
    pub const LENGTH: usize = 36;

    /// The encoding, ready to be signed. Who may enter (`only`) stays behind: the portal cannot
    /// change who somebody is, and the host asks that itself.
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let Requirement {
            level,
            confirm_within,
            within,
            kinds,
            trusted_device,
            strongest,
            only: _,
        } = &self.requirement;
        let seconds = |span: &Option<Duration>| span.map_or(0, |span| span.as_secs()).to_be_bytes();
        let mut bytes = [0; Self::LENGTH];
        bytes[..16].copy_from_slice(&self.browser);
        bytes[16..24].copy_from_slice(&seconds(within));
        bytes[24..32].copy_from_slice(&seconds(confirm_within));
        bytes[32..34].copy_from_slice(&kinds.bits().to_be_bytes());
        bytes[34] = u8::from(*level == Level::SecondFactor);
        bytes[35] = u8::from(*trusted_device)
            | (u8::from(*strongest) << 1)
            | (u8::from(self.is_of_user) << 2);
        bytes
    }

    /// Decodes the bytes.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        let span = |from: usize| {
            let seconds = u64::from_be_bytes(std::array::from_fn(|i| bytes[from + i]));
            (seconds > 0).then(|| Duration::from_secs(seconds))
        };
        let requirement = Requirement {
            level: if bytes[34] == 0 { Level::SignIn } else { Level::SecondFactor },
            within: span(16),
            confirm_within: span(24),
            kinds: Kinds::from_bits(u16::from_be_bytes([bytes[32], bytes[33]])),
            trusted_device: bytes[35] & 1 != 0,
            strongest: bytes[35] & 2 != 0,
            only: None,
        };
        let browser = std::array::from_fn(|i| bytes[i]);
        Self { browser, requirement, is_of_user: bytes[35] & 4 != 0 }
    }
}

/// The digest by which a host refers to a browser towards the portal.
pub fn digest(browser: [u8; 16]) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(browser).into();
    std::array::from_fn(|i| digest[i])
}

impl Ticket {
    /// How long a ticket is valid: long enough for a redirect on a slow connection.
    pub const LASTS: Duration = Duration::from_secs(30);

    /// Whether it may be used on `host` by the browser with this digest. Checks the expiry itself,
    /// because cleanup may be late.
    pub fn is_good(&self, host: &str, browser: [u8; 16], now: Timestamp) -> bool {
        self.host == host && *self.browser == browser && now < self.expires
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::factor::Kind;

    #[test]
    fn what_is_asked_for_says_the_same_after_the_way_to_the_portal() {
        let fresh = Requirement {
            within: Some(Duration::from_mins(5)),
            trusted_device: false,
            kinds: Kinds::only(Kind::Totp),
            ..Requirement::second_factor()
        };
        let confirmed = Requirement::change(Duration::from_mins(15));
        for requirement in [Requirement::sign_in(), Requirement::second_factor(), fresh, confirmed]
        {
            for is_of_user in [false, true] {
                let requirement = requirement.clone();
                let ask = Ask { browser: [7; 16], requirement, is_of_user };
                assert_eq!(Ask::from_bytes(ask.to_bytes()), ask);
            }
        }
    }

    #[test]
    fn a_ticket_is_good_on_its_host_in_its_browser_and_for_half_a_minute() {
        let at = Timestamp::from_secs;
        let ticket = Ticket {
            user: UserId::from([1; 16]),
            user_session: UserSessionId::from([2; 16]),
            host: "crm.example.com".to_owned(),
            browser: digest([3; 16]).into(),
            return_to: "/".to_owned(),
            proofs: Proofs::default(),
            expires: at(100).plus(Ticket::LASTS),
        };
        let good = |host, browser, now| ticket.is_good(host, digest([browser; 16]), at(now));
        assert!(good("crm.example.com", 3, 129));
        assert!(!good("crm.example.com", 3, 130));
        assert!(!good("wiki.example.com", 3, 129));
        assert!(!good("crm.example.com", 4, 129));
    }
}

//! A ticket: what takes a visitor from the portal to another host.
//!
//! It is good once, for half a minute, on one host, in the browser that asked for it, and only
//! while the stay goes on that it comes from. What was shown at the portal is all that the host's
//! session will have shown.

use std::time::Duration;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use super::assurance::{Kinds, Level, Proofs, Requirement};
use super::identity::UserId;
use super::stay::StayId;
use super::time::Timestamp;

/// What stands behind the token of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ticket {
    /// Whose.
    #[n(0)]
    pub user: UserId,
    /// The stay that the new session will belong to.
    #[n(1)]
    pub stay: StayId,
    /// Where it leads: the host as browsers write it, with the port where one is needed.
    #[n(2)]
    pub host: String,
    /// The browser that asked, as that host knows it: a digest.
    #[n(3)]
    pub browser: ByteArray<16>,
    /// The path on that host to which the visitor was going.
    #[n(4)]
    pub return_to: String,
    /// What was shown.
    #[n(5)]
    pub proofs: Proofs,
    /// When it is over.
    #[n(6)]
    pub expires: Timestamp,
}

/// What a host asks the portal for, on behalf of one browser: whom to send back, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The browser that asks, as that host knows it: a digest.
    pub browser: [u8; 16],
    /// What the place asks that the visitor was going to; the level, and of a second factor.
    pub requirement: Requirement,
}

impl Ask {
    /// How many bytes it takes.
    pub const LENGTH: usize = 27;

    /// These bytes, to be signed.
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let Requirement { level, within, kinds, trusted_device, .. } = &self.requirement;
        let mut bytes = [0; Self::LENGTH];
        bytes[..16].copy_from_slice(&self.browser);
        bytes[16..24].copy_from_slice(&within.map_or(0, |span| span.as_secs()).to_be_bytes());
        bytes[24] = u8::from(*level == Level::SecondFactor);
        bytes[25] = kinds.bits();
        bytes[26] = u8::from(*trusted_device);
        bytes
    }

    /// What these bytes say.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        let within = u64::from_be_bytes(std::array::from_fn(|i| bytes[16 + i]));
        let level = if bytes[24] == 0 { Level::SignIn } else { Level::SecondFactor };
        let requirement = Requirement {
            level,
            within: (within > 0).then(|| Duration::from_secs(within)),
            kinds: Kinds::from_bits(bytes[25]),
            trusted_device: bytes[26] != 0,
            ..Requirement::sign_in()
        };
        let browser = std::array::from_fn(|i| bytes[i]);
        Self { browser, requirement }
    }
}

/// What a host calls a browser when it speaks of it to the portal.
pub fn digest(browser: [u8; 16]) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(browser).into();
    std::array::from_fn(|i| digest[i])
}

impl Ticket {
    /// How long a ticket can be used: as long as a redirect takes on a bad line.
    pub const LASTS: Duration = Duration::from_secs(30);

    /// Whether it may be taken on `host` by the browser with this digest. Judged at use:
    /// housekeeping may be late.
    pub fn is_good(&self, host: &str, browser: [u8; 16], now: Timestamp) -> bool {
        self.host == host && *self.browser == browser && now < self.expires
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_says_the_same_after_the_way_to_the_portal() {
        let fresh = Requirement {
            within: Some(Duration::from_mins(5)),
            trusted_device: false,
            kinds: Kinds::TOTP,
            ..Requirement::second_factor()
        };
        for requirement in [Requirement::sign_in(), Requirement::second_factor(), fresh] {
            let ask = Ask { browser: [7; 16], requirement };
            assert_eq!(Ask::from_bytes(ask.to_bytes()), ask);
        }
    }

    #[test]
    fn a_ticket_is_good_on_its_host_in_its_browser_and_for_half_a_minute() {
        let at = Timestamp::from_secs;
        let ticket = Ticket {
            user: UserId::from([1; 16]),
            stay: StayId::from([2; 16]),
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

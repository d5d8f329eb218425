//! A ticket: what takes a visitor from the portal to another host.
//!
//! It is good once, for half a minute, on one host, in the browser that asked for it, and only
//! while the stay goes on that it comes from. What was shown at the portal is all that the host's
//! session will have shown.

use std::time::Duration;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::assurance::Proofs;
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

impl Ticket {
    /// How long a ticket can be used: as long as a redirect takes on a bad line.
    pub const LASTS: Duration = Duration::from_secs(30);

    /// Whether it may be taken on `host` by the browser with this digest. Judged at use:
    /// housekeeping may be late.
    pub fn is_good(&self, host: &str, browser: [u8; 16], now: Timestamp) -> bool {
        self.host == host && *self.browser == browser && now < self.expires
    }
}

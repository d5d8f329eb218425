//! The caller of a flow: client address, cookies, and the cookies to set.

use std::net::IpAddr;

use crate::domain::agent::Agent;
use crate::domain::device::{BrowserId, DeviceId, Seen};
use crate::domain::event::{Event, What, Whom};
use crate::domain::request_id::RequestId;
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::domain::user::{User, UserId};

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// The peer of the TCP connection.
    pub peer: IpAddr,
    /// The visitor; `None` if a trusted proxy did not name one.
    pub visitor: Option<IpAddr>,
}

impl ClientAddress {
    /// The visitor's address, or else the peer's.
    pub fn address(self) -> IpAddr {
        self.visitor.unwrap_or(self.peer)
    }
}

/// Who sends this request, and when.
#[derive(Clone, Debug)]
pub struct Caller {
    /// When the request came.
    pub now: Timestamp,
    /// The client address, or else the peer's.
    pub address: IpAddr,
    /// The client address; `None` if a trusted proxy did not name it.
    pub visitor: Option<IpAddr>,
    /// The browser, from its `User-Agent`.
    pub agent: Option<Agent>,
    /// The id of the request, if it came through the proxy.
    pub request: Option<RequestId>,
    /// Its cookies.
    pub carried: Carried,
}

/// Our cookies in a request, with a valid signature for this host; absent ones are empty.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// The id of the host session.
    pub session: Option<Token>,
    /// The trusted device.
    pub device: Option<DeviceCookie>,
    /// The known browser.
    pub known: Option<KnownCookie>,
    /// Browser ids from before sign-in: several if the cookie was sent more than once.
    pub browsers: Vec<[u8; 16]>,
}

/// The cookies that a flow sets; the browser keeps its others.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The id of a new host session.
    pub session: Option<Token>,
    /// The trusted device, with its new number.
    pub device: Option<DeviceCookie>,
    /// The known browser.
    pub known: Option<KnownCookie>,
    /// The user's next step.
    pub next: Next,
}

/// The next step of a user who has just shown a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// Continue to the page they wanted.
    #[default]
    Onward,
    /// Show the second factor.
    Challenge,
    /// Set up a second factor: it is demanded.
    SetUp,
    /// Set one up now or later: it will be demanded.
    SetUpSoon,
    /// See an offer, then continue.
    Offer,
}

/// The content of the trusted device cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceCookie {
    /// The user of the device.
    pub user: UserId,
    /// The device.
    pub id: DeviceId,
    /// The number that the next use replaces.
    pub number: u64,
    /// When it expires. Used only when the cookie is set; a received cookie is checked against the
    /// record.
    pub expires: Timestamp,
}

/// The content of the known browser cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownCookie {
    /// The user who has signed in here.
    pub user: UserId,
    /// Which of their browsers.
    pub id: BrowserId,
}

impl Caller {
    /// Whether this is one of the known browsers of `user`, or unknown.
    ///
    /// A cookie of another user does not count, and neither does a browser that is no longer
    /// recorded.
    pub fn known_to(&self, user: &User) -> Option<BrowserId> {
        let known = self.carried.known.filter(|known| known.user == user.id())?;
        user.knows(known.id).then_some(known.id)
    }

    /// Where the request comes from.
    pub fn client(&self) -> ClientAddress {
        ClientAddress { peer: self.address, visitor: self.visitor }
    }

    /// The trusted device of `user` that this browser claims to be.
    pub fn device_of(&self, user: UserId) -> Option<DeviceCookie> {
        self.carried.device.filter(|device| device.user == user)
    }

    /// The address and the browser.
    pub fn seen(&self) -> Seen {
        Seen { address: Some(self.address), agent: self.agent.clone() }
    }

    /// An event: this caller did something to `user`.
    pub fn event(&self, user: UserId, what: What) -> Event {
        self.event_about(Whom::User(user), what)
    }

    /// An event: this caller did something.
    pub fn event_about(&self, whom: Whom, what: What) -> Event {
        let (from, agent) = (Some(self.address), self.agent.clone());
        Event { at: self.now, whom, what, from, by: None, agent, request: self.request }
    }
}

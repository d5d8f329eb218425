//! Who calls a flow: where the request comes from, what the browser carries, and what it is given.

use std::net::IpAddr;

use crate::domain::agent::Agent;
use crate::domain::device::{BrowserId, DeviceId, Seen};
use crate::domain::event::{Event, What, Whom};
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::domain::user::{User, UserId};

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Whoever we heard it from.
    pub peer: IpAddr,
    /// The visitor; `None` if a proxy that is trusted did not say.
    pub visitor: Option<IpAddr>,
}

impl Source {
    /// The visitor's address, or the next best.
    pub fn address(self) -> IpAddr {
        self.visitor.unwrap_or(self.peer)
    }
}

/// Who sends this request, and when.
#[derive(Clone, Debug)]
pub struct Caller {
    /// When it came.
    pub now: Timestamp,
    /// From where.
    pub address: IpAddr,
    /// The same, where that is the visitor's own address; `None` if a trusted proxy did not say.
    pub visitor: Option<IpAddr>,
    /// In what browser, as it calls itself.
    pub agent: Option<Agent>,
    /// With what.
    pub carried: Carried,
}

/// What a browser carries for us. Each was signed by us for this host, or is absent here.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// The id of its session.
    pub session: Option<Token>,
    /// The trusted device that it is.
    pub device: Option<DeviceCookie>,
    /// The known browser that it is.
    pub known: Option<KnownCookie>,
    /// Its names before sign-in: several, where it came several times at once.
    pub browsers: Vec<[u8; 16]>,
}

/// What a flow gives the browser to carry from now on; the rest it keeps.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The id of a new session.
    pub session: Option<Token>,
    /// The trusted device that it now is, with its number.
    pub device: Option<DeviceCookie>,
    /// The known browser that it now is.
    pub known: Option<KnownCookie>,
    /// What its owner does next.
    pub next: Next,
}

/// What somebody does next who has just shown a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// Whatever they wanted.
    #[default]
    Onward,
    /// Show the second factor.
    Challenge,
    /// Set up a second factor: it is demanded of them.
    SetUp,
    /// Set one up now or later: it will be demanded of them.
    SetUpSoon,
    /// Look at an offer, and go where they wanted.
    Offer,
}

/// What the cookie of a trusted device says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceCookie {
    /// Whose device it is.
    pub user: UserId,
    /// Which.
    pub id: DeviceId,
    /// The number that the next use replaces.
    pub number: u64,
    /// When its time is over. Only what we give says so; what comes back is judged by the record.
    pub expires: Timestamp,
}

/// What the cookie of a known browser says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownCookie {
    /// Who has signed in here.
    pub user: UserId,
    /// Which browser of theirs.
    pub id: BrowserId,
}

impl Caller {
    /// The class of this browser towards `user`: one of their known ones, or a stranger's.
    ///
    /// A cookie for another user says nothing, nor does one that the user has forgotten.
    pub fn known_to(&self, user: &User) -> Option<BrowserId> {
        let known = self.carried.known.filter(|known| known.user == user.id())?;
        user.knows(known.id).then_some(known.id)
    }

    /// The trusted device of `user` that this browser claims to be.
    pub fn device_of(&self, user: UserId) -> Option<DeviceCookie> {
        self.carried.device.filter(|device| device.user == user)
    }

    /// From where, and with what.
    pub fn seen(&self) -> Seen {
        Seen { address: Some(self.address), agent: self.agent.clone() }
    }

    /// That this caller did something to `user`.
    pub fn event(&self, user: UserId, what: What) -> Event {
        self.event_about(Whom::User(user), what)
    }

    /// That this caller did something.
    pub fn event_about(&self, whom: Whom, what: What) -> Event {
        let (from, agent) = (Some(self.address), self.agent.clone());
        Event { at: self.now, whom, what, from, by: None, agent }
    }
}

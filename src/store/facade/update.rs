//! Changes as load, decide, write.
//!
//! [`Store::update`] loads records, lets `decide` change them, and writes all of them in one batch
//! if nothing that was read has changed in between. Otherwise it loads and decides again. So "works
//! once" holds on any backend and with any number of nodes.

use super::names::Target;
use super::{Store, TRIES, stays};
use crate::domain::event::Event;
use crate::domain::letter::Letter;
use crate::domain::link::Link;
use crate::domain::lockout::Failures;
use crate::domain::secret::TokenHash;
use crate::domain::session::Session;
use crate::domain::stay::{Stay, StayId};
use crate::domain::ticket::Ticket;
use crate::domain::time::Timestamp;
use crate::domain::user::{User, UserId};
use crate::store::batch::{Batch, Expect};
use crate::store::record::Kind;
use crate::store::unavailable::Unavailable;

/// The records that a decision needs.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// The user.
    pub user: UserId,
    /// A host session, not necessarily of that user.
    pub session: Option<TokenHash>,
    /// A one-time link, not necessarily for that user.
    pub link: Option<TokenHash>,
    /// A ticket, not necessarily for that user.
    pub ticket: Option<TokenHash>,
    /// Another user session than that of the host session, not necessarily of that user.
    pub other: Option<StayId>,
}

impl Reads {
    /// Only the user's record.
    pub const fn user(user: UserId) -> Self {
        Self { user, session: None, link: None, ticket: None, other: None }
    }
}

/// The records that a decision may read and change. All changes are written together or not at all.
#[derive(Debug)]
pub struct Held {
    /// The user.
    pub user: User,
    /// Failed passwords of the user from unknown browsers.
    pub attempts: Failures,
    /// The host session, if it exists. Taking it ends it.
    pub session: Option<Session>,
    /// The user session of the ticket or, without a ticket, of the host session, if it exists.
    /// Taking it ends it on every host.
    pub stay: Option<Stay>,
    /// The other user session, if it exists. Taking it ends it on every host. `None` if it is the
    /// same as `stay`.
    pub other: Option<Stay>,
    /// The ticket, if it exists. Taking it uses it up.
    pub ticket: Option<Ticket>,
    /// The link, if it exists. Taking it uses it up.
    pub link: Option<Link>,
    /// New host sessions.
    begun: Vec<(TokenHash, Session, Timestamp)>,
    /// New user sessions.
    stays: Vec<(StayId, Stay, Timestamp)>,
    /// New tickets.
    tickets: Vec<(TokenHash, Ticket)>,
    /// New links.
    made: Vec<(TokenHash, Link)>,
    /// Messages to send.
    letters: Vec<Letter>,
    /// Events to write.
    events: Vec<Event>,
}

impl Held {
    /// Begins a user session, which is swept after `over`.
    pub fn begin_stay(&mut self, id: StayId, stay: Stay, over: Timestamp) {
        self.stays.push((id, stay, over));
    }

    /// Issues a ticket.
    pub fn give_out(&mut self, hash: TokenHash, ticket: Ticket) {
        self.tickets.push((hash, ticket));
    }

    /// Begins a host session under `hash`, which is swept after `over`.
    pub fn begin(&mut self, hash: TokenHash, session: Session, over: Timestamp) {
        self.begun.push((hash, session, over));
    }

    /// Creates a link.
    pub fn make_link(&mut self, hash: TokenHash, link: Link) {
        self.made.push((hash, link));
    }

    /// Sends a message, if e-mail is enabled. Notices of events are sent without this call.
    pub fn send(&mut self, letter: Letter) {
        self.letters.push(letter);
    }

    /// Adds an event.
    pub fn tell(&mut self, event: Event) {
        self.events.push(event);
    }
}

impl Store {
    /// Loads, decides, and writes the result with its events. Durable when it returns. `None` if
    /// there is no such user.
    ///
    /// `decide` may be called several times, each time with the current records.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be read or written. Nothing is written partly, but
    /// everything may have been written; see [`Records::commit`](crate::store::Records::commit).
    pub async fn update<T>(
        &self,
        reads: Reads,
        mut decide: impl FnMut(&mut Held) -> T,
    ) -> Result<Option<T>, Unavailable> {
        let _line = self.line(reads.user.as_bytes()).await;
        let attempts_key = self.attempts_key(&Target::User(reads.user));
        for _ in 0..TRIES {
            let user = self.read::<User>(Kind::User, reads.user.as_bytes()).await?;
            let attempts = self.read::<Failures>(Kind::Attempts, &attempts_key).await?;
            let hash = reads.session.as_ref().map(|hash| &hash.as_bytes()[..]);
            let session = self.read_some::<Session>(Kind::Session, hash).await?;
            let hash = reads.link.as_ref().map(|hash| &hash.as_bytes()[..]);
            let link = self.read_some::<Link>(Kind::Token, hash).await?;
            let hash = reads.ticket.as_ref().map(|hash| &hash.as_bytes()[..]);
            let ticket = self.read_some::<Ticket>(Kind::Ticket, hash).await?;
            let stay_id = match (&ticket.value, &session.value) {
                (Some(ticket), _) => Some(ticket.stay),
                (None, Some(session)) => session.stay,
                (None, None) => None,
            };
            let key = stay_id.as_ref().map(|id| &id.as_bytes()[..]);
            let stay = self.read_some::<Stay>(Kind::Stay, key).await?;
            let other_id = reads.other.filter(|other| Some(*other) != stay_id);
            let key = other_id.as_ref().map(|id| &id.as_bytes()[..]);
            let other = self.read_some::<Stay>(Kind::Stay, key).await?;
            let Some(before) = &user.value else { return Ok(None) };
            let mut held = Held {
                user: before.clone(),
                attempts: attempts.value.clone().unwrap_or_default(),
                session: session.value.clone(),
                link: link.value.clone(),
                stay: stay.value.clone(),
                other: other.value.clone(),
                ticket: ticket.value.clone(),
                begun: Vec::new(),
                stays: Vec::new(),
                tickets: Vec::new(),
                made: Vec::new(),
                letters: Vec::new(),
                events: Vec::new(),
            };
            let decided = decide(&mut held);

            let mut batch = Batch::new();
            let mut changed = false;
            let key = reads.user.as_bytes();
            changed |= self.step(&mut batch, Kind::User, key, &user, Some(&held.user))?;
            // Failures are checked only if they change, so concurrent failures do not cause a
            // conflict.
            if held.attempts != attempts.value.clone().unwrap_or_default() {
                let version = attempts.version;
                batch = self.put_attempts(batch, &attempts_key, version, &held.attempts)?;
                changed = true;
            }
            batch = self.count_imported(batch, [(Some(before), Some(&held.user))]).await?;
            if let Some(hash) = reads.session {
                let (key, now) = (hash.as_bytes(), held.session.as_ref());
                changed |= self.step(&mut batch, Kind::Session, key, &session, now)?;
            }
            if let Some(hash) = reads.link {
                let (key, now) = (hash.as_bytes(), held.link.as_ref());
                changed |= self.step(&mut batch, Kind::Token, key, &link, now)?;
            }
            if let Some(hash) = reads.ticket {
                let (key, now) = (hash.as_bytes(), held.ticket.as_ref());
                changed |= self.step(&mut batch, Kind::Ticket, key, &ticket, now)?;
            }
            let both = [(stay_id, &stay, &held.stay), (other_id, &other, &held.other)];
            for (id, read, now) in both {
                let Some(id) = id else { continue };
                changed |= self.step(&mut batch, Kind::Stay, id.as_bytes(), read, now.as_ref())?;
                if let (Some(over), None) = (&read.value, now) {
                    batch = batch.delete(Kind::StayOf, stays::pointer(over.user, id), Expect::Any);
                }
            }
            for (id, begun, over) in &held.stays {
                batch = self.put_stay(batch, *id, begun, *over)?;
                changed = true;
            }
            for (hash, given) in &held.tickets {
                let (key, over) = (hash.as_bytes(), Some(given.expires));
                batch = self.put(batch, Kind::Ticket, key, Expect::Absent, over, given)?;
                changed = true;
            }
            for (hash, begun, over) in &held.begun {
                let (key, over) = (hash.as_bytes(), Some(*over));
                batch = self.put(batch, Kind::Session, key, Expect::Absent, over, begun)?;
                changed = true;
            }
            for (hash, made) in &held.made {
                let (key, over) = (hash.as_bytes(), Some(made.expires));
                batch = self.put(batch, Kind::Token, key, Expect::Absent, over, made)?;
                changed = true;
            }
            changed |= !held.events.is_empty() || !held.letters.is_empty();
            batch = self.post(batch, &held.events, before, &held.user, &held.letters)?;
            let name = held.user.name().as_str();
            if !changed || self.commit(batch, &held.events, Some(name)).await? {
                return Ok(Some(decided));
            }
        }
        Err(Unavailable::new("too many conflicting writes to the same user"))
    }

    /// Updates the last use of a user session. Does nothing if the session is gone, if somebody
    /// else writes to it, or if too many updates are pending; the next use is recorded then.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn touch(&self, id: StayId, now: Timestamp) -> Result<(), Unavailable> {
        let Ok(_turn) = self.touches.try_acquire() else { return Ok(()) };
        let read = self.read::<Stay>(Kind::Stay, id.as_bytes()).await?;
        let Some(stay) = read.value.clone().filter(|stay| stay.is_worth_touching(now)) else {
            return Ok(());
        };
        let mut batch = Batch::new();
        let touched = Stay { seen: now, ..stay };
        self.step(&mut batch, Kind::Stay, id.as_bytes(), &read, Some(&touched))?;
        self.commit(batch, &[], None).await.map(|_| ())
    }
}

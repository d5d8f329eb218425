//! Changes as load, decide, write.
//!
//! [`Store::update`] loads records, lets `decide` change them, and writes all of them in one batch
//! if nothing that was read has changed in between. Otherwise it loads and decides again. So "works
//! once" holds on any backend and with any number of nodes.

use super::held::{HeldRecords, Stored, Wanted};
use super::names::Target;
use super::people::have_same_keys;
use super::{Store, TRIES, user_sessions};
use crate::domain::event::Event;
use crate::domain::factor::security_key::CredentialId;
use crate::domain::host_session::HostSession;
use crate::domain::lockout::Failures;
use crate::domain::message::Message;
use crate::domain::provider::Account;
use crate::domain::secret::TokenHash;
use crate::domain::time::Timestamp;
use crate::domain::user::{User, UserId};
use crate::domain::user_session::{AtProvider, Limits, UserSession, UserSessionId};
use crate::store::batch::{Batch, Expect};
use crate::store::record::Kind;
use crate::unavailable::Unavailable;

/// The records that a decision needs.
#[derive(Clone, Debug)]
pub struct Reads {
    /// The user.
    pub user: UserId,
    /// A host session, not necessarily of that user.
    pub session: Option<TokenHash>,
    /// The user session to read instead of that of the host session.
    pub user_session: Option<UserSessionId>,
    /// Another user session than that of the host session, not necessarily of that user.
    pub other: Option<UserSessionId>,
    /// Further records.
    wanted: Vec<Wanted>,
}

impl Reads {
    /// Only the user's record.
    pub const fn user(user: UserId) -> Self {
        Self { user, session: None, user_session: None, other: None, wanted: Vec::new() }
    }

    /// Also this host session.
    #[must_use]
    pub const fn in_session(mut self, session: Option<TokenHash>) -> Self {
        self.session = session;
        self
    }

    /// Also the record of this type under `key`.
    #[must_use]
    pub fn and<T: Stored>(mut self, key: &T::Key) -> Self {
        self.wanted.push(Wanted::of::<T>(key));
        self
    }
}

/// The records that a decision may read and change. All changes are written together or not at all.
#[derive(Debug)]
pub struct Transaction {
    /// The user.
    pub user: User,
    /// Failed passwords of the user from unknown browsers.
    pub attempts: Failures,
    /// The host session, if it exists. Taking it ends it.
    pub session: Option<HostSession>,
    /// The user session of the host session, or the one that was asked for, if it exists. Taking it
    /// ends it on every host.
    pub user_session: Option<UserSession>,
    /// The other user session, if it exists. Taking it ends it on every host. `None` if it is the
    /// same as `user_session`.
    pub other: Option<UserSession>,
    /// Further records.
    held: HeldRecords,
    /// Security keys of others that this decision has tried to set up.
    of_others: Vec<CredentialId>,
    /// New host sessions.
    begun: Vec<(TokenHash, HostSession, Timestamp)>,
    /// New user sessions.
    user_sessions: Vec<(UserSessionId, UserSession, Timestamp)>,
    /// Messages to send.
    messages: Vec<Message>,
    /// Events to write.
    events: Vec<Event>,
}

impl Transaction {
    /// The record of this type under `key`, if it was asked for (see [`Reads::and`]) and exists.
    pub fn get<T: Stored>(&self, key: &T::Key) -> Option<&T> {
        self.held.get(key)
    }

    /// The same; this deletes the record.
    pub fn take<T: Stored>(&mut self, key: &T::Key) -> Option<T> {
        self.held.take(key)
    }

    /// Writes the record under `key`. If it was not asked for, no such record may exist.
    pub fn put<T: Stored>(&mut self, key: &T::Key, value: T) {
        self.held.put(key, value);
    }

    /// Whether a security key is known to be another user's. A decision that sets up a new key asks
    /// this; it is decided again with the answer if it was not known at first.
    pub fn is_somebody_elses(&self, credential: &CredentialId) -> bool {
        self.of_others.contains(credential)
    }

    /// Begins a user session, which is swept after `over`.
    pub fn begin_user_session(
        &mut self,
        id: UserSessionId,
        user_session: UserSession,
        over: Timestamp,
    ) {
        self.user_sessions.push((id, user_session, over));
    }

    /// Says with which session at a provider the new user session began. Returns its id.
    pub fn began_at(&mut self, at_provider: AtProvider) -> Option<UserSessionId> {
        let (id, user_session, _) = self.user_sessions.last_mut()?;
        user_session.at_provider = Some(at_provider);
        Some(*id)
    }

    /// Begins a host session under `hash`, which is swept after `over`.
    pub fn begin(&mut self, hash: TokenHash, session: HostSession, over: Timestamp) {
        self.begun.push((hash, session, over));
    }

    /// Sends a message, if e-mail is enabled. Notices of events are sent without this call.
    pub fn send(&mut self, message: Message) {
        self.messages.push(message);
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
    /// `decide` may be called several times, each time with the current records. It may take accounts at
    /// providers away from the user; names, addresses and new accounts need [`Store::change_user`].
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be read or written. Nothing is written partly, but
    /// everything may have been written; see [`Records::commit`](crate::store::Records::commit).
    pub async fn update<T>(
        &self,
        reads: Reads,
        mut decide: impl FnMut(&mut Transaction) -> T,
    ) -> Result<Option<T>, Unavailable> {
        let _line = self.line(reads.user.as_bytes()).await;
        let mut of_others = Vec::new();
        for _ in 0..TRIES {
            let user = self.read::<User>(Kind::User, reads.user.as_bytes()).await?;
            let attempts = self.read_attempts(&Target::User(reads.user)).await?;
            let hash = reads.session.as_ref().map(|hash| &hash.as_bytes()[..]);
            let session = self.read_some::<HostSession>(Kind::HostSession, hash).await?;
            let held = self.held(&reads.wanted).await?;
            let own = || session.value.as_ref().map(|session| session.user_session);
            let user_session_id = reads.user_session.or_else(own);
            let key = user_session_id.as_ref().map(|id| &id.as_bytes()[..]);
            let user_session = self.read_some::<UserSession>(Kind::UserSession, key).await?;
            let other_id = reads.other.filter(|other| Some(*other) != user_session_id);
            let key = other_id.as_ref().map(|id| &id.as_bytes()[..]);
            let other = self.read_some::<UserSession>(Kind::UserSession, key).await?;
            let Some(before) = &user.value else { return Ok(None) };
            let mut tx = Transaction {
                user: before.clone(),
                attempts: attempts.failures.clone(),
                session: session.value.clone(),
                user_session: user_session.value.clone(),
                other: other.value.clone(),
                held,
                of_others: of_others.clone(),
                begun: Vec::new(),
                user_sessions: Vec::new(),
                messages: Vec::new(),
                events: Vec::new(),
            };
            let decided = decide(&mut tx);

            let mut batch = Batch::new();
            let mut changed = false;
            let rekeyed = !have_same_keys(before, &tx.user);
            let _naming = if rekeyed { Some(self.naming.read().await) } else { None };
            if rekeyed {
                let taken = self.keys_of_others(before, &tx.user).await?;
                if !taken.is_empty() {
                    of_others = taken;
                    continue;
                }
                batch = self.with_keys(batch, before, &tx.user)?;
            }
            let key = reads.user.as_bytes();
            changed |= self.step(&mut batch, Kind::User, key, &user, Some(&tx.user))?;
            // Failures are checked only if they change, so concurrent failures do not cause a
            // conflict.
            if tx.attempts != attempts.failures {
                batch = self.put_attempts(batch, &attempts, &tx.attempts)?;
                changed = true;
            }
            batch = self.count_imported(batch, [(Some(before), Some(&tx.user))]).await?;
            let lost = before.accounts().filter(|account| !tx.user.has_account(account));
            let lost: Vec<String> = lost.map(Account::key).collect();
            let _naming = if lost.is_empty() { None } else { Some(self.naming.read().await) };
            batch = self.without_names(batch, &lost);
            if let Some(hash) = reads.session {
                let (key, now) = (hash.as_bytes(), tx.session.as_ref());
                changed |= self.step(&mut batch, Kind::HostSession, key, &session, now)?;
            }
            changed |= tx.held.write(self, &mut batch)?;
            let both =
                [(user_session_id, &user_session, &tx.user_session), (other_id, &other, &tx.other)];
            for (id, read, now) in both {
                let Some(id) = id else { continue };
                changed |=
                    self.step(&mut batch, Kind::UserSession, id.as_bytes(), read, now.as_ref())?;
                if let (Some(over), None) = (&read.value, now) {
                    batch = batch.delete(
                        Kind::UserSessionOf,
                        user_sessions::pointer(over.user, id),
                        Expect::Any,
                    );
                }
            }
            let old = batch.steps().len();
            batch = self.put_new(batch, &tx)?;
            changed |= batch.steps().len() > old;
            changed |= !tx.events.is_empty() || !tx.messages.is_empty();
            batch = self.post(batch, &tx.events, before, &tx.user, &tx.messages)?;
            let name = tx.user.name().as_str();
            if !changed || self.commit(batch, &tx.events, Some(name)).await? {
                return Ok(Some(decided));
            }
        }
        Err(Unavailable::store("too many conflicting writes to the same user"))
    }

    /// Adds the records that `tx` creates to `batch`.
    fn put_new(&self, mut batch: Batch, tx: &Transaction) -> Result<Batch, Unavailable> {
        for (id, begun, over) in &tx.user_sessions {
            batch = self.put_user_session(batch, *id, begun, *over)?;
        }
        for (hash, begun, over) in &tx.begun {
            let (key, over) = (hash.as_bytes(), Some(*over));
            batch = self.put(batch, Kind::HostSession, key, Expect::Absent, over, begun)?;
        }
        Ok(batch)
    }

    /// Updates the last use of a user session. Does nothing if the session is gone, if somebody
    /// else writes to it, or if too many updates are pending; the next use is recorded then.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn touch(
        &self,
        id: UserSessionId,
        limits: Limits,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let Ok(_turn) = self.touches.try_acquire() else { return Ok(()) };
        let read = self.read::<UserSession>(Kind::UserSession, id.as_bytes()).await?;
        let Some(user_session) =
            read.value.clone().filter(|user_session| user_session.is_worth_touching(limits, now))
        else {
            return Ok(());
        };
        let mut batch = Batch::new();
        let touched = UserSession { seen: now, ..user_session };
        self.step(&mut batch, Kind::UserSession, id.as_bytes(), &read, Some(&touched))?;
        self.commit(batch, &[], None).await.map(|_| ())
    }
}

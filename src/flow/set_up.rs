//! Setting up the first authenticator, and saving the recovery codes that come with it.
//!
//! A password may be stolen. So the key of a first authenticator is shown, and its first code
//! checked, only after the session has shown what the operator requires in addition.

use super::admit::AuthenticatedRequest;
use super::caller::{Caller, Given};
use super::env::Env;
use super::host_session::{Fresh, in_session, rise};
use super::next::owed;
use crate::domain::assurance::Proof;
use crate::domain::event::What;
use crate::domain::factor::totp;
use crate::domain::host_session::{Becomes, HostSession};
use crate::domain::message::{About, Message};
use crate::domain::secret::Token;
use crate::domain::user::{FirstFactorAsks, TurnedOn};
use crate::store::{Reads, Transaction, Unavailable};

/// The result of asking for the key of a first authenticator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstKey {
    /// The key waits for its first code. It stays the same after a reload, a wrong code or a
    /// restart.
    Waits(totp::Key),
    /// Something must be shown first; never [`FirstFactorAsks::Nothing`].
    Owes(FirstFactorAsks),
    /// The session has ended, or two-factor is on already.
    None,
}

/// The result of a first code.
#[derive(Debug)]
pub enum SetUp {
    /// Two-factor is on; the session continues under a new id.
    On(Given),
    /// Two-factor was on already.
    Already,
    /// The code was wrong, or none. The key still waits for it.
    Wrong(totp::Key),
    /// The key was missing or older than fifteen minutes. A new one waits from now on.
    Late(totp::Key),
    /// Something must be shown first; never [`FirstFactorAsks::Nothing`].
    Owes(FirstFactorAsks),
    /// The session has ended.
    Over,
}

/// The key in this session that waits for its first code, if everything required was shown.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn pending_key(
    env: &Env,
    caller: &Caller,
    authenticated: &AuthenticatedRequest,
) -> Result<FirstKey, Unavailable> {
    let new = env.rng.draw(|rng| totp::Key::random(rng));
    in_session(
        env,
        caller,
        authenticated,
        || FirstKey::None,
        |tx, session| {
            // Never show the secret of a factor that is in use again.
            if tx.user.has_second_factor() {
                return FirstKey::None;
            }
            match owed(env, &tx.user, &session.proofs, caller.now) {
                FirstFactorAsks::Nothing => {
                    FirstKey::Waits(waiting(caller, tx, session, Becomes::First, &new))
                }
                owed => FirstKey::Owes(owed),
            }
        },
    )
    .await
}

/// The key in `session` that waits for its first code, or else `new`, which waits from now on.
pub(super) fn waiting(
    caller: &Caller,
    tx: &mut Transaction,
    mut session: HostSession,
    becomes: Becomes,
    new: &totp::Key,
) -> totp::Key {
    if let Some(key) = session.pending(becomes, caller.now) {
        return key.clone();
    }
    session.await_first_code(new.clone(), becomes, caller.now);
    tx.session = Some(session);
    new.clone()
}

/// Turns two-factor on with a first correct code and, if the user wants it, trusts this browser.
/// `code` is `None` if what was typed is none.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. Two-factor may be on or not.
pub async fn turn_on(
    env: &Env,
    caller: &Caller,
    authenticated: &AuthenticatedRequest,
    code: Option<&totp::Code>,
    trust_device: bool,
) -> Result<SetUp, Unavailable> {
    let new = env.rng.draw(|rng| totp::Key::random(rng));
    let fresh = Fresh::draw(env);
    let how = env.config.second_factor;
    let not_me = env.rng.draw(Token::random);
    in_session(
        env,
        caller,
        authenticated,
        || SetUp::Over,
        |tx, session| {
            if tx.user.has_second_factor() {
                return SetUp::Already;
            }
            let owed = owed(env, &tx.user, &session.proofs, caller.now);
            if owed != FirstFactorAsks::Nothing {
                return SetUp::Owes(owed);
            }
            let Some(key) = session.pending(Becomes::First, caller.now).cloned() else {
                return SetUp::Late(waiting(caller, tx, session, Becomes::First, &new));
            };
            let Some(code) = code else { return SetUp::Wrong(key) };
            let turned =
                env.rng.draw(|rng| tx.user.turn_on(key.clone(), code, how, rng, caller.now));
            match turned {
                TurnedOn::Already => SetUp::Already,
                TurnedOn::Wrong => SetUp::Wrong(key),
                TurnedOn::Now => {
                    tell_of_first(env, caller, tx, &not_me);
                    let session = session.without_pending();
                    let proof = Proof::Totp(tx.user.newest_authenticator());
                    SetUp::On(rise(env, caller, tx, &session, proof, trust_device, &fresh))
                }
            }
        },
    )
    .await
}

/// The notice of a first second factor, with a link by which the user says that it is not theirs.
fn tell_of_first(env: &Env, caller: &Caller, tx: &mut Transaction, not_me: &Token) {
    let event = caller.event(tx.user.id(), What::TwoFactorOn);
    tx.tell(event.clone());
    let factor = tx.user.began_with();
    let about = About::Happened { event, not_me: Some(not_me.clone()) };
    let message = Message::to(&tx.user, about, caller.now).filter(|_| env.config.mail.is_some());
    if let (Some(factor), Some(message)) = (factor, message) {
        tx.make_link(not_me.hash(), tx.user.not_me_link(factor, caller.now));
        tx.send(message);
    }
}

/// The user confirms that the recovery codes are saved.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn save_codes(
    env: &Env,
    caller: &Caller,
    authenticated: &AuthenticatedRequest,
) -> Result<(), Unavailable> {
    let user = authenticated.session.user;
    env.store
        .update(Reads::user(user), |tx| {
            if tx.user.save_recovery_codes(caller.now) {
                tx.tell(caller.event(user, What::RecoveryCodesSaved));
            }
        })
        .await
        .map(|_| ())
}

//! Setting up the first authenticator, and saving the recovery codes that come with it.
//!
//! A password may be stolen. So the key of a first authenticator is shown, and its first code
//! checked, only after the session has shown what the operator requires in addition.

use super::admit::Visit;
use super::caller::{Caller, Given};
use super::env::Env;
use super::next::owed;
use super::visits::{Fresh, in_session, rise};
use crate::domain::assurance::Proof;
use crate::domain::event::What;
use crate::domain::factor::totp;
use crate::domain::letter::{About, Letter};
use crate::domain::secret::Token;
use crate::domain::session::{Becomes, Session};
use crate::domain::user::{FirstFactorAsks, TurnedOn};
use crate::store::{Held, Reads, Unavailable};

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
    /// The code was wrong.
    Wrong,
    /// The key is missing or older than fifteen minutes, or something must be shown first.
    Late,
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
    visit: &Visit,
) -> Result<FirstKey, Unavailable> {
    let new = env.chance.draw(|rng| totp::Key::random(rng));
    in_session(
        env,
        caller,
        visit,
        || FirstKey::None,
        |held, session| {
            // Never show the secret of a factor that is in use again.
            if held.user.has_second_factor() {
                return FirstKey::None;
            }
            match owed(env, &held.user, &session.proofs, caller.now) {
                FirstFactorAsks::Nothing => {
                    FirstKey::Waits(waiting(caller, held, session, Becomes::First, &new))
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
    held: &mut Held,
    mut session: Session,
    becomes: Becomes,
    new: &totp::Key,
) -> totp::Key {
    if let Some(key) = session.pending(becomes, caller.now) {
        return key.clone();
    }
    session.await_first_code(new.clone(), becomes, caller.now);
    held.session = Some(session);
    new.clone()
}

/// Turns two-factor on with a first correct code and, if the user wants it, trusts this browser.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. Two-factor may be on or not.
pub async fn turn_on(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
    code: &totp::Code,
    trust_device: bool,
) -> Result<SetUp, Unavailable> {
    let fresh = Fresh::draw(env);
    let how = env.config.second_factor;
    let not_me = env.chance.draw(Token::random);
    in_session(
        env,
        caller,
        visit,
        || SetUp::Over,
        |held, session| {
            if held.user.has_second_factor() {
                return SetUp::Already;
            }
            let owed = owed(env, &held.user, &session.proofs, caller.now);
            if owed != FirstFactorAsks::Nothing {
                return SetUp::Late;
            }
            let Some(key) = session.pending(Becomes::First, caller.now).cloned() else {
                return SetUp::Late;
            };
            let turned = env.chance.draw(|rng| held.user.turn_on(key, code, how, rng, caller.now));
            match turned {
                TurnedOn::Already => SetUp::Already,
                TurnedOn::Wrong => SetUp::Wrong,
                TurnedOn::Now => {
                    tell_of_first(env, caller, held, &not_me);
                    let session = session.without_pending();
                    let proof = Proof::Totp(held.user.newest_authenticator());
                    SetUp::On(rise(env, caller, held, &session, proof, trust_device, &fresh))
                }
            }
        },
    )
    .await
}

/// The notice of a first factor, with a link by which the user says that it is not theirs.
fn tell_of_first(env: &Env, caller: &Caller, held: &mut Held, not_me: &Token) {
    let event = caller.event(held.user.id(), What::TwoFactorOn);
    held.tell(event.clone());
    let factor = held.user.began_with();
    let about = About::Happened { event, not_me: Some(not_me.clone()) };
    let letter = Letter::to(&held.user, about, caller.now).filter(|_| env.config.mail.is_some());
    if let (Some(factor), Some(letter)) = (factor, letter) {
        held.make_link(not_me.hash(), held.user.not_me_link(factor, caller.now));
        held.send(letter);
    }
}

/// The user confirms that the recovery codes are saved.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn save_codes(env: &Env, caller: &Caller, visit: &Visit) -> Result<(), Unavailable> {
    let user = visit.session.user;
    env.store
        .update(Reads::user(user), |held| {
            if held.user.save_recovery_codes(caller.now) {
                held.tell(caller.event(user, What::RecoveryCodesSaved));
            }
        })
        .await
        .map(|_| ())
}

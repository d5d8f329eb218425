//! Setting up the first second factor, and saving the recovery codes that come with it.
//!
//! A password may be stolen. So what a first factor begins with (the key of an authenticator) is
//! shown, and its first answer checked, only after the session has shown what the operator requires in addition.

use super::acting::Acting;
use super::answer::{Submitted, counted, counted_at_set_up, tell_forged};
use super::caller::{Caller, Given};
use super::env::Env;
use super::host_session::{Fresh, in_session, rise};
use super::next::owed;
use super::texts::entered;
use crate::domain::assurance::Proof;
use crate::domain::ceremony::{Ceremony, Purpose};
use crate::domain::event::What;
use crate::domain::factor::{Begun, Kind, Rejection};
use crate::domain::host_session::HostSession;
use crate::domain::message::{About, Message};
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::domain::user::{FirstFactorAsks, TurnedOn};
use crate::store::{Reads, Transaction};
use crate::unavailable::Unavailable;

/// The result of beginning to set up a first factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstFactor {
    /// It waits for its first answer. It stays the same after a reload, a wrong answer or a
    /// restart.
    Waits(Begun),
    /// Something must be shown first; never [`FirstFactorAsks::Nothing`].
    Owes(FirstFactorAsks),
    /// The session has ended, two-factor is on already, or this kind cannot be set up.
    None,
}

/// The result of a first answer.
#[derive(Debug)]
pub enum SetUp {
    /// Two-factor is on; the session continues under a new id.
    On(Given),
    /// Two-factor was on already.
    Already,
    /// The answer was wrong, or none. The set-up still waits for it.
    Wrong(Begun),
    /// The same of a security key that is none of those that are accepted here.
    OtherModel(Begun),
    /// What had begun was missing or older than fifteen minutes. Something new waits from now on.
    Late(Begun),
    /// Something must be shown first; never [`FirstFactorAsks::Nothing`].
    Owes(FirstFactorAsks),
    /// Too many codes of this user were wrong: none is accepted now.
    Closed(Rejection),
    /// Too many answers from this address were wrong: none is accepted until this time.
    Waiting {
        /// When the next one is accepted.
        until: Timestamp,
    },
    /// The session has ended, or users may not set up this kind.
    Over,
}

/// Begins to set up a first factor of this `kind`, or goes on with what has begun in this session,
/// if everything required was shown.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn begin(acting: Acting<'_>, kind: Kind) -> Result<FirstFactor, Unavailable> {
    let Acting { env, caller, .. } = acting;
    let Some(new) = env.begins_first(kind) else { return Ok(FirstFactor::None) };
    in_session(
        acting,
        || FirstFactor::None,
        |tx, session| {
            // Never show the secret of a factor that is in use again.
            if tx.user.has_second_factor() {
                return FirstFactor::None;
            }
            match owed(env, &tx.user, &session.proofs, caller.now) {
                FirstFactorAsks::Nothing => {
                    FirstFactor::Waits(waiting(caller, tx, session, Purpose::First, &new))
                }
                owed => FirstFactor::Owes(owed),
            }
        },
    )
    .await
}

impl Env {
    /// What the set-up of a factor of this kind begins with; `None` if users may not set it up.
    pub(super) fn begins(&self, kind: Kind) -> Option<Begun> {
        let may = self.config.kinds.contains(&kind);
        may.then(|| self.rng.draw(|rng| Begun::random(kind, rng))).flatten()
    }

    /// The same of a first factor, which must be no mere backup.
    fn begins_first(&self, kind: Kind) -> Option<Begun> {
        self.begins(kind).filter(|begun| begun.kind().stands_alone())
    }
}

/// What waits in `session` for its first answer and is kept, or else `new`, which waits from now on.
pub(super) fn waiting(
    caller: &Caller,
    tx: &mut Transaction,
    mut session: HostSession,
    purpose: Purpose,
    new: &Begun,
) -> Begun {
    let waits = session.ceremony_of(new.kind());
    if let Some(begun) = waits.and_then(|waits| waits.kept(purpose, new.kind(), caller.now)) {
        return begun.clone();
    }
    session.begin_ceremony(Ceremony::begin(purpose, new.clone(), caller.now));
    tx.session = Some(session);
    new.clone()
}

/// What waits in `session` for its first answer.
pub(super) fn begun(
    session: &HostSession,
    purpose: Purpose,
    kind: Kind,
    now: Timestamp,
) -> Option<Begun> {
    session.ceremony_of(kind)?.begun(purpose, kind, now).cloned()
}

/// Turns two-factor on with a first correct answer and, if the user wants it, trusts this browser.
/// `answer` is `None` if what was typed is none.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. Two-factor may be on or not.
pub async fn turn_on(
    acting: Acting<'_>,
    kind: Kind,
    answer: Option<&Submitted>,
    trust_device: bool,
) -> Result<SetUp, Unavailable> {
    let Acting { env, caller, .. } = acting;
    let Some(new) = env.begins_first(kind) else { return Ok(SetUp::Over) };
    let counted = match answer.map(|answer| counted(acting, answer)) {
        Some(Err(until)) => return Ok(SetUp::Waiting { until }),
        Some(Ok(counted)) => counted,
        None => None,
    };
    let fresh = Fresh::draw(env);
    let settings = env.config.second_factor;
    let not_me = env.rng.draw(Token::random);
    let set_up = in_session(
        acting,
        || SetUp::Over,
        |tx, session| {
            if tx.user.has_second_factor() {
                return SetUp::Already;
            }
            let owed = owed(env, &tx.user, &session.proofs, caller.now);
            if owed != FirstFactorAsks::Nothing {
                return SetUp::Owes(owed);
            }
            let Some(begun) = begun(&session, Purpose::First, kind, caller.now) else {
                if let Some(answer) = answer {
                    tell_forged(caller, tx, answer);
                }
                return SetUp::Late(waiting(caller, tx, session, Purpose::First, &new));
            };
            let Some(answer) = answer else { return SetUp::Wrong(begun) };
            let answer = match env.verified(tx, Some(&begun), answer, caller.now) {
                Ok(answer) => answer,
                Err(why) => {
                    tell_forged(caller, tx, answer);
                    let is_used_up = answer.answers(&session);
                    let session = if is_used_up { session.without_ceremony() } else { session };
                    let begun = waiting(caller, tx, session, Purpose::First, &new);
                    return match why {
                        Rejection::OtherModel => SetUp::OtherModel(begun),
                        _ => SetUp::Wrong(begun),
                    };
                }
            };
            match counted_at_set_up(caller, tx, &session, Purpose::First, &answer) {
                Ok(()) => {}
                Err(Rejection::Wrong) => return SetUp::Wrong(begun.with_one_more_wrong()),
                Err(rejection) => return SetUp::Closed(rejection),
            }
            let (user, now) = (&mut tx.user, caller.now);
            match env.rng.draw(|rng| user.turn_on(begun.clone(), &answer, settings, rng, now)) {
                TurnedOn::Already => SetUp::Already,
                TurnedOn::Wrong => SetUp::Wrong(begun),
                TurnedOn::Now(factor) => {
                    tell_of_first(env, caller, tx, &not_me);
                    let session = session.without_ceremony();
                    let proof = Proof::Factor(kind, factor);
                    SetUp::On(rise(env, caller, tx, &session, proof, trust_device, &fresh))
                }
            }
        },
    )
    .await?;
    if let (SetUp::On(_), Some(counted)) = (&set_up, counted) {
        counted.give_back();
    }
    if matches!(set_up, SetUp::On(_)) {
        entered(acting, kind).await;
    }
    Ok(set_up)
}

/// The notice of a first second factor, with a link by which the user says that it is not theirs.
fn tell_of_first(env: &Env, caller: &Caller, tx: &mut Transaction, not_me: &Token) {
    let event = caller.event(tx.user.id(), What::TwoFactorOn);
    tx.tell(event.clone());
    let factor = tx.user.began_with();
    let about = About::Happened { event, not_me: Some(not_me.clone()) };
    let message = Message::to(&tx.user, about, caller.now).filter(|_| env.config.mail.is_some());
    if let (Some(factor), Some(message)) = (factor, message) {
        tx.put(&not_me.hash(), tx.user.not_me_link(factor, caller.now));
        tx.send(message);
    }
}

/// The user confirms that the recovery codes are saved.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn save_codes(acting: Acting<'_>) -> Result<(), Unavailable> {
    let Acting { env, caller, authenticated } = acting;
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

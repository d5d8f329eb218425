//! Signing in with a passkey, and confirming with one.
//!
//! A passkey that verifies its user is the first and the second factor in one. What it signs at a
//! sign-in names its user; nobody is asked for a name before. Unknown users, unknown keys, disabled
//! users and answers that are wrong are refused alike, and counted by the address.

use super::acting::Acting;
use super::answer::{Submitted, key_tries};
use super::caller::Caller;
use super::confirm::Confirm;
use super::env::{Env, Line};
use super::host_session::{Fresh, begin, go_on, in_session};
use super::refused::tell_doubted;
use super::set_up::{begun, waiting};
use super::sign_in::SignIn;
use crate::domain::assurance::{FirstFactor, Proof, Proofs};
use crate::domain::ceremony::Purpose;
use crate::domain::device::BrowserId;
use crate::domain::event::What;
use crate::domain::factor::security_key::{Challenge, SecurityKey, SignInChallenge};
use crate::domain::factor::{Begun, Factor, FactorId, Kind, Rejection};
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::domain::user::{User, UserId};
use crate::identity::{Assertion, Client, Forged};
use crate::store::{Reads, Transaction};
use crate::unavailable::Unavailable;

/// Signs a user in who answered `asked` with a passkey.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn sign_in(
    env: &Env,
    caller: &Caller,
    asked: Option<SignInChallenge>,
    sent: &Assertion,
) -> Result<SignIn, Unavailable> {
    let handle = sent.user_handle.as_deref().and_then(|handle| <[u8; 16]>::try_from(handle).ok());
    let user = handle.map(UserId::from);
    let of = Client::of_keys(caller.address, known(env, caller, user).await?);
    let counted = match env.key_tries(caller, of) {
        Ok(counted) => counted,
        Err(until) => return Ok(SignIn::Waiting { until }),
    };
    let (Some(user), Some(asked), true) = (user, asked, env.config.passkeys) else {
        return Ok(SignIn::Refused);
    };
    let fresh = Fresh::draw(env);
    let reads = Reads::user(user);
    let reads = reads.in_session(caller.carried.session.as_ref().map(Token::hash));
    let signed_in = env
        .store
        .update(reads, |tx| {
            let Some(factor) = shows(env, caller, tx, asked, sent) else {
                return SignIn::Refused;
            };
            let proofs = Proofs::default()
                .with(Proof::First(FirstFactor::Passkey), caller.now)
                .with(Proof::Factor(Kind::SecurityKey, factor), caller.now);
            SignIn::Begun(begin(env, caller, tx, proofs, &fresh))
        })
        .await?
        .unwrap_or(SignIn::Refused);
    if matches!(signed_in, SignIn::Begun(_)) {
        counted.give_back();
    }
    Ok(signed_in)
}

/// The known browser of `user` that this is. Only for a browser that carries a signed cookie of that
/// user the record is read.
async fn known(
    env: &Env,
    caller: &Caller,
    user: Option<UserId>,
) -> Result<Option<BrowserId>, Unavailable> {
    let carried = caller.carried.known.filter(|known| Some(known.user) == user);
    let Some(known) = carried else { return Ok(None) };
    let user = env.store.user(known.user).await?;
    Ok(user.and_then(|user| caller.known_to(&user.user)))
}

/// The key of this user that signed what was `asked` and verified its user. Only answers that name a
/// key of this user are events of theirs: anybody can name the user.
fn shows(
    env: &Env,
    caller: &Caller,
    tx: &mut Transaction,
    asked: SignInChallenge,
    sent: &Assertion,
) -> Option<FactorId> {
    let user = tx.user.id();
    let refused = match env.verified_key(&tx.user, &asked.challenge, sent) {
        Ok(shown) => match tx.user.sign_in_by_key(&shown, asked, caller.now) {
            Ok(factor) => return Some(factor),
            Err(rejection @ Rejection::Doubted { .. }) => {
                tell_doubted(caller, tx, rejection);
                return None;
            }
            Err(_) => Forged("this key may not sign in, or its answer does not fit"),
        },
        Err(why) => why,
    };
    let mut keys = tx.user.factors().iter().filter_map(Factor::security_key);
    if keys.any(|key| *key.credential() == sent.credential) {
        tx.tell(caller.event(user, What::SecondFactorRefused));
    }
    if let Some(left_out) = env.log_throttle.due(Line::Passkey, caller.now) {
        let (name, address) = (tx.user.name().as_str(), caller.address);
        tracing::info!(name, %user, %address, left_out, "sign-in with a passkey refused: {refused}");
    }
    None
}

/// Asks for a passkey before a change of one's own protection; `None` if the user has none that can
/// confirm, or the session has ended.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn ask(acting: Acting<'_>) -> Result<Option<Begun>, Unavailable> {
    let Acting { env, caller, .. } = acting;
    let new = env.rng.draw(|rng| Begun::SecurityKey(Challenge::random(rng)));
    in_session(
        acting,
        || None,
        |tx, session| {
            let may = env.config.passkeys && has_passkey(&tx.user, caller.now);
            may.then(|| waiting(caller, tx, session, Purpose::Confirm, &new))
        },
    )
    .await
}

/// Whether this user has a key that is a first factor now: one that verifies its user.
pub fn has_passkey(user: &User, now: Timestamp) -> bool {
    let verifies = |factor: &Factor| factor.security_key().is_some_and(SecurityKey::verifies_user);
    user.factors().iter().any(|factor| factor.worth(now).resists_phishing && verifies(factor))
}

/// Confirms with a passkey.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn confirm(acting: Acting<'_>, sent: &Assertion) -> Result<Confirm, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let counted = match key_tries(acting) {
        Ok(counted) => counted,
        Err(until) => return Ok(Confirm::Waiting { until }),
    };
    let (fresh, user) = (Fresh::draw(env), authenticated.session.user);
    let confirmed = in_session(
        acting,
        || Confirm::Over,
        |tx, session| {
            let asked = begun(&session, Purpose::Confirm, Kind::SecurityKey, caller.now);
            let answers = Submitted::SecurityKey(sent.clone()).answers(&session);
            let session = if answers { session.without_challenge() } else { session };
            let Some(Begun::SecurityKey(challenge)) = asked.filter(|_| env.config.passkeys) else {
                return Confirm::Refused;
            };
            let asked = SignInChallenge { challenge, asked: caller.now };
            let Some(factor) = shows(env, caller, tx, asked, sent) else {
                tx.session = Some(session);
                return Confirm::Refused;
            };
            tx.tell(caller.event(user, What::ConfirmedByPasskey));
            let proof = Proof::Factor(Kind::SecurityKey, factor);
            let session = session.risen(proof, caller.now);
            let proof = Proof::First(FirstFactor::Passkey);
            Confirm::Confirmed(go_on(env, caller, tx, &session, proof, &fresh))
        },
    )
    .await?;
    if matches!(confirmed, Confirm::Confirmed(_)) {
        counted.give_back();
    }
    Ok(confirmed)
}

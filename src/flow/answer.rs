//! What a visitor sent as an answer. What a security key signed is verified here, against what its
//! session has asked; then the domain judges it like any other answer.

use data_encoding::BASE64URL_NOPAD;

use super::acting::Acting;
use super::caller::Caller;
use super::env::Env;
use super::refused::tell_refused;
use crate::domain::ceremony::{Ceremony, Purpose};
use crate::domain::event::What;
use crate::domain::factor::security_key::{Challenge, Shown};
use crate::domain::factor::{Answer, Begun, Factor, Kind, Rejection};
use crate::domain::host_session::HostSession;
use crate::domain::mailed;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::identity::{Assertion, Client, Forged, Held, Registration, Try};
use crate::store::Transaction;

/// What a visitor sent.
#[derive(Clone, Debug)]
pub enum Submitted {
    /// An answer that needs no verification of its own.
    Answer(Answer),
    /// What a new security key signed.
    NewSecurityKey(Registration),
    /// What a security key signed.
    SecurityKey(Assertion),
    /// A code from a text message.
    Texted(mailed::Code),
    /// A code from an e-mail.
    Emailed(mailed::Code),
    /// What should have come from a security key, but cannot be read.
    Unreadable,
}

impl Submitted {
    /// The kind of factor that gives such an answer.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Answer(answer) => answer.kind(),
            Self::NewSecurityKey(_) | Self::SecurityKey(_) | Self::Unreadable => Kind::SecurityKey,
            Self::Texted(_) => Kind::Sms,
            Self::Emailed(_) => Kind::Email,
        }
    }

    /// Whether it is the answer of a security key to what waits in this session. One to something
    /// else, such as what an older page has asked, uses nothing up.
    pub(super) fn answers(&self, session: &HostSession) -> bool {
        let waits = session.ceremony.as_ref().map(Ceremony::waits_for);
        let Some(Begun::SecurityKey(challenge)) = waits else { return false };
        match self {
            Self::Answer(_) | Self::Unreadable | Self::Texted(_) | Self::Emailed(_) => false,
            Self::NewSecurityKey(sent) => names(&sent.client_data, challenge),
            Self::SecurityKey(sent) => names(&sent.client_data, challenge),
        }
    }

    /// Whether a security key gave it, or should have.
    pub(super) const fn is_signed(&self) -> bool {
        !matches!(self, Self::Answer(_)) && !self.was_sent()
    }

    /// Whether it is a code that was sent.
    pub(super) const fn was_sent(&self) -> bool {
        matches!(self, Self::Texted(_) | Self::Emailed(_))
    }
}

/// Counts an answer of a security key by the known browser, or else by the user and the address that it
/// comes from, until it is given back because it was right. Other answers are counted with the user.
///
/// # Errors
/// When the next one from there is accepted.
pub(super) fn counted(acting: Acting<'_>, sent: &Submitted) -> Result<Option<Try>, Timestamp> {
    if !sent.is_signed() {
        return Ok(None);
    }
    key_tries(acting).map(Some)
}

/// Counts an answer of a security key in a session.
///
/// # Errors
/// Like [`counted`].
pub(super) fn key_tries(acting: Acting<'_>) -> Result<Try, Timestamp> {
    let Acting { env, caller, authenticated } = acting;
    let user = &authenticated.user.user;
    let of = Client::of_keys_after(user.id(), caller.address, caller.known_to(user));
    env.key_tries(caller, of)
}

impl Env {
    /// Makes an answer of what the user of `tx` sent, who was asked what has `begun`.
    ///
    /// # Errors
    /// [`Rejection::Expired`] if nothing was asked, or it expired or was answered before;
    /// [`Rejection::Wrong`] if no key of this user signed that, or a new key is somebody else's
    /// already (WebAuthn §7.1 step 26); [`Rejection::OtherModel`] if a new key is none of those that
    /// are accepted. The log says why.
    pub(super) fn verified(
        &self,
        tx: &Transaction,
        begun: Option<&Begun>,
        submitted: &Submitted,
        now: Timestamp,
    ) -> Result<Answer, Rejection> {
        let user = &tx.user;
        if let Submitted::Answer(answer) = submitted {
            return Ok(answer.clone());
        }
        if let Submitted::Texted(code) = submitted {
            let Some(Begun::Sms(texted)) = begun else { return Err(Rejection::Expired) };
            return Ok(Answer::Sms(texted.proves(code, now).cloned()));
        }
        if let Submitted::Emailed(code) = submitted {
            let Some(Begun::Email(emailed)) = begun else { return Err(Rejection::Expired) };
            return Ok(Answer::Email(emailed.proves(code, now).cloned()));
        }
        let Some(Begun::SecurityKey(challenge)) = begun else { return Err(Rejection::Expired) };
        let Some(party) = &self.config.relying_party else { return Err(Rejection::Wrong) };
        let verified = match submitted {
            Submitted::Answer(answer) => Ok(answer.clone()),
            Submitted::Unreadable | Submitted::Texted(_) | Submitted::Emailed(_) => {
                Err(Forged("it cannot be read"))
            }
            Submitted::NewSecurityKey(sent) => {
                let new = self.security_keys.set_up(party, challenge, sent);
                let new = new.and_then(|new| {
                    if tx.is_somebody_elses(&new.credential) {
                        return Err(Forged("somebody else has set up a key with this id"));
                    }
                    Ok(new)
                });
                new.map(Answer::NewSecurityKey)
            }
            Submitted::SecurityKey(sent) => {
                self.verified_key(user, challenge, sent).map(Answer::SecurityKey)
            }
        };
        verified.map_err(|why| {
            let (name, user) = (user.name().as_str(), user.id());
            tracing::info!(name, %user, "answer of a security key refused: {why}");
            if why == Forged::OTHER_MODEL { Rejection::OtherModel } else { Rejection::Wrong }
        })
    }

    /// Verifies that a key of `user` signed `challenge`.
    ///
    /// # Errors
    /// [`Forged`] if none did.
    pub(super) fn verified_key(
        &self,
        user: &User,
        challenge: &Challenge,
        sent: &Assertion,
    ) -> Result<Shown, Forged> {
        let no_keys = Forged("the portal cannot use security keys");
        let party = self.config.relying_party.as_ref().ok_or(no_keys)?;
        let mut held = user.factors().iter().filter_map(|factor| held(user, factor));
        let held = held.find(|held| *held.key.credential() == sent.credential);
        let held = held.ok_or(Forged("this user has no such key"))?;
        self.security_keys.shown(party, challenge, &held, sent)
    }
}

/// Whether this client data (WebAuthn §5.8.1) says that it answers `challenge`.
fn names(client_data: &[u8], challenge: &Challenge) -> bool {
    #[derive(serde::Deserialize)]
    struct ClientData {
        challenge: String,
    }
    let read: Option<ClientData> = serde_json::from_slice(client_data).ok();
    read.is_some_and(|data| data.challenge == BASE64URL_NOPAD.encode(challenge.as_bytes()))
}

/// The factor as a key, if it is one.
fn held<'a>(user: &User, factor: &'a Factor) -> Option<Held<'a>> {
    Some(Held { user: user.id(), factor: factor.id(), key: factor.security_key()? })
}

/// An answer of a security key was not accepted: what was asked cannot be answered again.
pub(super) fn used_up(tx: &mut Transaction, session: &HostSession, submitted: &Submitted) {
    if submitted.answers(session) {
        tx.session = Some(session.clone().without_ceremony());
    }
}

/// Counts a wrong code for the set-up of a phone or a mailbox, like every wrong code.
///
/// # Errors
/// Why it is refused. It is told.
pub(super) fn counted_at_set_up(
    caller: &Caller,
    tx: &mut Transaction,
    session: &HostSession,
    purpose: Purpose,
    answer: &Answer,
) -> Result<(), Rejection> {
    let is_right = match answer {
        Answer::Sms(proved) => proved.is_some(),
        Answer::Email(proved) => proved.is_some(),
        _ => return Ok(()),
    };
    let browser = caller.known_to(&tx.user);
    let refused = tx.user.answer_sent(is_right, browser, caller.now);
    if let Err(rejection) = refused {
        if rejection == Rejection::Wrong {
            tx.session = Some(session.clone().with_one_more_wrong(answer.kind(), purpose));
        }
        tell_refused(caller, tx, browser, false, rejection);
    }
    refused
}

/// The event for an answer of a new key that was refused.
pub(super) fn tell_forged(caller: &Caller, tx: &mut Transaction, submitted: &Submitted) {
    if submitted.is_signed() {
        tx.tell(caller.event(tx.user.id(), What::SecondFactorRefused));
    }
}

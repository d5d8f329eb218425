//! Codes by text message: sending one for a set-up or a challenge, and handing texts over.
//!
//! A text is written to the outbox together with the code's digest and its entry in the ledger, so
//! nothing is sent that was not counted. A worker then takes it and hands it over, once.

use super::acting::Acting;
use super::caller::Caller;
use super::env::Env;
use super::host_session::in_session_with;
use super::log_throttle::Line;
use super::next::{owed, owed_for_another};
use crate::domain::ceremony::{Ceremony, Purpose};
use crate::domain::event::What;
use crate::domain::factor::code::Texted;
use crate::domain::factor::{Begun, Factor, Kind, Rejection};
use crate::domain::host_session::HostSession;
use crate::domain::mailed::MailedCode;
use crate::domain::phone::{Accepted, Number, Unsuitable};
use crate::domain::secret::Secret;
use crate::domain::texts::{
    About, Fate, Ledger, LedgerKey, Limits, Text, TextId, Wanted, WantedFor, Withheld,
};
use crate::domain::time::Timestamp;
use crate::domain::user::{FirstFactorAsks, User, UserId};
use crate::messages::sms::{Attempt, Change, Provider, Refused, SmsWords};
use crate::store::Transaction;
use crate::unavailable::{self, Unavailable};

/// The result of asking for a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It will be sent at once.
    Now,
    /// The number cannot be used.
    Unsuitable(Unsuitable),
    /// A limit is reached.
    Withheld(Withheld),
    /// No code would be accepted now.
    Closed(Rejection),
    /// Texts cannot be sent now: none are configured, or the provider does not work.
    Away,
    /// Something must be shown first; never [`FirstFactorAsks::Nothing`].
    Owes(FirstFactorAsks),
    /// Users may not do that, or the session has ended.
    Not,
}

/// Sends a code to the number in `typed` for a set-up, or to the user's phone for a challenge. An
/// earlier code of this session becomes void. None is sent while the ledger cannot be read.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn send(
    acting: Acting<'_>,
    purpose: Purpose,
    typed: Option<&str>,
) -> Result<Sent, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let (user, now) = (authenticated.session.user, caller.now);
    let Some(sms) = &env.config.sms else { return Ok(Sent::Away) };
    if !env.texts.breaker.is_closed(now) {
        return Ok(Sent::Away);
    }
    if let Err(why) = readable_ledger(env).await? {
        env.report(&why, "no code is sent by text message");
        return Ok(Sent::Away);
    }
    let (code, mailed) = env.rng.draw(|rng| MailedCode::random(rng, now));
    let about = About::Code(Secret::from(code.expose().to_owned()));
    let id = env.rng.draw(|rng| TextId::random(rng, &about, now));
    let reads = authenticated.reads().and::<Ledger>(&LedgerKey);
    let _turn = env.texts.turn.lock().await;
    let mut country = String::new();
    let sent = in_session_with(
        acting,
        reads,
        || Sent::Not,
        |tx, mut session| {
            let to = match recipient(env, tx, &session, purpose, typed, &sms.accepted, acting) {
                Ok(to) => to,
                Err(why) => return why,
            };
            country = letters(&to);
            let mut ledger = tx.get::<Ledger>(&LedgerKey).cloned().unwrap_or_default();
            let wanted = Wanted {
                user,
                number: &to,
                address: Some(caller.address),
                what_for: wanted_for(caller, &tx.user, &to),
            };
            if let Err(why) = ledger.enter(wanted, sms.limits, now) {
                return Sent::Withheld(why);
            }
            tx.put(&LedgerKey, ledger);
            let about = about.clone();
            tx.put(&id, Text { user, to: to.clone(), about, written: now });
            let begun = Begun::Sms(Texted::sent(to, mailed.clone()));
            session.begin_ceremony(Ceremony::begin(purpose, begun, now));
            tx.session = Some(session);
            tx.tell(caller.event(user, What::CodeTexted));
            Sent::Now
        },
    )
    .await?;
    if let Sent::Withheld(why) = &sent {
        env.metrics.texted(why.word(), country);
        let due = env.log_throttle.due(Line::Text, now).filter(|_| *why != Withheld::Lately);
        if let Some(left_out) = due {
            let limit = why.word();
            let name = env.name_of(user).await;
            tracing::warn!(name, %user, limit, left_out, "text message withheld: a limit is reached");
        }
    }
    Ok(sent)
}

/// The ledger, or why it cannot be read. Then what it counts is not sent, and all else goes on: codes that
/// were sent are accepted, and codes that were counted are handed over.
async fn readable_ledger(env: &Env) -> Result<Result<Ledger, Unavailable>, Unavailable> {
    match env.store.ledger().await {
        Err(why) if why.kind() != unavailable::Kind::Record => Err(why),
        ledger => Ok(ledger),
    }
}

/// Where the code goes, if it may be sent.
fn recipient(
    env: &Env,
    tx: &Transaction,
    session: &HostSession,
    purpose: Purpose,
    typed: Option<&str>,
    accepted: &Accepted,
    acting: Acting<'_>,
) -> Result<Number, Sent> {
    let (caller, user) = (acting.caller, &tx.user);
    let may_set_up = env.config.kinds.contains(&Kind::Sms) && user.frozen().is_none();
    let number = match purpose {
        Purpose::First if may_set_up && !user.has_second_factor() => {
            let owed = owed(env, user, &session.proofs, caller.now);
            if owed != FirstFactorAsks::Nothing {
                return Err(Sent::Owes(owed));
            }
            None
        }
        Purpose::Another | Purpose::Replacement if may_set_up && user.has_second_factor() => {
            let owed = owed_for_another(env, user, Kind::Sms, &session.proofs, caller.now);
            if owed != FirstFactorAsks::Nothing {
                return Err(Sent::Owes(owed));
            }
            None
        }
        Purpose::Challenge | Purpose::TurnOff => {
            if purpose == Purpose::TurnOff && env.demand_on(user, caller.now).is_some() {
                return Err(Sent::Not);
            }
            let closed = user.answers_closed(caller.known_to(user), caller.now);
            if let Some(rejection) = closed {
                return Err(Sent::Closed(rejection));
            }
            let phone = user.phones().find_map(Factor::phone);
            Some(phone.cloned().ok_or(Sent::Not)?)
        }
        Purpose::First | Purpose::Another | Purpose::Replacement | Purpose::Confirm => {
            return Err(Sent::Not);
        }
    };
    if let Some(number) = number {
        return accepted.judge(&number).map(|()| number).map_err(Sent::Unsuitable);
    }
    let before = || session.text_for(purpose, caller.now)?.recipient().cloned();
    match typed {
        Some(typed) => accepted.read(typed).map_err(Sent::Unsuitable),
        None => before().ok_or(Sent::Unsuitable(Unsuitable::Malformed)),
    }
}

/// The letters of the country, for metrics and logs.
fn letters(number: &Number) -> String {
    number.country().map(|country| country.to_string()).unwrap_or_default()
}

/// What a code of this user to `number` is wanted for.
fn wanted_for(caller: &Caller, user: &User, number: &Number) -> WantedFor {
    let mut phones = user.phones();
    let Some(phone) = phones.find(|phone| phone.phone() == Some(number)) else {
        return WantedFor::SetUp;
    };
    let is_proven = caller.now.within(Ledger::PROVEN_FOR, phone.last_used());
    WantedFor::Challenge { is_known: caller.known_to(user).is_some(), is_proven }
}

/// Notes that the code that this session waited for was entered, if the answer is of this `kind`.
pub(super) async fn entered(acting: Acting<'_>, kind: Kind) {
    let Acting { env, authenticated, .. } = acting;
    let session = &authenticated.session;
    let number = session.last_text().and_then(Texted::recipient);
    let (Kind::Sms, Some(number)) = (kind, number) else { return };
    note_fate(env, session.user, number, Fate::Entered).await;
}

/// Whether the provider refused the code that this session waits for.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read.
pub async fn was_refused(acting: Acting<'_>) -> Result<bool, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let session = &authenticated.session;
    let texted = session.last_text().filter(|texted| texted.is_waiting(caller.now));
    let Some(number) = texted.and_then(Texted::recipient) else { return Ok(false) };
    let ledger = readable_ledger(env).await?.unwrap_or_default();
    Ok(ledger.fate(session.user, number) == Some(Fate::Refused))
}

/// Notes what became of a code. If that fails, all goes on: the ledger only guards the limits.
async fn note_fate(env: &Env, user: UserId, number: &Number, fate: Fate) {
    let _turn = env.texts.turn.lock().await;
    if let Err(error) = env.store.update_ledger(|ledger| ledger.note(user, number, fate)).await {
        env.report(&error, "cannot save whether a code by text message was entered or refused");
    }
}

/// The result of looking for a text to hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// No text waits that may be sent now.
    Nothing,
    /// One was handed over.
    Sent,
    /// One was dropped: too old, to a number that is no longer accepted, or refused by the provider.
    Dropped,
}

/// Takes the next text and hands it over to the provider, once. While the provider does not work,
/// texts wait; a notice waits as long as a limit withholds it.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn hand_over(env: &Env, provider: &Provider) -> Result<Came, Unavailable> {
    let Some(sms) = &env.config.sms else { return Ok(Came::Nothing) };
    let now = env.now()?;
    for waiting in env.store.waiting_texts(AT_ONCE).await? {
        let text = &waiting.text;
        if text.stale() <= now || sms.accepted.judge(&text.to).is_err() {
            if env.store.take_text(&waiting).await? {
                let (user, kind) = (text.user, text.kind());
                let name = env.name_of(user).await;
                tracing::error!(name, %user, kind, "text message given up before it could be sent");
                env.metrics.texted("given-up", letters(&text.to));
                return Ok(Came::Dropped);
            }
            continue;
        }
        let enter = |ledger: &mut Ledger| enter(ledger, text, sms.limits, now);
        // Asked before the breaker: what is withheld must not be the one attempt after a pause.
        if !text.is_code() && is_withheld(env, enter).await? {
            continue;
        }
        if !env.texts.breaker.admits(now) {
            return Ok(Came::Nothing);
        }
        let is_taken = match text.about {
            // It was entered in the ledger when it was written.
            About::Code(_) => env.store.take_text(&waiting).await,
            About::Removed => {
                let taken = env.store.take_uncounted_text(&waiting, enter).await;
                taken.map(|taken| taken == Some(Ok(())))
            }
        };
        if matches!(is_taken, Ok(true)) {
            return Ok(handed(env, provider, text, now).await);
        }
        env.texts.breaker.gives_back(now);
        is_taken?;
    }
    Ok(Came::Nothing)
}

/// Whether a notice must wait: a limit is reached, or the ledger cannot be read.
async fn is_withheld(
    env: &Env,
    enter: impl Fn(&mut Ledger) -> Result<(), Withheld>,
) -> Result<bool, Unavailable> {
    Ok(match readable_ledger(env).await? {
        Ok(mut ledger) => enter(&mut ledger).is_err(),
        Err(why) => {
            env.report(&why, "a notice by text message waits");
            true
        }
    })
}

/// Enters a notice in the ledger.
fn enter(ledger: &mut Ledger, text: &Text, limits: Limits, now: Timestamp) -> Result<(), Withheld> {
    let Text { user, to: number, .. } = text;
    let (address, what_for) = (None, WantedFor::Notice);
    ledger.enter(Wanted { user: *user, number, address, what_for }, limits, now)
}

/// Hands over a text that was taken and that the breaker has admitted.
async fn handed(env: &Env, provider: &Provider, text: &Text, now: Timestamp) -> Came {
    let (user, kind, country) = (text.user, text.kind(), letters(&text.to));
    let name = env.name_of(user).await;
    let words = SmsWords::of(&env.config);
    let said = match &text.about {
        About::Code(code) => words.code(code),
        About::Removed => words.removed(),
    };
    let sent = provider.send(&text.to, &said).await;
    let after = env.now().unwrap_or(now);
    match sent {
        Ok(_) => {
            if env.texts.breaker.note(Attempt::Works, after) == Change::Closed {
                tracing::info!("the provider of text messages works again");
            }
            let ending = text.to.ending();
            tracing::info!(name, %user, kind, country, ending, "text message sent");
            env.metrics.texted("sent", country);
            Came::Sent
        }
        Err(refused) => {
            tracing::warn!(name, %user, kind, country, %refused, "text message not sent");
            let change = env.texts.breaker.note(refused.attempt(&text.to), after);
            if text.is_code() && !matches!(refused, Refused::NoAnswer(_)) {
                note_fate(env, user, &text.to, Fate::Refused).await;
            }
            env.metrics.texted("refused", country);
            if change == Change::Opened {
                let away = unavailable::Kind::Sms;
                let away = Unavailable::new(away, "the provider fails again and again");
                env.report(&away.because(refused), NONE_ARE_TRIED);
            }
            Came::Dropped
        }
    }
}

/// What is logged when the breaker opens.
const NONE_ARE_TRIED: &str = "no text messages are sent for a minute";

/// How many texts are looked at: other workers may have taken the first ones.
const AT_ONCE: usize = 256;

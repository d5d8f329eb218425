//! The kinds of second factors on our pages: for each kind a file with its words, its fields, and
//! how an answer is read from them.
//!
//! To add a kind, add its file and a row of [`PARTS`]; without the row this does not compile.

pub mod email;
pub mod recovery;
pub mod security_key;
pub mod sent;
pub mod sms;
pub mod totp;

use super::pages::{NewPlace, Part, Problem, SetUpWords, Steps};
use crate::config::Config;
use crate::domain::factor::{Begun, Factor, KINDS, Kind, Rejection};
use crate::domain::time::Timestamp;
use crate::flow::Submitted;
use crate::store::Snapshot;

/// A part for each kind, in the order of [`KINDS`].
pub static PARTS: [&Part; KINDS.len()] =
    [&totp::PART, &recovery::PART, &security_key::PART, &sms::PART, &email::PART];

// A part stands where its kind is looked up.
const _: () = {
    let mut index = 0;
    while index < PARTS.len() {
        assert!(PARTS[index].kind as usize == index, "a part is in the wrong place");
        let sets_up = PARTS[index].set_up.is_some();
        assert!(sets_up == (KINDS[index].at_most > 0), "a factor must be set up somehow");
        index += 1;
    }
};

/// The part of this kind.
pub fn part(kind: Kind) -> &'static Part {
    PARTS[kind as usize]
}

/// The words for setting up this kind, or those of the first kind that can be set up.
pub(super) fn words(kind: Kind) -> &'static SetUpWords {
    part(kind).set_up.unwrap_or(totp::SET_UP)
}

/// The kind that the visitor has chosen by its word to set up; without one, the first that may be
/// set up here.
pub(super) fn chosen(config: &Config, word: &str) -> Kind {
    let chosen = Kind::of_word(word).filter(|kind| config.kinds.contains(kind));
    chosen.or_else(|| config.kinds.first().copied()).unwrap_or(Kind::Totp)
}

/// The kinds that may be set up here in their own right, with the names by which people choose one.
pub(super) fn choices(config: &Config) -> Vec<(Kind, &'static str)> {
    let alone = config.kinds.iter().filter(|kind| kind.stands_alone());
    alone.map(|kind| (*kind, words(*kind).choice)).collect()
}

/// Reads an answer where several kinds are accepted in one field.
pub(super) fn read_any(kinds: &[Kind], typed: &str) -> (Kind, Result<Submitted, Rejection>) {
    let mut parts = kinds.iter().map(|kind| part(*kind));
    let fits = parts.clone().find(|part| (part.resembles)(typed));
    let part = fits.or_else(|| parts.next_back()).unwrap_or(PARTS[0]);
    (part.kind, (part.read)(typed))
}

/// How `begun` is set up by this user: before the first factor (`None`) or at a `place` among
/// others. `number`: a phone number that was just typed.
pub(super) fn steps(
    config: &Config,
    user: &Snapshot,
    begun: &Begun,
    place: Option<NewPlace>,
    problem: Option<&Problem>,
    (number, now): (&str, Timestamp),
) -> Steps {
    match begun {
        Begun::Sms(texted) => {
            let current = user.user.phones().find_map(Factor::phone);
            sms::steps(texted, current, number, problem, now)
        }
        Begun::Email(emailed) => email::steps(emailed, user.user.email(), problem, now),
        Begun::Totp(key) => {
            let scan = totp::scan(&config.issuer, &user.identity.name, key);
            totp::steps(&scan, place, problem)
        }
        Begun::SecurityKey(challenge) => {
            let party = config.relying_party.as_ref();
            let options = |party| security_key::creation(party, &user.user, challenge, config);
            let accepted = config.accepted_keys.as_ref().map(security_key::models);
            security_key::steps(party.map(options), accepted)
        }
    }
}

/// What the browser is told to ask for, as JSON, if that is needed for what has `begun`.
pub(super) fn options(config: &Config, user: &Snapshot, begun: Option<&Begun>) -> Option<String> {
    match begun? {
        Begun::Totp(_) | Begun::Sms(_) | Begun::Email(_) => None,
        Begun::SecurityKey(challenge) => {
            let party = config.relying_party.as_ref()?;
            Some(security_key::request(party, &user.user, challenge))
        }
    }
}

/// What the security page says of a factor besides its name.
pub(super) fn notes(factor: &Factor) -> Vec<&'static str> {
    factor.security_key().map(security_key::notes).unwrap_or_default()
}

/// The name of a factor, as its user calls it, or else its model, the end of its number or a hint at its
/// address, or else the table. A trusted device and the password show it, so no whole number.
pub(super) fn called(factor: &Factor) -> String {
    let name = factor.name().map(ToString::to_string);
    let number = || factor.phone().map(|number| format!("Phone ending in {}", number.ending()));
    let model = || factor.security_key().and_then(|key| key.aaguid().model()).map(str::to_owned);
    let address = || {
        let mailbox = factor.mailbox()?;
        Some(format!("Codes to {}", mailbox.address().hinted()))
    };
    let unnamed = || words(factor.kind()).unnamed.to_owned();
    name.or_else(number).or_else(address).or_else(model).unwrap_or_else(unnamed)
}

/// Whether a code can be typed for what has `begun`: of those that are sent, only while one waits.
pub(super) fn takes_a_code(begun: &Begun, now: Timestamp) -> bool {
    match begun {
        Begun::Sms(texted) => texted.is_waiting(now),
        Begun::Email(emailed) => emailed.is_waiting(now),
        Begun::Totp(_) | Begun::SecurityKey(_) => true,
    }
}

/// What an answer of this kind was for has expired, or was never there.
pub(super) fn expired(kind: Kind) -> Problem {
    match kind {
        Kind::Sms | Kind::Email => Problem::Answer(sent::TOO_OLD),
        Kind::Totp | Kind::RecoveryCode | Kind::SecurityKey => Problem::Expired,
    }
}

/// `problem`, or that another code is needed if a code of this kind was wrong and none waits any more.
pub(super) fn or_used_up(problem: Option<Problem>, kind: Kind, waits: bool) -> Option<Problem> {
    let is_wrong = problem == Some(Problem::Answer(part(kind).wrong));
    if is_wrong && !waits { Some(Problem::Answer(sent::USED_UP)) } else { problem }
}

/// Why an answer of this kind was not accepted.
pub(super) fn problem(rejection: Rejection, kind: Kind, now: Timestamp) -> Problem {
    let part = part(kind);
    match rejection {
        // Another model is refused at a set-up only.
        Rejection::Wrong | Rejection::NotSetUp | Rejection::OtherModel => {
            Problem::Answer(part.wrong)
        }
        Rejection::Used => Problem::Answer(part.used),
        Rejection::Expired => expired(kind),
        Rejection::Doubted { .. } => Problem::Answer(security_key::DOUBTED),
        Rejection::Frozen => Problem::Frozen,
        // What stands in for a factor is accepted during a wait, so the answer was wrong.
        Rejection::Waiting { .. } | Rejection::Locked if !kind.is_factor() => {
            Problem::Answer(part.wrong)
        }
        // A key is accepted during a wait of its user, so this one is of the address.
        Rejection::Waiting { until } if !kind.row().can_be_guessed => {
            Problem::Wait(now.until(until))
        }
        Rejection::Waiting { until } => Problem::WaitOrRecoveryCode(now.until(until)),
        Rejection::Locked => Problem::Locked,
    }
}

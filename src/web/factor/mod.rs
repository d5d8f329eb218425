//! The kinds of second factors on our pages: for each kind a file with its words, its fields, and
//! how an answer is read from them.
//!
//! To add a kind, add its file and a row of [`PARTS`]; without the row this does not compile.

pub mod recovery;
pub mod totp;

use super::pages::{NewPlace, Part, Problem, SetUpWords, Steps};
use crate::domain::factor::{Answer, Begun, Factor, KINDS, Kind, Rejection};
use crate::domain::time::Timestamp;

/// A part for each kind, in the order of [`KINDS`].
pub static PARTS: [&Part; KINDS.len()] = [&totp::PART, &recovery::PART];

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

/// The kind that the visitor has chosen to set up by its word; without one, the first of the table.
pub(super) fn chosen(word: &str) -> Kind {
    Kind::of_word(word).filter(|kind| kind.is_factor()).unwrap_or_else(default_kind)
}

/// The kind that is set up if none is chosen: the first of the table.
pub(super) fn default_kind() -> Kind {
    Kind::all().find(|kind| kind.is_factor()).unwrap_or(Kind::Totp)
}

/// Reads an answer where several kinds are accepted in one field.
pub(super) fn read_any(kinds: &[Kind], typed: &str) -> (Kind, Result<Answer, Rejection>) {
    let mut parts = kinds.iter().map(|kind| part(*kind));
    let fits = parts.clone().find(|part| (part.resembles)(typed));
    let part = fits.or_else(|| parts.next_back()).unwrap_or(PARTS[0]);
    (part.kind, (part.read)(typed))
}

/// How `begun` is set up: before the first factor (`None`) or at a `place` among others.
pub(super) fn steps(
    begun: &Begun,
    place: Option<NewPlace>,
    issuer: &str,
    username: &str,
    problem: Option<&Problem>,
) -> Steps {
    match begun {
        Begun::Totp(key) => totp::steps(&totp::scan(issuer, username, key), place, problem),
    }
}

/// The name of a factor, as its user or else the table calls it.
pub(super) fn called(factor: &Factor) -> String {
    let name = factor.name().map(ToString::to_string);
    name.unwrap_or_else(|| words(factor.kind()).unnamed.to_owned())
}

/// Why an answer of this kind was not accepted.
pub(super) fn problem(rejection: Rejection, kind: Kind, now: Timestamp) -> Problem {
    let part = part(kind);
    match rejection {
        Rejection::Wrong | Rejection::NotSetUp => Problem::Answer(part.wrong),
        Rejection::Used => Problem::Answer(part.used),
        Rejection::Frozen => Problem::Frozen,
        // What stands in for a factor is accepted during a wait, so the answer was wrong.
        Rejection::Waiting { .. } | Rejection::Locked if !kind.is_factor() => {
            Problem::Answer(part.wrong)
        }
        Rejection::Waiting { until } => Problem::WaitOrRecoveryCode(now.until(until)),
        Rejection::Locked => Problem::Locked,
    }
}

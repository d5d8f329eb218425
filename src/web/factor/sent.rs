//! What codes that are sent, by text message or e-mail, have in common on our pages.

use crate::domain::factor::code::SentCode;
use crate::domain::time::Timestamp;
use crate::web::pages::{self, Said};

/// No code waits to be typed.
pub const TOO_OLD: Said = Said {
    sentence: "That code is too old. Send another one.",
    advice: None,
    blames_what_was_typed: false,
};

/// A code is wrong, and none waits any more.
pub const USED_UP: Said = Said {
    sentence: "That code did not work. After five wrong codes, the one that was sent no longer works.",
    advice: Some("Send another one, or use another way."),
    blames_what_was_typed: false,
};

/// What is said of a wrong or malformed code: this sentence, and how long the right one works.
pub const fn wrong(sentence: &'static str) -> Said {
    Said {
        sentence,
        advice: Some("After five wrong codes, or ten minutes, you need another one."),
        blames_what_was_typed: true,
    }
}

/// The state of a code that goes to the recipient that `to` describes. `not_before`: when another one
/// can be sent at the earliest.
pub fn state<To>(
    begun: &SentCode<To>,
    to: String,
    not_before: Option<Timestamp>,
    now: Timestamp,
) -> pages::Texted {
    let again = begun.again().max(not_before).filter(|again| *again > now);
    pages::Texted {
        to,
        is_waiting: begun.is_waiting(now),
        again: again.map(|again| (now.until(again), time_of_day(again))),
        ..pages::Texted::default()
    }
}

/// The time of day in UTC, which everybody can compare with a clock: `14:03:20 UTC`.
pub fn time_of_day(at: Timestamp) -> String {
    let seconds = at.millis().div_ceil(1_000) % 86_400;
    format!("{:02}:{:02}:{:02} UTC", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

//! The log throttle: how often a log line that a flood could repeat is written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::time::Timestamp;

/// A kind of log line that visitors can cause as often as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A request for an unknown host.
    WrongHost,
    /// A form that failed the CSRF check.
    Form,
    /// More attempts of one address, or of one known browser, than the limit allows.
    Limit,
    /// What a rule in observe mode would have stopped.
    Watched,
    /// A connection above the limit.
    TurnedAway,
    /// A request above the limit.
    Busy,
    /// Requests that were aborted because their visitors were too slow.
    CutOff,
    /// Bytes that cannot be parsed as a request.
    Unread,
    /// A failed TLS handshake.
    Handshake,
    /// A malformed request over HTTP/2.
    Http2,
    /// A request with a method or head that is not accepted.
    Refused,
    /// An event about a name that no user has.
    UnknownName,
    /// A line of the access log that was dropped.
    AccessLog,
    /// A sign-in with an identity provider that failed.
    Provider,
    /// A sign-in with a passkey that was refused.
    Passkey,
    /// A text message that a limit withheld.
    Text,
}

/// How many lines of a kind were suppressed since the last one; `None`: none were.
pub type LeftOut = Option<u64>;

/// Writes at most one line of a kind each second and counts the others.
#[derive(Debug, Default)]
pub struct LogThrottle {
    wrong_host: Tally,
    form: Tally,
    limit: Tally,
    watched: Tally,
    turned_away: Tally,
    busy: Tally,
    cut_off: Tally,
    unread: Tally,
    handshake: Tally,
    http2: Tally,
    refused: Tally,
    unknown_name: Tally,
    access_log: Tally,
    provider: Tally,
    passkey: Tally,
    text: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    /// In milliseconds: nothing is written before this time.
    next: AtomicU64,
    left_out: AtomicU64,
}

impl LogThrottle {
    /// The interval between two lines of a kind.
    const EVERY: Duration = Duration::from_secs(1);

    /// Whether to write a line of this kind now; if so, how many were suppressed since the last
    /// one.
    pub fn due(&self, line: Line, now: Timestamp) -> Option<LeftOut> {
        let tally = match line {
            Line::WrongHost => &self.wrong_host,
            Line::Form => &self.form,
            Line::Limit => &self.limit,
            Line::Watched => &self.watched,
            Line::TurnedAway => &self.turned_away,
            Line::Busy => &self.busy,
            Line::CutOff => &self.cut_off,
            Line::Unread => &self.unread,
            Line::Handshake => &self.handshake,
            Line::Http2 => &self.http2,
            Line::Refused => &self.refused,
            Line::UnknownName => &self.unknown_name,
            Line::AccessLog => &self.access_log,
            Line::Provider => &self.provider,
            Line::Passkey => &self.passkey,
            Line::Text => &self.text,
        };
        let next = now.plus(Self::EVERY).millis();
        let is_due = |was: u64| (was <= now.millis()).then_some(next);
        if tally.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due).is_ok() {
            Some(Some(tally.left_out.swap(0, Ordering::Relaxed)).filter(|count| *count > 0))
        } else {
            tally.left_out.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_a_kind_is_written_in_a_second_and_says_how_many_were_not() {
        let lines = LogThrottle::default();
        let at = Timestamp::from_millis;
        assert_eq!(lines.due(Line::Form, at(5_000)), Some(None));
        assert_eq!(lines.due(Line::Form, at(5_000)), None);
        assert_eq!(lines.due(Line::Form, at(5_999)), None);
        assert_eq!(lines.due(Line::Limit, at(5_999)), Some(None), "kinds do not hide each other");
        assert_eq!(lines.due(Line::Form, at(6_000)), Some(Some(2)));
        assert_eq!(lines.due(Line::Form, at(7_000)), Some(None));
    }
}

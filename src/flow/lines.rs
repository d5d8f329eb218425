//! Log lines that a flood could repeat, and how often they are written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::time::Timestamp;

/// A kind of line that visitors can provoke as often as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A request for a host that is not ours.
    WrongHost,
    /// A form that was not filled in here.
    Form,
    /// More tries from one address than are read.
    Limit,
    /// What a rule that is only watched would have stopped.
    Watched,
    /// A connection for which there is no room.
    TurnedAway,
    /// A request for which there is no room.
    Busy,
    /// Requests that were cut off since their visitors were too slow.
    CutOff,
    /// Bytes of which no request can be read.
    Unread,
    /// A connection on which TLS or HTTP/2 is not spoken as it must be.
    Handshake,
    /// A request with a method or a head that is not taken.
    Refused,
    /// What happened to a name that nobody has.
    UnknownName,
}

/// Lets one line of a kind through in a second, and counts the rest.
#[derive(Debug, Default)]
pub struct Lines {
    wrong_host: Tally,
    form: Tally,
    limit: Tally,
    watched: Tally,
    turned_away: Tally,
    busy: Tally,
    cut_off: Tally,
    unread: Tally,
    handshake: Tally,
    refused: Tally,
    unknown_name: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    /// In milliseconds: before this moment nothing is written.
    next: AtomicU64,
    left_out: AtomicU64,
}

impl Lines {
    /// Between two lines of a kind.
    const EVERY: Duration = Duration::from_secs(1);

    /// Whether to write a line of this kind: if so, how many were left out since the last.
    pub fn due(&self, line: Line, now: Timestamp) -> Option<u64> {
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
            Line::Refused => &self.refused,
            Line::UnknownName => &self.unknown_name,
        };
        let next = now.plus(Self::EVERY).millis();
        let is_due = |was: u64| (was <= now.millis()).then_some(next);
        if tally.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due).is_ok() {
            Some(tally.left_out.swap(0, Ordering::Relaxed))
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
        let lines = Lines::default();
        let at = Timestamp::from_millis;
        assert_eq!(lines.due(Line::Form, at(5_000)), Some(0));
        assert_eq!(lines.due(Line::Form, at(5_000)), None);
        assert_eq!(lines.due(Line::Form, at(5_999)), None);
        assert_eq!(lines.due(Line::Limit, at(5_999)), Some(0), "kinds do not hide each other");
        assert_eq!(lines.due(Line::Form, at(6_000)), Some(2));
        assert_eq!(lines.due(Line::Form, at(7_000)), Some(0));
    }
}

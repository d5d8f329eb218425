//! Spans of time in words.

use std::time::Duration;

const UNITS: [(u64, &str); 3] = [(86_400, "day"), (3600, "hour"), (60, "minute")];

/// `span` in one unit, such as `30 days` or `45 seconds`.
///
/// Whole days, hours and minutes are exact; any other span of two minutes or more is rounded up to
/// minutes.
pub(super) fn in_words(span: Duration) -> String {
    let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    for (length, unit) in UNITS {
        if seconds > 0 && seconds.is_multiple_of(length) {
            return counted(seconds / length, unit);
        }
    }
    if seconds >= 120 {
        counted(seconds.div_ceil(60), "minute")
    } else {
        counted(seconds, "second")
    }
}

/// `1 code`, `2 codes`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_in_the_unit_that_people_would_use() {
        let said = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!(said(30 * 86_400), "30 days");
        assert_eq!(said(86_400), "1 day");
        assert_eq!(said(3600), "1 hour");
        assert_eq!(said(15 * 60), "15 minutes");
        assert_eq!(said(60), "1 minute");
        assert_eq!(said(95), "95 seconds");
        assert_eq!(said(1), "1 second");
        assert_eq!(said(0), "0 seconds");
    }

    #[test]
    fn a_wait_is_never_said_shorter_than_it_is() {
        assert_eq!(in_words(Duration::from_secs(121)), "3 minutes");
        assert_eq!(in_words(Duration::from_millis(29_001)), "30 seconds");
    }
}

//! Durations and rates, as written in the file.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// A duration: `30s`, `15m`, `1h`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span(Duration);

impl Span {
    pub(super) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Whether it is a whole number of seconds within `range`.
    pub(super) fn is_within(self, range: &RangeInclusive<u64>) -> bool {
        self.0.subsec_nanos() == 0 && range.contains(&self.0.as_secs())
    }
}

impl FromStr for Span {
    type Err = humantime::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text).map(Self)
    }
}

impl TryFrom<String> for Span {
    type Error = humantime::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

/// Formats it in the largest unit that gives a whole number.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 => f.write_str("0s"),
            _ if seconds.is_multiple_of(DAY) => write!(f, "{}d", seconds / DAY),
            _ if seconds.is_multiple_of(HOUR) => write!(f, "{}h", seconds / HOUR),
            _ if seconds.is_multiple_of(MINUTE) => write!(f, "{}m", seconds / MINUTE),
            _ => write!(f, "{seconds}s"),
        }
    }
}

/// A number of times a minute: `30/m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Rate(u32);

/// The error for a malformed rate.
#[derive(Debug, thiserror::Error)]
#[error("a rate is written as `30/m`")]
pub(super) struct NoRate;

impl Rate {
    pub(super) const fn of_a_minute(times: u32) -> Self {
        Self(times)
    }

    pub(super) fn a_minute(self) -> u32 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let times = text.strip_suffix("/m").ok_or(NoRate)?;
        let plain = !times.starts_with('0') && times.bytes().all(|byte| byte.is_ascii_digit());
        times.parse().ok().filter(|_| plain).map(Self).ok_or(NoRate)
    }
}

impl TryFrom<String> for Rate {
    type Error = NoRate;

    fn try_from(text: String) -> Result<Self, NoRate> {
        text.parse()
    }
}

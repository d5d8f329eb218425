//! Numbers, times and addresses, digit by digit: `core::fmt` would take longer for them than
//! everything else of a line takes.

use std::cell::Cell;
use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use jiff::fmt::temporal::DateTimePrinter;

use crate::domain::time::Timestamp;

/// A number in decimal digits.
pub(super) fn put_number(line: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = digit(rest);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[at..]);
}

/// Milliseconds, with three digits of a fraction.
pub(super) fn put_millis(line: &mut Vec<u8>, duration: Duration) {
    put_number(line, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    line.push(b'.');
    put_three(line, u64::from(duration.subsec_micros()) % 1000);
}

/// An address as it is usually written (RFC 5952).
pub(super) fn put_address(line: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    line.push(b'.');
                }
                put_number(line, octet.into());
            }
        }
        IpAddr::V6(address) => {
            // Writing to memory cannot fail.
            write!(line, "{address}").ok();
        }
    }
}

/// A time: RFC 3339 in UTC, with milliseconds.
pub(super) fn put_time(line: &mut Vec<u8>, at: Timestamp) {
    let at = i64::try_from(at.millis()).ok();
    let at = at.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    // The year 9999 has an end.
    let at = at.unwrap_or(jiff::Timestamp::MAX);
    let second = at.as_second();
    let (mut known, mut text) = SECOND.get();
    if known != second {
        (known, text) = (second, up_to_seconds(at));
        SECOND.set((known, text));
    }
    line.extend_from_slice(&text);
    line.push(b'.');
    put_three(line, u64::from(at.subsec_millisecond().unsigned_abs()));
    line.push(b'Z');
}

/// `2027-01-15T08:00:00`.
type UpToSeconds = [u8; 19];

thread_local! {
    /// The last second that was written on this thread, and its text.
    static SECOND: Cell<(i64, UpToSeconds)> = const { Cell::new((0, *b"1970-01-01T00:00:00")) };
}

fn up_to_seconds(at: jiff::Timestamp) -> UpToSeconds {
    let mut text = String::with_capacity(32);
    DateTimePrinter::new().precision(Some(0)).print_timestamp(&at, &mut text).ok();
    // What follows is the `Z`.
    text.as_bytes().first_chunk().copied().unwrap_or([b'?'; 19])
}

fn put_three(line: &mut Vec<u8>, number: u64) {
    line.extend_from_slice(&[digit(number / 100), digit(number / 10), digit(number)]);
}

/// The last digit of a number.
fn digit(number: u64) -> u8 {
    b"0123456789"[(number % 10) as usize]
}

#[cfg(test)]
mod tests {
    use jiff::fmt::StdIoWrite;
    use proptest::prelude::*;

    use super::*;

    fn put(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut line = Vec::new();
        put(&mut line);
        String::from_utf8(line).unwrap()
    }

    /// Times within few seconds, so that some are known, and any others.
    fn times() -> impl Strategy<Value = u64> {
        prop_oneof![
            1_800_000_000_000..1_800_000_003_000_u64,
            0..300_000_000_000_000_u64,
            any::<u64>()
        ]
    }

    proptest! {
        #[test]
        fn digits_are_those_of_the_standard_library(
            number in prop_oneof![any::<u64>(), 0..2000_u64],
            nanos in prop_oneof![any::<u64>(), 0..5_000_000_000_u64],
            v4: [u8; 4],
            v6: [u16; 8],
        ) {
            prop_assert_eq!(put(|line| put_number(line, number)), number.to_string());
            let duration = Duration::from_nanos(nanos);
            let millis = format!("{}.{:03}", nanos / 1_000_000, nanos / 1000 % 1000);
            prop_assert_eq!(put(|line| put_millis(line, duration)), millis);
            for address in [IpAddr::from(v4), IpAddr::from(v6)] {
                prop_assert_eq!(put(|line| put_address(line, address)), address.to_string());
            }
        }

        #[test]
        fn times_are_those_of_jiff(times in prop::collection::vec(times(), 1..5)) {
            for millis in times {
                let at = i64::try_from(millis).ok();
                let at = at.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
                let at = at.unwrap_or(jiff::Timestamp::MAX);
                let printed = put(|line| {
                    let printer = DateTimePrinter::new().precision(Some(3));
                    printer.print_timestamp(&at, StdIoWrite(line)).unwrap();
                });
                let ours = put(|line| put_time(line, Timestamp::from_millis(millis)));
                prop_assert_eq!(ours, printed);
            }
        }
    }
}

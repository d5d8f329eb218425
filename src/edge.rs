//! The real clock and the real generator. Everything else is handed them.

use std::sync::Arc;
use std::time::SystemTime;

use rand_core::UnwrapErr;

use crate::domain::chance::Chance;
use crate::domain::time::Timestamp;
use crate::flow::Clock;

/// The system's clock. A time before 1970 counts as 1970.
pub fn clock() -> Clock {
    Arc::new(system_time)
}

/// The operating system's generator. It panics where the system has no random bits to give:
/// nothing that we could do then would be safe.
pub fn chance() -> Chance {
    Chance::new(UnwrapErr(getrandom::SysRng))
}

#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

//! The real clock, the real generator, the real environment. Everything else is handed them.

use std::time::SystemTime;

use rand_core::UnwrapErr;

use crate::domain::chance::Chance;
use crate::domain::time::Timestamp;

/// The operating system's generator. It panics where the system has no random bits to give:
/// nothing that we could do then would be safe.
pub fn chance() -> Chance {
    Chance::new(UnwrapErr(getrandom::SysRng))
}

/// What the system's clock shows. A time before 1970 counts as 1970.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Has the system back our memory with no huge pages until the token that this gives is told that they
/// are wanted: they make a request cheaper, and an idle process some nine mebibytes larger. Where
/// somebody has forbidden them to us already, or the system cannot be told, all stays as it is.
pub fn hold_back_huge_pages() -> HugePages {
    #[cfg(target_os = "linux")]
    if let Ok(false) = rustix::thread::transparent_huge_pages_are_disabled() {
        return HugePages(rustix::thread::disable_transparent_huge_pages(true).is_ok());
    }
    HugePages(false)
}

/// Whether the system was told to hold huge pages back.
#[derive(Debug)]
pub struct HugePages(bool);

impl HugePages {
    /// Lets the system use them from now on.
    pub fn allow(self) {
        #[cfg(target_os = "linux")]
        if self.0 {
            rustix::thread::disable_transparent_huge_pages(false).ok();
        }
    }
}

/// A variable of the environment, if it is set and is text.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

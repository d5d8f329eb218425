//! What we ask the system for: the clock, random bits, environment variables, and how it handles our
//! memory. Everything else gets the first three as arguments.

use std::hint::black_box;
use std::time::SystemTime;

use rand_core::UnwrapErr;

use crate::domain::rng::SharedRng;
use crate::domain::time::Timestamp;
use crate::metrics::Process;

/// The operating system's random generator. It panics if the system has no random bits, because
/// nothing safe could be done then.
pub fn rng() -> SharedRng {
    SharedRng::new(UnwrapErr(getrandom::SysRng))
}

/// The system time. A time before 1970 counts as 1970.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Tells the system not to use huge pages for our memory until [`HugePages::allow`] is called. Huge
/// pages make requests cheaper, but an idle process about nine mebibytes larger. Changes nothing if
/// they are forbidden already or the system cannot be told.
pub fn hold_back_huge_pages() -> HugePages {
    #[cfg(target_os = "linux")]
    if let Ok(false) = rustix::thread::transparent_huge_pages_are_disabled() {
        return HugePages(rustix::thread::disable_transparent_huge_pages(true).is_ok());
    }
    HugePages(false)
}

/// Whether we told the system not to use huge pages.
#[derive(Debug)]
pub struct HugePages(bool);

impl HugePages {
    /// Allows huge pages from now on.
    pub fn allow(self) {
        #[cfg(target_os = "linux")]
        if self.0 {
            rustix::thread::disable_transparent_huge_pages(false).ok();
        }
    }
}

/// Gives memory that nobody uses back to the system. The allocator does that by itself while memory
/// is used, but not in an idle process; it also does it when a thread ends that has used memory.
/// What was freed less than a second ago is given back only the next time.
pub fn give_memory_back() {
    // Without a thread the memory is given back later, so an error does no harm.
    let thread = std::thread::Builder::new().name("memory".to_owned());
    thread.spawn(|| drop(black_box(Box::new(0_u64)))).ok();
}

/// What the system says about this process, as far as it tells.
#[cfg(target_os = "linux")]
pub fn process() -> Option<Process> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().ok()
    };
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Process {
        resident_memory: field("VmRSS:")? * 1024,
        cpu: cpu.try_into().ok()?,
        // Less the one with which they are counted.
        open_files: (std::fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1),
        most_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        threads: field("Threads:")?,
    })
}

/// What the system says about this process, as far as it tells.
#[cfg(not(target_os = "linux"))]
pub fn process() -> Option<Process> {
    None
}

/// An environment variable, if it is set and is valid Unicode.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

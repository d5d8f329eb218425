//! What the operating system says that processes cost (proc(5)).

use std::fs;
use std::ops::Sub;

/// Processor time that was used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Time {
    /// Nanoseconds on a processor, in all.
    pub(crate) nanos: u64,
    /// In the program and in the system, in ticks of ten milliseconds: how the nanoseconds divide.
    user: u64,
    system: u64,
}

impl Time {
    /// How much of it was in the program: 0 to 1.
    pub(crate) fn share_of_user(self) -> f64 {
        match self.user + self.system {
            0 => 0.0,
            all => self.user as f64 / all as f64,
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            nanos: self.nanos + other.nanos,
            user: self.user + other.user,
            system: self.system + other.system,
        }
    }
}

impl Sub for Time {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_sub(before.nanos),
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }
}

/// What these processes have used so far, with all their threads.
pub(crate) fn time(processes: &[u32]) -> Time {
    processes.iter().map(|process| time_of(*process)).fold(Time::default(), Time::and)
}

fn time_of(process: u32) -> Time {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let nanos = threads
        .filter_map(|thread| {
            let line = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            line.split(' ').next()?.parse::<u64>().ok()
        })
        .sum();
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse().ok()).unwrap_or(0);
    Time { nanos, user: ticks(), system: ticks() }
}

/// This process, and those that were started by it: nginx works in children.
pub(crate) fn family(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(path).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(process).chain(children.flat_map(family)).collect()
}

/// Memory that is in use now, in KiB.
pub(crate) fn resident(processes: &[u32]) -> u64 {
    let of = |process: &u32| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    processes.iter().filter_map(of).sum()
}

/// How long the processors were busy, whoever kept them so, and how long somebody outside this
/// machine had them, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    busy: u64,
    stolen: u64,
}

impl Machine {
    /// Of this processor, or of all.
    pub(crate) fn now(processor: Option<usize>) -> Self {
        let name = processor.map_or("cpu".to_owned(), |number| format!("cpu{number}"));
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = stat.lines().find(|line| line.split(' ').next() == Some(&name));
        let fields: Vec<u64> = line
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .filter_map(|field| field.parse().ok())
            .collect();
        let field = |number: usize| fields.get(number).copied().unwrap_or(0);
        // user, nice, system, idle, iowait, irq, softirq, steal
        Self { busy: [0, 1, 2, 5, 6].map(field).iter().sum(), stolen: field(7) }
    }

    /// Seconds since then in which somebody else than those who used `ours` was busy.
    pub(crate) fn disturbed_since(self, before: Self, ours: Time) -> f64 {
        let busy = (self.busy - before.busy) as f64 / TICKS - ours.nanos as f64 / 1e9;
        busy.max(0.0) + (self.stolen - before.stolen) as f64 / TICKS
    }
}

const TICKS: f64 = 100.0;

/// What kind of machine this is, in a line.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let said = |key: &str| {
        let line = cpu.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = said("model name").unwrap_or_else(|| "an unnamed processor".to_owned());
    let mhz = said("cpu MHz").and_then(|mhz| mhz.parse::<f64>().ok());
    let speed = mhz.map_or(String::new(), |mhz| format!(" at {:.1} GHz", mhz / 1000.0));
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory: u64 =
        memory.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    format!("{model}{speed}, {cores} cores, {} GiB, Linux {kernel}", memory / 1024 / 1024)
}

//! A disk that fills up ten times while people go in and out, with `kill -9` meanwhile: the gateway
//! says that it is unavailable, is well by itself once there is room, and loses nothing.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::killed::{all_is_well, disturbs_amid};
use super::person::Person;
use super::setup::{PASSWORD, Process, Setup};

/// How often the disk fills up.
const TIMES: u64 = 10;

/// A disk that can be filled, and emptied again.
trait Disk {
    fn fills_up(&self, process: &Process);
    fn has_room(&self, process: &Process);
    /// Starts a gateway while there is no room.
    fn opens_full(&self, setup: &Setup) -> Process;
}

/// Every user may have this one: files that may not grow.
struct Limited;

impl Disk for Limited {
    fn fills_up(&self, process: &Process) {
        limit_files(process, Some(2 * 4096));
    }

    fn has_room(&self, process: &Process) {
        limit_files(process, None);
    }

    fn opens_full(&self, setup: &Setup) -> Process {
        setup.opens_where_nothing_can_be_written()
    }
}

fn limit_files(process: &Process, bytes: Option<u64>) {
    let id = Pid::from_raw(i32::try_from(process.id()).unwrap());
    prlimit(id, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

/// A file system of a few MiB, in memory; only root can make one.
struct Small(PathBuf);

impl Small {
    fn below(setup: &Setup) -> Option<Self> {
        fs::create_dir(setup.state()).unwrap();
        let made = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs"])
            .arg(setup.state())
            .output();
        made.is_ok_and(|made| made.status.success()).then(|| Self(setup.state()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().unwrap();
    }
}

impl Disk for Small {
    fn fills_up(&self, _: &Process) {
        let mut filler = File::create(self.filler()).unwrap();
        while filler.write_all(&[7; 4096]).is_ok() {}
    }

    fn has_room(&self, _: &Process) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn opens_full(&self, setup: &Setup) -> Process {
        setup.opens()
    }
}

#[test]
fn nothing_is_lost_where_files_may_not_grow_and_nobody_restarts_the_gateway() {
    fills_up_ten_times(&Setup::with("log: { format: json }"), &Limited);
}

#[test]
fn nothing_is_lost_on_a_small_disk_that_fills_up_and_nobody_restarts_the_gateway() {
    let setup = Setup::with("log: { format: json }");
    // Whoever may not make a file system has the other test.
    let Some(small) = Small::below(&setup) else { return };
    fills_up_ten_times(&setup, &small);
}

fn fills_up_ten_times(setup: &Setup, disk: &impl Disk) {
    let mut rng = StdRng::seed_from_u64(16);
    let mut people: Vec<Person> = Vec::new();
    let mut process = setup.opens();
    let (mut lost, mut tried_again, mut told, mut named) = (0, 0, 0, 0);
    for time in 0..TIMES {
        for seed in [2 * time, 2 * time + 1] {
            let name = format!("person{seed}");
            let link = setup.adds(&name);
            people.push(Person::new(&name, link, seed));
        }
        lost +=
            disturbs_amid(&mut process, &mut people, &mut rng, |process| disk.fills_up(process));
        becomes(&process, 503);
        let why = process.tells_operators("/readyz").body;
        assert!(why.contains("unavailable") && why.contains("os error"), "{why}");
        let numbers = process.tells_operators("/metrics").body;
        assert!(numbers.contains("doorward_store_writable 0"), "{numbers}");
        told += usize::from(!numbers.contains("doorward_unavailable_total{kind=\"store\"} 0\n"));
        named += usize::from(process.said().contains("cannot serve a page: the store is unavail"));
        if time % 3 == 1 {
            process.is_killed();
            // It may find room within its file, and then all is well.
            process = disk.opens_full(setup);
        }
        disk.has_room(&process);
        becomes(&process, 200);
        assert!(process.tells_operators("/metrics").body.contains("doorward_store_writable 1"));
        tried_again += all_is_well(setup, &process, &mut people);
    }
    assert!(told > 0 && named > 0, "no request failed because of the store");
    assert!(lost > 0, "nobody was in the middle of anything");
    assert!(tried_again > 0, "nobody had used anything");
    process.is_killed();
    all_is_well(setup, &setup.opens(), &mut people);
}

/// Waits until `/readyz` answers so, far longer than it takes. Somebody tries to sign in meanwhile, or nothing is written.
#[expect(clippy::disallowed_methods, reason = "a real process on a real disk is waited for")]
fn becomes(process: &Process, status: u16) {
    let began = Instant::now();
    while process.tells_operators("/readyz").status != status {
        if status == 503 {
            let mut stranger = process.window();
            stranger.opens("/.doorward/sign-in");
            stranger.sends(&[("username", "nobody"), ("password", PASSWORD)]);
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not {status}: {}", process.said());
    }
}

#[test]
fn whoever_has_little_room_is_warned_before_there_is_none() {
    let setup = Setup::with("limits: { free_disk_mib: 1048576 }");
    let process = setup.opens();
    let warned = |said: String| said.contains("low disk space for the state folder");
    while !warned(process.said()) {
        thread::yield_now();
    }
    let ready = process.tells_operators("/readyz");
    assert_eq!(ready.status, 200, "it still works");
    assert!(ready.body.contains("low disk space"), "{}", ready.body);
    let numbers = process.tells_operators("/metrics").body;
    assert!(numbers.contains("doorward_state_disk_free_bytes "), "{numbers}");
    let setup = Setup::with("limits: { free_disk_mib: 0 }");
    assert_eq!(setup.opens().tells_operators("/readyz").body, "ready\n");
}

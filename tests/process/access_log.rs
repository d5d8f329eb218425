//! The access log of the real process: rotated while requests run, and on a disk that is full.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::setup::{HOST, Process, Setup};
use crate::support::wire::Wire;

const CONFIGURED: &str = "log: { format: json }\naccess_log: { to: ./access.log }";

fn asks(process: &Process, path: &str) -> u16 {
    asks_at(process.address, path)
}

fn asks_at(address: SocketAddr, path: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    Wire::to(address).asks(request).status
}

/// The lines of these files, once they have so many together.
#[expect(clippy::disallowed_methods, reason = "a real process is waited for")]
fn lines(files: &[&Path], count: usize) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
        let text = texts.collect::<String>();
        if text.lines().count() >= count {
            return text.lines().map(str::to_owned).collect();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{count} lines: {text}");
        thread::yield_now();
    }
}

#[test]
fn a_log_that_is_rotated_while_requests_run_loses_no_line_and_has_none_twice() {
    let setup = Setup::with(CONFIGURED);
    let process = setup.opens();
    let folder = setup.file().parent().unwrap().to_owned();
    let log = folder.join("access.log");
    let old: Vec<_> = (1..=5).map(|number| folder.join(format!("access.log.{number}"))).collect();
    let address = process.address;
    let has_ended = AtomicBool::new(false);
    let asked = thread::scope(|scope| {
        let runners = [0, 1].map(|runner| {
            let has_ended = &has_ended;
            scope.spawn(move || {
                let mut asked = 0;
                while !has_ended.load(Ordering::Relaxed) {
                    assert_eq!(asks_at(address, &format!("/p{runner}-{asked}")), 401);
                    asked += 1;
                }
                asked
            })
        });
        for old in &old {
            lines(&[&log], 1);
            fs::rename(&log, old).unwrap();
            process.signals("HUP");
            process.hears("configuration reloaded");
        }
        has_ended.store(true, Ordering::Relaxed);
        runners.map(|runner| runner.join().unwrap()).iter().sum::<usize>()
    });
    let files: Vec<&Path> = old.iter().chain([&log]).map(AsRef::as_ref).collect();
    let mut paths: Vec<_> = lines(&files, asked)
        .iter()
        .map(|line| line.split(" path=").nth(1).unwrap().split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(paths.len(), asked);
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), asked, "none is there twice");
}

#[test]
fn the_log_is_opened_again_although_the_new_configuration_is_refused() {
    let setup = Setup::with(CONFIGURED);
    let process = setup.opens();
    let log = setup.file().parent().unwrap().join("access.log");
    let moved = log.with_extension("1");
    assert_eq!(asks(&process, "/before"), 401);
    lines(&[&log], 1);
    fs::rename(&log, &moved).unwrap();
    setup.configures("127.0.0.1:0", &format!("{CONFIGURED}\nwombat: 1"));
    process.signals("HUP");
    process.hears("configuration not reloaded");
    // The file is there as soon as it is opened, the line once it is written.
    while !log.exists() {
        thread::yield_now();
    }
    assert_eq!(asks(&process, "/after"), 401);
    assert!(lines(&[&log], 1)[0].contains(" path=/after "));
    assert_eq!(fs::read_to_string(&moved).unwrap().lines().count(), 1);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a real process is waited for")]
fn on_a_full_disk_requests_go_on_and_operators_are_told() {
    let setup = Setup::with("log: { format: json }\naccess_log: { to: /dev/full }");
    let process = setup.opens();
    for number in 0..20 {
        assert_eq!(asks(&process, &format!("/p{number}")), 401);
    }
    let line = process.hears("cannot write to the access log");
    assert!(line.contains("No space left on device"), "{line}");
    let failures = || {
        let metrics = process.tells_operators("/metrics").body;
        let name = "doorward_access_log_write_failures_total ";
        let number = metrics.split(name).nth(1).unwrap().split('\n').next().unwrap().to_owned();
        number.parse::<u64>().unwrap()
    };
    let begun = Instant::now();
    while failures() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        thread::yield_now();
    }
    assert_eq!(process.said().matches("cannot write to the access log").count(), 1);
    // Another file: what could not be written before is written there.
    let log = setup.file().parent().unwrap().join("access.log");
    setup.configures("127.0.0.1:0", CONFIGURED);
    process.signals("HUP");
    assert_eq!(lines(&[&log], 20).len(), 20);
}

#[test]
fn a_log_whose_file_cannot_be_opened_is_a_plain_error_at_the_start() {
    for (to, says) in [
        ("./", " is a folder"),
        ("./nowhere/access.log", "does not exist"),
        ("access.log", "neither `stdout` nor a path with a slash"),
    ] {
        let setup = Setup::with(&format!("access_log: {{ to: {to} }}"));
        let (code, said) = setup.does_not_open(&[]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("access_log.to: ") && said.contains(says), "{said}");
    }
}

#[test]
fn standard_output_has_the_access_log_and_the_events_line_by_line() {
    let setup = Setup::with(
        "log: { format: json }\naccess_log: { to: stdout, format: json }\nevents: { to: stdout }",
    );
    let mut process = setup.opens();
    assert_eq!(asks(&process, "/page"), 401);
    setup.adds("ada");
    process.signals("TERM");
    assert_eq!(process.ends().code(), Some(0));
    let said = process.said();
    let lines =
        said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let lines: Vec<_> = lines.filter(|line| line["level"].is_null()).collect();
    assert_eq!(lines.iter().filter(|line| line["path"] == "/page").count(), 1, "{said}");
    assert_eq!(lines.iter().filter(|line| line["event"] == "user-added").count(), 1, "{said}");
}

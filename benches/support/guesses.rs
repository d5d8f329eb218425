//! A flood of wrong passwords, and what an ordinary visitor notices of it.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::gateway::{Gateway, HOST, comes_last, connects_from};
use crate::traffic::ask;
use crate::visitor::{get, visitor};

const GUESSING: usize = 50;
/// So many take seconds, in which many passwords are hashed.
const LONG: usize = 50_000;

/// What came of the guesses.
#[derive(Default)]
struct Guesses {
    /// The password was hashed, and was wrong.
    hashed: AtomicUsize,
    /// No place was free.
    full: AtomicUsize,
    /// Anything else: refused without hashing, or the connection ended.
    other: AtomicUsize,
}

/// What an ordinary visitor notices of many who guess passwords.
pub(crate) fn guessed(gateway: &Gateway) {
    let without = visitor(gateway, LONG);
    without.told("before the flood of sign-ins");
    let done = Arc::new(AtomicBool::new(false));
    let guesses = Arc::new(Guesses::default());
    let crowd: Vec<_> = (0..GUESSING)
        .map(|number| {
            let (browser, csrf) = form(gateway);
            let (done, guesses, address) =
                (Arc::clone(&done), Arc::clone(&guesses), gateway.address);
            thread::spawn(move || {
                comes_last();
                // Each from an address of its own: one alone gets few places.
                let from = format!("127.0.1.{}:0", number + 1).parse::<SocketAddr>().unwrap();
                for turn in 0.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    // Another name each time: after five failures a name is refused unhashed.
                    let body =
                        format!("csrf={csrf}&username=nobody{number}-{turn}&password=wrong+guess");
                    let request = format!(
                        "POST /.doorward/sign-in HTTP/1.1\r\nHost: {HOST}\r\n\
                         Sec-Fetch-Site: same-origin\r\n\
                         Content-Type: application/x-www-form-urlencoded\r\n\
                         Cookie: {browser}\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    let mut stream = connects_from(from, address);
                    let count = match ask(&mut stream, &request) {
                        Some(422) => &guesses.hashed,
                        Some(503) => &guesses.full,
                        _ => &guesses.other,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                    if !std::ptr::eq(count, &raw const guesses.hashed) {
                        // They are told to come back in a while, and do so soon.
                        thread::sleep(Duration::from_millis(100));
                    }
                }
            })
        })
        .collect();
    let (began, on_disk) = (Instant::now(), gateway.on_disk());
    let beside = visitor(gateway, LONG);
    beside.told("beside 50 who guess passwords");
    let a_second =
        |count: &AtomicUsize| count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    println!(
        "a second: {:.0} guesses hashed, {:.0} without a place, {:.0} refused otherwise",
        a_second(&guesses.hashed),
        a_second(&guesses.full),
        a_second(&guesses.other)
    );
    done.store(true, Ordering::Relaxed);
    for one in crowd {
        one.join().unwrap();
    }
    let (store, log) = gateway.on_disk();
    println!(
        "{} guesses of names that nobody has: {} KiB of store and {} KiB of log more",
        guesses.hashed.load(Ordering::Relaxed),
        store.saturating_sub(on_disk.0) / 1024,
        log.saturating_sub(on_disk.1) / 1024
    );
    let after = visitor(gateway, LONG);
    after.told("after it");
    println!(
        "p99 x {:.2} of before, x {:.2} of after",
        beside.at(99).as_secs_f64() / without.at(99).as_secs_f64(),
        beside.at(99).as_secs_f64() / after.at(99).as_secs_f64()
    );
}

/// A form of the sign-in page: its cookie, with its name, and its signed field.
fn form(gateway: &Gateway) -> (String, String) {
    let mut stream = gateway.connects();
    stream
        .write_all(
            get("/.doorward/sign-in")
                .replace("\r\n\r\n", "\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )
        .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let between = |start: &str, end: &str| {
        page.split_once(start).unwrap().1.split_once(end).unwrap().0.to_owned()
    };
    (between("Set-Cookie: ", ";"), between("name=\"csrf\" value=\"", "\""))
}

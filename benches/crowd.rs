//! What a crowd costs: ten thousand who wait, a thousand who never finish their question, a hundred
//! who ask without end, and a flood of wrong passwords; and what an ordinary visitor notices of it.
//!
//! Then floods, most from one address: streams that take nothing, streams that the application holds,
//! bodies that do not come or come slowly, answers that nobody reads. Then ten thousand requests under
//! way that are judged again, and an office whose people sign in at the same time.
//!
//! `cargo bench --bench crowd`, or with `-- idle`, `guesses`, `floods`, `judged` or `office` these alone; with
//! `floods --only TEXT` only the floods whose names contain the text.
//! Everything runs on this machine and disturbs itself: read the ratios. Where there is a bound, a line
//! begins with WITHIN or OVER.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench"
)]
#![allow(clippy::disallowed_methods, reason = "here time is what is measured")]

#[path = "support/floods.rs"]
mod floods;
#[path = "support/gateway.rs"]
mod gateway;
#[path = "support/guesses.rs"]
mod guesses;
#[path = "support/held.rs"]
mod held;
#[path = "support/http2.rs"]
mod http2;
#[path = "support/judged.rs"]
mod judged;
#[path = "support/office.rs"]
mod office;
#[path = "support/people.rs"]
mod people;
#[path = "support/tls.rs"]
mod tls;
#[path = "support/traffic.rs"]
mod traffic;
#[path = "support/visitor.rs"]
mod visitor;

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gateway::Gateway;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use traffic::{application, ask};
use visitor::{get, visitor};

const IDLE: usize = 10_000;
const HALF: usize = 1_000;
const FLOODING: usize = 100;
const ASKED: usize = 2_000;

fn main() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    if most.is_some_and(|most| most < 15_000) {
        println!("this system allows {most:?} open files, and the crowd needs 15,000");
        return;
    }
    let parts: [(&str, fn()); 5] = [
        ("idle", idle),
        ("guesses", guessed),
        ("floods", floods::all),
        ("judged", judged::all),
        ("office", office::all),
    ];
    let wanted: Vec<String> = std::env::args().collect();
    let is_wanted = |name: &str| wanted.iter().any(|word| word == name);
    let all = !parts.iter().any(|(name, _)| is_wanted(name));
    for (name, part) in parts {
        if all || is_wanted(name) {
            part();
        }
    }
}

fn guessed() {
    let gateway = Gateway::start(application());
    visitor(&gateway, 200);
    guesses::guessed(&gateway);
}

/// Ten thousand who wait, a thousand who never finish their question, and a hundred who ask without end.
fn idle() {
    let gateway = Gateway::start(application());
    visitor(&gateway, 200);
    let alone = gateway.resident();
    visitor(&gateway, ASKED).told("alone");

    let fresh: Vec<TcpStream> = (0..IDLE).map(|_| gateway.connects()).collect();
    thread::sleep(Duration::from_secs(1));
    let silent = gateway.resident();
    println!(
        "{IDLE} connections that have said nothing: {:.1} KiB each",
        (silent - alone) as f64 / IDLE as f64
    );
    drop(fresh);
    thread::sleep(Duration::from_secs(1));
    let before = gateway.resident();
    let idle: Vec<TcpStream> = (0..IDLE)
        .map(|_| {
            let mut stream = gateway.connects();
            assert_eq!(ask(&mut stream, &get("/open/a")), Some(200));
            stream
        })
        .collect();
    thread::sleep(Duration::from_secs(1));
    println!(
        "{IDLE} idle connections after a request: {:.1} KiB each; {} MiB resident in all",
        gateway.resident().saturating_sub(before.min(alone)) as f64 / IDLE as f64,
        gateway.resident() / 1024
    );
    visitor(&gateway, ASKED).told("beside them");

    let half: Vec<TcpStream> = (0..HALF)
        .map(|_| {
            let mut stream = gateway.connects();
            stream.write_all(b"GET /open/a HTTP/1.1\r\nHost: crm.loc").unwrap();
            stream
        })
        .collect();
    let done = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let flood: Vec<_> = (0..FLOODING)
        .map(|_| {
            let (done, asked, mut stream) =
                (Arc::clone(&done), Arc::clone(&asked), gateway.connects());
            thread::spawn(move || {
                while !done.load(Ordering::Relaxed) && ask(&mut stream, &get("/a")).is_some() {
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let began = Instant::now();
    visitor(&gateway, ASKED).told("and 1000 half-sent, and 100 flooding");
    println!(
        "{:.0} refused requests a second meanwhile; {} MiB resident in all",
        asked.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64(),
        gateway.resident() / 1024
    );
    done.store(true, Ordering::Relaxed);
    for one in flood {
        one.join().unwrap();
    }
    drop((idle, half));
}

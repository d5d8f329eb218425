//! What a crowd costs: ten thousand who wait, a thousand who never finish their question, a hundred
//! who ask without end, and a flood of wrong passwords; and what an ordinary visitor notices of it.
//!
//! Then floods from one address: streams that take nothing, streams that the application holds, uploads that
//! do not come.
//!
//! `cargo bench --bench crowd`, or with `-- guesses` or `-- floods` these alone. Everything runs on this machine and disturbs itself: read the ratios.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench"
)]
#![allow(clippy::disallowed_methods, reason = "here time is what is measured")]

#[path = "support/floods.rs"]
mod floods;
#[path = "support/traffic.rs"]
mod traffic;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use traffic::{application, ask};

const HOST: &str = "crm.localhost:8080";
const IDLE: usize = 10_000;
const HALF: usize = 1_000;
const FLOODING: usize = 100;
const GUESSING: usize = 50;
const ASKED: usize = 2_000;
/// So many take seconds, in which many passwords are hashed.
const LONG: usize = 50_000;

struct Gateway {
    process: Child,
    address: SocketAddr,
    home: tempfile::TempDir,
}

impl Gateway {
    fn start(upstream: SocketAddr) -> Self {
        Self::start_with(
            upstream,
            "",
            &format!("'http://{HOST}'"),
            "limits: { connections_per_address: 1000000, sign_in_posts: 10000/m }\n\
             deadlines: { head: 300s, idle: 1h }",
        )
    }

    /// One that has more listeners, and `more` in its configuration.
    fn start_with(upstream: SocketAddr, listeners: &str, hosts: &str, more: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = format!(
            "
listen: [{{ address: '{address}' }}{listeners}]
state: {}
log: {{ level: info }}
{more}
apps:
  - name: crm
    hosts: [{hosts}]
    upstream: http://{upstream}
    rules: [{{ paths: [/open/], require: nothing }}]
",
            home.path().join("state").display()
        );
        let file = home.path().join("doorward.yaml");
        std::fs::write(&file, config).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_doorward"))
            .arg("serve")
            .arg(&file)
            .stderr(std::fs::File::create(home.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        while TcpStream::connect(address).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        Self { process, address, home }
    }

    /// Resident memory in KiB.
    fn resident(&self) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// How many bytes lie in its state directory, and how long its log is.
    fn on_disk(&self) -> (u64, u64) {
        let files = std::fs::read_dir(self.home.path().join("state")).unwrap();
        let sizes = files.map(|file| file.unwrap().metadata().unwrap().len());
        (sizes.sum(), std::fs::metadata(self.home.path().join("log")).unwrap().len())
    }

    fn connects(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

/// What an ordinary visitor sees: how many requests were answered, and the 50th and 99th percentile.
fn visitor(gateway: &Gateway, asked: usize) -> (usize, Duration, Duration) {
    let mut stream = gateway.connects();
    let mut took = Vec::with_capacity(asked);
    for _ in 0..asked {
        let began = Instant::now();
        match ask(&mut stream, &get("/open/a")) {
            Some(200) => took.push(began.elapsed()),
            _ => stream = gateway.connects(),
        }
    }
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    (took.len(), at(50), at(99))
}

fn told(name: &str, asked: usize, (served, half, most): (usize, Duration, Duration)) {
    println!("{name:<44} {served:>6} of {asked} answered   p50 {half:>10.1?}   p99 {most:>10.1?}");
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

fn main() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    if most.is_some_and(|most| most < 15_000) {
        println!("this system allows {most:?} open files, and the crowd needs 15,000");
        return;
    }
    let gateway = Gateway::start(application());
    visitor(&gateway, 200);
    if std::env::args().any(|argument| argument == "guesses") {
        return guessed(&gateway);
    }
    if std::env::args().any(|argument| argument == "floods") {
        return floods::all();
    }
    let alone = gateway.resident();
    told("alone", ASKED, visitor(&gateway, ASKED));

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
    told("beside them", ASKED, visitor(&gateway, ASKED));

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
    told("and 1000 half-sent, and 100 flooding", ASKED, visitor(&gateway, ASKED));
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
    thread::sleep(Duration::from_secs(1));

    guessed(&gateway);
    drop(gateway);
    floods::all();
}

fn connects_from(from: SocketAddr, to: SocketAddr) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

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
fn guessed(gateway: &Gateway) {
    let without = visitor(gateway, LONG);
    told("before the flood of sign-ins", LONG, without);
    let done = Arc::new(AtomicBool::new(false));
    let guesses = Arc::new(Guesses::default());
    let crowd: Vec<_> = (0..GUESSING)
        .map(|number| {
            let (browser, csrf) = form(gateway);
            let (done, guesses, address) =
                (Arc::clone(&done), Arc::clone(&guesses), gateway.address);
            thread::spawn(move || {
                // In truth they sit elsewhere: what they cost themselves is not the gateway's doing.
                rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19).unwrap();
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
                    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
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
    told("beside 50 who guess passwords", LONG, beside);
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
    told("after it", LONG, after);
    println!(
        "p99 x {:.2} of before, x {:.2} of after",
        beside.2.as_secs_f64() / without.2.as_secs_f64(),
        beside.2.as_secs_f64() / after.2.as_secs_f64()
    );
}

//! Floods, most from one address, and what they cost: memory, processor, disk, connections to the
//! application, and what an ordinary visitor and somebody who signs in notice. The gateway runs at its
//! defaults.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use socket2::{Domain, Socket, Type};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::gateway::{Gateway, HOST, comes_last};
use crate::held::Application;
use crate::http2::{self, UNDER_TLS};
use crate::people::{self, signed_in};
use crate::visitor::{Took, get, paced, visitor};

/// So much above idle may a flood from one address cost, in MiB.
const AT_MOST_MIB: usize = 200;
/// So many times as long as alone may an ordinary visitor wait, at the 99th percentile, or as long as
/// a visitor of another gateway on this machine.
const AT_MOST_TIMES: f64 = 5.0;
/// How long a flood is watched once it has begun as a whole.
const LASTS: Duration = Duration::from_secs(6);
/// How long the gateway has to give back its memory.
const AFTER: Duration = Duration::from_secs(5);
/// How many people sign in, one after the other.
const PEOPLE: usize = 50;

/// What the names of the floods that are wanted contain: the word after `--only`.
fn only() -> Option<String> {
    std::env::args().skip_while(|word| word != "--only").nth(1)
}

/// Every flood, one after the other.
pub(crate) fn all() {
    let own = "/.doorward/sign-in";
    one("600 x 100 streams for own pages, window 0", |against| {
        streams(against, 1, 600, 0, Stream::Asks(own));
    });
    one("30 x 100 streams that the application holds", |against| {
        streams(against, 1, 30, 65_535, Stream::Asks("/open/held"));
    });
    one("30 x 100 streams for a large answer, window 0", |against| {
        streams(against, 1, 30, 0, Stream::Asks("/open/large"));
    });
    one("600 x 100 uploads that are refused, left open", |against| {
        streams(against, 1, 600, 65_535, Stream::Sends("/signed-in/up"));
    });
    one("600 x 100 uploads that the application does not read", |against| {
        streams(against, 1, 600, 65_535, Stream::Sends("/open/unread"));
    });
    let post = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {HOST}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\n"
        )
    };
    one("900 uploads that do not come", |against| {
        connections(against, 900, &post("/open/up"), "", Duration::from_millis(100));
    });
    one("900 forms that do not come", |against| {
        connections(against, 900, &post(own), "", Duration::from_millis(100));
    });
    one("900 uploads of a byte a second", |against| {
        connections(against, 900, &post("/open/up"), "a", Duration::from_secs(1));
    });
    for (name, path) in [
        ("900 x 50 pipelined for own pages, unread", own),
        ("900 x 50 pipelined for a large answer, unread", "/open/large"),
    ] {
        one(name, |against| {
            let asks = get(path).repeat(50);
            connections(against, 900, &asks, &asks, Duration::from_millis(100));
        });
    }
    one("50 addresses x 12 x 100 for own pages, window 0", |against| {
        streams(against, 50, 12, 0, Stream::Asks(own));
    });
    one("50 addresses x 2 x 100 for a large answer", |against| {
        streams(against, 50, 2, 0, Stream::Asks("/open/large"));
    });
    one("50 addresses x 2 x 100 uploads that the application does not read", |against| {
        streams(against, 50, 2, 65_535, Stream::Sends("/open/unread"));
    });
}

/// What each stream of a connection is for: a path's page, or an upload there that takes what room the
/// gateway gives and has no end.
#[derive(Clone, Copy)]
enum Stream {
    Asks(&'static str),
    Sends(&'static str),
}

/// The gateway that a flood is against, and what the flood sends.
struct Against {
    plain: SocketAddr,
    tls: SocketAddr,
    bytes: Arc<AtomicU64>,
    connections: AtomicUsize,
    /// All of it is there.
    begun: AtomicBool,
    over: AtomicBool,
}

impl Against {
    fn new(gateway: &Gateway, tls: SocketAddr) -> Self {
        Self {
            plain: gateway.address,
            tls,
            bytes: Arc::default(),
            connections: AtomicUsize::new(0),
            begun: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// What is noticed at `gateway` while `flood` begins and lasts.
    fn watched(
        &self,
        flood: &(impl Fn(&Self) + Sync),
        gateway: &Gateway,
        tls: SocketAddr,
    ) -> Watched {
        thread::scope(|scope| {
            scope.spawn(|| {
                comes_last();
                flood(self);
            });
            watched(gateway, tls, PEOPLE / 2, || {
                while !self.begun.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(20));
                }
                thread::sleep(LASTS);
                self.over.store(true, Ordering::SeqCst);
            })
        })
    }

    /// From where floods come; the ordinary visitor comes from 127.0.0.1.
    fn from(address: usize) -> [u8; 4] {
        [127, 6, 0, u8::try_from(address + 1).unwrap()]
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// All has begun: waits until it may end.
    fn holds(&self) {
        self.begun.store(true, Ordering::SeqCst);
        while !self.is_over() {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// One flood, before a gateway of its own.
fn one(name: &str, flood: impl Fn(&Against) + Sync) {
    if only().is_some_and(|only| !name.contains(&only)) {
        return;
    }
    let application = Application::start();
    let certificates = tempfile::tempdir().unwrap();
    let (gateway, tls) = under_tls(&application, certificates.path(), "");
    people::added(&gateway, PEOPLE);
    visitor(&gateway, 200);

    let alone = watched(&gateway, tls, 0, || thread::sleep(LASTS));
    let (idle, cpu, disk) = (gateway.resident(), gateway.cpu(), gateway.on_disk());
    gateway.forgets_the_peak();
    let against = Against::new(&gateway, tls);
    let began = Instant::now();
    let beside = against.watched(&flood, &gateway, tls);
    let lasted = began.elapsed().as_secs_f64();
    let peak = gateway.peak().saturating_sub(idle) / 1024;
    let (cpu, (store, log)) = (gateway.cpu().saturating_sub(cpu), gateway.on_disk());
    thread::sleep(AFTER);
    let after = gateway.resident();

    println!("\n{name}");
    for (when, Watched { visitor, sign_ins }) in [("alone", &alone), ("beside it", &beside)] {
        visitor.told(&format!("  a visitor {when}"));
        sign_ins.told(&format!("  sign-ins {when}"));
    }
    println!(
        "  it sent {:.0} KiB and opened {:.0} connections a second, for {lasted:.1} s; it took {:.2} \
         processors, {} KiB of store, {} KiB of log",
        against.bytes.load(Ordering::SeqCst) as f64 / 1024.0 / lasted,
        against.connections.load(Ordering::SeqCst) as f64 / lasted,
        cpu.as_secs_f64() / lasted,
        store.saturating_sub(disk.0) / 1024,
        log.saturating_sub(disk.1) / 1024,
    );
    let elsewhere = elsewhere(&gateway, tls, &flood);
    elsewhere.told("  a visitor of another gateway meanwhile");
    let times = |than: &Took| beside.visitor.at(99).as_secs_f64() / than.at(99).as_secs_f64();
    let (alone, elsewhere) = (times(&alone.visitor), times(&elsewhere));
    let is_within = peak <= AT_MOST_MIB
        && alone.min(elsewhere) <= AT_MOST_TIMES
        && beside.visitor.missed() == 0;
    println!(
        "  {}: peak {peak} MiB above idle (at most {AT_MOST_MIB}; {} MiB {} s after), p99 x {alone:.1} of \
         alone and x {elsewhere:.1} of the other gateway (at most {AT_MOST_TIMES} of one), {} connections \
         to the application at most",
        if is_within { "WITHIN" } else { "OVER" },
        after.saturating_sub(idle) / 1024,
        AFTER.as_secs(),
        application.most()
    );
}

/// What an ordinary visitor of another gateway notices of a flood against this one. The machine's
/// processors are shared: this is the part that no gateway can prevent.
fn elsewhere(gateway: &Gateway, tls: SocketAddr, flood: &(impl Fn(&Against) + Sync)) -> Took {
    let application = Application::start();
    let certificates = tempfile::tempdir().unwrap();
    let (other, other_tls) = under_tls(&application, certificates.path(), "");
    people::added(&other, PEOPLE);
    visitor(&other, 200);
    Against::new(gateway, tls).watched(flood, &other, other_tls).visitor
}

/// A gateway at its defaults that is reached under TLS, too; its portal is there.
pub(crate) fn under_tls(
    application: &Application,
    certificates: &Path,
    more: &str,
) -> (Gateway, SocketAddr) {
    let certified = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["cert", "self-signed", "tls.localhost"])
        .current_dir(certificates)
        .output()
        .unwrap();
    assert!(certified.status.success());
    let tls = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = format!(
        ", {{ address: '{tls}', tls: {{ certificate: {0}/doorward.pem, key: {0}/doorward.key }} }}",
        certificates.display()
    );
    let hosts = format!("'http://{HOST}', 'https://{UNDER_TLS}'");
    let more = format!("portal: https://{UNDER_TLS}\n{more}");
    (Gateway::start_with(application.address, &listener, &hosts, &more), tls)
}

/// What is noticed meanwhile.
struct Watched {
    visitor: Took,
    sign_ins: Took,
}

/// What an ordinary visitor notices while `meanwhile` runs, and people who sign in twice a second; the
/// first of them has the number `first`.
fn watched(gateway: &Gateway, tls: SocketAddr, first: usize, meanwhile: impl FnOnce()) -> Watched {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let visitor = scope.spawn(|| paced(gateway, &over));
        let sign_ins = scope.spawn(|| {
            let (mut took, mut tried) = (Vec::new(), 0);
            while !over.load(Ordering::SeqCst) {
                let name = people::name((first + tried) % PEOPLE);
                let (browser, after) = signed_in(tls, [127, 0, 0, 1], &name);
                tried += 1;
                if browser.status() == Some(303) {
                    took.push(after);
                }
                thread::sleep(Duration::from_millis(500));
            }
            Took::new(tried, took)
        });
        meanwhile();
        over.store(true, Ordering::SeqCst);
        Watched { visitor: visitor.join().unwrap(), sign_ins: sign_ins.join().unwrap() }
    })
}

/// A runtime whose threads come last.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(comes_last)
        .enable_all()
        .build()
        .unwrap()
}

/// So many connections of each of so many addresses, of a hundred streams each that take nothing of
/// their answers but what the window allows.
fn streams(against: &Against, addresses: usize, connections: usize, window: u32, stream: Stream) {
    let runtime = runtime();
    let all: Vec<_> = (0..addresses)
        .map(|address| {
            let (tls, sent) = (against.tls, Arc::clone(&against.bytes));
            runtime.spawn(async move {
                let mut all = Vec::new();
                for _ in 0..connections {
                    let sent = Arc::clone(&sent);
                    if let Some(sender) =
                        http2::connects(Against::from(address), tls, window, sent).await
                    {
                        all.push(hundred(sender, stream).await);
                    }
                }
                all
            })
        })
        .collect();
    let held: Vec<_> = all.into_iter().map(|one| runtime.block_on(one).unwrap()).collect();
    against.connections.fetch_add(addresses * connections, Ordering::SeqCst);
    against.holds();
    drop(held);
    runtime.shutdown_timeout(Duration::from_secs(1));
}

async fn hundred(
    mut sender: SendRequest<Bytes>,
    stream: Stream,
) -> (SendRequest<Bytes>, JoinSet<()>) {
    let mut asked = JoinSet::new();
    for _ in 0..100 {
        let Ok(ready) = sender.clone().ready().await else { break };
        sender = ready;
        let (request, is_whole) = match stream {
            Stream::Asks(path) => (http2::page(path, ""), true),
            Stream::Sends(path) => (http2::upload(path), false),
        };
        let Ok((answer, body)) = sender.send_request(request, is_whole) else { break };
        asked.spawn(async move {
            let held = tokio::join!(answer, http2::fills(body));
            std::future::pending::<()>().await;
            drop(held);
        });
    }
    (sender, asked)
}

/// So many connections that nobody reads: each sends `first`, and `again` after every pause. Those that
/// the gateway closes are opened again.
fn connections(against: &Against, many: usize, first: &str, again: &str, pause: Duration) {
    let mut open: Vec<Option<TcpStream>> = (0..many).map(|_| None).collect();
    while !against.is_over() {
        for place in &mut open {
            let still = place.take().filter(|stream| {
                if again.is_empty() {
                    // An answer, or the end.
                    let seen = stream.peek(&mut [0]);
                    return seen.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
                }
                sends(against, stream, again)
            });
            *place = still.or_else(|| {
                let stream = unread(against.plain);
                against.connections.fetch_add(1, Ordering::SeqCst);
                sends(against, &stream, first).then_some(stream)
            });
        }
        against.begun.store(true, Ordering::SeqCst);
        thread::sleep(pause);
    }
}

/// Sends what there is room for; whether the connection is still there.
fn sends(against: &Against, mut stream: &TcpStream, what: &str) -> bool {
    match stream.write(what.as_bytes()) {
        Ok(length) => {
            against.bytes.fetch_add(length as u64, Ordering::SeqCst);
            true
        }
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// A connection with as little room for answers as the system allows.
fn unread(to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket.bind(&SocketAddr::from((Against::from(0), 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

//! Ten thousand requests under way, of which those of one person end: how soon, and what an ordinary
//! visitor notices meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use tokio::runtime::Runtime;

use crate::floods::under_tls;
use crate::gateway::Gateway;
use crate::held::Application;
use crate::http2;
use crate::people::{self, signed_in};
use crate::visitor::{Took, paced, visitor};

/// Who holds them, each from an address of their own.
const PEOPLE: usize = 10;
const EACH: usize = 10;
const STREAMS: usize = 100;
/// Within this time all is judged again.
const AT_MOST: Duration = Duration::from_secs(1);

/// How many connections of a hundred streams: the gateway gives half of the files that it may open to
/// its connections to applications, and keeps some of them for itself.
fn connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let for_applications = usize::try_from(files / 2).unwrap().saturating_sub(300);
    (PEOPLE * EACH).min(for_applications / STREAMS)
}

/// What ends, and when.
struct Ended {
    person: usize,
    at: Instant,
}

/// Everything under way, and whose of it ends.
pub(crate) fn all() {
    let application = Application::start();
    let certificates = tempfile::tempdir().unwrap();
    let more = "limits: { requests_per_application: 20000 }\nupstream_timeouts: { read: 1h }";
    let (gateway, tls) = under_tls(&application, certificates.path(), more);
    people::added(&gateway, PEOPLE);
    visitor(&gateway, 200);
    println!();
    watched(&gateway, || thread::sleep(Duration::from_secs(3))).told("a visitor alone");

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (tells, ended) = channel();
    let begun = Arc::new(AtomicUsize::new(0));
    let (connections, opened) = (connections(), Instant::now());
    for person in 0..PEOPLE {
        let from = [127, 6, 0, u8::try_from(person + 1).unwrap()];
        let cookie = signed_in(tls, from, &people::name(person)).0.cookie();
        let mine = (0..connections).filter(|number| number % PEOPLE == person).count();
        for _ in 0..mine {
            let sender = runtime.block_on(http2::connects(from, tls, 65_535, Arc::default()));
            holds(&runtime, sender.unwrap(), &cookie, person, &begun, &tells);
        }
    }
    let all = connections * STREAMS;
    while begun.load(Ordering::SeqCst) < all {
        thread::sleep(Duration::from_millis(20));
        assert!(
            opened.elapsed() < Duration::from_mins(2),
            "{} of {all}",
            begun.load(Ordering::SeqCst)
        );
    }
    println!(
        "{all} requests of {PEOPLE} people under way, begun in {:.1?}; {} MiB resident",
        opened.elapsed(),
        gateway.resident() / 1024
    );
    watched(&gateway, || thread::sleep(Duration::from_secs(3))).told("a visitor beside them");
    assert!(ended.try_recv().is_err(), "nothing ends by itself");

    changes(&gateway, &ended, connections, 0, "user disable", || {
        gateway.told(&["user", "disable", &people::name(0)]);
    });
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let rule = "paths: [/signed-in/], ";
    let but_one: Vec<_> = (2..PEOPLE).map(people::name).collect();
    let only = format!("{rule}only: {{ users: [{}] }}, ", but_one.join(", "));
    std::fs::write(gateway.config(), config.replace(rule, &only)).unwrap();
    changes(&gateway, &ended, connections, 1, "reload", || {
        gateway.told(&["reload"]);
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
}

/// A hundred requests of somebody: says when each has begun, and when it ends.
fn holds(
    runtime: &Runtime,
    mut sender: h2::client::SendRequest<bytes::Bytes>,
    cookie: &str,
    person: usize,
    begun: &Arc<AtomicUsize>,
    tells: &Sender<Ended>,
) {
    for _ in 0..STREAMS {
        sender = runtime.block_on(sender.ready()).unwrap();
        let request = http2::page("/signed-in/held", cookie);
        let (answer, _) = sender.send_request(request, true).unwrap();
        let (begun, tells, sender) = (Arc::clone(begun), tells.clone(), sender.clone());
        runtime.spawn(async move {
            let answer = answer.await.unwrap();
            assert_eq!(answer.status(), 200);
            let mut body = answer.into_body();
            while let Some(Ok(part)) = body.data().await {
                begun.fetch_add(part.len(), Ordering::SeqCst);
            }
            tells.send(Ended { person, at: Instant::now() }).ok();
            drop(sender);
        });
    }
}

/// Makes a change that ends everything of `person` and nothing else, and says how soon it has.
fn changes(
    gateway: &Gateway,
    ended: &Receiver<Ended>,
    connections: usize,
    person: usize,
    name: &str,
    change: impl FnOnce(),
) {
    let theirs = (0..connections).filter(|number| number % PEOPLE == person).count() * STREAMS;
    let (cpu, began) = (gateway.cpu(), Instant::now());
    let mut times = (began, began, began);
    let visitor = watched(gateway, || {
        change();
        let answered = Instant::now();
        let mut all = Vec::with_capacity(theirs);
        while all.len() < theirs {
            let one = ended.recv_timeout(Duration::from_mins(1)).unwrap();
            assert_eq!(one.person, person, "only theirs end");
            all.push(one.at);
        }
        times = (answered, *all.iter().min().unwrap(), *all.iter().max().unwrap());
        thread::sleep(Duration::from_secs(1));
    });
    assert!(ended.try_recv().is_err(), "all others go on");
    let (answered, first, last) = times;
    visitor.told(&format!("a visitor from `{name}` on"));
    let after = last.saturating_duration_since(answered);
    println!(
        "{}: `{name}` was answered after {:.1?}; the first of {theirs} requests ended {:.1?} after it \
         was typed, the last {:.1?}, {after:.1?} after its answer (at most {AT_MOST:?}); {:.1?} of \
         processor",
        if after <= AT_MOST { "WITHIN" } else { "OVER" },
        answered - began,
        first - began,
        last - began,
        gateway.cpu().saturating_sub(cpu)
    );
}

/// What an ordinary visitor notices meanwhile.
fn watched(gateway: &Gateway, meanwhile: impl FnOnce()) -> Took {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let visitor = scope.spawn(|| paced(gateway, &over));
        meanwhile();
        over.store(true, Ordering::SeqCst);
        visitor.join().unwrap()
    })
}

//! What an ordinary visitor notices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::gateway::{Gateway, HOST};
use crate::traffic::ask;

/// How long each of some requests took.
pub(crate) struct Took {
    asked: usize,
    /// Of those that were answered, the shortest first.
    answered: Vec<Duration>,
}

impl Took {
    pub(crate) fn new(asked: usize, mut answered: Vec<Duration>) -> Self {
        answered.sort();
        Self { asked, answered }
    }

    pub(crate) fn at(&self, percent: usize) -> Duration {
        let last = self.answered.len().saturating_sub(1);
        self.answered.get(last * percent / 100).copied().unwrap_or(Duration::MAX)
    }

    /// How many were not answered.
    pub(crate) fn missed(&self) -> usize {
        self.asked - self.answered.len()
    }

    pub(crate) fn told(&self, name: &str) {
        let (served, asked) = (self.answered.len(), self.asked);
        let (half, most) = (self.at(50), self.at(99));
        println!(
            "{name:<44} {served:>6} of {asked} answered   p50 {half:>10.1?}   p99 {most:>10.1?}"
        );
    }
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

/// So many requests, one as soon as the one before is answered.
pub(crate) fn visitor(gateway: &Gateway, asked: usize) -> Took {
    asks(gateway, |done| done < asked, Duration::ZERO)
}

/// A request every few milliseconds until `over`, so that slow moments weigh as much as quick ones.
pub(crate) fn paced(gateway: &Gateway, over: &AtomicBool) -> Took {
    asks(gateway, |_| !over.load(Ordering::SeqCst), PACE)
}

fn asks(gateway: &Gateway, goes_on: impl Fn(usize) -> bool, pause: Duration) -> Took {
    let mut stream = gateway.connects();
    let (mut took, mut asked) = (Vec::new(), 0);
    while goes_on(asked) {
        asked += 1;
        let began = Instant::now();
        match ask(&mut stream, &get("/open/a")) {
            Some(200) => took.push(began.elapsed()),
            _ => stream = gateway.connects(),
        }
        thread::sleep(pause);
    }
    Took::new(asked, took)
}

const PACE: Duration = Duration::from_millis(2);

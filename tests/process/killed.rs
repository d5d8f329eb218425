//! `kill -9`, ten times, while people go in and out: what they were told is so, and what was used
//! up stays used up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::person::{Life, Person, Stop};
use super::setup::{Process, Setup};

/// How often the process is killed.
const KILLS: u64 = 10;
/// How many people are under way at once: those who came last.
const AT_ONCE: usize = 6;

#[test]
fn nothing_that_was_acknowledged_is_lost_and_no_used_code_is_revived() {
    let setup = Setup::with("log: { format: json }");
    let mut rng = StdRng::seed_from_u64(9);
    let mut people: Vec<Person> = Vec::new();
    // Who was added in the very moment, with their links.
    let mut newcomers: Vec<(String, String)> = Vec::new();
    let (mut lost, mut tried_again) = (0, 0);
    for kill in 0..=KILLS {
        let mut process = setup.opens();
        assert_eq!(process.tells_operators("/readyz").status, 200);
        tried_again += all_is_well(&setup, &process, &mut people);
        for (name, link) in &newcomers {
            assert_eq!(process.window().opens(link).answer.status, 200, "{name}");
        }
        if kill == KILLS {
            break;
        }
        for seed in [2 * kill, 2 * kill + 1] {
            let name = format!("person{seed}");
            let link = setup.adds(&name);
            people.push(Person::new(&name, link, seed));
        }
        thread::scope(|scope| {
            let operator = scope.spawn(|| adds_until_the_end(&setup, kill));
            lost += disturbs_amid(&mut process, &mut people, &mut rng, Process::is_killed);
            newcomers.extend(operator.join().unwrap());
        });
    }
    assert!(lost > 0, "nobody was in the middle of anything");
    assert!(tried_again > 0, "nobody had used anything");
}

#[test]
fn a_first_start_that_is_killed_midway_is_begun_again() {
    // What is made, in this order.
    let made = ["", "keys", "store.redb.new", "store.redb", "socket"];
    for (nth, name) in made.iter().enumerate() {
        let setup = Setup::new();
        let mut process = setup.starts(&[]);
        // Some are there for a moment only: then what comes after them is.
        while !made[nth..].iter().any(|name| setup.state().join(name).exists()) {
            assert!(process.runs(), "{}", process.said());
            thread::yield_now();
        }
        process.is_killed();
        let process = setup.opens();
        let link = setup.adds("ada");
        assert_eq!(process.window().opens(&link).answer.status, 200, "killed at {name:?}");
    }
}

/// Asserts that everybody finds what they were told. Says how many used codes were tried again.
pub(crate) fn all_is_well(setup: &Setup, process: &Process, people: &mut [Person]) -> usize {
    let disturbed = AtomicBool::new(false);
    let (begun, _) = channel();
    let life = Life { gateway: process.address, disturbed: &disturbed, begun };
    let listed = setup.types(&["user", "list", "--json"]).json();
    for person in &mut *people {
        person.finds_everything(&life, &listed);
    }
    last(people)
        .iter_mut()
        .map(|person| {
            person.is_still_trusted(&life);
            person.cannot_use_again(&life)
        })
        .sum()
}

/// Lets people go in and out, and does something to the process in the middle. Says how many requests
/// were lost.
pub(crate) fn disturbs_amid(
    process: &mut Process,
    people: &mut [Person],
    rng: &mut StdRng,
    operation: impl FnOnce(&mut Process),
) -> usize {
    let disturbed = AtomicBool::new(false);
    let (begun, begins) = channel();
    let gateway = process.address;
    thread::scope(|scope| {
        let living: Vec<_> = last(people)
            .iter_mut()
            .map(|person| {
                let life = Life { gateway, disturbed: &disturbed, begun: begun.clone() };
                scope.spawn(move || person.lives(&life))
            })
            .collect();
        drop(begun);
        waits(&begins, process, rng);
        disturbed.store(true, Ordering::SeqCst);
        operation(process);
        let stops = living.into_iter().map(|person| person.join().unwrap());
        stops.filter(|stop| matches!(stop, Stop::Lost)).count()
    })
}

/// An operator who adds people until nobody answers. Says who was added for sure.
fn adds_until_the_end(setup: &Setup, kill: u64) -> Vec<(String, String)> {
    let names = (0..4).map(|count| format!("newcomer{kill}-{count}"));
    let said = names.map(|name| {
        let said = setup.types(&["user", "add", &name, "--json"]);
        (said.code == Some(0)).then(|| (name, said.link()))
    });
    said.map_while(|added| added).collect()
}

/// Waits for some requests to begin, and then for as long as some more, to operators, take: the
/// gateway is met at every point of what it does.
fn waits(begins: &Receiver<()>, process: &Process, rng: &mut StdRng) {
    for _ in 0..rng.random_range(10..60) {
        // Where all have stopped, nothing more begins.
        begins.recv().ok();
    }
    for _ in 0..rng.random_range(0..30) {
        assert_eq!(process.tells_operators("/healthz").status, 200);
    }
}

fn last(people: &mut [Person]) -> &mut [Person] {
    let count = people.len();
    &mut people[count.saturating_sub(AT_ONCE)..]
}

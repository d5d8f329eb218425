//! An office behind one address: within five minutes three hundred people sign in, each with a browser
//! that restores ten tabs, at the gateway's defaults. Who is told that the site is busy tries again.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::gateway::{Gateway, HOST};
use crate::held::Application;
use crate::people::{self, Browser, Way};
use crate::visitor::{Took, visitor};

const PEOPLE: usize = 300;
const TABS: usize = 10;
/// Somebody begins every so often: the last one is left ten seconds of the five minutes.
const EVERY: Duration = Duration::from_millis(970);
/// After so long somebody sends their password again if the site was busy, and so often at most.
const BUSY_FOR: Duration = Duration::from_secs(3);
const TRIES: usize = 5;
const OFFICE: [u8; 4] = [127, 7, 0, 1];

pub(crate) fn all() {
    let application = Application::start();
    let gateway = Gateway::start_with(application.address, "", &format!("'http://{HOST}'"), "");
    people::added(&gateway, PEOPLE);
    visitor(&gateway, 200);
    let (signed_in, arrived, refused) =
        (Mutex::new(Vec::new()), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let busy = AtomicUsize::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for person in 0..PEOPLE {
            let (gateway, signed_in, arrived, refused) = (&gateway, &signed_in, &arrived, &refused);
            let busy = &busy;
            scope.spawn(move || {
                let begins = Instant::now();
                let (took, tabs) = restores(gateway, person, busy);
                for tab in &tabs {
                    let place = format!("\r\n\r\n{}", tab.at);
                    if tab.status() == Some(200) && tab.page.ends_with(&place) {
                        arrived.lock().unwrap().push(begins.elapsed());
                    } else {
                        refused.lock().unwrap().push((tab.at.clone(), tab.status()));
                    }
                }
                signed_in.lock().unwrap().extend(took);
            });
            thread::sleep(EVERY);
        }
    });
    let lasted = began.elapsed();
    println!();
    Took::new(PEOPLE, signed_in.into_inner().unwrap()).told("sign-ins of one office");
    let tabs = Took::new(PEOPLE * TABS, arrived.into_inner().unwrap());
    tabs.told("tabs, from the start of their browser");
    let refused = refused.into_inner().unwrap();
    let mut by_status = BTreeMap::<_, (usize, &str)>::new();
    for (place, status) in &refused {
        by_status.entry(*status).or_insert((0, place)).0 += 1;
    }
    for (status, (tabs, place)) in by_status {
        println!("{tabs} tabs did not arrive, with status {status:?}, such as the one at {place}");
    }
    println!("{} times somebody was told that the site is busy", busy.into_inner());
    println!(
        "{}: {PEOPLE} people behind one address, {TABS} tabs each, in {lasted:.0?} (at most 300 s): \
         {} tabs did not arrive",
        if refused.is_empty() && lasted < Duration::from_mins(5) { "WITHIN" } else { "OVER" },
        tabs.missed()
    );
}

/// Somebody's ten tabs: all are asked for before any answer has come; then one signs in, and the others
/// send the form that they show, or are loaded again.
fn restores(
    gateway: &Gateway,
    person: usize,
    busy: &AtomicUsize,
) -> (Option<Duration>, Vec<Browser>) {
    let place = |tab| format!("/signed-in/{person}/{tab}");
    let new = || Browser::new(Way::Plain(gateway.address), OFFICE);
    let mut tabs: Vec<Browser> = at_once((0..TABS).map(|tab| (new(), place(tab))), |tab, place| {
        tab.visits(&place);
    });
    shares(&mut tabs);
    let name = people::name(person);
    let took = sends_password(&mut tabs[0], &name, busy);
    let took = (tabs[0].status() == Some(303)).then_some(took);
    shares(&mut tabs);
    let again = tabs.into_iter().enumerate().map(|(number, tab)| (tab, number));
    let tabs = at_once(again, |tab, number| {
        match number {
            // A second factor is offered: not now.
            0 => tab.follows().declines().follows(),
            number if number % 2 == 0 => {
                sends_password(tab, &name, busy);
                tab.follows()
            }
            number => tab.visits(&place(number)),
        };
    });
    (took, tabs)
}

/// Sends the form that a tab shows, and again while the site is busy; how long all of it took.
fn sends_password(tab: &mut Browser, name: &str, busy: &AtomicUsize) -> Duration {
    let began = Instant::now();
    for _ in 0..TRIES {
        tab.sends_password(name);
        if tab.status() != Some(503) {
            break;
        }
        busy.fetch_add(1, Ordering::SeqCst);
        thread::sleep(BUSY_FOR);
    }
    began.elapsed()
}

/// Does something in each tab at once.
fn at_once<T: Send>(
    tabs: impl Iterator<Item = (Browser, T)>,
    does: impl Fn(&mut Browser, T) + Sync,
) -> Vec<Browser> {
    thread::scope(|scope| {
        let all: Vec<_> = tabs
            .map(|(mut tab, what)| {
                let does = &does;
                scope.spawn(move || {
                    does(&mut tab, what);
                    tab
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// All answers have come to one browser.
fn shares(tabs: &mut [Browser]) {
    let all: Vec<_> = tabs.iter().flat_map(|tab| tab.cookies.clone()).collect();
    for tab in tabs {
        tab.cookies.extend(all.iter().cloned());
    }
}

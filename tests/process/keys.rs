//! New keys for a running gateway: under load, and with `kill -9` at any moment of a rotation.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use doorward::store::record::KeyRange;
use doorward::store::redb::{Options, Redb};
use doorward::store::{Kind, Purpose, Records};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::killed::{all_is_well, disturbs_amid};
use super::person::Person;
use super::setup::{HOST, PASSWORD, Process, Setup};
use crate::support::window::Window;
use crate::support::wire::Wire;

/// How often the process is killed.
const KILLS: u64 = 20;
/// How many others there are, so that a rotation takes a while.
const OTHERS: usize = 400;

impl Setup {
    fn rotates(&self, purpose: Purpose, more: &[&str]) -> Value {
        let words = [&["keys", "rotate", purpose.word(), "--json"][..], more].concat();
        self.types(&words).json()
    }

    /// The ids of the keys for this purpose in the keys file.
    fn ids(&self, purpose: Purpose) -> Vec<u8> {
        let text = fs::read_to_string(self.state().join("keys")).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix(purpose.word()));
        lines.map(|line| line.trim().split(' ').next().unwrap().parse().unwrap()).collect()
    }

    /// The ids of the keys that anything in the store rests on: of records, and of names. No gateway
    /// runs.
    fn ids_in_use(&self) -> (BTreeSet<u8>, BTreeSet<u8>) {
        let store = Redb::open(&self.state().join("store.redb"), Options::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut sealing, mut names) = (BTreeSet::new(), BTreeSet::new());
        for kind in Kind::ALL {
            for entry in runtime.block_on(store.scan(kind, KeyRange::all(), usize::MAX)).unwrap() {
                sealing.insert(entry.record.body[1]);
                if [Kind::Name, Kind::FormerName, Kind::Attempts].contains(&kind) {
                    names.insert(entry.key[0]);
                }
            }
        }
        (sealing, names)
    }

    /// Kills a command that rotates a key, once the new key is in the file.
    fn interrupts_a_rotation_of(&self, purpose: Purpose) {
        let mut command = self.begins(&["keys", "rotate", purpose.word()]);
        while self.ids(purpose).len() < 2 {
            assert!(command.runs(), "{}", command.said());
            thread::yield_now();
        }
        command.is_killed();
    }

    fn imports_others(&self) {
        let line = |n| format!("other{n},other{n}@example.com\n");
        let text = format!("name,email\n{}", (0..OTHERS).map(line).collect::<String>());
        let file = self.file().with_file_name("others.csv");
        fs::write(&file, text).unwrap();
        let said = self.types(&["user", "import", &file.display().to_string()]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
}

/// Waits until no rotation is under way.
fn finishes(setup: &Setup, purpose: Purpose) {
    let said = setup.types(&["keys", "rotate", purpose.word(), "--resume"]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

fn has_a_session(gateway: SocketAddr, cookies: &Window) -> bool {
    let mut window = Window::new(gateway, HOST);
    window.cookies = cookies.cookies.clone();
    window.opens("/").answer.status == 200
}

#[test]
fn twenty_kills_amid_rotations_lose_nothing_and_in_the_end_the_old_keys_are_unused() {
    let setup = Setup::with("log: { format: json }");
    setup.imports_others();
    let mut rng = StdRng::seed_from_u64(20);
    let mut people: Vec<Person> = Vec::new();
    let mut early: Option<Window> = None;
    let mut unfinished = 0;
    for kill in 0..=KILLS {
        let mut process = setup.opens();
        all_is_well(&setup, &process, &mut people);
        let early = early.get_or_insert_with(|| moves_in(&setup, &process, "early"));
        assert!(
            has_a_session(process.address, early),
            "a cookie from before all rotations, kill {kill}"
        );
        if kill == KILLS {
            break;
        }
        if kill % 2 == 0 {
            let name = format!("person{kill}");
            let link = setup.adds(&name);
            people.push(Person::new(&name, link, kill));
        }
        let nth = usize::try_from(kill).unwrap();
        let purpose = Purpose::ALL[nth % Purpose::ALL.len()];
        let lasts = Duration::from_millis(rng.random_range(0..1_500));
        disturbs_amid(&mut process, &mut people, &mut rng, |process| {
            // It may be refused: an earlier one is not finished yet.
            let mut rotating = setup.begins(&["keys", "rotate", purpose.word()]);
            rotated_for(lasts);
            process.is_killed();
            rotating.ends();
        });
        let rested_on = [Purpose::Sealing, Purpose::Names];
        unfinished += rested_on.iter().filter(|purpose| setup.ids(**purpose).len() > 1).count();
    }
    assert!(unfinished > 0, "no rotation was interrupted");
    let mut process = setup.opens();
    for purpose in [Purpose::Sealing, Purpose::Names] {
        finishes(&setup, purpose);
        assert_eq!(setup.ids(purpose).len(), 1, "{purpose}");
        assert!(setup.ids(purpose)[0] > 2, "{purpose} was rotated several times");
    }
    all_is_well(&setup, &process, &mut people);
    assert!(has_a_session(process.address, early.as_ref().unwrap()));
    for purpose in [Purpose::Cookies, Purpose::Csrf] {
        assert!(setup.ids(purpose).len() > 2, "{purpose}: the old ones are still accepted");
    }
    process.signals("TERM");
    assert!(process.ends().success(), "{}", process.said());
    let current = |purpose| BTreeSet::from([*setup.ids(purpose).last().unwrap()]);
    assert_eq!(setup.ids_in_use(), (current(Purpose::Sealing), current(Purpose::Names)));
}

/// The process is met at every moment of a rotation.
#[expect(clippy::disallowed_methods, reason = "it is killed after a while, whatever it does")]
fn rotated_for(span: Duration) {
    thread::sleep(span);
}

#[test]
fn rotations_under_load_disturb_nobody() {
    let setup = Setup::with("log: { format: json }\nlimits: { sign_in_posts: 10000/m }");
    let process = setup.opens();
    let people: Vec<Window> =
        (0..4).map(|n| moves_in(&setup, &process, &format!("user{n}"))).collect();
    let is_over = AtomicBool::new(false);
    let mut before = process.window();
    before.opens("/.doorward/sign-in");
    thread::scope(|scope| {
        let busy = people.iter().enumerate().map(|(n, window)| {
            let (gateway, is_over) = (process.address, &is_over);
            scope.spawn(move || {
                let mut rounds = 0;
                while !is_over.load(Ordering::SeqCst) || rounds == 0 {
                    assert!(has_a_session(gateway, window), "user{n}, round {rounds}");
                    let mut another = Window::new(gateway, HOST);
                    another.opens("/.doorward/sign-in");
                    let name =
                        if rounds % 3 == 2 { "nobody".to_owned() } else { format!("user{n}") };
                    another.sends(&[("username", &name), ("password", PASSWORD)]);
                    let expected = if rounds % 3 == 2 { [422, 429] } else { [303, 303] };
                    let status = another.answer.status;
                    assert!(expected.contains(&status), "{name}: {:?}", another.answer);
                    rounds += 1;
                }
            })
        });
        let busy: Vec<_> = busy.collect();
        for purpose in Purpose::ALL {
            let ring = setup.rotates(*purpose, &["--wait"]);
            let keys = ring["keys"].as_array().unwrap();
            let is_rested_on = purpose.accepted_for().is_none();
            assert_eq!(keys.len(), if is_rested_on { 1 } else { 2 }, "{ring}");
        }
        is_over.store(true, Ordering::SeqCst);
        for thread in busy {
            thread.join().unwrap();
        }
    });
    // A form from before, which nobody has sent until now.
    before.sends(&[("username", "user1"), ("password", PASSWORD)]);
    assert_eq!(before.answer.status, 303, "{}", before.answer.body);
    assert!(!process.said().contains("\"ERROR\""), "{}", process.said());
}

#[test]
fn without_a_gateway_the_command_does_the_work_and_an_interrupted_one_is_finished() {
    let setup = Setup::new();
    setup.imports_others();
    let said = setup.types(&["keys", "rotate", "sealing"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.starts_with("`sealing` key 2 is used from now on.\n"), "{said:?}");
    assert!(
        said.notes.contains("No gateway is running") && said.notes.contains(" done\n"),
        "{said:?}"
    );
    assert_eq!(setup.ids(Purpose::Sealing), [2]);
    assert_eq!(setup.ids_in_use().0, [2].into());

    setup.interrupts_a_rotation_of(Purpose::Names);
    assert_eq!(setup.ids(Purpose::Names), [1, 2]);
    let said = setup.types(&["keys", "rotate", "names"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.notes.contains("first run: doorward keys rotate names --resume"), "{said:?}");
    let said = setup.types(&["keys", "rotate", "names", "--resume"]);
    assert_eq!(said.out, "`names` has one key: nothing needs an older one.\n", "{said:?}");
    assert_eq!((setup.ids(Purpose::Names), setup.ids_in_use().1), (vec![2], [2].into()));

    setup.interrupts_a_rotation_of(Purpose::Sealing);
    let process = setup.opens();
    process.hears("old key dropped");
    assert_eq!(setup.ids(Purpose::Sealing), [3]);
    assert_eq!(setup.types(&["user", "list", "--json"]).json().as_array().unwrap().len(), OTHERS);
}

#[test]
fn a_store_and_a_keys_file_that_do_not_belong_together_are_refused_with_the_cure() {
    let setup = Setup::with("log: { format: json }");
    setup.adds("ada");
    let keys = setup.state().join("keys");
    let older = fs::read(&keys).unwrap();
    for purpose in [Purpose::Names, Purpose::Sealing] {
        setup.rotates(purpose, &[]);
        let newer = fs::read(&keys).unwrap();
        fs::write(&keys, &older).unwrap();
        let (code, said) = setup.does_not_open(&[]);
        assert_eq!(code, Some(1), "{said}");
        let named = format!("`{purpose}` key 2");
        assert!(said.contains(&named) && said.contains("must be of the same time"), "{said}");
        let said = setup.types(&["user", "list"]);
        assert!(said.notes.contains(&named), "{said:?}");
        fs::write(&keys, newer).unwrap();
    }
    setup.opens();
}

#[test]
fn after_a_leak_what_the_old_key_signed_ends_at_once() {
    let setup = Setup::with("log: { format: json }");
    let process = setup.opens();
    let (gateway, cookies) = (process.address, moves_in(&setup, &process, "ada"));
    assert!(has_a_session(gateway, &cookies));
    setup.rotates(Purpose::Cookies, &[]);
    assert!(has_a_session(gateway, &cookies));
    let line: Vec<_> =
        cookies.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let line = line.join("; ");
    let asks = |path| format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nCookie: {line}\r\n\r\n");
    let (mut kept, mut events) = (Wire::to(gateway), Wire::to(gateway));
    assert_eq!(kept.asks(asks("/")).status, 200);
    events.sends(asks("/events"));
    assert_eq!(events.head().status, 200);
    setup.rotates(Purpose::Cookies, &["--drop-old"]);
    assert!(!has_a_session(gateway, &cookies));
    // Nor on connections that are open.
    assert_eq!(kept.asks(asks("/")).status, 401);
    assert!(events.is_over());
    assert_eq!(setup.ids(Purpose::Cookies), [3]);
    // What records need is kept.
    let said = setup.types(&["keys", "rotate", "sealing", "--drop-old"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.notes.contains("once no record needs them"), "{said:?}");
}

#[test]
fn where_no_key_can_be_written_the_command_says_so_and_all_goes_on() {
    let setup = Setup::with("log: { format: json }");
    let process = setup.opens();
    let ada = moves_in(&setup, &process, "ada");
    let before = fs::read(setup.state().join("keys")).unwrap();
    // As on a full disk: the new file cannot be made.
    let draft = setup.state().join("keys.new");
    fs::create_dir_all(draft.join("full")).unwrap();
    for purpose in Purpose::ALL {
        let said = setup.types(&["keys", "rotate", purpose.word()]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.notes.contains("the keys file cannot be written"), "{said:?}");
    }
    assert_eq!(fs::read(setup.state().join("keys")).unwrap(), before);
    assert!(has_a_session(process.address, &ada));
}

fn moves_in(setup: &Setup, process: &Process, name: &str) -> Window {
    let mut window = process.window();
    window.opens(&setup.adds(name));
    window.sends(&[("password", PASSWORD)]);
    assert_eq!(window.answer.status, 303, "{}", window.answer.body);
    window
}

//! What a million users and ten thousand rules cost: how long a start takes, how much memory stays
//! resident, and what one request costs beside the same gateway with a hundred users and ten rules.
//!
//! `cargo bench --bench scale`; `-- --help` says what else. The store is built in the way in which
//! the gateway keeps it, record for record, and read by the real `doorward serve`. Processor time is
//! what the system accounts to the gateway, so that clients and application do not count. Where a
//! ratio is told, both sides were measured in turns.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench"
)]
#![allow(clippy::disallowed_methods, reason = "here time is what is measured")]

#[path = "support/traffic.rs"]
mod traffic;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use doorward::domain::assurance::{FirstFactor, Proof, Proofs};
use doorward::domain::device::Seen;
use doorward::domain::factor::totp::{Key, Skew};
use doorward::domain::factor::{self, Answer, Begun, FactorId, Settings};
use doorward::domain::host_session::HostSession;
use doorward::domain::name::{Email, Group, Login, Name};
use doorward::domain::password::{Password, PasswordHash};
use doorward::domain::secret::{Secret, Token};
use doorward::domain::signed;
use doorward::domain::time::Timestamp;
use doorward::domain::user::{Profile, User, UserId};
use doorward::domain::user_session::{UserSession, UserSessionId};
use doorward::identity::Hashing;
use doorward::identity::local::{Cost, Pool, Room};
use doorward::os;
use doorward::store::redb::{self, Redb};
use doorward::store::{
    Batch, Expect, Keyring, Keys, Kind, NameKey, Outcome, Records, Sealer, StateFolder,
};
use indicatif::{ProgressBar, ProgressStyle};
use minicbor::Encode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use traffic::{application, ask};

const HOST: &str = "crm.localhost:8080";
/// For what the cookies are signed.
const NAME: &str = "crm.localhost";
const PASSWORD: &str = "three wet umbrellas";
/// The sessions of whoever comes again and again.
const HOT: u32 = 100;
/// How many different sessions are used once.
const COLD: u32 = 100_000;
const CONNECTIONS: usize = 16;

/// What a million users and ten thousand rules cost.
#[derive(Debug, Parser)]
#[command(after_help = "Takes about two minutes and, for a million users, two gigabytes of disk.")]
struct Options {
    /// How many users there are, each with a session
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    users: u32,
    /// How often what is compared is measured in turns
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// How many requests are sent in each turn
    #[arg(long, default_value_t = 8_000)]
    requests: usize,
    /// Build the store in this directory, or use the one that an earlier run of today left there
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// What cargo says to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let mut options = Options::parse();
    if !options.bench {
        // `cargo test --benches` only wants to know whether it runs.
        options = Options { users: 1_000, rounds: 1, requests: 500, ..options };
    }
    let mut table = Table::default();
    measure(&options, &mut table);
    table.print(options.json);
}

fn measure(options: &Options, table: &mut Table) {
    let temporary = tempfile::tempdir().unwrap();
    let home = options.keep.clone().unwrap_or_else(|| temporary.path().join("large"));
    let application = application();

    let large = Place { home, application, rules: 10 };
    let began = Instant::now();
    large.build(options.users);
    note(&format!("built in {:.0?}", began.elapsed()));
    let file = large.state().join("store.redb");
    let bytes = fs::metadata(&file).unwrap().len();
    table.says("users", f64::from(options.users), "");
    table.says("size of the file", bytes as f64 / MIB, "MiB");

    note("starting it");
    let hot = large.cookies(0..HOT);
    let mut starts: Vec<f64> = (0..5).map(|_| large.start(&hot[0]).started).collect();
    starts.sort_by(f64::total_cmp);
    table.bound("start to first answer", starts[2], "s", 2.0);
    if forgotten(&file) {
        let unread = large.start(&hot[0]).started;
        table.bound("start to first answer, nothing of the file in memory", unread, "s", 2.0);
    }
    let gateway = large.start(&hot[0]);
    table.says("resident at the first answer", gateway.resident(), "MiB");
    gateway.hears("integrity check passed");
    table.says("verified after", gateway.began.elapsed().as_secs_f64(), "s");
    gateway.rests();
    table.bound("resident, idle", gateway.resident(), "MiB", 30.0);

    note("starting others beside it");
    let others: Vec<(Gateway, Vec<String>)> = [10, 1_000, 10_000]
        .into_iter()
        .map(|rules| {
            let home = temporary.path().join(format!("rules-{rules}"));
            let place = Place { home, application, rules };
            place.build(HOT);
            let cookies = place.cookies(0..HOT);
            let gateway = place.start(&cookies[0]);
            gateway.hears("integrity check passed");
            (gateway, cookies)
        })
        .collect();
    let mut compared = vec![(&gateway, &hot)];
    compared.extend(others.iter().map(|(gateway, cookies)| (gateway, cookies)));
    let costs = in_turns(options, &compared);
    let [million, few, thousand, ten_thousand] = &costs[..] else { unreachable!() };
    table.cost("signed in, hot", million);
    table.cost("signed in, hot, 100 users", few);
    table.cost("1,000 rules", thousand);
    table.cost("10,000 rules", ten_thousand);
    table.bound("hot, all users to 100", ratio(million, few), "×", 1.10);
    table.bound("10,000 rules to 10", ratio(ten_thousand, few), "×", 1.10);
    let reload = others[2].0.reload();
    table.says("reload, 10,000 rules", reload.as_secs_f64() * 1e3, "ms");
    table.says("resident, 10,000 rules", others[2].0.resident(), "MiB");
    drop(others);

    note("using each session once");
    let cold = COLD.min(options.users / 5);
    let once = large.cookies(HOT..HOT + cold);
    table.cost("signed in, cold", &[gateway.serves(once.len(), &once, 0)]);
    table.bound(&format!("resident after {cold} users"), gateway.resident(), "MiB", 100.0);
    let noted = large.cookies(options.users / 5 * 4..options.users / 5 * 4 + cold / 5);
    table.cost("signed in, cold, use noted", &[gateway.serves(noted.len(), &noted, 0)]);
    gateway.rests();
    table.says("resident after that", gateway.resident(), "MiB");

    note("signing in");
    let mut took: Vec<(f64, f64)> = (0..7).map(|number| gateway.signs_in(number)).collect();
    took.sort_by(|a, b| a.0.total_cmp(&b.0));
    table.says("one sign-in, from form to answer", took[3].0, "ms");
    table.says("one sign-in, processor", took[3].1, "ms");
    table.says("resident after sign-ins", gateway.resident(), "MiB");
}

/// What one request costs, in microseconds: processor time, and from the client's view.
type Costs = (f64, f64);

/// What each of `compared` costs, measured in turns.
fn in_turns(options: &Options, compared: &[(&Gateway, &Vec<String>)]) -> Vec<Vec<Costs>> {
    let mut costs = vec![Vec::new(); compared.len()];
    for (gateway, cookies) in compared {
        gateway.serves(options.requests, cookies, gateway.rules);
    }
    let bar = progress("turns", u64::from(options.rounds));
    for round in 0..options.rounds {
        for at in 0..compared.len() {
            // There and back, so that nobody always comes after the same one.
            let at = if round % 2 == 0 { at } else { compared.len() - 1 - at };
            let (gateway, cookies) = compared[at];
            costs[at].push(gateway.serves(options.requests, cookies, gateway.rules));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    costs
}

/// The median of the ratios of each turn.
fn ratio(of: &[Costs], to: &[Costs]) -> f64 {
    median(of.iter().zip(to).map(|(of, to)| of.0 / to.0))
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

const MIB: f64 = 1024.0 * 1024.0;

/// What was measured.
#[derive(Default)]
struct Table(Vec<Row>);

struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    at_most: Option<f64>,
    more: Option<f64>,
}

impl Table {
    fn says(&mut self, name: &str, value: f64, unit: &'static str) {
        self.0.push(Row { name: name.to_owned(), value, unit, at_most: None, more: None });
    }

    fn bound(&mut self, name: &str, value: f64, unit: &'static str, at_most: f64) {
        self.says(name, value, unit);
        self.0.last_mut().unwrap().at_most = Some(at_most);
    }

    fn cost(&mut self, name: &str, costs: &[Costs]) {
        self.says(name, median(costs.iter().map(|cost| cost.0)), "µs");
        self.0.last_mut().unwrap().more = Some(median(costs.iter().map(|cost| cost.1)));
    }

    fn print(&self, as_json: bool) {
        let rounded = |value: f64| (value * 1e3).round() / 1e3;
        if as_json {
            let rows: Vec<Value> = self
                .0
                .iter()
                .map(|row| {
                    let mut json =
                        json!({ "name": row.name, "value": rounded(row.value), "unit": row.unit });
                    if let Some(wall) = row.more {
                        json["cpu_us"] = json!(rounded(row.value));
                        json["wall_us"] = json!(rounded(wall));
                    }
                    if let Some(at_most) = row.at_most {
                        json["at_most"] = json!(at_most);
                        json["within"] = json!(row.value <= at_most);
                    }
                    json
                })
                .collect();
            println!("{}", json!({ "rows": rows }));
            return;
        }
        println!(
            "µs: processor time of the gateway for one request, and beside it the client's view"
        );
        for Row { name, value, unit, at_most, more } in &self.0 {
            let digits = match *value {
                ..10.0 => 2,
                ..1_000.0 => 1,
                _ => 0,
            };
            print!("{name:<54} {value:>12.digits$} {unit:<3}");
            if let Some(more) = more {
                print!(" {more:>9.1} µs");
            }
            if let Some(at_most) = at_most {
                let verdict = if value <= at_most { "within" } else { "over" };
                print!(" {verdict} {at_most} {unit}");
            }
            println!();
        }
    }
}

fn note(text: &str) {
    eprintln!("{text}");
}

fn progress(what: &'static str, length: u64) -> ProgressBar {
    let style = "{msg:>12} {wide_bar} {human_pos} of {human_len}, {eta} left";
    let style = ProgressStyle::with_template(style).unwrap();
    ProgressBar::new(length).with_message(what).with_style(style)
}

/// Where a gateway lives, and how it is configured.
struct Place {
    home: PathBuf,
    application: SocketAddr,
    rules: usize,
}

impl Place {
    fn state(&self) -> PathBuf {
        self.home.join("state")
    }

    /// The cookies of these sessions.
    fn cookies(&self, numbers: std::ops::Range<u32>) -> Vec<String> {
        let state = StateFolder::open(&self.state()).unwrap();
        let now = os::system_time();
        let signer = os::rng().draw(|rng| Keyring::of(state, rng, now)).unwrap();
        let cookie = |number| {
            let token = token(number);
            signer.sign(signed::Kind::Session, NAME, token.expose())
        };
        numbers.map(cookie).collect()
    }

    fn start(&self, cookie: &str) -> Gateway {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let rule = |n| format!("      - {{ paths: [/place-{n}/], require: sign-in }}");
        let rules = (0..self.rules).map(rule).collect::<Vec<_>>().join("\n");
        let config = format!(
            "
listen: [{{ address: '{address}' }}]
state: {}
sessions: {{ idle: 12h, at_most: 24h }}
limits: {{ sign_in_posts: 10000/m }}
apps:
  - name: crm
    hosts: ['http://{HOST}']
    upstream: http://{}
    rules:
{rules}",
            self.state().display(),
            self.application,
        );
        let file = self.home.join("doorward.yaml");
        fs::write(&file, config).unwrap();
        let began = Instant::now();
        let mut process = Command::new(env!("CARGO_BIN_EXE_doorward"))
            .arg("serve")
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, heard) = channel();
        let log = BufReader::new(process.stderr.take().unwrap());
        thread::spawn(move || {
            for line in log.lines() {
                let line = line.unwrap_or_default();
                if line.contains("ERROR") {
                    eprintln!("{line}");
                }
                tell.send(line).ok();
            }
        });
        let mut stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(_) => thread::sleep(Duration::from_millis(2)),
            }
            assert!(process.try_wait().unwrap().is_none(), "it has ended: {}", said(&heard));
        };
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        assert_eq!(ask(&mut stream, &get("/first", cookie)), Some(200));
        let started = began.elapsed().as_secs_f64();
        Gateway { process, address, file, began, started, heard, rules: self.rules - 1 }
    }
}

fn said(heard: &Receiver<String>) -> String {
    heard.iter().collect::<Vec<_>>().join("\n")
}

/// Lets the system forget what it holds of a file; whether it can be told to.
fn forgotten(file: &Path) -> bool {
    let mut of = std::ffi::OsString::from("if=");
    of.push(file);
    let dd = Command::new("dd").arg(of).args(["iflag=nocache", "count=0"]).output();
    dd.is_ok_and(|done| done.status.success())
}

/// A gateway that runs.
struct Gateway {
    process: Child,
    address: SocketAddr,
    file: PathBuf,
    began: Instant,
    /// How long it took to answer somebody who is signed in.
    started: f64,
    heard: Receiver<String>,
    /// The number of its last rule.
    rules: usize,
}

impl Gateway {
    /// Waits for a line of its log.
    fn hears(&self, words: &str) {
        loop {
            let line = self.heard.recv_timeout(Duration::from_mins(10)).expect("it says so");
            if line.contains(words) {
                return;
            }
        }
    }

    /// Waits until it has nothing to do.
    fn rests(&self) {
        loop {
            let before = self.cpu();
            thread::sleep(Duration::from_secs(1));
            if self.cpu() - before < 0.005 {
                return;
            }
        }
    }

    /// Resident memory in MiB.
    fn resident(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// Seconds of processor time that its threads have had.
    fn cpu(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let had = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        had.sum::<f64>() / 1e9
    }

    /// Asks `count` times with one cookie after the other, at the place of the last rule.
    fn serves(&self, count: usize, cookies: &[String], rule: usize) -> Costs {
        let path = format!("/place-{rule}/page");
        let address = self.address;
        let (before, began) = (self.cpu(), Instant::now());
        thread::scope(|scope| {
            for first in 0..CONNECTIONS {
                let path = &path;
                scope.spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.set_nodelay(true).unwrap();
                    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
                    for number in (first..count).step_by(CONNECTIONS) {
                        let request = get(path, &cookies[number % cookies.len()]);
                        assert_eq!(ask(&mut stream, &request), Some(200));
                    }
                });
            }
        });
        let micros = |seconds: f64| seconds * 1e6 / count as f64;
        (micros(self.cpu() - before), micros(began.elapsed().as_secs_f64() * CONNECTIONS as f64))
    }

    /// Signs a user in; milliseconds of the form's way and of processor time.
    fn signs_in(&self, number: u32) -> (f64, f64) {
        let connects = || {
            let stream = TcpStream::connect(self.address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            stream
        };
        let mut stream = connects();
        let request = format!(
            "GET /.doorward/sign-in HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let between = |start: &str, end: &str| {
            page.split_once(start).unwrap().1.split_once(end).unwrap().0.to_owned()
        };
        let browser = between("doorward-browser=", ";");
        let csrf = between("name=\"csrf\" value=\"", "\"");
        let password = PASSWORD.replace(' ', "+");
        let body = format!("csrf={csrf}&username={}&password={password}", name(number));
        let request = format!(
            "POST /.doorward/sign-in HTTP/1.1\r\nHost: {HOST}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nCookie: \
             doorward-browser={browser}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = connects();
        let (before, began) = (self.cpu(), Instant::now());
        assert_eq!(ask(&mut stream, &request), Some(303));
        let took = began.elapsed().as_secs_f64() * 1e3;
        thread::sleep(Duration::from_millis(50));
        (took, (self.cpu() - before) * 1e3)
    }

    fn reload(&self) -> Duration {
        let began = Instant::now();
        let reload = Command::new(env!("CARGO_BIN_EXE_doorward"))
            .args(["reload", "--config"])
            .arg(&self.file)
            .output()
            .unwrap();
        assert!(reload.status.success(), "{reload:?}");
        began.elapsed()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn get(path: &str, cookie: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nCookie: doorward-session={cookie}\r\n\r\n")
}

// What the store holds.

fn name(number: u32) -> String {
    format!("user-{number:07}")
}

/// Spread evenly, in the order of the numbers.
fn id(number: u32) -> UserId {
    let mut bytes = mixed("user", number);
    bytes[..8].copy_from_slice(&(u64::from(number) << 44).to_be_bytes());
    UserId::from(bytes)
}

fn user_session_id(number: u32) -> UserSessionId {
    let mut bytes = mixed("user session", number);
    bytes[..8].copy_from_slice(&(u64::from(number) << 44).to_be_bytes());
    UserSessionId::from(bytes)
}

fn token(number: u32) -> Token {
    Token::from_bytes(&mixed("session", number)).unwrap()
}

fn mixed(what: &str, number: u32) -> [u8; 16] {
    let digest = Sha256::new().chain_update(what).chain_update(number.to_be_bytes()).finalize();
    std::array::from_fn(|at| digest[at])
}

/// Builds a store.
struct Builder {
    records: Arc<Redb>,
    sealer: Sealer,
    runtime: tokio::runtime::Runtime,
    batch: Batch,
    under_way: Option<tokio::task::JoinHandle<Outcome>>,
    bar: ProgressBar,
}

/// How many records are written at a time.
const AT_A_TIME: usize = 20_000;

impl Place {
    /// Builds a store of so many users, with a session each.
    fn build(&self, users: u32) {
        let path = self.state();
        let built = self.home.join("built");
        if fs::read_to_string(&built).is_ok_and(|text| text == users.to_string()) {
            return;
        }
        fs::create_dir_all(&self.home).unwrap();
        fs::remove_dir_all(&path).ok();
        let state = StateFolder::open(&path).unwrap();
        let rng = os::rng();
        let keys = rng.draw(|rng| Keys::of(&state, rng, os::system_time())).unwrap();
        let options = redb::Options { cache: 256 << 20, ..redb::Options::default() };
        let mut builder = Builder {
            records: Arc::new(Redb::open(&state.store_file(), options).unwrap()),
            sealer: Sealer::new(&keys),
            runtime: tokio::runtime::Builder::new_multi_thread().build().unwrap(),
            batch: Batch::new(),
            under_way: None,
            bar: progress("users", 6 * u64::from(users)),
        };
        let now = os::system_time();

        let pool = Pool::start(Cost::OWASP, Room::beside(std::num::NonZeroUsize::MIN), rng);
        let place = pool.unwrap().place([127, 0, 0, 1].into(), None).unwrap();
        let digest = builder.runtime.block_on(place.hash(Password::typed(PASSWORD))).unwrap();
        let totp = Key::from_bytes(&[5; 20]).unwrap();
        let like = person(0, &digest, &totp, now);
        for number in 0..users {
            let user = if number == 0 { like.clone() } else { person(number, &digest, &totp, now) };
            builder.put(Kind::User, id(number).as_bytes(), None, &user);
        }

        let names = NameKey::current(&keys);
        let key = |login: &str| names.of(Login::typed(login).key());
        let names = (0..users)
            .flat_map(|number| [(key(&name(number)), number), (key(&email(number)), number)]);
        builder.bar.set_message("names");
        for (key, number) in sorted(names) {
            builder.put(Kind::Name, &key, None, &id(number));
        }

        // A day from now, each a little later than the one before, as they are written.
        let day = now.plus(Duration::from_hours(24)).millis();
        let mut moments = (day..).map(Timestamp::from_millis);
        let mut over = || moments.next();
        let proofs = Proofs::default()
            .with(Proof::First(FirstFactor::Password), now)
            .with(Proof::Factor(factor::Kind::Totp, FactorId::from([0; 16])), now);
        builder.bar.set_message("sessions");
        let tokens = (0..users).map(|number| (*token(number).hash().as_bytes(), number));
        for (key, number) in sorted(tokens) {
            let session = HostSession::begin(id(number), user_session_id(number), proofs.clone());
            builder.put(Kind::HostSession, &key, over(), &session);
        }
        builder.bar.set_message("user sessions");
        // The gateway notes the use of a user session once a minute. Those of some are noted for hours, so
        // that reading can be told from writing.
        let ahead = now.plus(Duration::from_hours(6));
        for number in 0..users {
            let user_session = UserSession::begin(id(number), like.epoch(), Seen::default(), now);
            let seen = if number < users / 5 * 4 { ahead } else { now };
            builder.put(
                Kind::UserSession,
                user_session_id(number).as_bytes(),
                over(),
                &UserSession { seen, ..user_session },
            );
        }
        for number in 0..users {
            let key = [*id(number).as_bytes(), *user_session_id(number).as_bytes()].concat();
            builder.put(Kind::UserSessionOf, &key, over(), &());
        }
        builder.flush();
        builder.settle();
        builder.bar.finish_and_clear();
        fs::write(built, users.to_string()).unwrap();
    }
}

fn email(number: u32) -> String {
    format!("{}@example.com", name(number))
}

/// Somebody with a password and an authenticator.
fn person(number: u32, digest: &PasswordHash, totp: &Key, now: Timestamp) -> User {
    let profile = Profile {
        name: Name::parse(&name(number)).unwrap(),
        full_name: Some(format!("User Number {number}")),
        email: Some(Email::parse(&email(number)).unwrap()),
        groups: BTreeSet::from([Group::parse("staff").unwrap()]),
    };
    let mut user = User::new(id(number), profile, now).with_password(digest.clone());
    let settings = Settings { skew: Skew::default(), recovery_codes: 12 };
    let (begun, code) = (Begun::Totp(totp.clone()), Answer::Totp(totp.code_at(now)));
    os::rng().draw(|rng| user.turn_on(begun, &code, settings, rng, now));
    user.save_recovery_codes(now);
    user
}

fn sorted<const N: usize>(keys: impl Iterator<Item = ([u8; N], u32)>) -> Vec<([u8; N], u32)> {
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable();
    keys
}

impl Builder {
    fn put<T: Encode<()>>(&mut self, kind: Kind, key: &[u8], over: Option<Timestamp>, value: &T) {
        let body = Secret::new(minicbor::to_vec(value).unwrap());
        let rng = &mut rand::rng();
        let sealed = self.sealer.seal(rng, kind, key, body.expose()).unwrap();
        let batch = std::mem::take(&mut self.batch);
        self.batch = batch.put(kind, key, Expect::Any, over, sealed);
        if self.batch.steps().len() == AT_A_TIME {
            self.flush();
        }
    }

    /// Has the batch written, while the next one is made.
    fn flush(&mut self) {
        self.settle();
        let (records, batch) = (Arc::clone(&self.records), std::mem::take(&mut self.batch));
        self.bar.inc(batch.steps().len() as u64);
        let writing = async move { records.commit(batch).await.unwrap() };
        self.under_way = Some(self.runtime.spawn(writing));
    }

    fn settle(&mut self) {
        if let Some(before) = self.under_way.take() {
            let outcome = self.runtime.block_on(before).unwrap();
            assert!(matches!(outcome, Outcome::Committed(_)));
        }
    }
}

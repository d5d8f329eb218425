//! What a request costs: Doorward, Pingora by itself, and what else stands before applications, each
//! before the same application and asked by the same visitors, in rounds that take turns.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::format_push_string,
    clippy::struct_excessive_bools,
    reason = "a bench: here time is what is measured, and an error ends it"
)]

mod account;
mod application;
#[path = "../stock/bare.rs"]
mod bare;
mod drive;
mod people;
mod picture;
mod report;
mod servers;
#[allow(dead_code, reason = "tests use the rest")]
#[path = "../../tests/support"]
mod support {
    pub(crate) mod window;
    pub(crate) mod wire;
}
#[path = "../support/tls.rs"]
mod tls;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser;
use drive::{Ask, LARGE, SMALL, Visitors, Wire};
use indicatif::{ProgressBar, ProgressStyle};
use report::{BARE, Bound, Idle, Report, Round, Row, STOCK, median};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use servers::{Server, Site};

// What is measured by itself is compared with what operators run, so both have one allocator.
use mimalloc as _;

/// What does a request cost?
///
/// Starts an application, Doorward before it, and beside it Pingora by itself (in this build, and in
/// the plain release build with the system's allocator) and nginx and haproxy where they are
/// installed. Asks all of them, in rounds that take turns, and prints what the system says that each
/// has used. Ratios within one run are worth more than its figures.
#[derive(Parser)]
#[command(
    name = "cargo bench --bench load --",
    after_help = "Examples:\n  cargo bench --profile dist --bench load -- --pin\n  \
                  cargo bench --profile dist --bench load -- --pin --json > cost.json\n  \
                  cargo bench --bench load -- --only signed-in --rounds 3"
)]
struct Arguments {
    /// Keep everything on one processor, which disturbs least
    #[arg(long)]
    pin: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write a picture, too
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// How often each is measured
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Measure these alone, and whom they are compared with
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Measure the small answer in plain HTTP/1.1 alone
    #[arg(long)]
    brief: bool,
    /// Start Doorward and Pingora under this command, to look into them
    #[arg(long, value_name = "COMMAND")]
    under: Option<String>,
    /// What cargo says to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// Somebody who is measured in one kind of traffic.
struct Contender<'a> {
    name: &'static str,
    server: &'a Server,
    ask: Ask,
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    match words.get(1).map(String::as_str) {
        Some("serve") => return bare::serve(&words[2..]),
        Some("application") => return application::serve(&words[2]),
        _ => {}
    }
    let arguments = Arguments::parse();
    if !arguments.bench {
        // `cargo test --benches` only wants to know whether it starts.
        return;
    }
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).ok();
    let stock = build_stock();
    let processor = arguments.pin.then(pin);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report =
        tokio::task::LocalSet::new().block_on(&runtime, measure(&arguments, &stock, processor));
    if let Some(path) = &arguments.svg {
        std::fs::write(path, picture::draw(&report)).unwrap();
    }
    if arguments.json {
        println!("{:#}", report.json());
    } else {
        println!("{}", report.table());
    }
}

/// Pingora by itself in the plain release profile, built where it is not there yet.
fn build_stock() -> PathBuf {
    eprintln!("building Pingora by itself, in the plain release profile");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--locked", "--release", "--bench", "stock", "--message-format", "json"])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap();
    assert!(built.status.success(), "it does not build");
    let said = String::from_utf8(built.stdout).unwrap();
    let mut executable = said.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["target"]["name"] == "stock")
            .then(|| line["executable"].as_str().map(PathBuf::from))?
    });
    executable.next_back().expect("cargo says where it is")
}

/// Keeps this process, and all that it starts, on the last processor that it may use.
fn pin() -> usize {
    let allowed = sched_getaffinity(None).unwrap();
    let last = (0..CpuSet::MAX_CPU).rev().find(|number| allowed.is_set(*number)).unwrap();
    let mut one = CpuSet::new();
    one.set(last);
    sched_setaffinity(None, &one).unwrap();
    last
}

async fn measure(arguments: &Arguments, stock_program: &Path, processor: Option<usize>) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let application = servers::application();
    let threads = if arguments.pin {
        1
    } else {
        std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
    };
    let site = Site {
        folder: folder.path(),
        application: application.plain,
        threads,
        under: arguments.under.as_deref().unwrap_or_default(),
    };
    let (config, plain, tls) = site.prepare();
    let doorward = site.doorward(&config, plain, tls);
    let bare = site.pingora(&std::env::current_exe().unwrap());
    let stock = site.pingora(stock_program);
    let versions: Vec<String> = ["nginx", "haproxy"]
        .iter()
        .filter_map(|name| Some(format!("{name} {}", servers::installed(name)?)))
        .collect();
    let nginx = servers::installed("nginx").map(|_| site.nginx());
    let auth_request = nginx.as_ref().map(|_| site.auth_request());
    let haproxy = servers::installed("haproxy").map(|_| site.haproxy());
    let cookies = people::signed_in(&doorward, &config);

    let mut bench = Bench {
        arguments,
        processor,
        rows: Vec::new(),
        disturbed: (0, 0.0),
        unsteady: Vec::new(),
        application: &application,
    };
    let proxies = |target: &str| -> Vec<Contender<'_>> {
        let ask = people::page(target, &cookies, 200);
        let peers = [
            (BARE, Some(&bare)),
            (STOCK, Some(&stock)),
            ("nginx", nginx.as_ref()),
            ("haproxy", haproxy.as_ref()),
            ("auth_request", auth_request.as_ref()),
            ("signed-in", Some(&doorward)),
        ];
        let peers = peers.into_iter().filter_map(|(name, server)| Some((name, server?)));
        peers.map(|(name, server)| Contender { name, server, ask: ask.clone() }).collect()
    };
    let own = |name, ask| Contender { name, server: &doorward, ask };
    let mut small = proxies("/orders?page=2");
    small.extend([
        own("nothing asked", people::page("/static/logo", "", 200)),
        own("refused", people::page("/orders?page=2", "", 303)),
        own("refused script", people::script("/orders?page=2", 401)),
        own("own page", people::page("/.doorward/sign-in", "", 200)),
    ]);
    bench.rounds(&small, Wire::Plain, Some(SMALL), VISITORS, 8_000).await;
    if !arguments.brief {
        let small = proxies("/orders?page=2");
        let large = proxies("/large");
        bench.rounds(&large, Wire::Plain, Some(LARGE), VISITORS / 4, 200).await;
        bench.rounds(&small, Wire::Tls, Some(SMALL), VISITORS, 6_000).await;
        bench.rounds(&small, Wire::Http2, Some(SMALL), VISITORS, 6_000).await;
        bench.rounds(&large, Wire::Http2, Some(LARGE), VISITORS / 4, 100).await;
    }
    let mut alone = Vec::new();
    if arguments.only.is_empty() && !arguments.brief {
        let sign_ins = people::sign_ins(&doorward, &config, SIGNING_IN);
        alone = bench.sign_ins(&doorward, &sign_ins).await;
    }
    let Bench { rows, disturbed: (times, most), unsteady: mut reasons, .. } = bench;
    let mut idle = Vec::new();
    if arguments.only.is_empty() && !arguments.brief {
        // Everybody anew: whoever has served many has memory to spare.
        drop((doorward, bare, stock));
        let anew = [
            ("Doorward", site.doorward(&config, plain, tls)),
            (BARE, site.pingora(&std::env::current_exe().unwrap())),
            (STOCK, site.pingora(stock_program)),
        ];
        idle = idle_connections(&anew, &people::page("/orders", &cookies, 200)).await;
    }
    if times > 0 {
        let percent = most * 100.0;
        reasons.push(format!(
            "somebody else was busy in {times} rounds, for up to {percent:.0} % of the time"
        ));
    }
    let mut report = Report {
        machine: account::machine(),
        programs: versions.join(", "),
        profile: profile(),
        pinned: arguments.pin,
        rows,
        idle,
        bounds: Vec::new(),
        disturbed: (!reasons.is_empty()).then(|| reasons.join("; ")),
    };
    report.bounds = bounds(&report, &alone);
    report
}

/// What was promised.
fn bounds(report: &Report, alone: &[f64]) -> Vec<Bound> {
    let cost = |name| report.row(name).map(Row::cost);
    let ratio = |one, other| Some(cost(one)? / cost(other)?);
    let mut bounds = Vec::new();
    let mut at_most = |what, is: Option<f64>, bound| {
        bounds.extend(is.map(|is| Bound::at_most(what, is, bound)));
    };
    at_most("signed-in ÷ bare pingora", ratio("signed-in", BARE), 1.10);
    at_most("signed-in ÷ stock pingora", ratio("signed-in", STOCK), 1.00);
    at_most("refused ÷ signed-in", ratio("refused", "signed-in"), 1.00);
    at_most("refused script ÷ signed-in", ratio("refused script", "signed-in"), 1.00);
    let each = |name| report.idle.iter().find(|idle| idle.name == name).map(|idle| idle.each);
    let idle = each("Doorward").zip(each(BARE)).map(|(ours, theirs)| ours / theirs);
    at_most("memory of an idle connection ÷ bare pingora's", idle, 0.50);
    if let Some(row) = report.row("sign-in") {
        let reached = row.per_second() * median(alone.iter().copied());
        bounds.push(Bound::at_least("sign-ins ÷ what Argon2 alone allows", reached, 0.90));
    }
    bounds
}

/// In which profile this was built, and whether it was guided by what counts: cargo names the folder
/// so, and `.ci/dist` the one around it.
fn profile() -> String {
    let program = Path::new(servers::DOORWARD);
    let folder = program.parent().and_then(Path::file_name);
    let profile = folder.map_or_else(|| "?".into(), |name| name.to_string_lossy());
    let guided = program.iter().any(|part| part == "guided");
    format!("{profile}{}", if guided { ", guided" } else { "" })
}

struct Bench<'a> {
    arguments: &'a Arguments,
    processor: Option<usize>,
    application: &'a Server,
    rows: Vec<Row>,
    /// In how many rounds others were busy, and the largest part of the time that they had.
    disturbed: (usize, f64),
    unsteady: Vec<String>,
}

impl Bench<'_> {
    fn is_wanted(&self, name: &str) -> bool {
        let only = &self.arguments.only;
        only.is_empty() || [BARE, STOCK].contains(&name) || only.iter().any(|one| one == name)
    }

    /// Measures all of them by turns, each by so many visitors who ask so many times in all.
    async fn rounds(
        &mut self,
        contenders: &[Contender<'_>],
        wire: Wire,
        body: Option<usize>,
        visitors: usize,
        times: usize,
    ) {
        let first = self.rows.len();
        let contenders: Vec<_> = contenders
            .iter()
            .filter(|one| self.is_wanted(one.name))
            .filter(|one| wire == Wire::Plain || one.server.tls.is_some())
            .collect();
        for one in &contenders {
            let body =
                body.filter(|_| one.ask.status == 200 && !one.ask.target.contains("doorward"));
            self.rows.push(Row { name: one.name, wire, body, rounds: Vec::new(), resident: 0 });
        }
        let rounds = usize::from(self.arguments.rounds);
        let progress = progress(contenders.len() * (rounds + 1));
        // What comes first is not counted: connections are made, caches are filled.
        for round in 0..=rounds {
            for (number, one) in contenders.iter().enumerate() {
                progress.set_message(format!("{wire:?}, {}", one.name));
                let asks = vec![one.ask.clone(); visitors];
                let (measured, resident) = self.round(one.server, wire, asks, times).await;
                if round > 0 {
                    let row = &mut self.rows[first + number];
                    row.rounds.push(measured);
                    row.resident = resident;
                }
                progress.inc(1);
            }
        }
        progress.finish_and_clear();
        for row in &self.rows[first..] {
            if row.spread() > UNSTEADY {
                let percent = row.spread() * 100.0;
                self.unsteady.push(format!("{} varied by {percent:.0} % between rounds", row.name));
            }
        }
    }

    async fn round(
        &mut self,
        server: &Server,
        wire: Wire,
        asks: Vec<Ask>,
        times: usize,
    ) -> (Round, u64) {
        let address = if wire == Wire::Plain { server.plain } else { server.tls.unwrap() };
        let mut visitors = Visitors::connect(address, wire, asks).await;
        let processes = server.processes();
        let mut ours = processes.clone();
        ours.extend(self.application.processes());
        ours.push(std::process::id());
        let began = Instant::now();
        let machine = account::Machine::now(self.processor);
        let (before, all) = (account::time(&processes), account::time(&ours));
        let answered = visitors.ask(times).await;
        let used = account::time(&processes) - before;
        let all = account::time(&ours) - all;
        let others = account::Machine::now(self.processor).disturbed_since(machine, all);
        let took = began.elapsed().as_secs_f64();
        // The system counts in hundredths of a second, so a round of less says nothing.
        if others > 0.05 && others > took * DISTURBED {
            let (times, most) = self.disturbed;
            self.disturbed = (times + 1, most.max(others / took));
        }
        let cost = used.nanos as f64 / 1000.0 / times as f64;
        let round = Round { cost, share_of_user: used.share_of_user(), answered };
        (round, account::resident(&processes))
    }

    /// Measures people who sign in, and by turns what hashing their passwords takes by itself, in
    /// seconds each.
    async fn sign_ins(&mut self, doorward: &Server, asks: &[Ask]) -> Vec<f64> {
        let progress = progress(usize::from(self.arguments.rounds));
        let mut row =
            Row { name: "sign-in", wire: Wire::Plain, body: None, rounds: Vec::new(), resident: 0 };
        let mut alone = Vec::new();
        for _ in 0..self.arguments.rounds {
            progress.set_message("sign-in");
            alone.push(hashed().as_secs_f64());
            let (round, resident) =
                self.round(doorward, Wire::Plain, asks.to_vec(), SIGNED_IN).await;
            row.rounds.push(round);
            row.resident = resident;
            progress.inc(1);
        }
        progress.finish_and_clear();
        self.rows.push(row);
        alone
    }
}

/// What idle connections hold, of each of these.
async fn idle_connections(servers: &[(&'static str, Server)], ask: &Ask) -> Vec<Idle> {
    let mut idle = Vec::new();
    for (name, server) in servers {
        idle.push(Idle { name, each: kept(server, ask).await });
    }
    idle
}

/// How long hashing a password takes where nothing else is done.
fn hashed() -> Duration {
    let argon = argon2::Argon2::default();
    let mut memory = vec![argon2::Block::default(); argon.params().block_count()];
    let mut out = [0; 32];
    let began = Instant::now();
    for number in 0..ALONE {
        argon
            .hash_password_into_with_memory(
                b"three wet umbrellas",
                &number.to_le_bytes().repeat(4),
                &mut out,
                &mut memory,
            )
            .unwrap();
    }
    began.elapsed() / ALONE
}

/// What each of many connections holds that has been answered and waits, in KiB.
async fn kept(server: &Server, ask: &Ask) -> f64 {
    let processes = server.processes();
    let settle = || tokio::time::sleep(Duration::from_millis(500));
    settle().await;
    let before = account::resident(&processes);
    let visitors = Visitors::connect(server.plain, Wire::Plain, vec![ask.clone(); KEPT]).await;
    settle().await;
    let with_them = account::resident(&processes);
    drop(visitors);
    with_them.saturating_sub(before) as f64 / KEPT as f64
}

fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}, {eta} left").unwrap());
    bar
}

const VISITORS: usize = 64;
const SIGNING_IN: usize = 8;
/// Sign-ins in a round, and hashes by themselves.
const SIGNED_IN: usize = 48;
const ALONE: u32 = 16;
const KEPT: usize = 4_000;
/// From where on a run is said to be disturbed: others had so much of the time; the rounds differ so.
const DISTURBED: f64 = 0.05;
const UNSTEADY: f64 = 0.05;

//! From a request to its verdict, in memory, for more and more rules.
//!
//! A decision must not cost more where there are more rules: each shape is measured for 10, 100, 1,000
//! and 10,000 of them, and said as a multiple of what ten cost.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a bench may")]

use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use doorward::domain::assurance::{Requirement, judge};
use doorward::domain::identity::{Identity, UserId};
use doorward::domain::time::Timestamp;
use doorward::policy::{Asker, Parameter, Policy, Request, Rule};

/// A shape: its name, rule number `n` of it, and the request that meets the last of `count`.
type Shape = (&'static str, fn(usize) -> Rule, fn(usize) -> String);

const SHAPES: [Shape; 7] = [
    ("/place-n/", |n| rule(&format!("/place-{n}/")), |count| format!("/place-{}/page", count - 1)),
    (
        "/**/place-n/",
        |n| rule(&format!("/**/place-{n}/")),
        |count| format!("/a/b/place-{}/page", count - 1),
    ),
    ("/*/place-n", |n| rule(&format!("/*/place-{n}")), |count| format!("/a/place-{}", count - 1)),
    ("networks", |n| Rule { networks: vec![network(n)], ..rule("/") }, |_| "/page".to_owned()),
    ("groups", |n| Rule { groups: [format!("group-{n}")].into(), ..rule("/") }, |_| "/page".into()),
    ("methods", |n| Rule { methods: [format!("M{n}")].into(), ..rule("/") }, |_| "/page".into()),
    (
        "query",
        |n| Rule { query: vec![parameter(n)], ..rule("/") },
        |count| format!("/page?p{}=1&page=2", count - 1),
    ),
];

fn rule(path: &str) -> Rule {
    Rule::new(vec![path.parse().unwrap()], Requirement::second_factor())
}

fn network(n: usize) -> ipnet::IpNet {
    let [.., a, b] = n.to_be_bytes();
    format!("10.{a}.{b}.0/24").parse().unwrap()
}

fn parameter(n: usize) -> Parameter {
    Parameter { name: format!("p{n}"), values: ["1".to_owned()].into() }
}

fn main() {
    // `cargo test --benches` only wants to know whether it runs.
    let spans = if std::env::args().any(|word| word == "--bench") { 20 } else { 1 };
    println!(
        "request → verdict, nanoseconds (median of {spans} runs), and as a multiple of ten rules"
    );
    println!("{:14} {:>12} {:>16} {:>16} {:>16}", "shape", "10", "100", "1,000", "10,000");
    for (name, rule, target) in SHAPES {
        let cost = |count: usize| {
            let policy = Policy::new((0..count).map(rule).collect(), Requirement::sign_in());
            let identity = Identity {
                user: UserId::from([1; 16]),
                name: "ada".to_owned(),
                written: "ada".to_owned(),
                full_name: None,
                email: None,
                groups: [format!("group-{}", count - 1)].into(),
            };
            let [.., a, b] = (count - 1).to_be_bytes();
            let address = Some(IpAddr::from([10, a, b, 7]));
            let asker = Asker { address, known: Some(&identity) };
            let target = target(count);
            let decide = || {
                let request = Request::read(black_box(target.as_bytes())).unwrap();
                let ruling = policy.requirement(&request, black_box(&asker));
                black_box(judge(&ruling.requirement, &None, Timestamp::from_secs(1)))
            };
            median(spans, decide)
        };
        let ten = cost(10);
        print!("{name:14} {ten:12.0}");
        for count in [100, 1_000, 10_000] {
            let cost = cost(count);
            print!(" {cost:9.0} ×{:4.2}", cost / ten);
        }
        println!();
    }
}

/// Nanoseconds of one call, the median of several runs.
#[allow(
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench reads the clock"
)]
fn median<T>(spans: usize, mut call: impl FnMut() -> T) -> f64 {
    let mut costs: Vec<f64> = (0..spans)
        .map(|_| {
            let (begun, mut calls) = (Instant::now(), 0_u32);
            while begun.elapsed() < Duration::from_millis(20) {
                for _ in 0..100 {
                    black_box(call());
                }
                calls += 100;
            }
            begun.elapsed().as_nanos() as f64 / f64::from(calls)
        })
        .collect();
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

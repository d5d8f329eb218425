//! Requests of ordinary applications: none is refused, and rules that protect an application's
//! administration leave the rest as open as it was.

use doorward::domain::assurance::{Level, Requirement};
use doorward::policy::{Asker, Policy, Request, Rule, Sent};

const PATHS: &str = include_str!("paths.txt");

/// An application, with the rules that protect it.
struct Application<'a> {
    name: &'a str,
    policy: Policy,
    requests: Vec<Sent<'a>>,
    /// For each request, what the rules ask of a stranger.
    asks: Vec<Level>,
}

#[test]
fn no_request_of_an_ordinary_application_is_refused() {
    for application in applications() {
        assert!(application.requests.len() >= 15, "{} has few requests", application.name);
        for sent in &application.requests {
            let read = Request::read_sent(sent);
            assert!(read.is_ok(), "{}, {}: {read:?}", application.name, shown(sent));
        }
    }
}

#[test]
fn rules_that_protect_an_administration_leave_the_rest_of_the_application_open() {
    let mut wrong = Vec::new();
    for application in applications() {
        for (sent, asks) in application.requests.iter().zip(&application.asks) {
            let request = Request::read_sent(sent).unwrap();
            let ruling = application.policy.requirement(&request, &Asker::default());
            if ruling.requirement.level != *asks {
                let asked = ruling.requirement.level;
                wrong.push(format!("{}, {}: {asked:?}", application.name, shown(sent)));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn applications() -> Vec<Application<'static>> {
    let sections = PATHS.split("\n[").skip(1);
    sections.map(application).collect()
}

fn application(section: &'static str) -> Application<'static> {
    let (name, lines) = section.split_once("]\n").unwrap();
    let mut rules = Vec::new();
    let (mut requests, mut asks) = (Vec::new(), Vec::new());
    let mut otherwise = Requirement::nothing();
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "nothing" => rules.push(rule(rest, Requirement::nothing())),
            "protect" => rules.push(rule(rest, Requirement::second_factor())),
            "otherwise" => otherwise = Requirement::second_factor(),
            "open" | "asks" => {
                let (method, target) = rest.split_once(' ').unwrap();
                requests.push(Sent { target: target.as_bytes(), method, overrides: &[] });
                asks.push(if word == "open" { Level::Nothing } else { Level::SecondFactor });
            }
            _ => panic!("{name}: {line}"),
        }
    }
    rules.retain(|rule| !rule.paths.is_empty());
    Application { name, policy: Policy::new(rules, otherwise), requests, asks }
}

fn rule(paths: &str, require: Requirement) -> Rule {
    Rule::new(paths.split_whitespace().map(|path| path.parse().unwrap()).collect(), require)
}

fn shown(sent: &Sent<'_>) -> String {
    format!("{} {}", sent.method, String::from_utf8_lossy(sent.target))
}

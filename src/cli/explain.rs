//! `doorward explain`: what a request requires, why, and the verdict.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};

use clap::Args;
use http::Method;
use serde_json::json;

use super::Access;
use super::api::{Details, Person, Whom, path};
use super::client::Client;
use super::failure::{Failure, unwritten};
use crate::config::{App, Config, Origin, Shown, TestVisitor};
use crate::domain::assurance::{Kinds, Verdict, Visitor, judge};
use crate::domain::demand::Since;
use crate::domain::factor::Kind;
use crate::domain::name::{Group, Name};
use crate::domain::time::Timestamp;
use crate::flow::admit::{Admission, decide, demand_behind};
use crate::flow::{self, trial};
use crate::policy::{Asker, Depth, OtherTarget, OwnPage, Request, Role, Ruling, Sent, Unreadable};

/// A request that nobody sends.
#[derive(Debug, Args)]
pub(super) struct Question {
    /// The URL of the request, as browsers see it
    #[arg(long)]
    url: String,
    /// The method
    #[arg(long, default_value = "GET", value_parser = method)]
    method: String,
    /// The address of the visitor
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))]
    from: IpAddr,
    /// The user who sends it; groups and factors are read from the running gateway or its store
    #[arg(long, value_name = "NAME")]
    user: Option<Name>,
    /// A group of the user, besides the stored ones; can be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<Group>,
    /// The path in the header `Destination`, for COPY and MOVE
    #[arg(long, value_name = "PATH")]
    destination: Option<String>,
    /// The header `Depth`: how far below its path the request reaches
    #[arg(long, value_name = "DEPTH", value_parser = ["0", "1", "infinity"])]
    depth: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Question {
    /// How far the request reaches besides its own path.
    fn reaching(&self, request: Request) -> Result<Request, Unreadable> {
        let depth = match self.depth.as_deref() {
            Some("0") => Depth::Zero,
            Some("1") => Depth::One,
            _ => Depth::Infinity,
        };
        let destination = self.destination.iter();
        let header = "Destination";
        let others: Vec<_> = destination
            .map(|path| OtherTarget {
                header,
                role: Role::Written,
                target: path.clone().into_bytes(),
            })
            .collect();
        request.reaching(depth, &others)
    }
}

/// What a running gateway, or the store, knows about the named user; `None` if none is named.
///
/// # Errors
/// Why nothing is known, for the operator.
pub(super) async fn stored(question: &Question, access: Access) -> Result<Option<Person>, String> {
    let Some(user) = &question.user else { return Ok(None) };
    let name = user.as_str().to_owned();
    let state = access.state.display().to_string();
    let mut client = Client::new(access);
    if !client.may_know_somebody() {
        return Err(format!("no gateway is running, and there is no store in {state}"));
    }
    let known = client.ask::<Details>(path::SHOW, &Whom { name }, &mut io::sink()).await;
    known.map(|details| Some(details.person)).map_err(|failure| failure.with_causes())
}

/// Prints the requirement and the verdict; `stored` is what is known about the user.
///
/// # Errors
/// If the URL belongs to no application.
pub(super) fn run(
    config: &Config,
    question: &Question,
    stored: &Result<Option<Person>, String>,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let unknown = stored.as_ref().err();
    let stored = stored.as_ref().ok().and_then(Option::as_ref);
    let (app, target) = destination(config, &question.url)?;
    let (target, method) = (target.as_str(), question.method.as_str());
    let sent = Sent { target: target.as_bytes(), method, overrides: &[] };
    let read = trial::read(app, &sent).and_then(|request| question.reaching(request));
    let request = match read {
        Ok(request) => request,
        Err(why) if question.json => {
            return print(out, &json!({ "refused": why.to_string() }));
        }
        Err(why) => {
            return writeln!(out, "{method} {target} is always refused: {why}").map_err(unwritten);
        }
    };
    if request.own_page() == OwnPage::Odd {
        let why = "it is an unusual spelling of the path of Doorward's own pages";
        if question.json {
            return print(out, &json!({ "refused": why }));
        }
        return writeln!(out, "{method} {target} is always refused: {why}").map_err(unwritten);
    }
    if let OwnPage::Page(_) = request.own_page() {
        let why = "no rule applies to it, and the application never gets this request";
        if question.json {
            return print(out, &json!({ "own_page": target, "why": why }));
        }
        let page = target.split('?').next().unwrap_or(target);
        return writeln!(out, "{page} is one of Doorward's own pages: {why}").map_err(unwritten);
    }
    let cases = cases(config, question, stored);
    let decided: Vec<(&str, Admission)> = cases
        .iter()
        .map(|(name, visitor)| {
            let evidence = trial::evidence(config, app, visitor.as_ref(), now);
            (name.as_str(), decide(app, &request, Some(question.from), evidence, now))
        })
        .collect();
    let explained = explained(config, app, &request, question, &cases, now);
    if question.json {
        let verdicts = decided.iter().map(|(name, admission)| {
            let Admission { verdict, ruling, evidence, .. } = admission;
            let decided = (verdict, ruling);
            json!({ "who": name, "verdict": verdict.name(),
                "rule": app.policy.name_of(ruling.raised_by),
                "demand": demand_behind(config, &Since::new(), app, decided, evidence.as_ref(), now),
                "header": ruling.raised_in,
                "watched": admission.watched.as_ref().map(|(verdict, _)| verdict.name()) })
        });
        let answer = json!({
            "app": app.name,
            "explanation": explained,
            "stored": stored.map(|person| json!({ "groups": person.groups,
                "has_second_factor": person.has_second_factor,
                "disabled_since": person.disabled_since })),
            "verdicts": verdicts.collect::<Vec<_>>(),
        });
        return print(out, &answer);
    }
    let Question { from, .. } = question;
    let said = || -> std::io::Result<()> {
        writeln!(out, "{method} {target} of {} from {from}", app.name)?;
        match (stored, &question.user) {
            (Some(person), _) => writeln!(out, "{}", told(person))?,
            (None, Some(user)) => writeln!(
                out,
                "user {} is not known{}; only the groups given with --group count",
                user.as_str(),
                unknown.map(|why| format!(": {why}")).unwrap_or_default()
            )?,
            (None, None) if question.groups.is_empty() => {
                writeln!(out, "for a user in no group; give --user or --group for another")?;
            }
            (None, None) => {}
        }
        writeln!(out, "\n{explained}")?;
        let width = decided.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, admission) in &decided {
            let by = |verdict: &Verdict, ruling: &Ruling| {
                let visitor = admission.evidence.as_ref();
                decided_by(config, app, (verdict, ruling), visitor, now)
            };
            let verdict = admission.verdict.name();
            let decided = by(&admission.verdict, &admission.ruling);
            write!(out, "{name:width$} {verdict:12} by {decided}")?;
            match &admission.watched {
                Some((watched, ruling)) => writeln!(
                    out,
                    "; observe mode: would be {} by {}",
                    watched.name(),
                    by(watched, ruling)
                )?,
                None => writeln!(out)?,
            }
        }
        Ok(())
    };
    let mut said = said;
    said().map_err(unwritten)
}

/// The explanation for a user who has shown everything or, if no user is named, for a stranger.
fn explained(
    config: &Config,
    app: &App,
    request: &Request,
    question: &Question,
    cases: &[(String, Option<TestVisitor>)],
    now: Timestamp,
) -> crate::policy::Explanation {
    let full = cases.last().and_then(|(_, visitor)| visitor.as_ref());
    let visitor = question.user.as_ref().and(full);
    let evidence = trial::evidence(config, app, visitor, now);
    let known = evidence.as_ref().and_then(Visitor::known);
    app.policy.explain(request, &Asker { address: Some(question.from), known })
}

/// The rule that decided, and the demand if that asks for more. If the rule is about a target that a
/// header names, also the header.
fn decided_by(
    config: &Config,
    app: &App,
    decided: (&Verdict, &Ruling),
    visitor: Option<&Visitor>,
    now: Timestamp,
) -> String {
    let by = flow::decided_by(config, &Since::new(), app, decided, visitor, now);
    let header = decided.1.raised_in.map(|header| format!(", for the target in `{header}`"));
    let own = if is_own_choice(decided, visitor, now) {
        ", because the user has two-factor on"
    } else {
        ""
    };
    by + &header.unwrap_or_default() + own
}

/// Whether the second factor is asked for only because the user has one.
fn is_own_choice(
    (verdict, ruling): (&Verdict, &Ruling),
    visitor: Option<&Visitor>,
    now: Timestamp,
) -> bool {
    let Some(visitor) = visitor.filter(|_| matches!(verdict, Verdict::Challenge)) else {
        return false;
    };
    let without = Visitor { has_second_factor: false, demanded: false, ..visitor.clone() };
    matches!(judge(&ruling.requirement, &Some(without), now), Verdict::Pass(_))
}

/// One line about a stored user.
fn told(person: &Person) -> String {
    let groups: Vec<&str> = person.groups.iter().map(String::as_str).collect();
    let groups = if groups.is_empty() { "no group".to_owned() } else { groups.join(", ") };
    let factor = if person.has_second_factor { "a second factor" } else { "no second factor" };
    let disabled = if person.disabled_since.is_some() { ", and is disabled" } else { "" };
    format!("{} is in {groups} and has {factor}{disabled}", person.name)
}

/// Everything that a user can have shown; for a stored user, only with the factors they have.
fn cases(
    config: &Config,
    question: &Question,
    stored: Option<&Person>,
) -> Vec<(String, Option<TestVisitor>)> {
    let user = question.user.as_ref().map_or("somebody", Name::as_str);
    let groups = question.groups.iter().map(|group| group.as_str().to_owned());
    let groups: BTreeSet<String> =
        groups.chain(stored.into_iter().flat_map(|person| person.groups.clone())).collect();
    let visitor = |has_second_factor, shown: &[Shown]| {
        Some(TestVisitor {
            user: user.to_owned(),
            groups: groups.clone(),
            has_second_factor,
            has: if has_second_factor { Kinds::ALL } else { Kinds::NONE },
            shown: shown.to_vec(),
        })
    };
    let password = Shown::Password;
    let with = |kinds: &[Kind]| {
        let shown = kinds.iter().map(|kind| Shown::Factor(*kind));
        visitor(true, &std::iter::once(password).chain(shown).collect::<Vec<_>>())
    };
    let (factors, others): (Vec<Kind>, Vec<Kind>) = Kind::all().partition(|kind| kind.is_factor());
    let mut all = vec![
        ("not signed in".to_owned(), None),
        ("signed in, without two-factor".to_owned(), visitor(false, &[password])),
        ("signed in, second factor not yet shown".to_owned(), visitor(true, &[password])),
        (
            "signed in on a trusted device".to_owned(),
            visitor(true, &[password, Shown::TrustedDevice]),
        ),
    ];
    // One kind of factor needs no line of its own.
    let each = factors.iter().filter(|_| factors.len() > 1).chain(&others);
    all.extend(each.map(|kind| (format!("signed in with {}", kind.a_name()), with(&[*kind]))));
    let has = stored.map(|person| person.has_second_factor);
    if config.providers.iter().any(|provider| !provider.trusted_amr.is_empty()) {
        let case = "signed in with a second factor at a provider";
        all.push((case.to_owned(), visitor(has.unwrap_or_default(), &[Shown::Provider])));
    }
    let every = if factors.len() > 1 { "every kind of" } else { "a" };
    all.push((format!("signed in with {every} second factor"), with(&factors)));
    let is_so = |visitor: &Option<TestVisitor>| {
        visitor
            .as_ref()
            .is_none_or(|visitor| has.is_none_or(|has| visitor.has_second_factor == has))
    };
    all.into_iter().filter(|(_, visitor)| is_so(visitor)).collect()
}

/// The application of a URL, and its path and query as typed.
fn destination<'a>(config: &'a Config, typed: &str) -> Result<(&'a App, String), Failure> {
    let hosts = || {
        let hosts = config.apps.iter().flat_map(|app| &app.hosts);
        hosts.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let parts = Origin::of_url(typed);
    let found = parts.and_then(|(origin, target)| Some((&**config.app_at(&origin)?, target)));
    found.ok_or_else(|| {
        Failure::new(format!("{typed} is not a URL of a configured application"))
            .cure(format!("configured hosts: {}", hosts()))
    })
}

/// A method, which must be a token (RFC 9110 §9.1).
fn method(typed: &str) -> Result<String, String> {
    let is_one = Method::from_bytes(typed.as_bytes()).is_ok();
    is_one.then(|| typed.to_ascii_uppercase()).ok_or_else(|| "it is not a method".to_owned())
}

fn print(out: &mut dyn Write, answer: &serde_json::Value) -> Result<(), Failure> {
    writeln!(out, "{answer:#}").map_err(unwritten)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
listen: [{ address: 127.0.0.1:1 }]
state: /nowhere
apps:
  - name: crm
    hosts: [crm.example.com]
    upstream: http://127.0.0.1:9
    rules:
      - { paths: [/pay/], require: { second_factor: { within: 5m } } }
      - { paths: [/key/], require: { second_factor: { kinds: [security-key] } } }
      - { paths: [/open/], require: sign-in }
";
    const PROVIDER: &str = "
providers:
  - name: idp
    issuer: https://id.example.com
    client_id: doorward
    client_secret_file: tests/config/provider.secret
";

    fn explains(more: &str, url: &str) -> String {
        explains_to(&[], more, url)
    }

    fn explains_to(groups: &[&str], more: &str, url: &str) -> String {
        let config = Config::read("test.yaml", &format!("{CONFIG}{more}")).unwrap();
        let question = Question {
            url: url.to_owned(),
            method: "GET".to_owned(),
            from: IpAddr::V4(Ipv4Addr::LOCALHOST),
            user: None,
            groups: groups.iter().map(|group| Group::parse(group).unwrap()).collect(),
            destination: None,
            depth: None,
            json: false,
        };
        let mut out = Vec::new();
        let now = Timestamp::from_secs(1_000_000);
        assert!(run(&config, &question, &Ok(None), now, &mut out).is_ok());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_url_is_read_as_a_browser_sends_it() {
        for (typed, sent) in [
            ("https://crm.example.com/x?do=admin#f", "GET /x?do=admin of crm"),
            ("https://crm.example.com?do=admin", "GET /?do=admin of crm"),
            ("https://crm.example.com#/x", "GET / of crm"),
            ("https://crm.example.com", "GET / of crm"),
        ] {
            let told = explains("", typed);
            assert!(told.contains(sent), "{typed}: {told}");
        }
        for odd in ["/%2edoorward/x", "//.doorward/", "/.doorward//x"] {
            let told = explains("", &format!("https://crm.example.com{odd}"));
            assert!(told.starts_with(&format!("GET {odd} is always refused: ")), "{told}");
        }
        assert!(["", "GE T", "GET/"].iter().all(|typed| method(typed).is_err()));
        assert_eq!(method("propfind"), Ok("PROPFIND".to_owned()));
    }

    #[test]
    fn a_demand_is_named_where_it_asks_for_more_than_the_rule() {
        let by = |groups: &[&str], demand: &str, path: &str| {
            let more = format!("second_factor: {{ demanded_of: {{ {demand} }} }}\n");
            let told = explains_to(groups, &more, &format!("https://crm.example.com{path}"));
            let line = told.lines().find(|line| line.starts_with("signed in, without two-factor "));
            line.unwrap().split_once("two-factor ").unwrap().1.trim().to_owned()
        };
        let open = "by rule 3 (line 11: /open/)";
        for (demand, named) in [
            ("everyone: true, groups: [staff]", "everyone"),
            ("groups: [staff]", "group staff"),
            ("users: [somebody]", "user somebody"),
            ("apps: [crm]", "app crm"),
        ] {
            let expected = format!("set-up       {open} and second_factor.demanded_of ({named})");
            assert_eq!(by(&["staff"], demand, "/open/"), expected);
        }
        let staff = "groups: [staff]";
        assert_eq!(by(&[], staff, "/open/"), format!("pass         {open}"));
        assert_eq!(by(&["staff"], staff, "/pay/"), "set-up       by rule 1 (line 9: /pay/)");
    }

    #[test]
    fn for_whom_the_decisions_are_is_said_if_nobody_is_named() {
        let says = "\nfor a user in no group; give --user or --group for another\n";
        assert!(explains("", "https://crm.example.com/").contains(says));
        let told = explains_to(&["staff"], "", "https://crm.example.com/");
        assert!(!told.contains("in no group"), "{told}");
    }

    #[test]
    fn the_second_factor_of_a_provider_is_a_case_where_one_is_trusted() {
        let trusting = format!("{PROVIDER}    trusts: {{ amr: [mfa] }}\n");
        let verdict_at = |more: &str, path: &str| {
            let told = explains(more, &format!("https://crm.example.com{path}"));
            let line = told.lines().find(|line| line.contains("at a provider"))?;
            line.split("provider").nth(1)?.split_whitespace().next().map(str::to_owned)
        };
        for (path, verdict) in [("/", "pass"), ("/pay/", "set-up"), ("/key/", "set-up")] {
            assert_eq!(verdict_at(&trusting, path).as_deref(), Some(verdict), "{path}");
        }
        for other in ["", PROVIDER] {
            assert_eq!(verdict_at(other, "/"), None);
        }
    }
}

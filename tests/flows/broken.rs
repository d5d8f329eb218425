//! Something on our side is broken: for each kind, what operators find in the log and in the metrics,
//! and what the visitor is told, which is the same for all.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward::domain::device::BrowserId;
use doorward::flow::deliver::{Came, deliver};
use doorward::flow::{Clock, Env};
use doorward::identity::{Broken, Full, Hashing, Place, Work, Worker};
use doorward::messages::Smtp;
use doorward::store::Records;
use doorward::store::memory::Memory;
use doorward::unavailable::Kind;
use http::StatusCode;

use super::log::Log;
use crate::support::away::Away;
use crate::support::gate::{Gate, PASSWORD, mails};

/// One kind of error: how it comes about, and the words by which an operator finds it.
struct Case {
    kind: Kind,
    breaks: fn(&mut Gate, &Away),
    line: &'static str,
    why: &'static str,
}

const CASES: [Case; 6] = [
    Case {
        kind: Kind::Store,
        breaks: |_, away| away.goes(),
        line: "cannot serve a page: the store is unavailable",
        why: "away, as the test says",
    },
    Case {
        kind: Kind::Damage,
        breaks: |_, away| away.is_damaged(),
        line: "cannot serve a page: the store is damaged",
        why: "a page of no kind",
    },
    Case {
        kind: Kind::Record,
        breaks: |_, away| away.is_garbled(),
        line: "cannot serve a page: a record of the store cannot be read",
        why: "which this version of doorward does not support",
    },
    Case {
        kind: Kind::Clock,
        breaks: |gate, _| gate.is_put_back(Duration::from_mins(6)),
        line: "request refused: the system clock went back",
        why: "more than five minutes behind",
    },
    Case {
        kind: Kind::Hashing,
        breaks: |gate, _| hashes_with(gate, Hashes::Never),
        line: "cannot serve a page: password hashing failed",
        why: "out of memory",
    },
    Case {
        kind: Kind::Panic,
        breaks: |gate, _| hashes_with(gate, Hashes::Panics),
        line: "cannot serve a page: a task panicked",
        why: "no such thread",
    },
];

#[tokio::test]
async fn each_kind_of_error_has_its_line_and_its_count_and_all_have_the_same_page() {
    for Case { kind, breaks, line, why } in CASES {
        let away = Arc::new(Away::over(Arc::new(Memory::new())));
        let mut gate = Gate::over(Arc::clone(&away) as Arc<dyn Records>);
        gate.knows("ada").await;
        let mut browser = gate.browser();
        browser.opens("/.doorward/sign-in").await;
        let csrf = browser.field("csrf").unwrap();
        let fields = [("csrf", csrf.as_str()), ("username", "ada"), ("password", PASSWORD)];
        breaks(&mut gate, &away);
        browser.goes_to(&gate);
        let (log, _guard) = Log::start();

        browser.posts("/.doorward/sign-in", &fields).await;
        assert_eq!(browser.status, StatusCode::SERVICE_UNAVAILABLE, "{kind}");
        assert!(browser.page.contains("Please try again in a moment"), "{kind}: {}", browser.page);
        assert!(browser.headers.contains_key("retry-after"), "{kind}");
        let is_told = |page: &str| page.contains(why) || page.contains(&kind.to_string());
        assert!(!is_told(&browser.page), "{kind}: {}", browser.page);
        let lines = log.lines_about(line);
        assert!(lines.len() == 1 && lines[0].contains("ERROR"), "{kind}: {lines:?}");
        assert!(lines[0].contains(why) && lines[0].contains(kind.help()), "{kind}: {lines:?}");
        assert_eq!(counted(&gate, kind), 1, "{kind}");

        browser.posts_as_a_script("/.doorward/sign-in", &fields).await;
        assert_eq!(browser.status, StatusCode::SERVICE_UNAVAILABLE, "{kind}");
        let said: serde_json::Value = serde_json::from_str(&browser.page).unwrap();
        assert_eq!(said["error"], "unavailable", "{kind}");
        assert!(!is_told(&browser.page), "{kind}: {}", browser.page);
        assert_eq!(counted(&gate, kind), 2, "{kind}");
        let others = Kind::ALL.into_iter().filter(|other| *other != kind);
        assert_eq!(others.map(|other| counted(&gate, other)).sum::<u64>(), 0, "{kind}");
    }
}

#[tokio::test]
async fn a_panic_on_a_page_that_is_only_read_ends_no_more_than_its_request() {
    let mut gate = Gate::new();
    let mut browser = gate.browser();
    let clock = Clock::new(|| panic!("the clock fell off the wall"));
    gate.changes(|env| Env { clock: Arc::new(clock), ..env });
    browser.goes_to(&gate);
    let (log, _guard) = Log::start();
    browser.opens("/.doorward/sign-in").await;
    assert_eq!(browser.status, StatusCode::SERVICE_UNAVAILABLE);
    let lines = log.lines_about("cannot serve a page: a task panicked");
    assert!(lines[0].contains("the clock fell off the wall"), "{lines:?}");
    assert_eq!(counted(&gate, Kind::Panic), 1);
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_told_to_operators_and_visitors_wait_for_the_mail() {
    let gate = mails();
    gate.knows("ada").await;
    let (log, _guard) = Log::start();
    let mut browser = gate.browser();
    browser.opens("/.doorward/forgot").await;
    browser.sends(&[("email", "ada@example.com")]).await;
    assert_eq!(browser.status, StatusCode::OK, "{}", browser.page);
    gate.settles().await;
    let smtp = Smtp::of(&gate.env.config).unwrap().unwrap();
    assert_eq!(deliver(&gate.env, &smtp).await.unwrap(), Came::Away);
    let lines = log.lines_about("e-mail not delivered, retrying later: mail cannot be sent");
    assert!(lines.len() == 1 && lines[0].contains("Connection refused"), "{lines:?}");
    assert_eq!(counted(&gate, Kind::Mail), 1);
}

/// How many errors of this kind the metrics show.
fn counted(gate: &Gate, kind: Kind) -> u64 {
    let text = gate.env.metrics.text();
    let begin = format!("doorward_unavailable_total{{kind=\"{}\"}} ", kind.name());
    let line = text.lines().find_map(|line| line.strip_prefix(&begin));
    line.unwrap_or_else(|| panic!("{begin}: {text}")).parse().unwrap()
}

/// Hashing that does not work.
#[derive(Clone, Copy)]
enum Hashes {
    Never,
    Panics,
}

fn hashes_with(gate: &mut Gate, hashing: Hashes) {
    gate.changes(|env| Env { hashing: Arc::new(hashing), ..env });
}

impl Hashing for Hashes {
    fn place(&self, _: IpAddr, _: Option<BrowserId>) -> Result<Place, Full> {
        match self {
            Self::Never => Ok(Place::new(*self)),
            Self::Panics => panic!("no such thread"),
        }
    }
}

impl Worker for Hashes {
    fn begin(self: Box<Self>, work: Work) {
        let Work::Verify { answer, .. } = work else { return };
        answer.send(Err(Broken("out of memory"))).ok();
    }
}

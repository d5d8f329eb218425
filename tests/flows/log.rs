//! What operators find in the log.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use doorward::flow::ClientAddress;
use http::Method;
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::gate::{Gate, PASSWORD};

/// What was logged on this thread since it was made, at level debug.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// While there is one subscriber alone, whoever comes first to a place in the code that logs is asked for
/// all threads whether anybody listens (tracing-core, `Dispatchers::rebuilder`): mostly another test, which
/// does not.
static ANOTHER: OnceLock<Dispatch> = OnceLock::new();

impl Log {
    pub(crate) fn start() -> (Self, DefaultGuard) {
        ANOTHER.get_or_init(|| Dispatch::new(NoSubscriber::new()));
        let log = Self::default();
        let lines = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(log.clone());
        let guard = tracing::subscriber::set_default(lines.finish());
        (log, guard)
    }

    pub(crate) fn lines_about(&self, what: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn an_event_is_told_in_words_with_the_name_of_whom_it_is_about() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let (log, _guard) = Log::start();
    gate.browser().signs_in_with("ada", "not the password").await;
    let lines = log.lines_about("password-refused");
    assert!(lines[0].contains("wrong password"), "{lines:?}");
    assert!(lines[0].contains("name=\"ada\""), "{lines:?}");

    gate.browser().signs_in_with("not the password", PASSWORD).await;
    let lines = log.lines_about("unknown_name");
    assert!(!lines.is_empty() && !lines[0].contains("not the password"), "{lines:?}");
}

#[tokio::test]
async fn a_refused_form_says_what_gave_it_away_and_a_flood_is_one_line() {
    let gate = Gate::new();
    let (log, _guard) = Log::start();
    let mut browser = gate.browser();
    let form = ("content-type", "application/x-www-form-urlencoded");
    for _ in 0..3 {
        let from = [form, ("origin", "https://evil.example")];
        browser.requests(Method::POST, "/.doorward/sign-in", &from, "".into()).await;
    }
    gate.waits_for_the_next_code();
    browser.posts("/.doorward/sign-in", &[("csrf", "old")]).await;
    gate.waits_for_the_next_code();
    browser.requests(Method::POST, "/.doorward/sign-in", &[form], "".into()).await;
    let lines = log.lines_about("form refused: CSRF check failed");
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[2].contains("reason=\"Origin is missing\""), "{lines:?}");
    assert!(lines[0].contains("reason=\"Origin\""), "{lines:?}");
    assert!(lines[0].contains("https://evil.example"), "{lines:?}");
    assert!(lines[1].contains("reason=\"csrf\"") && lines[1].contains("left_out=2"), "{lines:?}");
}

#[tokio::test]
async fn a_secret_in_a_path_of_the_application_is_not_logged() {
    let gate = Gate::new();
    let (log, _guard) = Log::start();
    gate.browser().opens("/reset/0a1b2c").await;
    let lines = log.lines_about("authentication required");
    assert!(lines[0].contains("path=\"/reset/…\""), "{lines:?}");
    assert!(log.lines_about("0a1b2c").is_empty());
}

#[tokio::test]
async fn text_of_a_visitor_that_is_cut_ends_with_a_mark() {
    let gate = Gate::new();
    let (log, _guard) = Log::start();
    let origin = format!("https://{}.example", "a".repeat(80));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let from = [form, ("origin", origin.as_str())];
    gate.browser().requests(Method::POST, "/.doorward/sign-in", &from, "".into()).await;
    let lines = log.lines_about("form refused: CSRF check failed");
    let begins = &origin[..80];
    assert!(lines[0].contains(&format!("origin=\"{begins}…\"")), "{lines:?}");
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_named_beside_the_one_expected() {
    let gate = Gate::new();
    let (log, _guard) = Log::start();
    let mut headers = http::HeaderMap::new();
    headers.insert("host", "10.0.0.7:8080".parse().unwrap());
    let address = gate.browser().address;
    gate.web.misdirected(&headers, ClientAddress { peer: address, visitor: Some(address) }).await;
    let lines = log.lines_about("wrong host");
    assert!(lines[0].contains("host=\"10.0.0.7:8080\""), "{lines:?}");
    assert!(lines[0].contains("expected="), "{lines:?}");
}

//! What operators type, against a running gateway, through its real socket.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[expect(dead_code, reason = "operators need few of a browser's means")]
#[path = "support/gate.rs"]
mod gate;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use doorward::cli;
use doorward::cli::admin::Admin;
use doorward::domain::event::What;
use doorward::domain::name::Login;
use gate::{CONFIG, Gate, PASSWORD};
use http::StatusCode;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A gateway that operators can reach, and the configuration that leads to it.
struct Office {
    gate: Gate,
    home: TempDir,
    desk: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// What a command came to.
#[derive(Debug)]
struct Said {
    done: bool,
    out: String,
    notes: String,
}

impl Office {
    fn closed() -> Self {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().display().to_string();
        fs::write(home.path().join("doorward.yaml"), CONFIG.replace("/nowhere", &state)).unwrap();
        Self { gate: Gate::new(), home, desk: None }
    }

    fn open() -> Self {
        let mut office = Self::closed();
        let admin = Admin::bind(office.home.path()).unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let env = Arc::clone(&office.gate.env);
        let serving = tokio::spawn(async move {
            admin.serve(env, async { drop(ended.await) }).await.unwrap();
        });
        office.desk = Some((end, serving));
        office
    }

    async fn closes(&mut self) {
        let (end, serving) = self.desk.take().unwrap();
        end.send(()).unwrap();
        serving.await.unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.home.path().join("socket")
    }

    /// Types `doorward --config … user …`.
    async fn types(&self, words: &[&str]) -> Said {
        let config = self.home.path().join("doorward.yaml").display().to_string();
        let line =
            ["doorward", "--config", &config, "user"].into_iter().chain(words.iter().copied());
        let line: Vec<_> = line.map(Into::into).collect();
        tokio::task::spawn_blocking(move || {
            let (mut out, mut notes) = (Vec::new(), Vec::new());
            let code = cli::run(line, &mut out, &mut notes);
            let text = |bytes| String::from_utf8(bytes).unwrap();
            let done = format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS);
            Said { done, out: text(out), notes: text(notes) }
        })
        .await
        .unwrap()
    }

    async fn happened(&self) -> Vec<What> {
        let events = self.gate.env.store.events(100).await.unwrap();
        assert!(events.iter().all(|event| event.by.is_some()), "{events:?}");
        events.iter().map(|event| event.what).collect()
    }
}

const ADA: [&str; 8] =
    ["add", "ada", "--email", "Ada@Example.com", "--name", "Ada Lovelace", "--group", "staff"];

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_added_and_sets_a_password_by_the_link_that_is_printed() {
    let office = Office::open();
    let said = office.types(&ADA).await;
    assert!(said.done, "{said:?}");
    let link = said.out.strip_prefix("https://crm.example.com").unwrap().trim_end();
    assert!(said.notes.contains("Give this link to ada: it sets a password, once, until"));

    let mut browser = office.gate.browser();
    browser.opens(link).await;
    browser.sends(&[("password", PASSWORD)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    assert_eq!(browser.visits("/").await.passed, Some(Some("ada".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_do_is_told_with_their_name() {
    let office = Office::open();
    office.types(&ADA).await;
    office.types(&["unlock", "ada"]).await;
    office.types(&["passwd", "ada"]).await;
    let mut happened = office.happened().await;
    happened.sort_by_key(|what| what.name());
    assert_eq!(happened, [What::LinkMade, What::LinkMade, What::Unlocked, What::UserAdded]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_given_once_in_whatever_spelling() {
    let office = Office::open();
    office.types(&ADA).await;
    let again = office.types(&["add", "ADA"]).await;
    assert!(!again.done);
    assert_eq!(again.notes, "doorward: somebody signs in as ada already; nobody was added\n");
    let mail = office.types(&["add", "eve", "--email", "ADA@example.com"]).await;
    assert_eq!(
        mail.notes,
        "doorward: somebody signs in as ADA@example.com already; nobody was added\n"
    );
    let named_so = office.types(&["add", "ada@example.com"]).await;
    assert!(!named_so.done, "a name may not be somebody's address");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_listed() {
    let office = Office::open();
    assert!(office.types(&["list"]).await.out.starts_with("There is nobody yet."));
    office.types(&ADA).await;
    office.types(&["add", "bob"]).await;
    insta::assert_snapshot!("list", office.types(&["list"]).await.out);
    insta::assert_snapshot!("list_json", office.types(&["list", "--json"]).await.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn unlock_lets_somebody_try_at_once() {
    let office = Office::open();
    office.types(&ADA).await;
    let ada = office.gate.env.store.user_named(&Login::typed("ada")).await.unwrap().unwrap();
    let failures =
        async || office.gate.env.store.user(ada).await.unwrap().unwrap().user.most_failures().0;
    for _ in 0..5 {
        office.gate.browser().signs_in_with("ada", "wrong").await;
    }
    assert_eq!(failures().await, 5);
    let said = office.types(&["unlock", "ada@example.com"]).await;
    assert_eq!(said.out, "ada can try again at once.\n");
    assert_eq!(failures().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_be_let_in_who_is_not_there() {
    let office = Office::open();
    for deed in ["unlock", "passwd"] {
        let said = office.types(&[deed, "nobody"]).await;
        assert!(!said.done);
        assert_eq!(
            (said.out.as_str(), said.notes.as_str()),
            ("", "doorward: nobody signs in as nobody\n")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_gateway_a_command_says_so() {
    let mut office = Office::closed();
    let said = office.types(&["list"]).await;
    assert!(!said.done);
    assert!(said.notes.starts_with("doorward: no gateway is running with the state directory /"));
    assert!(
        said.notes.ends_with("\n  start one with `doorward serve`, then run this command again\n")
    );

    office = Office::open();
    assert!(office.types(&["list"]).await.done);
    office.closes().await;
    assert!(!office.socket().exists());
    assert!(office.types(&["list"]).await.notes.contains("no gateway is running"));
}

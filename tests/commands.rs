//! What operators type, against a running gateway, through its real socket.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::support::gate::{CONFIG, Gate, PASSWORD};
use doorward::cli;
use doorward::cli::admin::Admin;
use doorward::cli::reload::Live;
use doorward::domain::event::What;
use doorward::domain::name::Login;
use doorward::store::memory::Memory;
use http::StatusCode;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A gateway that operators can reach, and the configuration that leads to it.
struct Office {
    gate: Gate,
    home: TempDir,
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
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
        Self::around(Gate::new())
    }

    fn around(gate: Gate) -> Self {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().display().to_string();
        fs::write(home.path().join("doorward.yaml"), CONFIG.replace("/nowhere", &state)).unwrap();
        Self { gate, home, serving: None }
    }

    fn open() -> Self {
        Self::closed().opens()
    }

    fn opens(self) -> Self {
        let mut office = self;
        let admin = Admin::bind(office.home.path()).unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let env = Arc::clone(&office.gate.env);
        let serving = tokio::spawn(async move {
            let live = Arc::new(Live::start(env).await.unwrap());
            admin.serve(live, async { drop(ended.await) }).await.unwrap();
        });
        office.serving = Some((end, serving));
        office
    }

    async fn closes(&mut self) {
        let (end, serving) = self.serving.take().unwrap();
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
    assert!(
        said.notes
            .contains("Give this link to ada. It sets a password, works once, and expires at")
    );

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
    assert_eq!(
        again.notes,
        "doorward: ADA is already the name or e-mail address of a user; nobody was added\n"
    );
    let mail = office.types(&["add", "eve", "--email", "ADA@example.com"]).await;
    assert_eq!(
        mail.notes,
        "doorward: ADA@example.com is already the name or e-mail address of a user; \
         nobody was added\n"
    );
    let named_so = office.types(&["add", "ada@example.com"]).await;
    assert!(!named_so.done, "a name may not be somebody's address");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_listed() {
    let office = Office::open();
    assert!(office.types(&["list"]).await.out.starts_with("There are no users yet."));
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
    assert_eq!(said.out, "ada can try again now.\n");
    assert_eq!(failures().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_be_let_in_who_is_not_there() {
    let office = Office::open();
    for operation in ["unlock", "passwd"] {
        let said = office.types(&[operation, "nobody"]).await;
        assert!(!said.done);
        assert_eq!(
            (said.out.as_str(), said.notes.as_str()),
            ("", "doorward: no user with the name or e-mail address nobody\n")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_was_ever_added_a_command_says_so_and_makes_nothing() {
    let office = Office::closed();
    for words in [&["list"][..], &["show", "ada"], &["remove", "ada", "--yes"]] {
        let said = office.types(words).await;
        assert!(!said.done);
        assert!(
            said.notes.starts_with("doorward: no gateway is running, and there is no store in /"),
            "{said:?}"
        );
        assert!(said.notes.contains("`doorward user add NAME`"), "{said:?}");
    }
    let left: Vec<_> = fs::read_dir(office.home.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "the configuration: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_goes_with_the_gateway() {
    let mut office = Office::open();
    assert!(office.types(&["list"]).await.done);
    office.closes().await;
    assert!(!office.socket().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_shown_with_everything_that_operators_may_know() {
    let office = Office::open();
    office.gate.protects("ada").await;
    office.gate.browser().signs_in_with("ada", "wrong").await;
    let said = office.types(&["show", "ADA@example.com"]).await;
    let (facts, happened) = said.out.split_once("Recent events (UTC):\n").unwrap();
    insta::assert_snapshot!("show", facts);
    let last = "  2027-01-15T08:00:30Z  wrong password, from 198.51.0.";
    assert!(happened.starts_with(last), "{happened}");
    let shown: serde_json::Value =
        serde_json::from_str(&office.types(&["show", "ada", "--json"]).await.out).unwrap();
    assert_eq!(shown["recovery_codes"]["left"], 12);
    assert_eq!(shown["known_browsers"], 2);
    assert_eq!(shown["failures"][0]["password"]["failures"], 1);
    assert_eq!(shown["events"].as_array().unwrap().len(), 7);
    assert_eq!(shown["events"][0]["what"], "password-refused", "the newest first");
    assert!(shown["events"][0]["from"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_disabled_hears_of_it_nowhere_and_is_enabled_again() {
    let office = Office::open();
    office.gate.knows("ada").await;
    assert!(
        office
            .types(&["disable", "ada"])
            .await
            .out
            .starts_with("ada is disabled and cannot sign in.")
    );
    let again = office.types(&["disable", "ada"]).await;
    assert!(again.done, "what is so already is no failure");
    assert_eq!(again.out, "ada was already disabled.\n");
    assert!(office.types(&["list"]).await.out.contains("disabled"));

    let link = office.types(&["passwd", "ada"]).await;
    assert!(!link.done && link.notes.contains("doorward user enable ada"), "{link:?}");
    assert!(office.types(&["enable", "ada"]).await.out.starts_with("ada is enabled again"));
    assert!(office.types(&["passwd", "ada"]).await.done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_says_what_the_person_has_to_do() {
    let office = Office::open();
    office.gate.protects("ada").await;
    let said = office.types(&["reset-2fa", "ada"]).await;
    insta::assert_snapshot!("reset_2fa", said.out);
    let again = office.types(&["reset-2fa", "ada"]).await;
    assert_eq!(again.out, "ada has no second factor. Nothing was changed.\n");
    let told = office.types(&["show", "ada", "--json"]).await.out;
    assert_eq!(told.matches("two-factor-reset").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_address_and_groups_are_changed() {
    let office = Office::open();
    office.types(&ADA).await;
    office.types(&["add", "bob", "--email", "bob@example.com"]).await;
    let change = ["set", "ada", "--email", "ada@example.org", "--add-group", "crm", "--no-name"];
    let said = office.types(&[&change[..], &["--remove-group", "staff", "--json"]].concat()).await;
    let ada: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(ada["email"], "ada@example.org");
    assert_eq!(ada["full_name"], serde_json::Value::Null);
    assert_eq!(ada["groups"], serde_json::json!(["crm"]));
    assert!(office.types(&["show", "ada@example.org"]).await.done, "the new address leads there");
    assert!(!office.types(&["show", "ada@example.com"]).await.done, "the old one does not");

    let taken = office.types(&["set", "bob", "--email", "ADA@example.org"]).await;
    assert_eq!(
        taken.notes,
        "doorward: ADA@example.org is already the name or e-mail address of another user; \
         nothing was changed\n"
    );
    assert!(office.types(&["show", "bob@example.com"]).await.done);
    assert!(office.types(&["set", "bob", "--email", "ada@example.com"]).await.done, "it is free");
    assert!(!office.types(&["set", "bob"]).await.done, "something must be changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_there_is_not_is_explained() {
    let office = Office::open();
    office.types(&ADA).await;
    for (origin, why) in [
        ("idp:7", "no provider is called `idp` (configured: none)"),
        (
            "google",
            "`google` is not a valid origin: write `local` or PROVIDER:SUBJECT, such as \
             `google:110169484474386276334`",
        ),
    ] {
        let said = office.types(&["set", "ada", "--origin", origin]).await;
        assert_eq!(said.notes, format!("doorward: {why}; nothing was changed\n"));
    }
    assert!(office.types(&["set", "ada", "--origin", "local"]).await.done);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_moved_to_an_account_or_given_an_address_of_another_user() {
    let config = format!(
        "{CONFIG}
providers:
  - name: idp
    label: Example ID
    issuer: https://idp.example.com
    client_id: doorward
    client_secret_file: tests/config/provider.secret
"
    );
    let office = Office::around(Gate::configured(&config, Arc::new(Memory::new()))).opens();
    office.types(&ADA).await;
    assert!(office.types(&["add", "bob", "--provider", "idp:7"]).await.done);
    assert!(office.types(&["add", "eve", "--provider", "idp:8"]).await.done);
    let account = "the account idp:7 already belongs to another user; nothing was changed. `doorward \
                   user show NAME` lists a user's accounts";
    let address = "ada@example.com is already the name or e-mail address of another user; nothing \
                   was changed";
    for (changes, why) in [
        (&["--origin", "idp:7"][..], account),
        (&["--origin", "idp:7", "--email", "eve@example.com"], account),
        (&["--origin", "idp:9", "--email", "ada@example.com"], address),
        (&["--origin", "idp:8", "--email", "ada@example.com"], address),
    ] {
        let said = office.types(&[&["set", "eve"], changes].concat()).await;
        assert_eq!(said.notes, format!("doorward: {why}\n"), "{changes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_are_not_ready_are_listed() {
    let office = Office::open();
    office.gate.protects("ada").await;
    office.types(&["add", "bob", "--group", "staff"]).await;
    office.types(&["add", "eve", "--group", "crm"]).await;
    let names = async |words: &[&str]| {
        let said = office.types(&[&["list", "--json"], words].concat()).await;
        let all: Vec<serde_json::Value> = serde_json::from_str(&said.out).unwrap();
        all.iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&["--without-second-factor"]).await, "bob eve");
    assert_eq!(names(&["--group", "staff"]).await, "ada bob");
    assert_eq!(names(&["--group", "staff", "--group", "crm"]).await, "ada bob eve");
    assert_eq!(names(&["--group", "staff", "--without-second-factor"]).await, "bob");
    let nobody = office.types(&["list", "--group", "Staff"]).await;
    assert_eq!(nobody.out, "No user matches.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_removed_leaves_the_name_free() {
    let office = Office::open();
    office.types(&ADA).await;
    assert_eq!(office.types(&["remove", "ada", "--yes"]).await.out, "ada was removed.\n");
    assert!(!office.types(&["remove", "ada", "--yes"]).await.done);
    assert!(office.types(&ADA).await.done, "name and address can be given again");
}

impl Office {
    /// Takes people over from a file of this name and content.
    async fn imports(&self, name: &str, text: &str, words: &[&str]) -> Said {
        let file = self.home.path().join(name);
        fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        let mut said = self.types(&[&["import", &file], words].concat()).await;
        said.out = said.out.replace(&file, name);
        said
    }
}

const HTPASSWD: &str = "\
ada:$2y$05$0123456789abcdefghijkOVADbYVm/zyFr2QSUJsHa7tpbXnXIIPu
bob:$apr1$saltsalt$wcCrwJ/vlWbVlRUm2Aa0l1
";

#[tokio::test(flavor = "multi_thread")]
async fn passwords_taken_over_work_on_and_are_kept_anew_at_the_first_sign_in() {
    let office = Office::open();
    let said = office.imports(".htpasswd", HTPASSWD, &["--group", "staff"]).await;
    assert!(said.done, "{said:?}");
    assert_eq!(said.out, "2 users added.\n");
    assert_eq!(said.notes, "2 of 2 done\n");
    let told = async || office.types(&["show", "ada"]).await.out;
    assert!(told().await.contains("imported (bcrypt)"));
    assert!(told().await.contains("staff"));

    let mut ada = office.gate.browser();
    assert_eq!(ada.signs_in_with("ada", "wrong").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(told().await.contains("imported (bcrypt)"), "a wrong password changes nothing");
    for _ in 0..2 {
        let mut ada = office.gate.browser();
        ada.signs_in("ada").await;
        assert_eq!(ada.status, StatusCode::SEE_OTHER, "{}", ada.page);
        assert!(!told().await.contains("imported"), "{}", told().await);
    }
    assert_eq!(office.gate.browser().signs_in("bob").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_added_while_a_line_is_wrong() {
    let office = Office::open();
    office.types(&["add", "ada", "--email", "mail@example.com"]).await;
    let text = "name,e-mail\nada,\nbob,Mail@example.com\nmail@example.com,\na b,\neve,\n";
    let said = office.imports("people.csv", text, &[]).await;
    assert!(!said.done);
    insta::assert_snapshot!("import_problems", said.out);
    assert_eq!(said.notes, "doorward: the file has 5 problems; nobody was added\n");
    let json = office.imports("people.csv", text, &["--json", "--skip-existing"]).await;
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["valid"], false);
    assert_eq!(json["problems"].as_array().unwrap().len(), 4, "ada may be there");
    assert!(!office.types(&["show", "eve"]).await.done);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_a_table_get_links_and_an_import_can_be_run_again() {
    let office = Office::open();
    let text = "groups,name,full name\nstaff;crm,ada,Ada Lovelace\n,bob,\n";
    let dry = office.imports("people.csv", text, &["--dry-run"]).await;
    assert_eq!(dry.out, "the file is valid: 2 users would be added.\n");
    assert!(!office.types(&["show", "ada"]).await.done);

    office.imports("half.csv", "name\nbob\n", &[]).await;
    let said = office.imports("people.csv", text, &["--links", "--skip-existing"]).await;
    assert!(said.done, "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "name,link"), "{said:?}");
    let link = lines[1].strip_prefix("ada,https://crm.example.com").unwrap();
    let mut browser = office.gate.browser();
    browser.opens(link).await;
    browser.sends(&[("password", PASSWORD)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    assert!(said.notes.contains("one user added, one user skipped"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_format_of_a_file_is_told_or_asked_for() {
    let office = Office::open();
    let unclear = office.imports("people", "who knows", &[]).await;
    assert!(unclear.notes.contains("add `--format csv` or `--format htpasswd`"), "{unclear:?}");
    assert!(office.imports("people", HTPASSWD, &[]).await.done);
    let link = office.imports("people", HTPASSWD, &["--links"]).await;
    assert!(!link.done && link.notes.contains("remove `--links`"), "{link:?}");
}

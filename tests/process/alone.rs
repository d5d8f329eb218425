//! What operators type while no gateway runs, while one starts, and all at once.

use std::fs;

use super::setup::{HOST, PASSWORD, Said, Setup};

impl Setup {
    /// A file of htpasswd with so many people, each with the password of everybody here.
    fn writes_htpasswd(&self, people: usize) -> String {
        let line = |n| format!("user{n}:{{SHA}}OYBaeO2HwcCGoTlnV52HQ2SqtxE=\n");
        let file = self.file().with_file_name("htpasswd");
        fs::write(&file, (0..people).map(line).collect::<String>()).unwrap();
        file.display().to_string()
    }

    fn knows(&self) -> usize {
        self.types(&["user", "list", "--json"]).json().as_array().unwrap().len()
    }
}

#[test]
fn without_a_gateway_a_command_works_on_the_store_itself_and_says_so() {
    let setup = Setup::new();
    let said = setup.types(&["user", "list"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    assert!(said.notes.contains("there is no store in "), "{said:?}");
    assert!(!setup.state().exists(), "only who adds somebody makes a store");

    let said = setup.types(&["user", "add", "ada", "--json"]);
    let link = said.link();
    let note = format!(
        "No gateway is running: using the store in {} directly.\n",
        setup.state().display()
    );
    assert_eq!(said.notes, note);
    let mut process = setup.opens();
    process.window().visits(&link).posts(&[("password", PASSWORD)]);

    // One that was killed leaves its socket behind; nobody answers there.
    process.is_killed();
    assert!(setup.state().join("socket").exists());
    let said = setup.types(&["user", "disable", "ada"]);
    assert_eq!((said.code, said.notes), (Some(0), note), "{}", said.out);
    let process = setup.opens();
    let mut ada = process.window();
    ada.visits("/.doorward/sign-in").sends(&[("username", "ada"), ("password", PASSWORD)]);
    assert_eq!(ada.answer.status, 422);
    let shown = setup.types(&["user", "show", "ada", "--json"]);
    assert_eq!(shown.notes, "", "the gateway answers again");
    let told = shown.json();
    assert_eq!(told["events"][0]["what"], "password-refused");
    assert_eq!(told["events"][1]["what"], "user-disabled");
}

#[test]
fn commands_that_are_typed_at_once_all_end_well() {
    let setup = Setup::new();
    let names: Vec<String> = (0..6).map(|n| format!("user{n}")).collect();
    let mut all: Vec<_> = names.iter().map(|name| setup.begins(&["user", "add", name])).collect();
    for command in &mut all {
        assert_eq!(command.ends().code(), Some(0), "{}", command.said());
    }
    assert_eq!(setup.knows(), 6);
    assert!(!setup.state().join("socket").exists(), "none of them is a gateway");
}

#[test]
fn a_gateway_that_starts_during_a_command_waits_for_it() {
    let setup = Setup::new();
    let file = setup.writes_htpasswd(26);
    let mut import = setup.begins(&["user", "import", &file]);
    import.hears("25 of 26 done");
    let process = setup.opens();
    assert_eq!(import.ends().code(), Some(0), "{}", import.said());
    assert_eq!(setup.knows(), 26);
    let mut user = process.window();
    user.visits("/.doorward/sign-in").sends(&[("username", "user7"), ("password", PASSWORD)]);
    assert_eq!(user.answer.status, 303);
}

#[test]
fn an_import_that_was_killed_is_run_again() {
    let setup = Setup::new();
    let file = setup.writes_htpasswd(60);
    let mut import = setup.begins(&["user", "import", &file]);
    import.hears("25 of 60 done");
    import.is_killed();
    let half = setup.knows();
    assert!((25..=60).contains(&half), "{half}");
    if half < 60 {
        let again = setup.types(&["user", "import", &file]);
        assert_eq!(again.code, Some(1), "{again:?}");
        assert!(again.out.contains("htpasswd:1: there is already a user user0\n"), "{again:?}");
    }
    let Said { code, out, notes } = setup.types(&["user", "import", &file, "--skip-existing"]);
    assert_eq!(code, Some(0), "{notes}");
    assert!(out.contains(" skipped because they already exist.\n"), "{out}");
    assert_eq!(setup.knows(), 60);
}

#[test]
fn what_belongs_to_another_system_user_is_left_alone() {
    let setup = Setup::new();
    setup.adds("ada");
    let mut give = std::process::Command::new("chown");
    let given = give.arg("-R").arg("65534").arg(setup.state()).output().unwrap();
    // Only root can give a directory away.
    if !given.status.success() {
        return;
    }
    let said = setup.types(&["user", "list"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.notes.contains("belongs to system user 65534"), "{said:?}");
    assert!(said.notes.contains("run doorward as its owner"), "{said:?}");
}

#[test]
fn a_configuration_whose_tests_fail_can_be_explained_and_not_used() {
    let setup = Setup::with(
        "tests: [{ as: stranger, get: 'http://crm.localhost:8080/', expect: refused }]",
    );
    let checked = setup.types(&["check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.out.contains("`doorward explain` shows every step"), "{checked:?}");
    let explained = setup.types(&["explain", "--url", &format!("http://{HOST}/")]);
    assert_eq!(explained.code, Some(0), "{explained:?}");
    assert!(explained.out.contains("requires"), "{explained:?}");
}

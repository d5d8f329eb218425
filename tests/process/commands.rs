//! What operators type while the gateway runs, and while it does not.

use std::fs;

use super::setup::{PASSWORD, Said, Setup};

#[test]
fn somebody_is_added_and_the_printed_link_works_once() {
    let setup = Setup::new();
    let process = setup.opens();
    let words = ["user", "add", "ada", "--email", "ada@example.com", "--group", "staff"];
    let said = setup.types(&words);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.notes.starts_with("Give this link to ada. "), "{said:?}");
    let link = said.out.trim_end().strip_prefix("http://crm.localhost:8080").unwrap();

    // Looking uses nothing up: not that of others either.
    for _ in 0..2 {
        assert_eq!(process.window().opens(link).answer.status, 200);
    }
    let mut ada = process.window();
    let mut eve = process.window();
    eve.opens(link);
    ada.opens(link).posts(&[("password", PASSWORD)]).posts(&[("not_now", "yes")]);
    assert!(ada.answer.received().to_string().contains("[\"remote-user\",\"ada\"]"));
    assert_eq!(eve.sends(&[("password", "four dry umbrellas")]).answer.status, 410);
    assert_eq!(process.window().opens(link).answer.status, 410);

    let listed = setup.types(&["user", "list", "--json"]).json();
    assert_eq!(listed[0]["name"], "ada");
    assert_eq!(listed[0]["has_password"], true);
    assert_eq!(listed[0]["groups"][0], "staff");
}

#[test]
fn a_new_password_ends_what_the_old_one_opened() {
    let setup = Setup::new();
    let process = setup.opens();
    let mut ada = process.window();
    ada.visits(&setup.adds("ada")).posts(&[("password", PASSWORD)]);
    let link = setup.types(&["user", "passwd", "ada", "--json"]).link();
    // The old password works until the link is used.
    assert_eq!(ada.opens("/").answer.status, 200);
    process.window().visits(&link).posts(&[("password", "four dry umbrellas")]);
    assert_eq!(ada.opens("/").answer.status, 303);
    ada.follows().sends(&[("username", "ada"), ("password", PASSWORD)]);
    assert_eq!(ada.answer.status, 422);
    ada.posts(&[("username", "ada"), ("password", "four dry umbrellas")]);
    assert_eq!(ada.answer.status, 200);
    assert_eq!(process.window().opens(&link).answer.status, 410);
}

#[test]
fn whoever_has_to_wait_is_let_in_again() {
    let setup = Setup::new();
    let process = setup.opens();
    process.window().visits(&setup.adds("ada")).posts(&[("password", PASSWORD)]);
    let tries = |password| {
        let mut window = process.window();
        window.visits("/.doorward/sign-in");
        window.sends(&[("username", "ada"), ("password", password)]).answer.status
    };
    for _ in 0..5 {
        assert_eq!(tries("wrong"), 422);
    }
    assert_eq!(tries(PASSWORD), 429);
    assert_eq!(setup.types(&["user", "list", "--json"]).json()[0]["password_failures"], 5);
    let said = setup.types(&["user", "unlock", "ada", "--json"]);
    assert_eq!(said.json()["name"], "ada");
    assert_eq!(tries(PASSWORD), 303);
}

#[test]
fn what_is_refused_says_why_and_ends_with_1() {
    let setup = Setup::new();
    let _process = setup.opens();
    setup.adds("ada");
    let refused = |words: &[&str]| {
        let Said { code, out, notes } = setup.types(words);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{words:?}: {notes}");
        notes
    };
    let again = "doorward: Ada is already the name or e-mail address of a user; nobody was added\n";
    assert_eq!(refused(&["user", "add", "Ada"]), again);
    for operation in ["unlock", "passwd"] {
        let nobody = "doorward: no user with the name or e-mail address eve\n";
        assert_eq!(refused(&["user", operation, "eve", "--json"]), nobody);
    }
}

#[test]
fn a_line_that_is_not_understood_ends_with_2() {
    let setup = Setup::new();
    let lines: [&[&str]; 4] =
        [&[], &["user", "add"], &["user", "add", "a,b"], &["serve", "--accept-everything"]];
    for line in lines {
        assert_eq!(setup.types(line).code, Some(2), "{line:?}");
    }
    assert_eq!(setup.types(&["--version"]).out, "doorward 0.1.0\n");
}

#[test]
fn without_a_terminal_and_a_yes_nobody_is_removed() {
    let setup = Setup::new();
    let _process = setup.opens();
    setup.adds("ada");
    let said = setup.types(&["user", "remove", "ada"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    assert!(said.notes.contains("ada was not removed\n  use `--yes`"), "{said:?}");
    assert_eq!(setup.types(&["user", "show", "ada"]).code, Some(0));
    assert_eq!(setup.types(&["user", "remove", "ada", "--yes"]).out, "ada was removed.\n");
    assert_eq!(setup.types(&["user", "show", "ada"]).code, Some(1));
}

#[test]
fn whoever_is_disabled_loses_what_is_open_in_a_running_gateway() {
    let setup = Setup::new();
    let process = setup.opens();
    let mut ada = process.window();
    ada.visits(&setup.adds("ada")).posts(&[("password", PASSWORD)]);
    assert_eq!(ada.opens("/").answer.status, 200);
    assert_eq!(setup.types(&["user", "disable", "ada"]).code, Some(0));
    assert_eq!(ada.opens("/").answer.status, 303);
    ada.follows().sends(&[("username", "ada"), ("password", PASSWORD)]);
    assert_eq!(ada.answer.status, 422);
    assert_eq!(setup.types(&["user", "enable", "ada"]).code, Some(0));
    ada.posts(&[("username", "ada"), ("password", PASSWORD)]);
    assert_eq!(ada.answer.status, 200);
}

#[test]
fn a_configuration_is_checked() {
    let setup = Setup::new();
    let file = setup.file().display().to_string();
    let good = setup.types(&["check"]);
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.out.contains("doorward.yaml is valid"), "{good:?}");
    assert_eq!(setup.types(&["check", &file, "--json"]).json()["valid"], true);

    fs::write(setup.file(), "listen: [{ address: everywhere }]\nstate: here\napp: []\n").unwrap();
    let bad = setup.types(&["check", &file]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(
        bad.out.contains("doorward.yaml:1:") && bad.out.contains("doorward.yaml:3:"),
        "{bad:?}"
    );
    assert!(bad.notes.starts_with("doorward: the configuration has "), "{bad:?}");
    let json = setup.types(&["check", &file, "--json"]);
    assert_eq!(json.code, Some(1));
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["valid"], false);
    assert_eq!(json["problems"][0]["line"], 1);

    let none = setup.types(&["check", "nowhere.yaml"]);
    assert_eq!(none.code, Some(1));
    assert!(format!("{none:?}").contains("nowhere.yaml"), "{none:?}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_what_commands_without_a_state_folder_report() {
    let setup = Setup::new();
    let _process = setup.opens();
    let good = fs::read_to_string(setup.file()).unwrap();
    let file = setup.file().display().to_string();
    let says = |what: &str| {
        for words in [&["reload"] as &[&str], &["user", "list"], &["report"]] {
            let Said { code, out, notes } = setup.types(words);
            assert_eq!((code, out.as_str()), (Some(1), ""), "{words:?}: {notes}");
            let cure = "\n  correct the configuration, or name the state folder with `--state DIR`; \
                        a gateway that runs is not affected\n";
            assert!(notes.contains(what) && notes.ends_with(cure), "{what}: {notes}");
        }
    };
    for (broken, what) in [
        (good.replace("state: ", "state: ["), ":"),
        (String::new(), ":1:1: the file is empty"),
        (good.replace("state: ", "# "), ": state: missing"),
    ] {
        fs::write(setup.file(), broken).unwrap();
        says(&format!("{file}{what}"));
        let state = setup.state().display().to_string();
        let told = setup.types(&["reload", "--state", &state]);
        assert!(told.notes.contains("configuration not reloaded"), "{told:?}");
    }
    fs::remove_file(setup.file()).unwrap();
    says(&format!("{file}: cannot be read: "));
}

#[test]
fn a_variable_without_a_value_names_no_configuration() {
    let setup = Setup::new();
    let file = setup.file().display().to_string();
    for words in [&["check", &file] as &[&str], &["check"], &["user", "add", "ada"], &["--version"]]
    {
        let said = setup.types_without_file(words);
        assert_eq!(said.code, Some(0), "{words:?}: {said:?}");
    }
    // On the command line it is a mistake.
    assert_eq!(setup.types_without_file(&["--config", "", "check"]).code, Some(2));
}

#[test]
fn a_mistake_anywhere_but_in_the_state_folder_keeps_no_command_from_the_gateway() {
    let setup = Setup::new();
    let _process = setup.opens();
    let good = fs::read_to_string(setup.file()).unwrap();
    setup.adds("ada");
    for (broken, what) in [
        (format!("{good}\nsupport:\n\t- a\n").into_bytes(), ":17:2: invalid YAML: tabs"),
        (format!("{good}\n   support: a\n").into_bytes(), ":16:4: invalid YAML: "),
        (format!("{good}\nsupport: [a\n").into_bytes(), ":16:10: invalid YAML: "),
        (format!("support: 'a\n{good}").into_bytes(), ": invalid YAML: "),
        ([good.as_bytes(), b"# caf\xe9\n"].concat(), ":15:6: the byte E9 is not UTF-8"),
    ] {
        fs::write(setup.file(), broken).unwrap();
        let listed = setup.types(&["user", "list"]);
        assert!(listed.code == Some(0) && listed.out.contains("ada"), "{what}: {listed:?}");
        let told = setup.types(&["reload"]).notes;
        assert!(
            told.contains("configuration not reloaded") && told.contains(what),
            "{what}: {told}"
        );
    }
}

#[test]
fn a_state_folder_that_does_not_exist_is_refused_and_not_created() {
    let setup = Setup::new();
    for words in
        [&["user", "add", "ada", "--state", "typo"] as &[&str], &["why", "x", "--state", "typo"]]
    {
        let said = setup.types(words);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
        assert!(
            said.notes.starts_with("doorward: the state folder typo does not exist\n  "),
            "{said:?}"
        );
    }
    assert!(!setup.file().with_file_name("typo").exists());
    // The folder that the configuration names is created.
    assert_eq!(setup.types(&["user", "add", "ada"]).code, Some(0));
}

#[test]
fn a_reload_shows_what_opens_to_strangers_and_whole_paths_of_the_configuration() {
    let setup = Setup::new();
    let process = setup.opens();
    let yaml = fs::read_to_string(setup.file()).unwrap();
    // A path that a visitor asked for may be a secret; one of the configuration is none.
    assert_eq!(process.window().opens("/reset/s3cret").answer.status, 303);
    let closes = yaml.replace("otherwise: sign-in", "otherwise: nobody");
    fs::write(setup.file(), closes).unwrap();
    let told = setup.types(&["reload"]).out;
    assert!(told.contains("GET /reset/… by a stranger") && !told.contains("s3cret"), "{told}");
    let opens =
        yaml.replace("rules:", "rules:\n      - { paths: [/files/open/], require: nothing }");
    fs::write(setup.file(), opens).unwrap();
    let told = setup.types(&["reload"]).out;
    for who in ["somebody", "a stranger"] {
        assert!(told.contains(&format!("GET /files/open/ by {who}")), "{who}: {told}");
    }
    // The rules behind the new one have other numbers, and decide the same.
    assert!(!told.contains("/held") && !told.contains("/closed"), "{told}");
}

#[test]
fn somebody_is_told_to_applications_as_the_operator_has_written_them_and_found_in_any_case() {
    let setup = Setup::new();
    let process = setup.opens();
    let link = setup.adds("JSmith");
    process.window().visits(&link).posts(&[("password", PASSWORD)]);
    let mut window = process.window();
    window.visits("/.doorward/sign-in").posts(&[("username", "jsmith"), ("password", PASSWORD)]);
    let received = window.visits("/").answer.received()["headers"].to_string();
    assert!(received.contains("[\"remote-user\",\"JSmith\"]"), "{received}");
    let listed = setup.types(&["user", "list", "--json"]).json();
    assert_eq!(listed[0]["name"], "JSmith");
    assert_ne!(setup.types(&["user", "add", "jsmith"]).code, Some(0), "it is the same name");
    assert_eq!(setup.types(&["user", "show", "JSMITH"]).code, Some(0));
}

#[test]
fn who_must_still_set_up_a_second_factor_is_shown_with_the_day() {
    let setup = Setup::with("second_factor: { demanded_of: { everyone: true }, grace: 14d }");
    let _process = setup.opens();
    setup.adds("ada");
    let shown = setup.types(&["user", "show", "ada", "--json"]).json();
    let at = |key: &str| shown[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let days = (at("second_factor_due") - at("added")).total(jiff::Unit::Hour).unwrap() / 24.0;
    assert!((13.9..14.1).contains(&days), "{shown}");
    assert!(setup.types(&["user", "show", "ada"]).out.contains("off; must be set up by "));
}

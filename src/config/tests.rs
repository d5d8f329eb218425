//! The shipped files are valid, and all mistakes of a file are reported together.

use crate::domain::factor::totp::Skew;
use std::path::Path;
use std::time::Duration;

use rstest::rstest;

use super::tree::Node;
use super::{Config, Credential, LogFormat, LogLevel, Problems, schema, tree};
use crate::domain::assurance::{Level, Requirement};
use crate::policy::{Asker, Request};

const MINIMAL: &str = include_str!("../../config/minimal.yaml");
const EXAMPLE: &str = include_str!("../../config/example.yaml");

fn problems(text: &str) -> Problems {
    Config::read("doorward.yaml", text).unwrap_err()
}

/// The example configuration, with the environment variables that it names.
fn example() -> Config {
    let named = ["WIKI_SECRET", "SMTP_PASSWORD", "GOOGLE_SECRET", "GITHUB_SECRET", "SMS_TOKEN"];
    let environment = |name: &str| named.contains(&name).then(|| "s3cret".to_owned());
    Config::read_in(&environment, "example.yaml", EXAMPLE).unwrap_or_else(|bad| panic!("{bad}"))
}

/// A valid file with `extra` appended.
fn with(extra: &str) -> String {
    format!("{MINIMAL}{extra}\n")
}

#[test]
fn the_minimal_file_means_what_the_design_says_by_default() {
    let config = Config::read("minimal.yaml", MINIMAL).unwrap();
    let app = &config.apps[0];
    assert_eq!(config.listen[0].address, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.portal.to_string(), "https://crm.example.com");
    assert_eq!(app.upstreams[0].authority().as_deref(), Some("127.0.0.1:9000"));
    assert_eq!(*app.policy.otherwise(), Requirement::second_factor());
    assert_eq!(config.issuer, "crm.example.com");
    assert_eq!(
        (config.second_factor.skew, config.second_factor.recovery_codes),
        (Skew::default(), 12)
    );
    assert_eq!(config.trusted_devices.lasting, Duration::from_hours(30 * 24));
    assert_eq!(config.trusted_devices.at_most, 10);
    assert_eq!(config.sessions.idle, Duration::from_hours(1));
    assert_eq!(config.sessions.at_most, Duration::from_hours(24));
    assert_eq!(config.confirm_for, Duration::from_mins(15));
    assert_eq!(config.shutdown_within, Duration::from_secs(30));
    assert_eq!((config.log.format, config.log.level), (LogFormat::Text, LogLevel::Info));
    assert!(config.operators.is_empty() && config.support.is_none());
}

#[rstest]
#[case("/health", Level::Nothing, None, true)]
#[case("/crm/internal/x", Level::Nobody, None, true)]
#[case("/bank/7/transfer", Level::SignIn, None, true)]
#[case("/admin", Level::Nobody, None, false)]
#[case("/payroll/", Level::SignIn, None, true)]
#[case("/", Level::SignIn, None, true)]
fn the_example_asks_what_its_comments_say(
    #[case] path: &str,
    #[case] level: Level,
    #[case] within: Option<u64>,
    #[case] trusted_device: bool,
) {
    let config = example();
    let request = Request::read(path.as_bytes()).unwrap();
    let asked = config.apps[0].policy.requirement(&request, &Asker::default()).requirement;
    assert_eq!(asked.level, level);
    assert_eq!(asked.within, within.map(Duration::from_secs));
    assert_eq!(asked.trusted_device, trusted_device);
}

#[test]
fn the_example_shows_every_key_of_this_version() {
    let root = tree::read(EXAMPLE, &mut Vec::new()).unwrap();
    let mut shown = Vec::new();
    keys(&root, "", &mut shown);
    for key in schema::key_paths(&schema::FILE, "") {
        // The keys of a requirement are shown only once.
        let key = key.replace("otherwise.", "rules.require.");
        // A secret has one source, and either a certificate or its CA is named.
        let others = [
            "apps.upstream_secret_file",
            "mail.password_file",
            "providers.client_secret_file",
            "providers.key_file",
            "providers.key_id",
            "sms.token_file",
            "sms.json",
            "sms.messaging_service",
            "apps.upstream_tls.certificate",
        ];
        if others.contains(&key.as_str()) {
            continue;
        }
        assert!(shown.contains(&key), "config/example.yaml lacks {key}");
    }
}

fn keys(node: &Node, path: &str, all: &mut Vec<String>) {
    for entry in node.entries() {
        let path = schema::below(path, &entry.name);
        keys(&entry.node, &path, all);
        all.push(path);
    }
    node.items().iter().for_each(|item| keys(item, path, all));
}

#[test]
fn every_problem_is_told_at_once_with_its_place_and_cure() {
    insta::assert_snapshot!(problems(
        "\
listen:
  - address: example.com:80
  - { adress: 127.0.0.1:8080, tls: {} }
state: yes
state: /tmp
portal: https://id.example.com
apps:
  - name: The CRM
    hosts: [http://crm.example.com, crm.example.com/app]
    upstream: https://127.0.0.1:9000
    rules:
      - { paths: [admin, /a?b, /x/*.pdf], require: 2fa }
      - { paths: /bank/, require: { second_factor: { within: 5m, trusted_device: true } } }
      - { require: sign_in, methods: [POST] }
      - { paths: [], require: {} }
      - paths: [/ok/]
        require: { second_factor: { within: 5, trusted_devices: false } }
    otherwise:
second_factor: { totp: { issuer: 'a:b', skew: 3 }, recovery_codes: twelve }
trusted_devices: { for: 30, at_most: 0 }
sessions: { idle: 48h }
confirm: [15m]
log: { format: xml, level: warning }
wombat: 1
"
    ));
}

#[rstest]
#[case::not_yaml("listen: [")]
#[case::tab("listen:\n\t- a")]
#[case::empty("")]
#[case::only_a_comment("# nothing\n")]
#[case::a_list("- a\n")]
fn what_is_no_configuration_at_all_is_one_problem_or_two(#[case] text: &str) {
    let problems = problems(text);
    assert!(problems.problems.len() <= 2, "{problems}");
    assert!(problems.problems[0].place.is_some());
}

#[rstest]
#[case::anchor("log: &log { format: text }", "14:11: YAML anchors are not supported")]
#[case::merge("log: { <<: { format: text } }", "YAML merge keys are not supported")]
#[case::tag("support: !!str a", "YAML tags are not supported")]
#[case::second_document("---\nlog: {}", "a second document begins here")]
#[case::duplicate("state: /tmp", "`state` is written twice: first on line 7")]
#[case::key("log: { [a]: b }", "a key must be a word")]
#[case::switch("support: on", "`on` means `true` in YAML 1.1")]
#[case::norway("log: { format: no }", "`no` means `false` in YAML 1.1")]
#[case::quoted_number("second_factor: { recovery_codes: '12' }", "`12` is not a whole number")]
#[case::empty_text("support: ''", "found nothing, expected a text")]
#[case::mail("mail: { from: a@example.com }", "mail.server: missing; add one")]
#[case::typo("sesions: {}", "sesions: unknown key; did you mean `sessions`?")]
#[case::long("sessions: { idle: 2d }", "2d is longer than `at_most`, which is 1d")]
#[case::old_break("# a\u{2028}log: {}", "14:4: U+2028 ends a line for some YAML parsers only")]
#[case::lone_return("# a\rlog: {}", "14:4: U+000D ends a line for some YAML parsers")]
#[case::quoted_duplicate("'state': /tmp", "14:1: `state` is written twice: first on line 7")]
#[case::number_as_key("1: a", "14:1: 1: unknown key")]
#[case::switch_as_text("support: True", "14:10: support: found `True`, expected a text")]
#[case::nothing("support: ~", "14:10: support: found nothing, expected a text")]
#[case::taken("operators: { address: '127.0.0.1:8080' }", "`listen` uses this address, too")]
fn what_yaml_would_let_pass_is_refused(#[case] line: &str, #[case] says: &str) {
    let problems = problems(&with(line)).to_string();
    assert!(problems.contains(says), "{problems}");
    assert_eq!(problems.lines().count(), 1, "{problems}");
}

#[rstest]
#[case::type_first("sessions: { idle: 2d, at_most: sixty }", "sessions.at_most: `sixty`")]
#[case::range_first("sessions: { idle: 2d, at_most: 99d }", "sessions.at_most: `99d` is out of")]
#[case::empty_but_for_a_mistake(
    "      - { paths: [/a], require: { second_facter: {} } }",
    "second_facter (rule 2): unknown key"
)]
#[case::a_text_of_two_lines(
    "log: { format: \"json\\n\" }",
    "14:16: log.format: `json ` is not one"
)]
fn what_follows_from_a_mistake_is_not_told(#[case] line: &str, #[case] says: &str) {
    let problems = problems(&with(line)).to_string();
    assert!(problems.contains(says), "{problems}");
    assert_eq!(problems.lines().count(), 1, "{problems}");
}

#[test]
fn leave_for_plain_http_that_is_misspelt_is_not_asked_for_again() {
    let text = MINIMAL.replace("crm.example.com]", "http://crm.example.com]\n    insecure: yes");
    let problems = problems(&text).to_string();
    assert!(problems.contains("apps[0].insecure: `yes` means `true`"), "{problems}");
    assert_eq!(problems.lines().count(), 1, "{problems}");
}

#[test]
fn a_value_of_the_wrong_type_hides_no_other_problem() {
    let text = with("sessions: 3\noperators: { address: '127.0.0.1:8080' }")
        .replace("crm.example.com", "[], '*.example.com'");
    let problems = problems(&text).to_string();
    for says in [
        "apps[0].hosts[0]: found a list",
        "apps[0].hosts[1]: `*.ex",
        "sessions: found `3`",
        "operators",
    ] {
        assert!(problems.contains(says), "{says}: {problems}");
    }
}

#[test]
fn people_are_shown_the_line_of_every_problem() {
    let text = MINIMAL
        .replace("crm.example.com", "crm.example.com/app")
        .replace("require: nothing", "require: \"2fa\"")
        .replace("state:", "sate:")
        + "log: { levle: info } # not yet\nconfirm: [15m]\n";
    insta::assert_snapshot!(problems(&text).shown());
}

#[test]
fn a_problem_without_a_place_is_shown_without_a_line() {
    let problems = Config::load(&|_| None, Path::new("no/such/file.yaml")).unwrap_err();
    assert_eq!(problems.shown(), problems.to_string());
}

#[test]
fn an_alias_is_refused_as_its_anchor_is() {
    let problems = problems(&with("log: { format: &a text, level: *a }")).to_string();
    assert!(
        problems.contains("14:32: YAML aliases are not supported; write the value out"),
        "{problems}"
    );
    assert_eq!(problems.lines().count(), 2, "{problems}");
}

#[rstest]
#[case::for_both_readers("log:\n\tformat: text")]
#[case::for_one("\t")]
fn a_tab_is_told_from_spaces(#[case] extra: &str) {
    let problems = problems(&with(extra)).to_string();
    assert!(problems.contains("; this line contains a tab: use spaces"), "{problems}");
}

#[rstest]
#[case("'~'", "`~`")]
#[case("~/doorward", "`~/doorward`")]
#[case("${STATE}/doorward", "`${STATE}/doorward`")]
fn a_state_directory_that_only_a_shell_would_find_is_refused(
    #[case] written: &str,
    #[case] quoted: &str,
) {
    let text = MINIMAL.replace("/var/lib/doorward", written);
    let problems = problems(&text).to_string();
    let says = format!("7:8: state: {quoted}: `~` and `$` are not expanded");
    assert!(problems.contains(&says), "{problems}");
}

#[rstest]
#[case("/etc/doorward.yaml", "state", "/etc/state")]
#[case("doorward.yaml", "state", "state")]
#[case("/etc/doorward.yaml", "/var/lib/doorward", "/var/lib/doorward")]
fn a_state_directory_is_looked_for_beside_the_file(
    #[case] file: &str,
    #[case] written: &str,
    #[case] state: &str,
) {
    let text = MINIMAL.replace("/var/lib/doorward", written);
    assert_eq!(Config::read(file, &text).unwrap().state, Path::new(state));
}

#[rstest]
#[case("support: ${SUPPORT}", "support: `${SUPPORT}`")]
#[case("log: { level: '${LEVEL}' }", "log.level: `${LEVEL}` is not one of")]
#[case("access_log: { to: '${LOGS}/a.log' }", "access_log.to: `${LOGS}/a.log`")]
#[case("second_factor: { totp: { issuer: '${NAME}' } }", "second_factor.totp.issuer: `${NAME}`")]
#[case(
    "      - { paths: ['/${P}/'], require: nobody }",
    "apps[0].rules[1].paths[0] (rule 2): `/${P}/`"
)]
#[case(
    "      - { paths: [/a/], only: { groups: ['${G:-x}'] }, require: sign-in }",
    "apps[0].rules[1].only.groups[0] (rule 2): `${G:-x}`"
)]
#[case(
    "      - { paths: [/a/], query: { '${K}': any }, require: sign-in }",
    "apps[0].rules[1].query.${K} (rule 2): `${K}`"
)]
#[case(
    "      - { paths: [/a/], query: { do: ['${V}'] }, require: sign-in }",
    "apps[0].rules[1].query.do[0] (rule 2): `${V}`"
)]
fn a_variable_is_refused_where_it_would_be_taken_literally(
    #[case] extra: &str,
    #[case] says: &str,
) {
    let problems = problems(&with(extra)).to_string();
    assert!(problems.contains(says), "{problems}");
    assert_eq!(problems.lines().count(), 1, "{problems}");
}

#[rstest]
#[case::behind(with("apps: [a"), true)]
#[case::before(with("").replace("listen:", "listen: [a"), true)]
#[case::a_quote_that_swallows_the_rest(with("").replace("listen:", "support: 'a\nlisten:"), true)]
#[case::a_tab(with("support:\n\t- a"), true)]
#[case::after_a_mark(format!("\u{feff}{}", with("apps: [a")), true)]
#[case::with_a_comment(with("]").replace("/doorward", "/doorward # ours"), true)]
#[case::the_state_itself(with("").replace("state: ", "state: ["), false)]
#[case::two_of_them(with("state: /tmp").replace("listen:", "support: 'a\nlisten:"), false)]
#[case::none(with("[").replace("state: ", "# state: "), false)]
#[case::of_something_else(with("[").replace("state: ", "x:\n  state: "), false)]
fn the_state_folder_is_found_beside_mistakes(#[case] text: String, #[case] is_found: bool) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("doorward.yaml");
    std::fs::write(&file, &text).unwrap();
    assert!(Config::load(&|_| None, &file).is_err(), "{text}");
    let found = Config::state_in(&file).ok();
    assert_eq!(found.as_deref(), is_found.then_some(Path::new("/var/lib/doorward")), "{text}");
}

#[test]
fn a_file_in_another_encoding_is_told_where() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("doorward.yaml");
    std::fs::write(&file, b"# caf\xc3\xa9\n# na\xc3\xafve caf\xe9\n").unwrap();
    let problems = Config::load(&|_| None, &file).unwrap_err();
    let said = problems.problems[0].to_string();
    assert_eq!(said, "2:12: the byte E9 is not UTF-8; save the file as UTF-8");
    assert!(problems.shown().contains("  2 | # naïve caf"), "{}", problems.shown());
}

#[rstest]
#[case::needed("state: /var/lib/doorward", "state:", "add `state: /var/lib/doorward`")]
#[case::not_needed("listen:", "support:\nlisten:", "write a value, or remove the key")]
fn a_key_without_a_value_is_told_what_to_do(
    #[case] there: &str,
    #[case] instead: &str,
    #[case] cure: &str,
) {
    let problems = problems(&MINIMAL.replace(there, instead)).to_string();
    let says = format!("found nothing, expected a text; {cure}");
    assert!(problems.contains(&says), "{problems}");
    assert_eq!(problems.lines().count(), 1, "{problems}");
}

#[rstest]
#[case::app("    members: {}")]
fn what_a_later_version_will_know_is_called_that(#[case] line: &str) {
    let problems = problems(&with(line)).to_string();
    assert!(problems.contains("this version does not support this key yet"), "{problems}");
}

#[test]
fn a_misspelt_key_is_not_missing_as_well() {
    let problems = problems(&MINIMAL.replace("upstream", "upstraem")).to_string();
    assert!(problems.contains("unknown key; did you mean `upstream`?"), "{problems}");
    assert_eq!(problems.lines().count(), 1, "{problems}");
}

#[test]
fn an_upstream_that_is_the_gateway_itself_is_refused() {
    let text = MINIMAL.replace(":9000", ":8080");
    assert!(problems(&text).to_string().contains("Doorward itself listens on this address"));
}

#[test]
fn what_is_allowed_but_unwise_is_a_warning() {
    let text = "\
listen: [{ address: localhost:8080 }]
state: /tmp
apps:
  - name: crm
    insecure: true
    hosts: [http://crm.example.com]
    upstream: http://10.0.0.7:9000
    rules:
      - { paths: [/admin/, /admin/users], require: nobody }
      - { paths: [/admin/export/, /login], require: sign-in }
      - { paths: [/], require: nothing }
      - { paths: [/late], require: nobody }
    otherwise: nobody
";
    let config = Config::read("doorward.yaml", text).unwrap();
    insta::assert_snapshot!(config.warnings().to_string());
}

#[test]
fn https_on_localhost_is_asked_about() {
    let text = MINIMAL.replace("crm.example.com", "'localhost:8080'");
    let config = Config::read("doorward.yaml", &text).unwrap();
    let says = "apps[0].hosts[0]: means https://localhost:8080; for plain HTTP write `http://localhost:8080`";
    assert!(config.warnings().to_string().contains(says));
    let text = MINIMAL.replace("crm.example.com", "'https://localhost:8080'");
    let config = Config::read("doorward.yaml", &text).unwrap();
    assert!(!config.warnings().to_string().contains("means https"), "it was written so");
}

#[test]
fn the_shipped_files_are_wise() {
    let minimal = Config::read("minimal.yaml", MINIMAL).unwrap();
    for (config, says) in [
        (minimal, vec!["`mail` is not set", "give the portal a host of its own"]),
        (example(), vec!["observe mode", "only the query is checked, bodies are not"]),
    ] {
        let warnings = &config.warnings().problems;
        assert_eq!(warnings.len(), says.len(), "{}", config.warnings());
        for (warning, says) in warnings.iter().zip(says) {
            assert!(warning.what.contains(says), "{warning}");
        }
    }
}

#[test]
fn plain_http_on_localhost_needs_no_leave() {
    let text = MINIMAL.replace("crm.example.com", "'http://crm.localhost:8080'");
    let config = Config::read("doorward.yaml", &text).unwrap();
    assert_eq!(config.portal.to_string(), "http://crm.localhost:8080");
}

#[test]
fn a_file_with_a_piece_missing_is_valid_or_told_why_it_is_not() {
    // Most of the file are comments, where a cut shows nothing and costs as much.
    let lines = EXAMPLE.lines().map(|line| line.split(" #").next().unwrap_or_default().trim_end());
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<String> = lines.map(|line| format!("{line}\n")).collect();
    let example = lines.concat();
    assert!(tree::read(&example, &mut Vec::new()).is_some() && example.len() > 1_000);
    let without =
        (0..lines.len()).map(|line| [&lines[..line], &lines[line + 1..]].concat().concat());
    let cut = (0..example.len()).map(|end| example[..end].to_owned());
    for text in without.chain(cut) {
        if let Err(problems) = Config::read("doorward.yaml", &text) {
            assert!(!problems.problems.is_empty(), "{text}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_says_so_without_a_place() {
    let problems = Config::load(&|_| None, Path::new("no/such/file.yaml")).unwrap_err().to_string();
    assert!(problems.starts_with("no/such/file.yaml: cannot be read: "), "{problems}");
}

#[test]
fn problems_are_facts_for_machines_too() {
    let json = serde_json::to_value(problems(&with("wombat: 1"))).unwrap();
    assert_eq!(json["file"], "doorward.yaml");
    assert_eq!(json["problems"][0]["line"], 14);
    assert_eq!(json["problems"][0]["column"], 1);
    assert_eq!(json["problems"][0]["key"], "wombat");
}

#[rstest]
#[case::local("http://crm.localhost:18471", "http://id.localhost:18471")]
#[case::with_tls("https://crm.example.com:8443", "https://id.example.com:8443")]
#[case::without_a_port("https://crm.example.com", "https://id.example.com")]
fn the_portal_that_is_recommended_has_the_port_of_the_other_hosts(
    #[case] host: &str,
    #[case] portal: &str,
) {
    let app = format!("{{ name: crm, hosts: ['{host}'], upstream: 'http://127.0.0.1:9' }}");
    let text = format!("listen: [{{ address: 127.0.0.1:1 }}]\nstate: /nowhere\napps: [{app}]\n");
    let config = Config::read("test.yaml", &text).unwrap();
    let warnings = config.warnings().to_string();
    assert!(warnings.contains(&format!("`portal: {portal}`")), "{warnings}");
    let wiki = app.replace("crm", "wiki");
    let two = text.replace(&app, &format!("{app}, {wiki}"));
    let refused = problems(&two).to_string();
    assert!(refused.contains(&format!("add `portal: {portal}`")), "{refused}");
}

#[test]
fn the_lines_in_the_readme_are_a_valid_configuration() {
    let readme = include_str!("../../README.md");
    let block = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let config = Config::read("README.md", block.unwrap()).unwrap();
    assert!(config.warnings().problems.len() <= 1, "{}", config.warnings());
    assert_eq!(config.apps[0].name, "crm");
}

/// What is wrong with the file: the keys, in file order.
fn keys_refused(text: &str) -> Vec<String> {
    let problems = Config::read("doorward.yaml", text).map(drop).unwrap_err().problems;
    problems.into_iter().map(|problem| problem.key).collect()
}

#[test]
fn a_mistake_in_one_app_hides_none_between_apps_listeners_and_tests() {
    let text = "\
listen: [{ address: 127.0.0.1:8080 }]
state: state
portal: http://id.localhost:8080
apps:
  - { name: crm, hosts: ['http://crm.localhost:8080'], upstream: 'localhost:9000' }
  - { name: wiki, hosts: ['http://crm.localhost:8080', 'a b'], upstream: 'http://127.0.0.1:8080' }
tests:
  - { as: { user: 'a b' }, get: 'http://crm.localhost:8080/%zz', expect: pass }
  - { as: stranger, get: 'http://unknown.localhost:8080/', expect: pass }
";
    assert_eq!(
        keys_refused(text),
        [
            "apps[0].upstream",
            "apps[1].hosts[0]",
            "apps[1].hosts[1]",
            "apps[1].upstream",
            "tests[0].as.user",
            "tests[0].get"
        ]
    );
}

#[test]
fn what_is_wrong_in_one_key_of_an_app_or_of_mail_hides_none_in_the_next() {
    let text = "\
listen: [{ address: 0.0.0.0:443, tls: { } }]
state: state
apps:
  - name: crm
    hosts: [crm.example.com, 'http://old.localhost']
    upstream: [ftp://a, 'https://127.0.0.1:9000', 'http://127.0.0.1:9001']
    upstream_tls: { name: 'a b' }
    upstream_host: 'a b'
    health: { path: health }
mail: { server: 'smtp.example.com:587', from: doorward@example.com, password_file: /no/such/file }
";
    assert_eq!(
        keys_refused(text),
        [
            "portal",
            "listen",
            "apps[0].hosts[1]",
            "apps[0].upstream",
            "apps[0].upstream[0]",
            "apps[0].upstream_tls.name",
            "apps[0].upstream_host",
            "apps[0].health.path",
            "mail.password_file",
            "mail.password_file"
        ]
    );
}

#[test]
fn what_is_wrong_with_providers_is_told_all_at_once() {
    let text = with(
        "
only_sign_in: gogle
providers:
  - { name: google, issuer: 'http://accounts.google.com', client_id: a, client_secret: '${NONE}' }
  - name: Google
    client_id: b
    people: { create: true, match_by: verified-email }
  - name: entra
    issuer: https://login.microsoftonline.com/common/v2.0
    client_id: c
    client_secret_file: no/such.secret
    people: { everyone: true, only: { email_domains: [exämple.com, '@example.com'], organisations: [x] } }
  - { name: hub, kind: github, client_id: d, client_secret_file: tests/config/provider.secret }
  - name: hub
    kind: github
    client_id: e
    client_secret_file: tests/config/provider.secret
    groups: { claim: groups, map: { eng: 'a,b' } }
    people: { only: { organisations: ['a/b'] } }
    trusts: { amr: [mfa] }
    key_id: a
  - { name: keys, issuer: 'https://keys.example.com', client_id: f, key_file: no/such.key }
  - name: both
    issuer: https://both.example.com
    client_id: g
    key_file: no/such.key
    client_secret_file: tests/config/provider.secret
  - { name: book, kind: facebook, client_id: h, key_file: no/such.key }
",
    );
    insta::assert_snapshot!(problems(&text).to_string());
}

#[test]
fn a_provider_brings_nobody_new_unless_the_file_says_so() {
    let text = with(
        "
providers:
  - name: idp
    issuer: https://id.example.com/realms/a
    client_id: doorward
    client_secret_file: tests/config/provider.secret
    people: { only: { email_domains: [Example.COM] } }
",
    );
    let config = Config::read("doorward.yaml", &text).unwrap();
    let [provider] = config.providers.as_slice() else { panic!("one") };
    assert_eq!((provider.label.as_str(), provider.people.create), ("idp", false));
    assert_eq!(provider.people.domains, ["example.com"]);
    let Credential::Secret(secret) = &provider.credential else { panic!("a key") };
    assert_eq!(secret.expose_str(), "a secret for tests only");
    assert!(!config.separate_mailboxes && config.only_sign_in.is_none());
}

/// A configuration whose texts are sent as `sms` says, with the environment variable `TOKEN`.
fn with_sms(sms: &str) -> Result<Config, Problems> {
    let text = format!("{}sms: {{ {sms}, countries: [CH] }}\n", with_nothing_else());
    Config::read_in(&|name| (name == "TOKEN").then(|| "s3cret".to_owned()), "test.yaml", &text)
}

fn with_nothing_else() -> &'static str {
    "listen: [{ address: 127.0.0.1:0 }]
state: /nowhere
apps: [{ name: a, hosts: [https://a.example.com], upstream: http://127.0.0.1:9, otherwise: sign-in }]
set_up: { proof: none }
"
}

const TEXT: &str = "form: { to: '{to}', text: '{text}' }";

#[test]
fn a_request_for_texts_that_would_mislead_or_tell_a_secret_is_refused() {
    let http = format!("provider: http, {TEXT}, token: '${{TOKEN}}'");
    let url = "url: 'https://sms.example.com/send'";
    let account = "account: AC1, token: '${TOKEN}', from: x";
    for (sms, says) in [
        (
            format!("{http}, {url}, headers: {{ Authorization: Bearer 1234 }}"),
            "must not be in the configuration",
        ),
        (format!("{http}, {url}, headers: {{ Transfer-Encoding: chunked }}"), "can be set here"),
        (format!("{http}, {url}, headers: {{ HOST: x }}"), "can be set here"),
        (
            format!("{http}, {url}, headers: {{ Proxy-Authorization: '{{token}}' }}"),
            "can be set here",
        ),
        (format!("{http}, {url}, headers: {{ X-Key: a, x-key: b }}"), "`x-key` is set twice"),
        (format!("{http}, url: 'sms.example.com?key=hidden'"), "`sms.example.com…` is not a URL"),
        (format!("{http}, url: 'me:hidden@sms.example.com'"), "`…` is not a URL"),
        (format!("provider: twilio, {account}, url: 'https://a.example/?b=c'"), "has a query"),
        (format!("provider: vonage, {account}, url: 'https://a.example/?b=c'"), "has a query"),
        ("provider: twilio, account: AC1, token: '${TOKEN}', from: ''".to_owned(), "the sender is"),
    ] {
        let refused = with_sms(&sms).unwrap_err().to_string();
        assert!(refused.contains(says) && !refused.contains("hidden"), "{sms}: {refused}");
    }
}

#[test]
fn settings_of_texts_without_effect_and_a_query_are_warned_of() {
    let sms = format!(
        "provider: http, {TEXT}, url: 'https://sms.example.com/send?a=b', account: me, from: x, \
         token: '${{TOKEN}}'"
    );
    let config = with_sms(&sms).unwrap();
    let warned = config.warnings().to_string();
    for key in ["sms.url: ", "sms.account: ", "sms.from: ", "sms.token: "] {
        assert!(warned.contains(key), "{key}: {warned}");
    }
    let sms = format!("{sms}, headers: {{ Authorization: 'Basic {{basic}}', X-From: '{{from}}' }}");
    let warned = with_sms(&sms).unwrap().warnings().to_string();
    for key in ["sms.account: ", "sms.from: ", "sms.token: "] {
        assert!(!warned.contains(key), "{key}: {warned}");
    }
}

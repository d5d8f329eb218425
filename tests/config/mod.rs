//! Configurations, valid, unwise and invalid, as operators write them: what `check` says of each, and
//! that the schema for editors says the same where it can.

use std::fs;
use std::path::Path;

use doorward::config::{Config, Problems, json_schema};
use jsonschema::Validator;

/// The files of one folder: their names and texts.
fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn read(text: &str) -> Result<Config, Problems> {
    Config::read("doorward.yaml", text)
}

/// What the first line says that is told of the file.
fn told<'a>(text: &'a str, mark: &str) -> &'a str {
    text.lines().next().unwrap().strip_prefix(mark).unwrap()
}

fn schema() -> Validator {
    jsonschema::validator_for(&json_schema()).unwrap()
}

fn is_in(schema: &Validator, text: &str) -> bool {
    let value: serde_json::Value = serde_yaml::from_str(text).unwrap();
    schema.is_valid(&value)
}

#[test]
fn what_is_valid_is_accepted_by_both() {
    let schema = schema();
    for (name, text) in files("valid") {
        read(&text).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        assert!(is_in(&schema, &text), "{name} is not in the schema");
    }
    let example = include_str!("../../config/example.yaml");
    assert!(is_in(&schema, example));
}

#[test]
fn what_is_invalid_is_refused_by_both_and_the_operator_is_told_why() {
    let schema = schema();
    for (name, text) in files("invalid") {
        let problems = read(&text).map(drop).expect_err(&name).to_string();
        let says = told(&text, "# says: ");
        assert!(problems.contains(says), "{name}: {problems}");
        assert_eq!(problems.lines().count(), 1, "{name}: {problems}");
        assert!(!is_in(&schema, &text), "{name} is in the schema");
    }
}

#[test]
fn what_only_check_can_know_it_says() {
    for (name, text) in files("beyond-the-schema") {
        let problems = read(&text).map(drop).expect_err(&name).to_string();
        let says = told(&text, "# says: ");
        assert!(problems.contains(says), "{name}: {problems}");
        assert_eq!(problems.lines().count(), 1, "{name}: {problems}");
    }
}

#[test]
fn every_warning_has_a_file_that_triggers_it_and_nothing_else() {
    for (name, text) in files("warnings") {
        let config = read(&text).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        let warnings = config.warnings().to_string();
        let says: Vec<&str> =
            text.lines().map_while(|line| line.strip_prefix("# warns: ")).collect();
        assert!(!says.is_empty(), "{name} says what is warned of");
        for says in &says {
            assert!(warnings.contains(says), "{name}: {warnings}");
        }
        assert_eq!(warnings.lines().count(), says.len(), "{name}: {warnings}");
    }
}

#[test]
fn five_mistakes_are_told_at_once_each_with_its_line_and_cure() {
    let text = "\
listen: [{ address: 127.0.0.1:8080 }]
state: /var/lib/doorward
portal: https://id.example.com
apps:
  - name: crm
    hosts: [crm.example.com]
    upstraem: http://127.0.0.1:9000
    rules:
      - { paths: [/admin/], methods: [PSOT], require: 2fa }
      - { paths: [/bank/], networks: [10.1.0.0/8], require: second-factor }
second_factor: { demanded_of: { apps: [crn] } }
";
    insta::assert_snapshot!(read(text).map(drop).unwrap_err().shown());
}

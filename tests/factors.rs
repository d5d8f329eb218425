//! The table of second factors: whatever has a row is spoken of everywhere.

use std::collections::BTreeSet;

use doorward::config::Config;
use doorward::domain::assurance::{
    Evidence, FirstFactor, Kinds, Proof, Proofs, Requirement, Verdict, Visitor, judge,
};
use doorward::domain::event::What;
use doorward::domain::factor::{Begun, FactorId, KINDS, Kind};
use doorward::domain::identity::{Identity, UserId};
use doorward::domain::time::Timestamp;
use doorward::web::factor::part;
use doorward::web::pages::Inputs;
use rand::SeedableRng;
use rand::rngs::StdRng;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

#[test]
fn every_kind_has_words_of_its_own() {
    let words: BTreeSet<&str> = KINDS.iter().map(|row| row.word).collect();
    assert_eq!(words.len(), KINDS.len());
    for row in &KINDS {
        assert_eq!(Kind::of_word(row.word), Some(row.kind));
        for also in row.also {
            assert_eq!(Kind::of_word(also), None, "`{also}` is told to be `{}`", row.word);
        }
    }
}

#[test]
fn every_kind_can_be_written_in_the_configuration() {
    for kind in Kind::all() {
        let word = kind.word();
        let has = Kind::all().find(|kind| kind.is_factor()).unwrap().word();
        let text = format!(
            "listen: [{{ address: 127.0.0.1:1 }}]\nstate: /nowhere\napps:\n  - name: crm\n    hosts: \
             [crm.example.com]\n    upstream: http://127.0.0.1:2\n    rules: [{{ paths: [/pay/], \
             require: {{ second_factor: {{ kinds: [{word}] }} }} }}]\ntests:\n  - as: {{ user: ada, \
             has: [{has}], shown: [password, {word}] }}\n    get: https://crm.example.com/pay/x\n    \
             expect: pass\nsms: {{ provider: http, url: 'https://sms.example.com/', form: {{ to: \
             '{{to}}', text: '{{text}}' }}, countries: [CH] }}\nmail: {{ server: 'smtp.example.com:587', from: \
             door@example.com }}\nsecond_factor: {{ email_codes: backup }}\n"
        );
        let config = Config::read("test.yaml", &text).unwrap_or_else(|why| panic!("{why:?}"));
        assert!(doorward::flow::trial::failed(&config, NOW).is_empty(), "{word}");
    }
    let schema = serde_json::to_string(&doorward::config::json_schema()).unwrap();
    for row in &KINDS {
        assert!(schema.contains(&format!("\"{}\"", row.word)), "{}", row.word);
    }
}

#[test]
fn policy_tests_may_show_the_second_factor_of_a_provider() {
    let tests = |rest: &str| {
        format!(
            "
listen: [{{ address: 127.0.0.1:1 }}]
state: /nowhere
apps:
  - name: crm
    hosts: [crm.example.com]
    upstream: http://127.0.0.1:2
    rules:
      - {{ paths: [/any/], require: second-factor }}
      - {{ paths: [/named/], require: {{ second_factor: {{ kinds: [totp, provider] }} }} }}
      - {{ paths: [/not/], require: {{ second_factor: {{ kinds: [totp] }} }} }}
      - {{ paths: [/now/], require: {{ second_factor: {{ within: 5m }} }} }}
tests:
{rest}"
        )
    };
    let one = |has: &str, path: &str, expect: &str| {
        format!(
            "  - as: {{ user: ada, {has}shown: [provider] }}\n    get: \
             https://crm.example.com{path}\n    expect: {expect}\n"
        )
    };
    let (none, totp) = ("", "has: [totp], ");
    let right = tests(
        &[
            one(none, "/any/", "pass"),
            one(none, "/named/", "pass"),
            one(none, "/not/", "set-up"),
            one(none, "/now/", "set-up"),
            one(totp, "/named/", "pass"),
            one(totp, "/not/", "second-factor"),
            one(totp, "/now/", "second-factor"),
        ]
        .concat(),
    );
    let config = Config::read("test.yaml", &right).unwrap_or_else(|why| panic!("{why:?}"));
    let failed = doorward::flow::trial::failed(&config, NOW);
    assert!(failed.is_empty(), "{failed:?}");
    let wrong = tests(&one(none, "/named/", "set-up"));
    let config = Config::read("test.yaml", &wrong).unwrap_or_else(|why| panic!("{why:?}"));
    assert_eq!(doorward::flow::trial::failed(&config, NOW).len(), 1);
}

#[test]
fn a_failed_test_names_the_demand_that_asks_for_more_than_the_rule() {
    let config = "listen: [{ address: 127.0.0.1:1 }]\nstate: /nowhere\napps:\n  - name: crm\n    hosts: \
                  [crm.example.com]\n    upstream: http://127.0.0.1:2\n    otherwise: sign-in\n\
                  second_factor: { demanded_of: { groups: [staff] } }\ntests:\n  - as: { user: ada, groups: \
                  [staff] }\n    get: https://crm.example.com/\n    expect: pass\n";
    let config = Config::read("test.yaml", config).unwrap_or_else(|why| panic!("{why:?}"));
    let failed = doorward::flow::trial::failed(&config, NOW);
    assert_eq!(failed[0].rule, "otherwise and second_factor.demanded_of (group staff)");
}

#[test]
fn every_kind_is_told_to_applications_and_counts_for_rules_that_name_it() {
    for kind in Kind::all() {
        let proofs = Proofs::default()
            .with(Proof::First(FirstFactor::Password), NOW)
            .with(Proof::Factor(kind, FactorId::from([5; 16])), NOW);
        let identity = Identity {
            user: UserId::from([1; 16]),
            name: "ada".to_owned(),
            written: "ada".to_owned(),
            full_name: None,
            email: None,
            groups: BTreeSet::new(),
        };
        let visitor = Visitor {
            identity: identity.into(),
            proofs,
            has_second_factor: true,
            has: Kinds::ALL,
            demanded: false,
            codes_unsaved: false,
        };
        let evidence: Evidence = Some(visitor);
        let asks = |kinds| Requirement { kinds, ..Requirement::second_factor() };
        let Verdict::Pass(permit) = judge(&asks(Kinds::only(kind)), &evidence, NOW) else {
            panic!("{kind:?} does not count");
        };
        let methods: Vec<&str> = permit.amr().methods().collect();
        assert_eq!(methods, ["pwd", kind.row().amr, "mfa"]);
        let others: Kinds = Kind::all().filter(|other| *other != kind).collect();
        let verdict = judge(&asks(others), &evidence, NOW);
        assert!(!matches!(verdict, Verdict::Pass(_)), "{kind:?} counts as another kind");
    }
}

#[test]
fn every_kind_is_spoken_of_on_pages_in_events_and_in_mails() {
    let mut names = BTreeSet::new();
    for kind in Kind::all() {
        let part = part(kind);
        assert_eq!(part.kind, kind);
        let inputs = Inputs { described: String::new(), options: None, sends_itself: true };
        let fields = (part.fields)(&inputs);
        assert!(fields.contains("name=\"code\""), "{kind:?} asks for nothing");
        let is_typed = kind != Kind::SecurityKey;
        assert_eq!(fields.contains("<label"), is_typed, "{kind:?}: what is typed has a label");
        assert_eq!(part.set_up.is_some(), kind.is_factor());
        assert!((part.read)("").is_err(), "{kind:?}: nothing is no answer");
        let begun = Begun::random(kind, &mut StdRng::seed_from_u64(1));
        assert_eq!(begun.map(|begun| begun.kind()), kind.is_factor().then_some(kind));
        for what in [What::FactorShown(kind), What::FactorReplaced(kind)] {
            assert!(names.insert(what.name()), "{} is told of two things", what.name());
            assert!(!what.sentence().is_empty());
        }
        assert!(What::FactorReplaced(kind).is_told_by_mail(), "{kind:?}");
    }
}

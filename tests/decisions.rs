//! What comes of 240 requests: rows of requests, columns of visitors.

use std::net::IpAddr;
use std::sync::Arc;

use doorward::config::Config;
use doorward::domain::assurance::{Evidence, FirstFactor, Kinds, Proof, Proofs, Visitor, judge};
use doorward::domain::device::DeviceId;
use doorward::domain::factor::{FactorId, Kind};
use doorward::domain::identity::{Identity, UserId};
use doorward::domain::time::Timestamp;
use doorward::policy::{Asker, Policy, Request, Sent};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

const POLICY: &str = "
listen: [{ address: 127.0.0.1:1 }]
state: /nowhere
apps:
  - name: crm
    hosts: [http://localhost]
    upstream: http://127.0.0.1:9
    rules:
      - { paths: [/static/], require: nothing }
      - { paths: [/closed/], require: nobody }
      - { paths: [/admin/], networks: [10.0.0.0/8], only: { groups: [staff] }, require: second-factor }
      - { paths: [/admin/], require: nobody }
      - { paths: [/bank/], methods: [POST, DELETE], require: { second_factor: { within: 5m } } }
      - { paths: [/team/], groups: [staff], require: second-factor }
      - { paths: [/team/], require: sign-in }
      - { paths: [/key/], require: { second_factor: { kinds: [totp], trusted_device: false } } }
      - { paths: [/], query: { action: [delete] }, require: second-factor }
      - { paths: [/watched/], require: nobody, enforce: false }
    otherwise: sign-in
";

/// Of each: the method, and what an override header makes of it; from inside, outside or nobody
/// knows; and for a stranger, somebody without a second factor, one who owes it, one who has shown
/// it, one on a trusted device, one by a recovery code, and staff with and without a second factor:
/// Pass, Sign in, Challenge, set Up, Refused.
const TABLE: &str = "
GET          out   /static/a                        P P P P P P P P
GET          out   /static/../closed/x              R R R R R R R R
GET          out   /STATIC/a                        S P C P P P P P
GET          out   /closed/                         R R R R R R R R
GET          out   /CLOSED/x                        R R R R R R R R
GET          out   /closed%2Fx                      R R R R R R R R
GET          in    /admin/                          S R C R R R P U
GET          out   /admin/                          R R R R R R R R
GET          ?     /admin/                          R R R R R R R R
GET          in    /admin/x?action=delete           S R C R R R P U
GET          out   /bank/                           S P C P P P P P
POST         out   /bank/                           S U C P C P P U
GET>DELETE   out   /bank/                           S U C P C P P U
HEAD         out   /bank/                           S P C P P P P P
post         out   /bank/                           S U C P C P P U
DELETE       out   /bank/x                          S U C P C P P U
DELETE       out   /bankx                           S P C P P P P P
GET          out   /bank/x?_method=delete           S U C P C P P U
GET          out   /bank/../static/a                S P C P P P P P
GET          out   /team/x                          S P C P P P P U
POST         out   /team                            S P C P P P P U
GET          out   /Team/X                          S P C P P P P U
GET          out   /key/                            S U C P C C P U
GET          out   /?action=delete                  S U C P P P P U
GET          out   /static/?action=delete           S U C P P P P U
GET          out   /?action=view                    S P C P P P P P
GET          out   /?x=1;ACTION%5B%5D=del%65te      S U C P P P P U
GET          out   /watched/                        S P C P P P P P
GET          out   /watched/../closed/              R R R R R R R R
GET          out   /orders                          S P C P P P P P
";

#[expect(clippy::unnecessary_wraps, reason = "evidence is a visitor or a stranger")]
fn visitor(groups: &[&str], has_second_factor: bool, proofs: Proofs) -> Evidence {
    let identity = Identity {
        user: UserId::from([1; 16]),
        name: "ada".to_owned(),
        written: "ada".to_owned(),
        full_name: None,
        email: None,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    Some(Visitor {
        identity: Arc::new(identity),
        proofs,
        has_second_factor,
        has: if has_second_factor { Kinds::ALL } else { Kinds::NONE },
        demanded: false,
        codes_unsaved: false,
    })
}

fn visitors() -> [Evidence; 8] {
    let password = || Proofs::default().with(Proof::First(FirstFactor::Password), NOW);
    let device = Proof::TrustedDevice(DeviceId::from([1; 16]));
    [
        None,
        visitor(&[], false, password()),
        visitor(&[], true, password()),
        visitor(
            &[],
            true,
            password().with(Proof::Factor(Kind::Totp, FactorId::from([5; 16])), NOW),
        ),
        visitor(&[], true, password().with(device, NOW)),
        visitor(
            &[],
            true,
            password().with(Proof::Factor(Kind::RecoveryCode, FactorId::from([6; 16])), NOW),
        ),
        visitor(
            &["staff"],
            true,
            password().with(Proof::Factor(Kind::Totp, FactorId::from([5; 16])), NOW),
        ),
        visitor(&["staff"], false, password()),
    ]
}

fn come_to(policy: &Policy, request: &Request, address: Option<IpAddr>) -> String {
    let verdicts = visitors().map(|evidence| {
        let known = evidence.as_ref().and_then(Visitor::known);
        let ruling = policy.requirement(request, &Asker { address, known });
        match judge(&ruling.requirement, &evidence, NOW).name() {
            "pass" => "P",
            "sign-in" => "S",
            "challenge" => "C",
            "set-up" => "U",
            "refused" => "R",
            other => panic!("{other}"),
        }
    });
    verdicts.join(" ")
}

#[test]
fn every_visitor_gets_what_the_rules_say() {
    let config = Config::read("table.yaml", POLICY).unwrap_or_else(|bad| panic!("{bad}"));
    let policy = &config.apps[0].policy;
    let mut decisions = 0;
    for line in TABLE.trim().lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (method, overrides) = match words[0].split_once('>') {
            Some((method, other)) => (method, vec![other]),
            None => (words[0], vec![]),
        };
        let address = match words[1] {
            "in" => Some(IpAddr::from([10, 0, 0, 9])),
            "out" => Some(IpAddr::from([203, 0, 113, 9])),
            _ => None,
        };
        let sent = Sent { target: words[2].as_bytes(), method, overrides: &overrides };
        let request = Request::read_sent(&sent).unwrap();
        assert_eq!(come_to(policy, &request, address), words[3..].join(" "), "{line}");
        decisions += words[3..].len();
    }
    assert!(decisions >= 200, "{decisions}");
}

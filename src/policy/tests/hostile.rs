//! How paths are read and governed: ordinary ones, known hostile ones, and those that are refused.

use std::str::FromStr as _;
use std::time::Duration;

use proptest::prelude::*;
use rstest::rstest;

use crate::domain::assurance::{Level, Requirement};
use crate::policy::own::OwnPage;
use crate::policy::pattern::{Covering, Malformed, Pattern};
use crate::policy::reading::closure;
use crate::policy::request::{Request, Shown};
use crate::policy::rule::{Governor, Rule};
use crate::policy::rules::{Asker, Policy};
use crate::policy::unreadable::Unreadable;
use crate::policy::work::Work;

/// An anonymous visitor at a known address.
pub(super) const STRANGER: Asker<'static> =
    Asker { address: Some(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)), known: None };

pub(super) fn rule(paths: &[&str], require: Requirement) -> Rule {
    let paths = paths.iter().map(|path| Pattern::from_str(path).unwrap()).collect();
    Rule::new(paths, require)
}

pub(super) fn fresh() -> Requirement {
    Requirement {
        within: Some(Duration::from_mins(5)),
        trusted_device: false,
        ..Requirement::second_factor()
    }
}

/// An app that is open except for some paths.
pub(super) fn mostly_open() -> Policy {
    let rules = vec![
        rule(
            &["/public/", "/Static/", "/Straße/", "/my files/", "/b%FCro/"],
            Requirement::nothing(),
        ),
        rule(&["/bank/transfer", "/bank/*/close"], fresh()),
        rule(&["/admin/", "/**/private/"], Requirement::second_factor()),
        rule(&["/vault"], Requirement::nobody()),
    ];
    Policy::new(rules, Requirement::nothing())
}

fn asked(policy: &Policy, target: impl AsRef<[u8]>) -> Requirement {
    let request = Request::read(target.as_ref()).unwrap();
    policy.requirement(&request, &STRANGER).requirement
}

/// Whether `have` is at least as strict as `want`.
pub(super) fn covers(have: &Requirement, want: &Requirement) -> bool {
    have.and(want) == *have
}

#[rstest]
#[case("/", Level::Nothing)]
#[case("/admin", Level::SecondFactor)]
#[case("/admin/", Level::SecondFactor)]
#[case("/admin/users/7", Level::SecondFactor)]
#[case("/administrator", Level::Nothing)]
#[case("/vault", Level::Nobody)]
#[case("/vault/", Level::Nobody)]
#[case("/vault/inside", Level::Nothing)]
#[case("/bank/transfer", Level::SecondFactor)]
#[case("/bank/7/close", Level::SecondFactor)]
#[case("/bank/close", Level::Nothing)]
#[case("/bank/7/8/close", Level::Nothing)]
#[case("/private", Level::SecondFactor)]
#[case("/a/b/private/c", Level::SecondFactor)]
#[case("/a/b/privates", Level::Nothing)]
fn a_plain_path_is_governed_by_the_first_rule_that_takes_it(
    #[case] path: &str,
    #[case] level: Level,
) {
    assert_eq!(asked(&mostly_open(), path).level, level);
}

/// Each of these reaches `/admin/users`, `/vault` or `/bank/transfer` through some decoder:
/// `ABUSE.md` 11–14 and 18, and other known ways past gateways.
const HOSTILE: &[&str] = &[
    "//admin/users",
    "/./admin/users",
    "/x/../admin/users",
    "/../admin/users",
    "/public/../admin/users",
    "/public/..%2fadmin/users",
    "/public/%2e%2e/admin/users",
    "/public/%2e%2e%2fadmin%2fusers",
    "/public/.%2e/admin/users",
    "/public/%252e%252e/admin/users",
    "/public/..%252fadmin/users",
    "/public/..;/admin/users",
    "/public/..;x=1/admin/users",
    "/public/%2e%2e;/admin/users",
    "/public/..%3b/admin/users",
    "/public/..%253b/admin/users",
    "/;/admin/users",
    "/;x=1/admin/users",
    "/admin;/users",
    "/admin;jsessionid=1/users",
    "/admin%3bx/users",
    "/admin%3b/users",
    "/admin%253bx/users",
    "/\\admin/users",
    "\\admin/users",
    "/%5cadmin/users",
    "/%5Cadmin%5cusers",
    "/public\\..\\admin\\users",
    "/public/..\\admin/users",
    "/public/..%5cadmin/users",
    "/public%5c..%5cadmin",
    "/public/..%255cadmin",
    "/ADMIN/users",
    "/Admin/Users",
    "/%41dmin/users",
    "/%61dmin/users",
    "/%61%64%6d%69%6e/users",
    "/%2561dmin/users",
    "/%2541DMIN/users",
    "/admin%2fusers",
    "/admin%2Fusers",
    "/admin%252fusers",
    "/%2fadmin/users",
    "/%2f%2fadmin/users",
    "/%252fadmin/users",
    "/admin./users",
    "/admin../users",
    "/admin%20/users",
    "/admin%20%20",
    "/admin.%20./users",
    "/admin%2e/users",
    "/admin%252e",
    "/admin%3f",
    "/admin%3fx=1",
    "/admin%23",
    "/admin%23/../../public",
    "/admin%2523",
    "/admin%253f/public",
    "/admin?/public/",
    "/admin?#/public/",
    "//x/admin/users",
    "///x/admin/users",
    "/\\x/admin/users",
    "//x@y:80/admin/users",
    "/%2f/x/admin",
    "/admin/.",
    "/admin/./",
    "/admin//",
    "/x/../admin/..;/admin",
    "/public/%c0%ae%c0%ae/admin/users",
    "/public/..%c0%afadmin",
    "/public/%e0%80%ae%e0%80%ae/admin",
    "/public/%f0%80%80%ae./admin",
    "/public/..%25c0%25afadmin",
    "/x/%2e%2e/%2e%2e/%61dmin;a/users",
    "/vault;a",
    "/vault/",
    "/vault//",
    "/vault/.",
    "/vault%2f",
    "/vault%20",
    "/vault.",
    "/Vault",
    "/vault%3b",
    "/vault%3fa",
    "/vault%23a",
    "/VAULT%2f",
    "/vault/x/..",
    "/x/../vault",
    "/vault;a/b",
    "/public/../vault",
    "/public/%2e%2e/vault.",
    "/vault/%2e",
    "/vault%5c",
    "/%76ault",
    "/bank//transfer",
    "/bank/./transfer",
    "/bank;x/transfer;y",
    "/bank/TRANSFER",
    "/bank%2ftransfer",
    "/bank/x/../transfer",
    "/bank\\transfer",
    "/bank/transfer/",
    "/bank/transfer.",
    "/bank./transfer",
    "/bank/%74ransfer",
    "/bank/%2574ransfer",
    "/bank/transfer%20",
    "/bank/transfer%3f",
    "/bank/x%2fy/clos%65",
    "/BANK/7/Clos%65",
    "/bank/%25%37%34ransfer",
];

#[test]
fn every_known_hostile_spelling_is_asked_for_what_its_place_asks_or_refused() {
    let policy = mostly_open();
    assert!(HOSTILE.len() >= 60);
    for spelling in HOSTILE {
        let plain = spelling.to_lowercase();
        let want = match () {
            () if plain.contains("ault") => Requirement::nobody(),
            () if plain.contains("bank") => fresh(),
            () => Requirement::second_factor(),
        };
        match Request::read(spelling.as_bytes()) {
            Ok(request) => {
                let ruling = policy.requirement(&request, &STRANGER);
                assert!(covers(&ruling.requirement, &want), "{spelling}: {ruling:?}");
            }
            Err(why) => assert_eq!(why, Unreadable::NotOriginForm, "{spelling}"),
        }
    }
}

#[rstest]
#[case("", Unreadable::Empty)]
#[case("*", Unreadable::NotOriginForm)]
#[case("crm.example.com:443", Unreadable::NotOriginForm)]
#[case("http://crm.example.com/", Unreadable::NotOriginForm)]
#[case("@evil/a", Unreadable::NotOriginForm)]
#[case("?/", Unreadable::NotOriginForm)]
#[case("/a\0b", Unreadable::Control)]
#[case("/a\tb", Unreadable::Control)]
#[case("/a b", Unreadable::Control)]
#[case("/a\x7f", Unreadable::Control)]
#[case("/a?b\0", Unreadable::Control)]
#[case("/a?b\r\nX-A: b", Unreadable::Control)]
#[case("/public%00/admin", Unreadable::HiddenControl)]
#[case("/admin%0a", Unreadable::HiddenControl)]
#[case("/admin%0d%0aX-A:%20b", Unreadable::HiddenControl)]
#[case("/admin%2500", Unreadable::HiddenControl)]
#[case("/admin%c0%80", Unreadable::HiddenControl)]
#[case("/admin%7F", Unreadable::HiddenControl)]
#[case("/admin#/../public", Unreadable::Fragment)]
#[case("/admin#", Unreadable::Fragment)]
#[case("/%", Unreadable::BrokenEscape)]
#[case("/%4", Unreadable::BrokenEscape)]
#[case("/%zz", Unreadable::BrokenEscape)]
#[case("/%+1", Unreadable::BrokenEscape)]
#[case("/%u002fadmin", Unreadable::BrokenEscape)]
#[case("/%%32%65", Unreadable::BrokenEscape)]
fn what_no_application_should_see_is_refused(#[case] target: &str, #[case] why: Unreadable) {
    assert_eq!(Request::read(target.as_bytes()), Err(why));
}

#[rstest]
#[case("/public/a?discount=50%&to=%zz")]
#[case("/public/a?text=%00%0A#")]
fn a_query_may_hold_what_a_path_may_not(#[case] target: &str) {
    assert_eq!(asked(&mostly_open(), target).level, Level::Nothing);
}

#[test]
fn a_path_that_can_be_read_in_too_many_ways_is_refused() {
    let odd = "/a%252f;x/..%255c%2e.%3b/%252e;/%2f\\%5c..;/b%20./%23%3f".repeat(40);
    assert_eq!(Request::read(odd.as_bytes()), Err(Unreadable::TooManyReadings));
}

#[rstest]
#[case("/public/a%20b", 1)]
#[case("/public/caf%C3%A9", 1)]
#[case("/public/caf%E9", 1)]
#[case("/public/a+b:c@d~e,f=g&h$i!j'k(l)*m", 1)]
#[case("/Public2/A", 1)]
#[case("/public/", 2)]
#[case("/public/.well-known/a.b..c", 1)]
#[case("/a/%E0%A4%A8", 1)]
fn an_ordinary_path_has_one_reading_and_another_for_its_last_slash(
    #[case] path: &str,
    #[case] readings: usize,
) {
    assert_eq!(Request::read(path.as_bytes()).unwrap().readings().count(), readings);
}

#[rstest]
#[case("/my%20files/a", true)]
#[case("/b%FCro/a", true)]
#[case("/b%C3%BCro/a", false)]
#[case("/Stra%C3%9Fe/a%20b", true)]
#[case("/public/a%20b/caf%C3%A9/caf%E9/a+b:c@d~e", true)]
#[case("/public/%E0%A4%A8%E0%A4%AE", true)]
#[case("/Static/App.JS", true)]
#[case("/static/App.JS", false)]
#[case("/STATIC/a", false)]
#[case("/public/x;v=1", true)]
#[case("/public//a", true)]
#[case("/public/%7Euser", true)]
fn an_ordinary_path_is_let_in_where_its_plain_reading_is(#[case] path: &str, #[case] open: bool) {
    let rules = vec![mostly_open().rules()[0].clone()];
    let closed = Policy::new(rules, Requirement::second_factor());
    let want = if open { Level::Nothing } else { Level::SecondFactor };
    assert_eq!(asked(&closed, path).level, want);
}

#[rstest]
#[case("/GEH%C3%84LTER/", "/gehälter/")]
#[case("/geh%E4lter/", "/GEH%C4LTER/")]
#[case("/%C5%BFecret/", "/secret/")]
fn letter_case_is_folded_beyond_ascii(#[case] path: &str, #[case] pattern: &str) {
    let policy = Policy::new(vec![rule(&[pattern], fresh())], Requirement::nothing());
    assert_eq!(asked(&policy, path), fresh());
}

#[test]
fn a_ruling_says_which_rule_the_plain_path_meets_and_which_raised_it() {
    let request = Request::read(b"/public/..%2fVAULT").unwrap();
    let ruling = mostly_open().requirement(&request, &STRANGER);
    assert_eq!((ruling.plain, ruling.raised_by), (Governor::Rule(0), Governor::Rule(3)));
    assert_eq!(ruling.raised_by.to_string(), "rule 4");
}

#[test]
fn what_refuses_everybody_is_raised_by_no_other_rule() {
    let rules = vec![rule(&["/admin/"], Requirement::nobody()), rule(&["/bank/"], fresh())];
    let policy = Policy::new(rules, Requirement::nothing());
    for target in ["/admin/..%2fbank/", "/bank/..%2fadmin/"] {
        let ruling = policy.requirement(&Request::read(target.as_bytes()).unwrap(), &STRANGER);
        assert_eq!(
            (ruling.requirement.level, ruling.raised_by),
            (Level::Nobody, Governor::Rule(0))
        );
    }
}

#[rstest]
#[case("/.doorward/", OwnPage::Page(""))]
#[case("/.doorward", OwnPage::Page(""))]
#[case("/.doorward?x", OwnPage::Page(""))]
#[case("/.doorward/sign-in?return_to=%2F", OwnPage::Page("sign-in"))]
#[case("/.doorward/link/abcd234", OwnPage::Page("link/abcd234"))]
#[case("/.doorward/sign-in/", OwnPage::Page("sign-in/"))]
#[case("/.doorwards/", OwnPage::No)]
#[case("/x/.doorward/", OwnPage::No)]
#[case("/doorward/", OwnPage::No)]
#[case("/.Doorward/sign-in", OwnPage::Odd)]
#[case("/.doorward/Sign-in", OwnPage::Odd)]
#[case("//.doorward/sign-in", OwnPage::Odd)]
#[case("/.doorward//sign-in", OwnPage::Odd)]
#[case("/%2edoorward/sign-in", OwnPage::Odd)]
#[case("/%252edoorward/sign-in", OwnPage::Odd)]
#[case("/.doorward%2fsign-in", OwnPage::Odd)]
#[case("/.doorward/sign%2din", OwnPage::Odd)]
#[case("/.doorward/caf%C3%A9", OwnPage::Odd)]
#[case("/.doorward;x/sign-in", OwnPage::Odd)]
#[case("/.doorward/../admin", OwnPage::Odd)]
#[case("/x/../.doorward/", OwnPage::Odd)]
#[case("/.doorward.", OwnPage::Odd)]
#[case("/.doorward%20/", OwnPage::Odd)]
#[case("/\\.doorward/", OwnPage::Odd)]
#[case("/.doorward%23", OwnPage::Odd)]
fn own_pages_have_one_spelling(#[case] target: &str, #[case] own: OwnPage<'_>) {
    assert_eq!(Request::read(target.as_bytes()).unwrap().own_page(), own);
}

#[rstest]
#[case("admin/", Malformed::NotRooted("admin/".to_owned()))]
#[case("", Malformed::NotRooted(String::new()))]
#[case("/a?b", Malformed::QueryOrFragment)]
#[case("/a;b", Malformed::Parameters)]
#[case("/a\\b", Malformed::Backslash)]
#[case("/a//b", Malformed::EmptySegment)]
#[case("//", Malformed::EmptySegment)]
#[case("/a/../b", Malformed::DotSegment)]
#[case("/a./", Malformed::TrailingDotOrSpace("a.".to_owned()))]
#[case("/a%20/", Malformed::TrailingDotOrSpace("a%20".to_owned()))]
#[case("/a*", Malformed::PartialStar("a*".to_owned()))]
#[case("/%", Malformed::BrokenEscape)]
#[case("/%2fa", Malformed::NeedlessEscape(b'/'))]
#[case("/a\u{7}", Malformed::Control)]
#[case("/.Doorward/a", Malformed::Own)]
fn a_malformed_pattern_says_why(#[case] pattern: &str, #[case] why: Malformed) {
    assert_eq!(Pattern::from_str(pattern), Err(why));
}

#[rstest]
#[case("/", "/a", true)]
#[case("/a/", "/a/b/*", true)]
#[case("/a/", "/a", true)]
#[case("/a", "/a", true)]
#[case("/a", "/a/", false)]
#[case("/a/", "/ab", false)]
fn a_place_covers_what_is_below_it(#[case] one: &str, #[case] other: &str, #[case] covers: bool) {
    let [one, other] = [one, other].map(|path| Pattern::from_str(path).unwrap());
    assert_eq!(one.covers(&other), covers);
    let mut covering = Covering::default();
    covering.add(&one, 7);
    assert_eq!(covering.covering(&other).any(|found| found == 7), covers);
    let mut covered = Covering::default();
    covered.add(&other, 7);
    assert_eq!(covered.covered(&one).any(|found| found == 7), covers);
}

fn odd_path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "a", "admin", "vault", "bank", "transfer", "Public", "public", ".", "..", ";x",
        "%2f", "%2e", "%5c", "\\", "%25", "%3b", "%20", "%41", "%C3%A9", "%E9", "%23", "%3f", "//",
        "%c0%af", "A",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn seeded() -> ProptestConfig {
    ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn a_request_is_asked_at_least_what_its_plain_reading_is(path in odd_path()) {
        let Ok(request) = Request::read(path.as_bytes()) else { return Ok(()) };
        let ruling = mostly_open().requirement(&request, &STRANGER);
        let policy = mostly_open();
        prop_assert!(covers(&ruling.requirement, policy.asked_by(ruling.plain)));
    }

    #[test]
    fn another_reading_never_lowers(paths in prop::collection::vec(odd_path(), 1..8)) {
        let policy = mostly_open();
        let asked = |count: usize| {
            let readings = paths[..count].iter().map(|path| path.clone().into_bytes()).collect();
            policy.requirement(&Request::of_readings(readings), &STRANGER).requirement
        };
        for count in 1..paths.len() {
            prop_assert!(covers(&asked(count + 1), &asked(count)));
        }
    }

    #[test]
    fn readings_are_closed_each_once_and_begin_with_the_plain_one(path in odd_path()) {
        let Ok(request) = Request::read(path.as_bytes()) else { return Ok(()) };
        let readings: Vec<_> = request.readings().collect();
        let distinct: std::collections::HashSet<_> = readings.iter().collect();
        prop_assert_eq!(readings[0], request.path());
        prop_assert_eq!(distinct.len(), readings.len());
        prop_assert!(readings.iter().all(|reading| reading.starts_with(b"/")));
    }

    #[test]
    fn the_fast_way_is_the_slow_way_for_ordinary_paths(path in odd_path()) {
        let Ok(request) = Request::read(path.as_bytes()) else { return Ok(()) };
        let fast: Vec<_> = request.readings().map(|path| Shown(path).to_string()).collect();
        let slow = closure(request.path().to_vec(), &mut Work::default()).unwrap();
        let slow: Vec<_> = slow.iter().map(|path| Shown(path).to_string()).collect();
        prop_assert_eq!(fast, slow);
    }
}

//! A search for the request that costs the most work to judge: over targets, queries, methods and
//! visitors, with random policies.
//!
//! It is hill climbing: of many changes to the most expensive request so far, the one that costs
//! the most is kept.

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::properties::Draw;
use crate::domain::assurance::Requirement;
use crate::policy::reach::{Depth, OtherTarget, Role};
use crate::policy::work::Work;
use crate::policy::{Asker, Policy, Request, Rule, Sent};

/// What makes paths expensive: parts with several readings, and many of them.
const PIECES: [&str; 36] = [
    "/",
    "//",
    "/a",
    "/b",
    "/A",
    "/c",
    "/d",
    ".",
    "..",
    "/.",
    "/..",
    "%2f",
    "%252f",
    "%2e",
    "%252e",
    "%25",
    "%5c",
    "\\",
    ";",
    ";x",
    "%3b",
    "%253b",
    "%20",
    "%3f",
    "%23",
    "/a.php",
    "/index.php",
    "/x.y",
    "~1",
    ":",
    "(S(a))",
    ",",
    "+",
    "%C3%A9",
    "%EF%BD%81",
    "%c0%af",
];
const QUERIES: [&str; 6] = ["%&", "?", "_method=%44ELETE&", "q[a]=1&", "q=1;", "%u0071=1&"];

/// A step that exceeds the limit may still be finished.
const OVERSHOT: u32 = Work::LIMIT + Work::LIMIT / 4;

fn change(target: &str, rng: &mut StdRng) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (mut path, mut query) = (path.to_owned(), query.to_owned());
    let at = |text: &str, rng: &mut StdRng| {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).collect();
        *places.choose(rng).unwrap_or(&text.len())
    };
    match rng.random_range(0..10) {
        0..5 => {
            let at = at(&path, rng);
            path.insert_str(at, PIECES.choose(rng).unwrap());
        }
        5 => {
            let times = rng.random_range(2..30);
            let piece = PIECES.choose(rng).unwrap().repeat(times);
            path.push_str(&piece);
        }
        6 => {
            let (one, other) = (at(&path, rng), at(&path, rng));
            path.replace_range(one.min(other)..one.max(other), "");
        }
        7 => {
            let again = path.clone();
            path.push_str(&again);
        }
        8 => query.push_str(&QUERIES.choose(rng).unwrap().repeat(rng.random_range(1..50))),
        _ => query.truncate(at(&query, rng)),
    }
    path.truncate(path.floor_char_boundary(4_000));
    query.truncate(4_000);
    if query.is_empty() { path } else { format!("{path}?{query}") }
}

/// The cost of `target`, and whether it is refused for it.
fn cost(policy: &Policy, target: &str, rng: &mut StdRng) -> (u32, bool) {
    let method = ["GET", "POST", "head", "DELETE"].choose(rng).unwrap();
    let sent = Sent { target: target.as_bytes(), method, overrides: &["PUT, POST, DELETE"] };
    let Ok(request) = Request::read_sent(&sent) else { return (0, true) };
    let address = rng.random::<bool>().then_some([10, 1, 2, 3].into());
    let ruling = policy.requirement(&request, &Asker { address, known: None });
    (ruling.work, ruling.is_too_costly)
}

#[test]
fn the_dearest_request_that_a_search_finds_stays_below_the_limit_or_is_refused() {
    let mut rng = StdRng::seed_from_u64(9);
    let mut draw = Draw::new(9);
    let (mut dearest, mut let_through) = ((0, String::new()), 0);
    for _ in 0..12 {
        let policy = draw.policy();
        let mut best = (0, "/a".to_owned());
        for _ in 0..250 {
            let target = change(&best.1, &mut rng);
            let (work, is_refused) = cost(&policy, &target, &mut rng);
            assert!(work < OVERSHOT, "{work}: {target}");
            if !is_refused {
                let_through = let_through.max(work);
            }
            if work > best.0 && !is_refused {
                best = (work, target);
            }
        }
        if best.0 > dearest.0 {
            dearest = best;
        }
    }
    assert!(let_through < Work::LIMIT);
    assert!(dearest.0 > Work::LIMIT / 2, "the search finds nothing dear: {dearest:?}");
}

/// A path costs no more than the limit, however long it is.
#[test]
fn length_alone_is_refused_before_it_is_dear() {
    let policy = super::hostile::mostly_open();
    let mut rng = StdRng::seed_from_u64(1);
    for piece in ["/a", "/.a/b.c", "/x.php", "%EF%BC%A1%CC%81", "/%41", "//", "/..", ";a", "/index"]
    {
        let target = format!("/{}", piece.repeat(32_000 / piece.len()));
        let (work, _) = cost(&policy, &target, &mut rng);
        assert!(work < OVERSHOT, "{piece}: {work}");
    }
}

/// The other targets in headers count towards the same limit.
#[test]
fn many_dear_targets_are_read_no_further_than_one_request_may_cost() {
    let dear = format!("/{}", "%25%32%66a".repeat(8)).into_bytes();
    let one = Request::read(&dear).unwrap().work().spent();
    let most = Work::LIMIT / one + 2;
    let other = OtherTarget { header: "If", role: Role::Read, target: dear };
    let others = vec![other; most as usize];
    let reaching = |others| Request::read(b"/").unwrap().reaching(Depth::Infinity, others);
    assert!(reaching(&others[..1]).is_ok());
    assert!(reaching(&others).is_err(), "{one} each");
}

/// A rule with one pattern below a path is compared with all of its patterns.
#[test]
fn each_pattern_of_a_rule_below_a_path_counts() {
    let below = |count: usize| {
        let others = (0..count).map(|number| format!("/c/{number}/"));
        let paths = others.chain(["/b/x/".to_owned()]).map(|path| path.parse().unwrap());
        let rule = Rule::new(paths.collect(), Requirement::second_factor());
        let policy = Policy::new(vec![rule], Requirement::nothing());
        let sent = Sent { target: b"/b", method: "DELETE", overrides: &[] };
        let request = Request::read_sent(&sent).unwrap();
        policy.requirement(&request, &Asker { address: None, known: None }).work
    };
    assert!(below(1_000) > below(10) + 990 * 8, "{} and {}", below(1_000), below(10));
}

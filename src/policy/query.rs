//! Parameters of the query, in every way in which an application may read them.
//!
//! A rule that looks for a parameter can only add requirements. So every possible meaning counts:
//! each of several parameters with the same name, and all of them joined; `;` and a second `?` as
//! separators; names as [`names`] reads them, and texts as [`text`] does. Something inside a
//! parameter (`do[edit]=1`) counts as the parameter with every value.

mod beginnings;
mod names;
mod text;
mod wanted;

use std::ops::Range;
use std::sync::OnceLock;

use beginnings::Letters;
pub use names::LONGEST_NAME;
use names::{Part, each_key, key};
use text::{each_reading, meant};
pub(super) use wanted::Wanted;

use super::text_set::TextSet;

/// A parameter of the query that a rule looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Any of these values matches; any value at all if there are none.
    pub values: TextSet,
}

/// The query of a request, without the `?`. It is parsed only once, on first use: the same request
/// may be judged many times.
#[derive(Clone, Debug)]
pub(super) struct Query {
    sent: Box<[u8]>,
    read: OnceLock<Parameters>,
}

/// The parsed parameters of one query.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    /// The bytes of all keys.
    keys: Vec<u8>,
    read: Vec<Read>,
    overlong: bool,
    work: usize,
}

/// One key of one parameter.
#[derive(Clone, Debug)]
struct Read {
    key: Range<usize>,
    /// The range of its value in the query.
    value: Range<usize>,
    inside: bool,
}

/// No application reads more parameters than this (PHP's `max_input_vars`, Express).
pub(super) const MOST_PARAMETERS: usize = 1_000;

/// A value that lists more items than this counts as every value.
const MOST_LISTED: usize = 100;

impl Query {
    pub(super) fn new(sent: &[u8]) -> Self {
        Self { sent: sent.into(), read: OnceLock::new() }
    }

    pub(super) fn sent(&self) -> &[u8] {
        &self.sent
    }

    pub(super) fn parameters(&self) -> &Parameters {
        self.read.get_or_init(|| Parameters::read(&self.sent))
    }

    /// Whether it has more parameters than any application reads.
    pub(super) fn is_overlong(&self) -> bool {
        is_overlong(&self.sent)
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.sent == other.sent
    }
}

impl Eq for Query {}

impl Parameter {
    /// Whether `query` contains the parameter; letter case of values counts if `exact`.
    pub(super) fn is_in(&self, query: &Query, exact: bool) -> bool {
        let (parameters, name) = (query.parameters(), key(&self.name));
        let values: Vec<_> = self.values.iter().map(|value| meant(value, exact)).collect();
        let named = || parameters.names(query.sent()).filter(|(key, ..)| *key == name);
        let is_meant = |sent: &[u8]| {
            let mut found = false;
            let every = each_meant(sent, exact, |value| {
                found |= values.iter().any(|wanted| wanted == value);
            });
            found || every
        };
        parameters.is_overlong()
            || named().any(|(_, value, inside)| values.is_empty() || inside || is_meant(value))
            || is_meant(&named().map(|(_, value, _)| value).collect::<Vec<_>>().join(&b','))
                && named().next().is_some()
    }
}

/// Whether `query` has more parameters than any application reads.
fn is_overlong(query: &[u8]) -> bool {
    let between = memchr::memchr3_iter(b'&', b';', b'?', query);
    between.take(MOST_PARAMETERS + 1).count() > MOST_PARAMETERS
}

impl Parameters {
    fn read(query: &[u8]) -> Self {
        let mut parameters =
            Self { overlong: is_overlong(query), work: query.len(), ..Self::default() };
        if !parameters.overlong {
            each_pair(query, |name, value| parameters.add(query, name, value));
        }
        parameters
    }

    fn add(&mut self, query: &[u8], name: Range<usize>, value: Range<usize>) {
        let Self { keys, read, work, .. } = self;
        let first = read.len();
        *work += 1 + each_key(&query[name], |key, part| {
            let inside = part == Part::Inside;
            let known = |one: &Read| keys[one.key.clone()] == *key && one.inside == inside;
            if !read[first..].iter().any(known) {
                let key_at = keys.len()..keys.len() + key.len();
                keys.extend_from_slice(key);
                read.push(Read { key: key_at, value: value.clone(), inside });
            }
        });
    }

    /// Every key under which a rule may look, with the value that was sent, and whether that is
    /// only a part of the parameter.
    fn names<'p>(&'p self, query: &'p [u8]) -> impl Iterator<Item = (&'p [u8], &'p [u8], bool)> {
        let text =
            |one: &'p Read| (&self.keys[one.key.clone()], &query[one.value.clone()], one.inside);
        self.read.iter().map(text)
    }

    /// Whether there are more parameters than any application reads: then every parameter may be
    /// among them.
    fn is_overlong(&self) -> bool {
        self.overlong
    }

    /// How many bytes and parameters were examined.
    #[cfg(test)]
    fn work(&self) -> usize {
        self.work
    }
}

/// Calls `each` with the ranges of names and values in `query`: separated by `&` alone, and also by
/// other separators of older software (HTML 4 §B.2.2), or by a `?` that is taken for the beginning
/// of the query.
fn each_pair(query: &[u8], mut each: impl FnMut(Range<usize>, Range<usize>)) {
    let mut pair = |at: Range<usize>| {
        if !at.is_empty() {
            let equals = memchr::memchr(b'=', &query[at.clone()]).map(|equals| at.start + equals);
            let name = at.start..equals.unwrap_or(at.end);
            each(name, equals.map_or(at.end, |equals| equals + 1)..at.end);
        }
    };
    let mut start = 0;
    for end in memchr::memchr_iter(b'&', query).chain([query.len()]) {
        pair(start..end);
        if memchr::memchr2(b';', b'?', &query[start..end]).is_some() {
            let mut from = start;
            let between = memchr::memchr2_iter(b';', b'?', &query[start..end]);
            for to in between.map(|at| start + at).chain([end]) {
                pair(from..to);
                from = to + 1;
            }
        }
        start = end + 1;
    }
}

/// Calls `each` with everything that a value may mean: each reading of it, and each item of a list.
/// Gives true if the list is so long that the value may mean anything.
fn each_meant(value: &[u8], exact: bool, mut each: impl FnMut(&[u8])) -> bool {
    let mut anything = false;
    each_reading(value, exact, |value| {
        each(value);
        if value.contains(&b',') {
            let listed = value.split(|byte| *byte == b',');
            listed.clone().take(MOST_LISTED).for_each(|one| each(one.trim_ascii()));
            anything |= listed.count() > MOST_LISTED;
        }
    });
    anything
}

/// Calls `each` with every reading of a value sent as `_method`, which overrides the method.
///
/// # Errors
/// [`TooMany`] if too many names must be examined closely.
pub(super) fn each_override(query: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), TooMany> {
    let mut close = 0;
    each_pair(query, |name, value| {
        if close <= MOST_LISTED && may_be_override(&query[name.clone()]) {
            close += 1;
            let mut is_override = false;
            each_key(&query[name], |key, _| is_override |= key == b"_method");
            if is_override {
                each_reading(&query[value], true, &mut each);
            }
        }
    });
    if close > MOST_LISTED { Err(TooMany) } else { Ok(()) }
}

/// There is more to read than any client sends.
#[derive(Debug)]
pub(super) struct TooMany;

/// A fast check whether a name may be `_method`. `false` is certain.
fn may_be_override(name: &[u8]) -> bool {
    let mut letters = b"method".iter();
    if name.len() < b"_method".len() {
        return false;
    }
    for letter in Letters(name) {
        match (letter, letters.next()) {
            (None, _) | (Some(_), None) => return true,
            (Some(letter), Some(wanted)) if letter == *wanted => {}
            (Some(_), Some(_)) => return false,
        }
    }
    letters.next().is_none()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn is_in(parameter: &Parameter, query: &str, exact: bool) -> bool {
        parameter.is_in(&Query::new(query.as_bytes()), exact)
    }

    fn parameter(name: &str, values: &[&str]) -> Parameter {
        Parameter {
            name: name.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        }
    }

    #[rstest]
    #[case("action=delete", true)]
    #[case("a=1&action=delete", true)]
    #[case("a=1;action=delete", true)]
    #[case("action=view&action=delete", true)]
    #[case("ACTION=Delete", true)]
    #[case("act%69on=de%6cete", true)]
    #[case("act%2569on=delete", true)]
    #[case("action[]=delete", true)]
    #[case("action%5B0%5D=delete", true)]
    #[case("action=+delete%20", true)]
    // PHP: a name ends at NUL, and something inside counts as the parameter with any value.
    #[case("action%00=delete", true)]
    #[case("action%00[]=delete", true)]
    #[case("action[delete]=1", true)]
    #[case("action[x", true)]
    #[case("%20action=delete", true)]
    #[case("action=delete%00", true)]
    // ASP, ASP.NET, CGI.pm, Jetty.
    #[case("%u0061ction=delete", true)]
    #[case("action=del%u0065te", true)]
    #[case("action=del%ete", true)]
    #[case("action.x=1", true)]
    #[case("[0].action=delete", true)]
    #[case("action=%ef%bd%84elete", true)]
    // Rack and Express: brackets around a name.
    #[case("[action]=delete", true)]
    #[case("[[action=delete", true)]
    #[case("action]=delete", true)]
    // Spring: field markers.
    #[case("!action=delete", true)]
    #[case("_action=delete", true)]
    // Lists in one value.
    #[case("action=view,delete", true)]
    // Another `?`.
    #[case("?action=delete", true)]
    #[case("a=1?action=delete", true)]
    #[case("&amp;action=delete", true)]
    #[case("action=view", false)]
    #[case("action", false)]
    #[case("action=deleted", false)]
    #[case("xaction=delete", false)]
    #[case("actions[action]=delete", false)]
    #[case("redirect_to=http%3A%2F%2Fa%2F%3Faction%3Ddelete", false)]
    #[case("", false)]
    fn a_parameter_is_found_however_it_is_spelt(#[case] query: &str, #[case] found: bool) {
        assert_eq!(is_in(&parameter("action", &["delete"]), query, false), found);
    }

    #[rstest]
    #[case("my.debug", &["my.debug", "my_debug=1", "my[debug", "my%20debug", "my[debug]=1", "my+debug"])]
    #[case("user[admin]", &["user[admin]=1", "user.admin=1", "user[admin][]=1", "user%5Badmin%5D"])]
    #[case("user_id", &["user[id=1", "user.id=1", "user%00=&user_id%00x=1"])]
    fn a_name_that_is_in_two_parts_is_one(#[case] name: &str, #[case] queries: &[&str]) {
        for query in queries {
            assert!(is_in(&parameter(name, &[]), query, false), "{query}");
        }
        for query in ["my.debugger=1", "user[role]=1", "id=1", "debug=1"] {
            assert!(!is_in(&parameter(name, &[]), query, false), "{query}");
        }
    }

    #[test]
    fn letter_case_of_values_counts_where_it_is_said_to() {
        assert!(is_in(&parameter("action", &["Delete"]), "ACTION=Delete", true));
        assert!(!is_in(&parameter("action", &["delete"]), "ACTION=Delete", true));
    }

    #[test]
    fn several_of_one_name_are_one_with_commas_between_them() {
        assert!(is_in(&parameter("a", &["1,2"]), "a=1&b=3&A=2", false));
        assert!(!is_in(&parameter("a", &["1,2"]), "a=2&b=3&A=1", false));
    }

    #[test]
    fn what_is_read_grows_as_the_query_does() {
        for part in ["%25%32%35&", "a[b][c][d]=%2561,b&", "%252e%u0041.a=1;", "_%25255f?"] {
            let query = part.repeat(900);
            let parameters = Parameters::read(query.as_bytes());
            assert!(parameters.work() < query.len() * 8, "{part}: {}", parameters.work());
        }
    }

    /// Compares the index with the rules themselves, in thousands of queries.
    #[test]
    fn what_is_looked_for_in_all_at_once_is_found_as_if_alone() {
        use rand::seq::IndexedRandom as _;
        use rand::{RngExt as _, SeedableRng as _};

        // A name with such a beginning makes every other name be examined closely.
        let odd = vec![parameter("größe", &["9"])];
        let plain = vec![
            vec![parameter("action", &["delete", "a,b"])],
            vec![parameter("user.id", &[])],
            vec![parameter("user[id]", &["7"]), parameter("q", &[])],
            vec![parameter("2fa", &["off"])],
        ];
        let both = [plain.clone(), [plain, vec![odd]].concat()];
        let mut rng = rand::rngs::StdRng::seed_from_u64(3);
        let mut found = 0;
        for wanted in both {
            let rules: Vec<_> = wanted
                .iter()
                .cloned()
                .map(|query| {
                    let rule = crate::policy::Rule::new(
                        Vec::new(),
                        crate::domain::assurance::Requirement::nothing(),
                    );
                    crate::policy::Rule { query, ..rule }
                })
                .collect();
            let index = Wanted::of(rules.iter().enumerate(), false);
            let names = [
                "action",
                "%61ction",
                "Action[]",
                "user_id",
                "user[id]",
                "user[id][x]",
                "user.id%00",
                "q",
                "2fa",
                "3.2fa",
                "[0].2fa",
                "%6%31ction",
                "%%361ction",
                "%25%361ction",
                "_%%36dethod",
                "%0%61ction",
                "gr%c3%b6%c3%9fe",
                "page",
                "x[action]",
                "[action]",
                "_action",
                "user",
            ];
            let values = ["delete", "a", "b", "a,b", "7", "o%66f", "9", "", "%37", "x"];
            for _ in 0..3_000 {
                let pairs = (0..rng.random_range(0..5)).map(|_| {
                    let between = ["&", ";", "?"].choose(&mut rng).unwrap();
                    let (name, value) = (names.choose(&mut rng), values.choose(&mut rng));
                    format!("{}={}{between}", name.unwrap(), value.unwrap())
                });
                let query = Query::new(pairs.collect::<String>().as_bytes());
                let alone = wanted
                    .iter()
                    .enumerate()
                    .filter(|(_, all)| all.iter().all(|parameter| parameter.is_in(&query, false)));
                let alone: Vec<usize> = alone.map(|(position, _)| position).collect();
                found += alone.len();
                let shown = String::from_utf8_lossy(query.sent()).into_owned();
                assert_eq!(index.sent(&query), alone, "{shown}");
            }
        }
        assert!(found > 1_000, "{found}");
    }

    #[test]
    fn a_query_that_is_dear_to_look_at_is_taken_for_one_that_asks_for_everything() {
        let query = vec![parameter("action", &["delete"])];
        let rule =
            crate::policy::Rule::new(Vec::new(), crate::domain::assurance::Requirement::nothing());
        let index = Wanted::of([(0, &crate::policy::Rule { query, ..rule })].into_iter(), false);
        let sent = |query: &str| index.sent(&Query::new(query.as_bytes())).len();
        assert_eq!(sent(&"actions%2561[b].c&".repeat(900)), 1);
        assert_eq!(sent(&"other%2561[b].c&".repeat(900)), 0);
        assert_eq!(sent(&format!("action={}", "x".repeat(3_000))), 1);
    }

    #[test]
    fn where_more_is_sent_than_anybody_reads_everything_may_be_meant() {
        let many = "a&".repeat(MOST_PARAMETERS + 1);
        assert!(is_in(&parameter("b", &["1"]), &many, false));
        let list = format!("b={}", "x,".repeat(MOST_LISTED + 1));
        assert!(is_in(&parameter("b", &["1"]), &list, false));
    }

    #[test]
    fn a_name_that_is_no_override_is_told_in_a_moment_and_one_that_is_one_never_missed() {
        for name in [
            "_method",
            ".Method",
            "%5f%6dethod",
            "%255fmetho%2564",
            "_m%u0065thod",
            "[_method]",
            "%00_method",
            "_%%36dethod",
            "_%6%64ethod",
        ] {
            assert!(may_be_override(name.as_bytes()), "{name}");
        }
        for name in ["action", "%61ction", "__m", "_mother", "user%5Bmethod%5D"] {
            assert!(!may_be_override(name.as_bytes()), "{name}");
        }
    }
}

//! Parameters of the query, in every way in which an application may read them.
//!
//! A rule that looks for a parameter only ever adds to what is asked. So whatever might be meant
//! counts: each of several with one name, decoded never, once or twice, `+` as a space, `;` between
//! them, PHP's `name[]` and its `_` for dots and spaces.

use std::collections::BTreeSet;

use super::pattern::fold;
use super::reading::decode_where;

/// A parameter of the query that a rule looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value is any of these; any at all if there are none.
    pub values: BTreeSet<String>,
}

/// The parameters of one query, read.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    read: Vec<Read>,
}

#[derive(Debug)]
struct Read {
    names: Vec<Vec<u8>>,
    values: Vec<Vec<u8>>,
}

impl Parameter {
    /// Whether one of `parameters` is meant; letter case counts where `exact`.
    pub(super) fn is_in(&self, parameters: &Parameters, exact: bool) -> bool {
        let name = key(&self.name);
        let values: Vec<_> =
            self.values.iter().map(|value| in_case(value.as_bytes(), exact)).collect();
        parameters.read.iter().any(|read| {
            read.names.contains(&name)
                && (values.is_empty()
                    || read.values.iter().any(|value| values.contains(&in_case(value, exact))))
        })
    }
}

/// More parameters than this no application reads (PHP's `max_input_vars`).
pub(super) const MOST_PARAMETERS: usize = 1_000;

/// Whether `query` has more parameters than any application reads.
pub(super) fn is_overlong(query: &[u8]) -> bool {
    query.iter().filter(|byte| matches!(byte, b'&' | b';')).count() > MOST_PARAMETERS
}

impl Parameters {
    /// Reads a query, without the `?` before it.
    pub(super) fn read(query: &[u8]) -> Self {
        let pairs = query.split(|byte| matches!(byte, b'&' | b';')).filter(|pair| !pair.is_empty());
        let read = pairs.map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = match equals {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &b""[..]),
            };
            let mut names: Vec<_> = spellings(name).iter().map(|name| name_key(name)).collect();
            names.sort_unstable();
            names.dedup();
            Read { names, values: spellings(value) }
        });
        Self { read: read.collect() }
    }

    /// Every name under which a rule may look, folded.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.read.iter().flat_map(|read| &read.names).map(Vec::as_slice)
    }

    /// Every reading of the values of the parameter `name`, which is in lower case.
    pub(super) fn values<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p [u8]> {
        let named = move |read: &&Read| read.names.iter().any(|other| other == name.as_bytes());
        self.read.iter().filter(named).flat_map(|read| &read.values).map(Vec::as_slice)
    }
}

/// Under what a rule's parameter is found.
pub(super) fn key(name: &str) -> Vec<u8> {
    name_key(name.as_bytes())
}

/// A name as PHP keeps it, in lower case: up to the first bracket, without spaces before it, and
/// with `_` for dots and spaces.
fn name_key(name: &[u8]) -> Vec<u8> {
    let base = name.split(|byte| *byte == b'[').next().unwrap_or(name);
    let base = if base.is_empty() { name } else { base };
    let kept: Vec<u8> = base
        .trim_ascii_start()
        .iter()
        .map(|byte| if matches!(byte, b'.' | b' ') { b'_' } else { *byte })
        .collect();
    fold(&kept).unwrap_or(kept)
}

fn in_case(value: &[u8], exact: bool) -> Vec<u8> {
    if exact { value.to_vec() } else { fold(value).unwrap_or_else(|| value.to_vec()) }
}

/// A part as sent, and decoded once and twice; each also without white space around it.
fn spellings(part: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![part.to_vec()];
    let spaced: Vec<u8> = part.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    let mut next = Some(spaced);
    for _ in 0..3 {
        let Some(reading) = next else { break };
        next = decode_where(&reading, |_| true);
        all.push(reading.trim_ascii().to_vec());
        all.push(reading);
    }
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

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
    #[case("action=view", false)]
    #[case("action", false)]
    #[case("action=deleted", false)]
    #[case("xaction=delete", false)]
    #[case("", false)]
    fn a_parameter_is_found_however_it_is_spelt(#[case] query: &str, #[case] found: bool) {
        let parameters = Parameters::read(query.as_bytes());
        let delete = Parameter { name: "action".into(), values: ["delete".to_owned()].into() };
        assert_eq!(delete.is_in(&parameters, false), found);
    }

    #[test]
    fn where_any_value_is_meant_none_is_one_too() {
        let debug = Parameter { name: "my.debug".into(), values: BTreeSet::new() };
        for (query, found) in [("my.debug", true), ("my_debug=1", true), ("my.debugger=1", false)] {
            assert_eq!(debug.is_in(&Parameters::read(query.as_bytes()), false), found, "{query}");
        }
    }

    #[test]
    fn letter_case_of_values_counts_where_it_is_said_to() {
        let parameters = Parameters::read(b"ACTION=Delete");
        let parameter =
            |value: &str| Parameter { name: "action".into(), values: [value.into()].into() };
        assert!(parameter("Delete").is_in(&parameters, true));
        assert!(!parameter("delete").is_in(&parameters, true));
    }
}

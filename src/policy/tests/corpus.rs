//! Twenty thousand hostile spellings, random from a seed, run through decoders like those of real
//! software: a spelling that reaches a protected handler must be governed like that handler.
//!
//! The decoders share no code with `reading`, so that no mistake is made on both sides.

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::hostile::{STRANGER, covers, fresh, mostly_open};
use crate::domain::assurance::Requirement;
use crate::policy::request::Request;
use crate::policy::unreadable::Unreadable;

/// Decodes every valid escape in one pass from the left, and leaves the rest unchanged.
fn percent(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut out = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let digits = piece.get(..2).filter(|two| two.chars().all(|c| c.is_ascii_hexdigit()));
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => out.extend([char::from(byte).to_string().as_str(), &piece[2..]]),
            None => out.extend(["%", piece]),
        }
    }
    out
}

fn dots(path: &str) -> String {
    let mut stack = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        match part {
            "." if parts.peek().is_some() => {}
            ".." => {
                stack.pop();
                if parts.peek().is_none() {
                    stack.push("");
                }
            }
            "." => stack.push(""),
            part => stack.push(part),
        }
    }
    format!("/{}", stack.join("/"))
}

fn slashes(path: &str) -> String {
    let mut out = path.to_owned();
    while out.contains("//") {
        out = out.replace("//", "/");
    }
    out
}

fn parameters(path: &str) -> String {
    let parts: Vec<_> = path.split('/').map(|part| part.split(';').next().unwrap()).collect();
    parts.join("/")
}

fn windows(path: &str) -> String {
    let parts: Vec<_> = path
        .split('/')
        .map(|part| match part.trim_end_matches(' ') {
            dots @ ("." | "..") => dots,
            part => part.trim_end_matches([' ', '.']),
        })
        .collect();
    parts.join("/")
}

fn backslashes(path: &str) -> String {
    path.replace('\\', "/")
}

fn lower(path: &str) -> String {
    path.to_lowercase()
}

fn until_query(path: &str) -> String {
    path.split(['?', '#']).next().unwrap().to_owned()
}

type Decoder = &'static [fn(&str) -> String];

/// nginx: decode once, merge, resolve. Go: the same, without the last slash. Tomcat: parameters
/// first. IIS: decode, backslashes, Windows file names, any letter case. And combinations of
/// servers.
const DECODERS: &[Decoder] = &[
    &[],
    &[percent],
    &[percent, percent],
    &[slashes, dots],
    &[dots, slashes],
    &[percent, slashes, dots],
    &[percent, dots, slashes],
    &[parameters, percent, slashes, dots],
    &[percent, parameters, slashes, dots],
    &[parameters, dots, percent],
    &[percent, percent, parameters, backslashes, slashes, dots],
    &[slashes, dots, percent, slashes, dots, percent, slashes, dots],
    &[percent, backslashes, slashes, dots, windows, lower],
    &[percent, backslashes, windows, slashes, dots, lower],
    &[lower, percent, percent, lower, windows, slashes],
    &[backslashes, parameters, percent, dots, percent, until_query],
    &[percent, until_query, slashes, dots],
    &[percent, percent, until_query, parameters, lower],
    &[dots, percent, parameters, windows, slashes, percent, backslashes, dots, lower],
    &[windows, percent, dots, percent, windows, slashes, lower],
];

/// Changes `path` several times in ways that some decoder undoes.
fn misspell(path: &str, rng: &mut StdRng) -> String {
    let mut path = path.to_owned();
    for _ in 0..rng.random_range(1..=4) {
        let cut = |path: &str, rng: &mut StdRng| {
            let slashes: Vec<_> = path.match_indices('/').map(|(at, _)| at).collect();
            *slashes.choose(rng).unwrap_or(&0)
        };
        let at = cut(&path, rng);
        match rng.random_range(0..8) {
            1 => {
                let junk = ["/", "/.", "/x/..", "/;a", "/public/..", "/ ", "/x/..;b", "/\\."];
                path.insert_str(at, junk.choose(rng).unwrap());
            }
            2 => {
                let tails = [";x", ".", " ", ";/", ". ", "/", "/.", "/x/..", "?x", "#x", "\\"];
                path.push_str(tails.choose(rng).unwrap());
            }
            3 => path.insert_str(at, [";x=1", ".", " ", ";"].choose(rng).unwrap()),
            4 => path.replace_range(at..=at, "\\"),
            5 => {
                let upper =
                    |letter: char| if rng.random() { letter.to_ascii_uppercase() } else { letter };
                path = path.chars().map(upper).collect();
            }
            6 => path.insert_str(0, ["/public/..", "/.", "/", "\\", "/;x"].choose(rng).unwrap()),
            _ => path = escaped(&path, rng),
        }
    }
    // The result must be a valid target: escape what cannot be sent raw.
    path.replace('?', "%3f").replace('#', "%23").replace(' ', "%20")
}

fn escaped(path: &str, rng: &mut StdRng) -> String {
    let often = rng.random_range(1..6);
    let mut out = String::new();
    for (at, letter) in path.char_indices() {
        let special = "./\\;?#%".contains(letter);
        match letter {
            letter if at > 0 && rng.random_range(0..if special { 2 } else { often * 4 }) == 0 => {
                out.extend([String::from("%"), format!("{:02x}", u32::from(letter))]);
            }
            letter => out.push(letter),
        }
    }
    out
}

/// A handler of the application: compares the path that it receives.
fn handler(path: &str) -> Option<Requirement> {
    let below = |place: &str| path == place || path.starts_with(&format!("{place}/"));
    match path {
        "/vault" => Some(Requirement::nobody()),
        "/bank/transfer" => Some(fresh()),
        path if path.starts_with("/bank/")
            && path.ends_with("/close")
            && path.split('/').count() == 4
            && !path.contains("//") =>
        {
            Some(fresh())
        }
        _ if below("/admin") => Some(Requirement::second_factor()),
        _ => None,
    }
}

#[test]
fn what_reaches_a_handler_through_some_decoder_is_governed_as_the_handler_is() {
    let policy = mostly_open();
    let mut rng = StdRng::seed_from_u64(0x5EED);
    let places = ["/admin", "/admin/users", "/vault", "/bank/transfer", "/bank/7/close"];
    let (mut reached, mut refused) = (0, 0);
    while reached < 20_000 {
        let spelling = misspell(places.choose(&mut rng).unwrap(), &mut rng);
        let request = match Request::read(spelling.as_bytes()) {
            Ok(request) => request,
            Err(Unreadable::NotOriginForm | Unreadable::BrokenEscape) => continue,
            // A few have so many readings that they are refused.
            Err(Unreadable::TooManyReadings) => {
                refused += 1;
                continue;
            }
            Err(why) => panic!("refusing is no way to pass this test: {spelling}: {why}"),
        };
        let handlers: Vec<_> = DECODERS
            .iter()
            .map(|steps| steps.iter().fold(spelling.clone(), |path, step| step(&path)))
            .filter_map(|path| handler(&path).map(|asks| (path, asks)))
            .collect();
        let ruling = policy.requirement(&request, &STRANGER);
        if ruling.is_too_costly {
            refused += 1;
            continue;
        }
        for (path, asks) in &handlers {
            assert!(covers(&ruling.requirement, asks), "{spelling} reaches {path}: {ruling:?}");
        }
        reached += usize::from(!handlers.is_empty());
    }
    assert!(refused < reached / 500, "{refused} of {reached} would cost too much");
}

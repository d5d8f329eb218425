//! Holds the order of the modules, and the purity of those that decide.
//!
//! A module may name those of earlier groups, not its siblings and not later ones. The parser below
//! knows just enough of Rust for that: it blanks comments and literals, reads every path, and
//! follows `super` through inline modules. Within a layer, no file may import another in a circle.
//! The last tests show that both would be caught.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

/// The layers of `ARCHITECTURE.md`, earliest first; siblings share a line.
const GROUPS: &[&[&str]] = &[
    &["domain"],
    &["policy"],
    &["config"],
    &["unavailable", "histogram"],
    &["net"],
    &["store", "identity", "messages", "metrics", "access_log"],
    &["flow"],
    &["web"],
    &["proxy"],
    &["os"], // the real clock and generator: `cli` hands them to all others
    &["cli"],
];

/// The modules of which no file may import another in a circle. What a `mod.rs` only passes on
/// (`pub use`) is no import of its own: whoever names it imports the file that it comes from.
const WITHOUT_CIRCLES: &[&str] = &["policy", "store", "flow", "web", "proxy"];

/// What decides: values in, values out.
const PURE: &[&str] = &["domain", "policy"];

/// The crates that a pure module may use: they reckon, and reach for nothing outside.
const PURE_CRATES: &[&str] = &[
    "data-encoding",
    "hmac",
    "ipnet",
    "memchr",
    "minicbor",
    "precis-core",
    "precis-profiles",
    "rand_core",
    "rlibphonenumber",
    "rustc-hash",
    "serde",
    "sha2",
    "smallvec",
    "subtle",
    "thiserror",
    "totp-rs",
    "unicode-normalization",
    "zeroize",
];

/// What a pure module does not touch of the standard library. (An `IpAddr` is only a number.)
const IMPURE_STD: &[&str] = &["fs", "net", "io", "env", "process", "thread"];
const IMPURE_WORDS: &[&str] = &["async", "await", "SystemTime", "Instant"];

/// Crates that only these files may use, as beginnings of paths.
const CONFINED: &[(&str, &[&str])] = &[
    ("pingora", &["proxy/", "cli/serve.rs"]),
    ("redb", &["store/", "cli/serve.rs"]),
    ("lettre", &["messages/"]),
    ("webauthn_rs_core", &["identity/webauthn/"]),
    ("serde_cbor_2", &["identity/webauthn/"]),
];

#[test]
fn every_module_names_only_those_of_earlier_layers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, "", &mut files).unwrap();
    assert!(files.len() > 2, "no sources found in {}", src.display());
    let breaches: Vec<String> =
        files.iter().flat_map(|(file, source)| breaches(file, source)).collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn no_file_imports_another_in_a_circle() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, "", &mut files).unwrap();
    for module in WITHOUT_CIRCLES {
        let circle = circle(module, &files);
        assert!(circle.is_empty(), "a circle of imports: {}", circle.join(" → "));
    }
}

/// Every source file below `folder`: its path from there, and its text.
fn rust_files(folder: &Path, at: &str, files: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            rust_files(&path, &format!("{at}{name}/"), files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push((format!("{at}{name}"), fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// What `source` does that its place in the tree, `file` (relative to `src/`), does not allow.
fn breaches(file: &str, source: &str) -> Vec<String> {
    let home = module_path(file);
    let tokens = tokens(source);
    let mut found = Vec::new();
    for (prefix, places) in CONFINED {
        if !places.iter().any(|place| file.starts_with(place)) {
            let named = tokens.iter().filter(|word| word.starts_with(prefix));
            found.extend(named.map(|word| format!("{file}: names {word}")));
        }
    }
    let Some(top) = home.first() else { return found };
    let Some(group) = group_of(top) else {
        found.push(format!("{file}: the module `{top}` is in no layer"));
        return found;
    };
    let pure = PURE.contains(&top.as_str());
    let impure_crates = impure_crates();
    if pure {
        let words = tokens.iter().filter(|word| IMPURE_WORDS.contains(&word.as_str()));
        found.extend(words.map(|word| format!("{file}: `{word}` in a pure module")));
    }
    for (at, path) in paths(&tokens) {
        let mut place = [&home[..], &at[..]].concat();
        let mut rest = &path[..];
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => place.clear(),
                "self" => {}
                "super" => drop(place.pop()),
                _ => break,
            }
            rest = after;
        }
        let named = rest.first().filter(|_| rest.len() < path.len() && place.is_empty());
        if let Some(named) = named.filter(|named| *named != top) {
            match group_of(named) {
                Some(other) if other < group => {}
                Some(_) => found.push(format!("{file}: `{top}` may not name `{named}`")),
                None => found.push(format!("{file}: `crate::{named}` is no module of a layer")),
            }
        }
        if pure && path.len() > 1 {
            let std = path[0] == "std" && IMPURE_STD.contains(&path[1].as_str());
            let std = std && !path.get(2).is_some_and(|name| name.starts_with("Ip"));
            if std || impure_crates.contains(&path[0]) {
                found.push(format!("{file}: `{}` in a pure module", path.join("::")));
            }
        }
    }
    found
}

/// What a file declares at its top: the names that it imports, and those that it passes on, each with
/// the path for which it stands; and every path that it names.
#[derive(Default)]
struct Imports {
    own: BTreeMap<String, Vec<String>>,
    passed_on: BTreeMap<String, Vec<String>>,
    named: Vec<Vec<String>>,
}

impl Imports {
    fn of(source: &str) -> Self {
        let tokens = without_tests(&tokens(source));
        let mut imports = Self::default();
        let mut i = 0;
        while i < tokens.len() {
            if tokens[i] == "use" {
                let is_public = i > 0 && matches!(tokens[i - 1].as_str(), "pub" | ")");
                let mut spelled = Vec::new();
                let end = tokens[i..].iter().position(|sign| sign == ";").map_or(i, |n| i + n);
                spell_out(&tokens[..end], i + 1, &[], &mut spelled);
                for mut path in spelled {
                    if path.last().is_some_and(|name| name == "self") {
                        path.pop();
                    }
                    let Some(name) = path.last().cloned() else { continue };
                    if is_public {
                        imports.passed_on.insert(name, path);
                    } else {
                        imports.named.push(path.clone());
                        imports.own.insert(name, path);
                    }
                }
                i = end;
            } else if is_word(&tokens[i]) && (i == 0 || tokens[i - 1] != ".") {
                let mut spelled = Vec::new();
                i = spell_out(&tokens, i, &[], &mut spelled);
                imports.named.extend(spelled.into_iter().filter(|path| path.len() > 1));
                continue;
            }
            i += 1;
        }
        imports
    }
}

/// `tokens` without what is only there for tests.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        if tokens.len() >= i + MARK.len() && tokens[i..i + MARK.len()] == MARK {
            let mut depth = 0;
            while i < tokens.len() {
                depth += i32::from(tokens[i] == "{") - i32::from(tokens[i] == "}");
                let ends = matches!(tokens[i].as_str(), "}" | ";") && depth == 0;
                i += 1;
                if ends {
                    break;
                }
            }
        } else {
            found.push(tokens[i].clone());
            i += 1;
        }
    }
    found
}

/// Files of `module` that import one another in a circle, in its order; nothing if there is none.
fn circle(module: &str, files: &[(String, String)]) -> Vec<String> {
    let files: BTreeMap<Vec<String>, Imports> = files
        .iter()
        .map(|(file, source)| (module_path(file), source))
        .filter(|(path, _)| path.first().is_some_and(|first| first == module))
        .map(|(path, source)| (path, Imports::of(source)))
        .collect();
    let mut done = BTreeSet::new();
    files
        .keys()
        .find_map(|file| leads_back(file, &files, &mut Vec::new(), &mut done))
        .map_or(Vec::new(), |circle| circle.iter().map(|file| file.join("::")).collect())
}

/// Follows the imports of `file`, to which those on the `way` have led: the circle, if it comes back.
fn leads_back(
    file: &[String],
    files: &BTreeMap<Vec<String>, Imports>,
    way: &mut Vec<Vec<String>>,
    done: &mut BTreeSet<Vec<String>>,
) -> Option<Vec<Vec<String>>> {
    if let Some(at) = way.iter().position(|before| before == file) {
        return Some([&way[at..], &[file.to_vec()]].concat());
    }
    if !done.insert(file.to_vec()) {
        return None;
    }
    way.push(file.to_vec());
    let named = files.get(file).into_iter().flat_map(|imports| &imports.named);
    let imported: BTreeSet<Vec<String>> =
        named.filter_map(|path| file_of(file, path, files, 0)).collect();
    for other in imported.iter().filter(|other| *other != file) {
        if let Some(circle) = leads_back(other, files, way, done) {
            return Some(circle);
        }
    }
    way.pop();
    None
}

/// In which file is what `path` names, seen from the file `from`; `None` if in none of `files`.
fn file_of(
    from: &[String],
    path: &[String],
    files: &BTreeMap<Vec<String>, Imports>,
    depth: usize,
) -> Option<Vec<String>> {
    let imports = files.get(from)?;
    let (first, mut rest) = path.split_first()?;
    let beyond = |to: &[String], rest: &[String]| {
        (depth < 16).then(|| file_of(from, &[to, rest].concat(), files, depth + 1)).flatten()
    };
    let mut at = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.to_vec(),
        "super" => {
            let mut at = from[..from.len() - 1].to_vec();
            while let [next, after @ ..] = rest
                && next == "super"
            {
                at.pop();
                rest = after;
            }
            at
        }
        name if imports.own.contains_key(name) => return beyond(&imports.own[name], rest),
        name if files.contains_key(&[from, &[name.to_owned()]].concat()) => {
            [from, &[name.to_owned()]].concat()
        }
        name if imports.passed_on.contains_key(name) => {
            return beyond(&imports.passed_on[name], rest);
        }
        _ => return None,
    };
    while let Some((next, after)) = rest.split_first() {
        let inner = [&at[..], std::slice::from_ref(next)].concat();
        let passed_on = files.get(&at).and_then(|imports| imports.passed_on.get(next));
        if at.is_empty() || files.contains_key(&inner) {
            at = inner;
        } else if let Some(passed_on) = passed_on.filter(|_| depth < 16) {
            return file_of(&at, &[&passed_on[..], after].concat(), files, depth + 1);
        } else {
            break;
        }
        rest = after;
    }
    files.contains_key(&at).then_some(at)
}

fn group_of(module: &str) -> Option<usize> {
    GROUPS.iter().position(|group| group.contains(&module))
}

/// `flow/sign_in.rs` is `flow::sign_in`; `lib.rs` and `main.rs` are the root.
fn module_path(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if matches!(path, "lib" | "main") { Vec::new() } else { names(path.split('/')) }
}

/// Every crate that `Cargo.toml` depends on and that is not known to be pure.
fn impure_crates() -> Vec<String> {
    let lines = include_str!("../Cargo.toml").lines().map(str::trim);
    let dependencies = lines
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once('=')?.0.trim()));
    dependencies.filter(|name| !PURE_CRATES.contains(name)).map(|n| n.replace('-', "_")).collect()
}

/// The words and signs of `source`, without comments, strings and characters.
fn tokens(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut found = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let hashes = chars[(i + 1).min(chars.len())..].iter().take_while(|c| **c == '#').count();
        if at(i) == '/' && at(i + 1) == '/' {
            i += chars[i..].iter().take_while(|c| **c != '\n').count();
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if at(i) == 'r' && at(i + 1 + hashes) == '"' {
            i += hashes + 2;
            let closed = |i: usize| at(i) == '"' && (1..=hashes).all(|n| at(i + n) == '#');
            while i < chars.len() && !closed(i) {
                i += 1;
            }
            i += hashes + 1;
        } else if at(i) == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if at(i) == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            i += chars[i.min(chars.len())..].iter().take_while(|c| **c != '\'').count() + 1;
        } else if at(i).is_alphanumeric() || at(i) == '_' {
            let word = chars[i..].iter().take_while(|c| c.is_alphanumeric() || **c == '_');
            let word: String = word.collect();
            i += word.chars().count();
            // `r"` and `b"` were looked at where the letter stands alone; `br"` is met at its `r`.
            if word == "br" && matches!(at(i), '"' | '#') { i -= 1 } else { found.push(word) }
        } else if at(i) == ':' && at(i + 1) == ':' {
            found.push("::".to_owned());
            i += 2;
        } else {
            if !at(i).is_whitespace() {
                found.push(at(i).to_string());
            }
            i += 1;
        }
    }
    found
}

/// Every path in `tokens`, groups spelled out, each with the inline modules around it.
fn paths(tokens: &[String]) -> Vec<(Vec<String>, Vec<String>)> {
    let (mut found, mut inline, mut depth) = (Vec::new(), Vec::<(usize, String)>::new(), 0);
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inline.retain(|(opened, _)| *opened < depth + 1);
            }
            "mod" if tokens.get(i + 2).is_some_and(|sign| sign == "{") => {
                depth += 1;
                inline.push((depth, tokens[i + 1].clone()));
                i += 2;
            }
            _ if is_word(&tokens[i]) => {
                let around: Vec<String> = inline.iter().map(|(_, name)| name.clone()).collect();
                let mut spelled = Vec::new();
                i = spell_out(tokens, i, &[], &mut spelled);
                found.extend(spelled.into_iter().map(|path| (around.clone(), path)));
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    found
}

/// Reads `a::b` or `a::{b, c::d}` from `i` on, behind `before`; where it ends.
fn spell_out(tokens: &[String], i: usize, before: &[String], to: &mut Vec<Vec<String>>) -> usize {
    let sign = |i: usize| tokens.get(i).map_or("", String::as_str);
    let path = [before, &tokens[i..=i]].concat();
    let next = i + 2;
    if sign(i + 1) != "::" || !(is_word(sign(next)) || matches!(sign(next), "{" | "*")) {
        to.push(path);
        return i + 1;
    }
    if sign(next) != "{" {
        return spell_out(tokens, next, &path, to);
    }
    let mut i = next + 1;
    while i < tokens.len() && sign(i) != "}" {
        i = if sign(i) == "," { i + 1 } else { spell_out(tokens, i, &path, to) };
    }
    i + 1
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn names<'a>(of: impl Iterator<Item = &'a str>) -> Vec<String> {
    of.map(str::to_owned).collect()
}

#[test]
fn each_kind_of_breach_is_caught() {
    let samples = [
        ("domain/user.rs", "use crate::store::Store;", "may not name `store`"),
        ("flow/admit.rs", "use crate::{domain::user, web::Page};", "may not name `web`"),
        ("flow/admit.rs", "use crate::{policy::{self, Rule}, proxy};", "may not name `proxy`"),
        ("store/mod.rs", "fn f(at: &crate::identity::Local) {}", "may not name `identity`"),
        ("store/redb.rs", "use super::super::flow::Env;", "may not name `flow`"),
        ("store.rs", "use super::web;", "may not name `web`"),
        ("store.rs", "mod tests { mod deep { use super::super::super::web::Page; } }", "`web`"),
        ("web/page.rs", "mod a { } use super::super::cli::Run;", "may not name `cli`"),
        ("proxy/mod.rs", "crate::os::now()", "may not name `os`"),
        ("flow/admit.rs", "use crate::*;", "`crate::*` is no module"),
        ("flow/admit.rs", "use crate::Shortcut;", "`crate::Shortcut` is no module"),
        ("helpers/mod.rs", "", "`helpers` is in no layer"),
        ("helpers.rs", "", "`helpers` is in no layer"),
        ("domain/user.rs", "async fn load() {}", "`async` in a pure module"),
        ("policy/mod.rs", "let rule = rule.await;", "`await` in a pure module"),
        ("policy/mod.rs", "use std::{fmt, fs};", "`std::fs` in a pure module"),
        ("policy/mod.rs", "let name = std::env::var(key);", "`std::env::var` in a pure module"),
        ("policy/mod.rs", "use std::net::{IpAddr, TcpStream};", "`std::net::TcpStream` in a pure"),
        ("domain/time.rs", "use std::time::SystemTime;", "`SystemTime` in a pure module"),
        ("domain/time.rs", "let t = time::Instant::now();", "`Instant` in a pure module"),
        ("domain/user.rs", "tracing::info!(user);", "`tracing::info` in a pure module"),
        ("domain/user.rs", "getrandom::fill(&mut id)", "`getrandom::fill` in a pure module"),
        ("policy/request.rs", "use http::Method;", "`http::Method` in a pure module"),
        ("domain/user.rs", "tokio::spawn(work)", "`tokio::spawn` in a pure module"),
        ("web/mod.rs", "use pingora::proxy::Session;", "names pingora"),
        ("cli/demo.rs", "use pingora_core::Error;", "names pingora_core"),
        ("main.rs", "fn main() { pingora::run() }", "names pingora"),
        ("flow/admit.rs", "use redb::Database;", "names redb"),
        ("flow/admit.rs", "let quote = '\"'; use crate::web::Page; // \"", "may not name `web`"),
        ("flow/admit.rs", r##"let s = r#"""#; crate::web::page("")"##, "may not name `web`"),
        ("flow/admit.rs", "/* /* */ */ use crate::web::Page;", "may not name `web`"),
    ];
    for (file, source, expected) in samples {
        let found = breaches(file, source);
        assert!(
            found.iter().any(|breach| breach.contains(expected)),
            "{file}: `{source}` should be a breach ({expected}), found {found:?}"
        );
    }
}

#[test]
fn what_is_allowed_is_left_alone() {
    let samples = [
        ("domain/user.rs", "use super::time::Timestamp; use crate::domain::device;"),
        ("domain/time.rs", "mod tests { use super::*; use std::time::Duration; }"),
        ("domain/time.rs", "/// Not [`crate::flow::admit`]'s business.\npub(crate) struct T;"),
        (
            "domain/time.rs",
            "let a = \"use crate::web::Page; \\\" async\"; let b = br#\"std::fs\"#;",
        ),
        ("domain/time.rs", "impl<'a> T<'a> { const TICK: u8 = b'\\''; const A: char = 'a'; }"),
        (
            "policy/mod.rs",
            "use std::net::{IpAddr, Ipv4Addr}; use crate::domain::{self, user::User};",
        ),
        ("flow/admit.rs", "pub(in crate::flow) fn f(at: super::Env) { crate::store::get(at) }"),
        ("cli/serve.rs", "use crate::{config, os, proxy, web}; use pingora::server::Fds;"),
        ("proxy/mod.rs", "use pingora_http::RequestHeader; use crate::web::Page;"),
        ("lib.rs", "pub mod domain; pub mod web;"),
    ];
    for (file, source) in samples {
        assert_eq!(breaches(file, source), Vec::<String>::new(), "{file}: `{source}`");
    }
}

#[test]
fn each_kind_of_circle_is_caught() {
    let samples: [&[(&str, &str)]; 6] = [
        &[("web/a.rs", "use super::b::B;"), ("web/b.rs", "fn f(a: super::a::A) {}")],
        &[("web/mod.rs", "mod a; use a::A; struct S;"), ("web/a.rs", "use super::S;")],
        &[
            ("web/mod.rs", "mod a; mod b; pub use a::A;"),
            ("web/a.rs", "use super::b;"),
            ("web/b.rs", "use super::{A, c};"),
        ],
        &[
            ("web/a.rs", "use super::{b::{self, B}}; "),
            ("web/b.rs", "use crate::web::c::C;"),
            ("web/c.rs", "use super::a; fn f() { a::f() }"),
        ],
        &[
            ("web/a/mod.rs", "mod b;"),
            ("web/a/b.rs", "use super::super::c::C;"),
            ("web/c.rs", "use crate::web::a::b::B;"),
        ],
        &[
            ("web/a.rs", "use super::b; use b::C;"),
            ("web/b.rs", "pub(super) fn f() -> super::a::A {}"),
        ],
    ];
    for files in samples {
        assert!(!circle("web", &owned(files)).is_empty(), "{files:?} should be a circle");
    }
}

#[test]
fn what_is_no_circle_is_left_alone() {
    let samples: [&[(&str, &str)]; 3] = [
        // Passing on is not importing.
        &[
            ("web/mod.rs", "mod a; mod b; pub use a::A; pub(crate) use b::B;"),
            ("web/a.rs", "use super::B;"),
            ("web/b.rs", "struct B;"),
        ],
        // A test may look at anything.
        &[
            ("web/a.rs", "use super::b::B;"),
            ("web/b.rs", "#[cfg(test)] mod tests { use crate::web::a::A; } fn f() {}"),
        ],
        &[("web/a.rs", "// use super::b\nuse crate::flow::b;"), ("web/b.rs", "use super::a::A;")],
    ];
    for files in samples {
        assert_eq!(circle("web", &owned(files)), Vec::<String>::new(), "{files:?}");
    }
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(file, source)| ((*file).to_owned(), (*source).to_owned())).collect()
}

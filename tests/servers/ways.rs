//! Ways in which a request may reach a handler that was not named: what servers and frameworks drop,
//! add, split and decode.

use std::collections::BTreeSet;

use crate::support::spellings::Dice;

/// What may stand behind a path without leading elsewhere.
const ENDS: &[&str] = &[
    "",
    "/",
    "/x",
    "/x.css",
    "/x.php",
    "/static/x",
    "/static/app.js",
    "/.well-known/x",
    "//",
    "//x",
    "/.",
    "/./x",
    "/..",
    "/x/..",
    "/%2e",
    "/;x",
    ";x",
    ";x/y",
    ".",
    "%20",
    "%2e",
    "..",
    ".html",
    ".json",
    ".xml",
    ".JSON",
    ".php",
    ".php/x",
    ".html/x",
    "%2ejson",
    ".json;x",
    ".json/",
    ".php.",
    "%2fx",
    "%2Fx.css",
    "%5cx",
    "\\x",
    "/%2fx",
    "?x",
    "?/static/x",
    "/?x",
    "::$DATA",
    "~1",
    "%23",
    "%3fx",
    ".bak",
    ".en",
    ".html.en",
    ".php.en",
    "/index.html",
    "/index.php",
    "/index",
    "&x",
    "/~x",
    "/@x",
    "/%C3%A9",
    "%C2%AD",
    "+",
    "/panel/users",
    "/users/5",
    "/public.php",
    "/x.json",
    ".json.html",
    ".1",
    "._x",
    ".7z/",
];

/// What may stand before a path without leading elsewhere.
const STARTS: &[&str] = &[
    "",
    "/",
    "/.",
    "/x/..",
    "/static/..",
    "/static/x/../..",
    "/%2e",
    "/static/%2e%2e",
    "/;x",
    "/static/..;",
    "/index.php",
    "/public.php",
    "/index.php/x/..",
    "/app/index.php",
    "/app/..",
    "//x",
    "/cgi-bin/..",
    "/index.php/",
    "/static%2f..",
    "/index.php//",
    "/x.php",
    "/static",
    "/static/x.php",
    "/secret",
    "/INDEX.php",
    "/cgi-bin/open.cgi",
    "/app",
    "/index%2ephp",
    "/index.php;x",
    "/index.php/.",
    "/public.php/..",
    "/panel2/..",
];

/// Requests for `handler` that may lead there: each way alone, and `rounds` of several together.
pub(crate) fn to(handler: &str, rounds: usize, dice: &mut Dice) -> BTreeSet<String> {
    let shorter = shorter(handler);
    let mut targets = BTreeSet::new();
    for path in &shorter {
        targets.extend(ENDS.iter().map(|end| target(&format!("{path}{end}"))));
        targets.extend(STARTS.iter().map(|start| target(&format!("{start}{path}"))));
    }
    for _ in 0..rounds {
        let path = shorter[dice.below(shorter.len())].clone();
        let path = respelt(&path, dice);
        let start = if dice.below(2) == 0 { "" } else { STARTS[dice.below(STARTS.len())] };
        let mut end = ENDS[dice.below(ENDS.len())].to_owned();
        if dice.below(4) == 0 {
            end += ENDS[dice.below(ENDS.len())];
        }
        targets.insert(target(&format!("{start}{path}{end}")));
    }
    targets
}

/// What servers themselves make `handler` of, itself first: its folder for an index file, its name
/// without a script's extension or the last slash.
pub(crate) fn shorter(handler: &str) -> Vec<String> {
    let mut shorter = vec![handler.to_owned()];
    let (folder, name) = handler.rsplit_once('/').unwrap();
    if name == "index.php" {
        shorter.push(format!("{folder}/"));
    }
    if name.is_empty() && !folder.is_empty() {
        shorter.push(folder.to_owned());
    }
    if let Some((stem, "php" | "cgi")) = name.rsplit_once('.') {
        shorter.push(format!("{folder}/{stem}"));
    }
    shorter
}

/// With a few of its letters in another case, or escaped.
fn respelt(path: &str, dice: &mut Dice) -> String {
    let respelt = |letter: char| match (letter, dice.below(24)) {
        ('/', at) => ["//", "/./", "%2f", "\\", "/x/../"].get(at).unwrap_or(&"/").to_string(),
        (_, 0) => format!("%{:02x}", u32::from(letter)),
        (_, 1) => format!("%25{:02x}", u32::from(letter)),
        (_, 2) => letter.to_ascii_uppercase().to_string(),
        (_, _) => letter.to_string(),
    };
    path.chars().map(respelt).collect()
}

fn target(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

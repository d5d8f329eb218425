//! Guesses: other paths that servers with file lookup, and frameworks that shorten names, may find
//! for a path. Not every application shares them, so they can only add requirements.
//!
//! A server that finds a script in the middle of a path runs it and passes the rest to it
//! (`PATH_INFO`, RFC 3875 §4.1.5). A server that finds a folder looks for its index file. Some add
//! extensions, frameworks remove them, and file systems have several names for one file. Which of
//! these an application does is not known here. So each is a *guess*: it counts only if a rule
//! names the guessed path, and an ordinary path that no rule names stays as open as before.
//!
//! Each guess is made from one reading, never from another guess.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::file_name::{is_index, is_server_side, stem};
use super::pattern::{Case, Pattern, fold};
use super::reading::without_last_slash;
use super::tree::{Alike, Likeness, Tree};
use super::unicode;
use super::work::Work;

/// Another path that one reading may be taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guess<'a> {
    pub(super) path: Cow<'a, [u8]>,
    pub(super) why: Why,
    pub(super) about: About<'a>,
}

/// When a guess counts. It always does if a rule names the guessed path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About<'a> {
    /// Only then.
    Names,
    /// In full, because this segment certainly is a script; but only like other guesses if the rule
    /// that governs the reading names it.
    Script(&'a [u8]),
    /// Not if the rule that governs the reading names this segment: it was written for this file.
    File(&'a [u8]),
}

/// Why a path was guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// A script in the middle of the path, without the rest of the path.
    Script,
    /// The path after the script name, by which front controllers find their pages.
    BehindScript,
    /// The same, below the folder of the script.
    AroundScript,
    /// The folder of an index file.
    Folder,
    /// The index file of a folder, which a rule names.
    IndexFile,
    /// The file that a server finds by adding an extension, which a rule names.
    Extension,
    /// Without the extension that names a format (`/users.json`).
    Format,
    /// The long name of an 8.3 name (`ADMINI~1`), which a rule names.
    ShortName,
    /// Without the name of a file's stream (`admin::$DATA`), or anything else after a colon.
    Stream,
    /// Without a segment in which ASP.NET keeps its session (`/(S(x))/`).
    Cookieless,
    /// Without the namespace of a view (`/@@admin`).
    Namespace,
    /// Below a script that a rule names and URLs may omit (`/index.php/`).
    OmittedScript,
    /// A query that begins like a path (`/index.php?/panel/`).
    Query,
    /// Without a key in parentheses, as `OData` writes one of a set (`/Users(1)`).
    Key,
    /// Without parameters that follow a comma (RFC 3986 §3.3).
    Comma,
    /// With `+` read as a space, as in forms.
    Plus,
    /// With letters in another Unicode form or encoding.
    Letters,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Script => "guess: the script alone; the rest is its PATH_INFO",
            Self::BehindScript => "guess: the path after the script name (PATH_INFO)",
            Self::AroundScript => "guess: the path after the script name, in the script's folder",
            Self::Folder => "guess: the folder of the index file",
            Self::IndexFile => "guess: the index file of a folder",
            Self::Extension => "guess: the file with its extension",
            Self::Format => "guess: without its extension, such as `.json`",
            Self::ShortName => "guess: the file with this Windows 8.3 name",
            Self::Stream => "guess: without the part after the colon",
            Self::Cookieless => "guess: without the session ID in the path",
            Self::Namespace => "guess: without the namespace of the view",
            Self::OmittedScript => "guess: with a script name that URLs may omit",
            Self::Query => "guess: the path in the query",
            Self::Key => "guess: without the part in parentheses",
            Self::Comma => "guess: without the part after the comma",
            Self::Plus => "guess: + read as a space",
            Self::Letters => "guess: letters in another Unicode form or encoding",
        })
    }
}

/// The guesses for `path`, which is in this letter case. `scripts`: folders in which every file is
/// a script. May contain duplicates; incomplete if the `work` limit is exceeded.
pub(super) fn of<'a>(
    path: &'a [u8],
    case: Case,
    tree: &Tree,
    scripts: &[Pattern],
    work: &mut Work,
) -> Vec<Guess<'a>> {
    let mut guesses = Guesses { all: Vec::new(), work };
    let slashless = without_last_slash(path).unwrap_or(path);
    if tree.names_files() || path.contains(&b'~') {
        guesses.like_what_rules_name(slashless, slashless.len() < path.len(), tree);
    }
    let mut start = 1;
    while start <= path.len() {
        let end = path[start..].iter().position(|byte| *byte == b'/').map(|at| start + at);
        let segment = &path[start..end.unwrap_or(path.len())];
        if let Some(end) = end
            && let Some(kind) = kind_of(path, start..end, scripts)
        {
            guesses.script(path, start, end, kind);
            if guesses.work.is_spent() {
                return guesses.all;
            }
        }
        if end.is_none_or(|end| end + 1 == path.len()) {
            guesses.last(path, start, segment);
        }
        start = end.unwrap_or(path.len()) + 1;
    }
    guesses.whole(path, case);
    guesses.all
}

/// Whether `path` has no guesses, apart from files that rules name.
pub(super) fn is_plain(path: &[u8], scripts: &[Pattern]) -> bool {
    !path.iter().any(|byte| TELLING[usize::from(*byte)])
        && !path.split(|byte| *byte == b'/').any(is_index)
        && !scripts.iter().any(|place| place.may_hold(path))
}

/// The bytes that a path without guesses has none of.
static TELLING: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0x80);
    while byte < table.len() {
        table[byte] = true;
        byte += 1;
    }
    let (marks, mut at) = (b".~:(,+@!", 0);
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

struct Guesses<'a, 'w> {
    all: Vec<Guess<'a>>,
    work: &'w mut Work,
}

impl<'a> Guesses<'a, '_> {
    fn add(&mut self, path: impl Into<Cow<'a, [u8]>>, why: Why, about: About<'a>) {
        let path = path.into();
        self.work.spend(GUESS + path.len());
        if !self.work.is_spent() {
            self.all.push(Guess { path, why, about });
        }
    }

    /// There is a script at `start..end`, and something after it.
    fn script(&mut self, path: &'a [u8], start: usize, end: usize, kind: Kind) {
        let script = &path[start..end];
        let about = if kind == Kind::Script { About::Script(script) } else { About::Names };
        self.add(&path[..end], Why::Script, about);
        self.behind(path, start..end, path.len(), about);
        // Front controllers have formats, too: `/index.php/admin.json`.
        let slashless = without_last_slash(path).unwrap_or(path);
        let last = slashless.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        if let Some(name) = without_format(&slashless[last..]).filter(|_| last > end) {
            self.behind(path, start..end, last + name.len(), About::Names);
        }
        if let Some(stem) = stem(script) {
            self.add(&path[..start + stem.len()], Why::Format, About::Names);
        }
    }

    /// The path after `script`, up to `until`: by itself, and in the folder of the script.
    fn behind(&mut self, path: &'a [u8], script: Range<usize>, until: usize, about: About<'a>) {
        let behind = &path[script.end..until];
        self.add(behind, Why::BehindScript, about);
        if script.start > 1 {
            let around = [&path[..script.start - 1], behind].concat();
            self.add(around, Why::AroundScript, about);
        }
    }

    /// The last segment, which begins at `start`, with or without a slash after it.
    fn last(&mut self, path: &'a [u8], start: usize, segment: &'a [u8]) {
        let (stem, about) = (stem(segment), About::File(segment));
        if is_index(stem.unwrap_or(segment)) {
            self.add(&path[..start], Why::Folder, about);
            self.add(without_last_slash(&path[..start]).unwrap_or(b"/"), Why::Folder, about);
        }
        let format = without_format(segment);
        self.method(path, start, segment, format.unwrap_or(segment));
        let Some(stem) = format else { return };
        self.add(&path[..start + stem.len()], Why::Format, about);
        // Two extensions: `/report.pdf.html`.
        let first = segment.iter().skip(1).position(|byte| *byte == b'.').map(|at| at + 1);
        if let Some(first) = first.filter(|first| *first < stem.len()) {
            self.add(&path[..start + first], Why::Format, about);
        }
    }

    /// Without the method that Struts would call, and also without the format, if there is one:
    /// `/admin!list.action`, `/admin!list`.
    fn method(&mut self, path: &'a [u8], start: usize, segment: &'a [u8], stem: &'a [u8]) {
        let Some(mark) = stem.iter().position(|byte| *byte == b'!') else { return };
        self.add(&path[..start + mark], Why::Format, About::Names);
        if stem.len() < segment.len() {
            let without = [&path[..start + mark], &segment[stem.len()..]].concat();
            self.add(without, Why::Format, About::Names);
        }
    }

    /// Guesses that change the whole path.
    fn whole(&mut self, path: &'a [u8], case: Case) {
        let cut_at = |at: u8, segment: &[u8]| {
            segment.iter().position(|byte| *byte == at).unwrap_or(segment.len())
        };
        for (byte, why) in [(b':', Why::Stream), (b',', Why::Comma), (b'(', Why::Key)] {
            if path.contains(&byte) {
                let kept = path[1..].split(|byte| *byte == b'/');
                let kept = kept.map(|segment| &segment[..cut_at(byte, segment)]);
                self.add(joined(kept), why, About::Names);
            }
        }
        if path.contains(&b'@') || path.contains(&b'+') {
            let kept = joined(path[1..].split(|byte| *byte == b'/').map(without_namespace));
            if kept != path {
                self.add(kept, Why::Namespace, About::Names);
            }
        }
        if path.contains(&b'(') {
            let kept = without_sessions(path);
            if kept != path {
                self.add(kept, Why::Cookieless, About::Names);
            }
        }
        if path.contains(&b'+') {
            let spaced: Vec<u8> =
                path.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
            let trimmed = joined(spaced[1..].split(|byte| *byte == b'/').map(<[u8]>::trim_ascii));
            if trimmed != spaced {
                self.add(trimmed, Why::Plus, About::Names);
            }
            self.add(spaced, Why::Plus, About::Names);
        }
        if path.iter().any(|byte| *byte >= 0x80) {
            self.work.spend(unicode::COST * path.len());
            if !self.work.is_spent() {
                unicode::spellings(path, |path| {
                    let folded = if case == Case::Folded { fold(&path) } else { None };
                    self.add(folded.unwrap_or(path), Why::Letters, About::Names);
                });
            }
        }
    }

    fn like_what_rules_name(&mut self, path: &'a [u8], is_folder: bool, tree: &Tree) {
        for Alike { start, end, literal, likeness } in tree.alike(path, is_folder, self.work) {
            let (before, behind) = (&path[..start], &path[end..]);
            let slash: &[u8] = if before.ends_with(b"/") { b"" } else { b"/" };
            let named = [before, slash, literal].concat();
            match likeness {
                Likeness::IndexFile => self.add(named, Why::IndexFile, About::Names),
                Likeness::OmittedScript => {
                    self.add(
                        [&named, &b"/"[..], behind].concat(),
                        Why::OmittedScript,
                        About::Names,
                    );
                }
                Likeness::ShortName => {
                    self.add([&named, behind].concat(), Why::ShortName, About::Names);
                }
                Likeness::Extension if behind.is_empty() => {
                    self.add(named, Why::Extension, About::Names);
                }
                Likeness::Extension => {
                    self.add([&named, behind].concat(), Why::Extension, About::Names);
                    self.add(named, Why::Extension, About::Names);
                    self.add(behind, Why::BehindScript, About::Names);
                    self.add(
                        [&before[..start - 1], behind].concat(),
                        Why::AroundScript,
                        About::Names,
                    );
                }
            }
        }
    }
}

/// What a segment in the middle of a path may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It has a name like that of a script.
    Likely,
    /// If the file exists, it is run.
    Script,
}

fn kind_of(path: &[u8], segment: Range<usize>, scripts: &[Pattern]) -> Option<Kind> {
    let (folder, name) = (&path[..segment.start], &path[segment]);
    if !name.is_empty() {
        if scripts.iter().any(|place| place.is_folder(folder)) {
            return Some(Kind::Script);
        }
        // Zope puts the virtual host into the path; the rest follows it.
        if scripts.iter().any(|place| place.holds(folder)) || name.eq_ignore_ascii_case(ROOT) {
            return Some(Kind::Likely);
        }
    }
    match stem(name) {
        Some(stem) if is_server_side(&name[stem.len() + 1..]) => Some(Kind::Script),
        Some(_) => Some(Kind::Likely),
        None => is_index(name).then_some(Kind::Likely),
    }
}

/// The part before a format: Rails takes what follows the last dot for the format (`/admin.1`).
fn without_format(segment: &[u8]) -> Option<&[u8]> {
    let dot = segment.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0)?;
    (dot + 1 < segment.len()).then_some(&segment[..dot])
}

/// Without a part that ASP.NET takes for a session ID, and the slash before it: `/(S(x))/admin`,
/// `/adm/(S(x))in` (CVE-2023-36899).
fn without_sessions(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for segment in path[1..].split(|byte| *byte == b'/') {
        let end = segment.iter().rposition(|byte| *byte == b')');
        if let Some(end) = end.filter(|_| segment.starts_with(b"(")) {
            out.extend_from_slice(&segment[end + 1..]);
        } else {
            out.push(b'/');
            out.extend_from_slice(segment);
        }
    }
    if out.first() != Some(&b'/') {
        out.insert(0, b'/');
    }
    out
}

/// Views and namespaces of Zope: `/@@admin` and `/++view++admin` mean `/admin` if nothing else has
/// that name.
fn without_namespace(segment: &[u8]) -> &[u8] {
    if let Some(view) = segment.strip_prefix(b"@@") {
        return view;
    }
    let Some(rest) = segment.strip_prefix(b"++") else { return segment };
    let end = rest.windows(2).position(|two| two == b"++");
    end.map_or(segment, |end| &rest[end + 2..])
}

const ROOT: &[u8] = b"VirtualHostRoot";

fn joined<'s>(segments: impl Iterator<Item = &'s [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for segment in segments {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    if out.is_empty() { b"/".to_vec() } else { out }
}

/// The cost of one more guess, besides its bytes.
const GUESS: usize = 32;

//! The parsed YAML, with the place of every key and value.
//!
//! YAML features beyond plain maps, lists and scalars (anchors, aliases, merges, tags, several
//! documents) are refused: a configuration that decides about access must mean what it looks like.

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::problem::{EMPTY, Place, Problem};

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Map(Vec<Entry>),
    List(Vec<Node>),
    /// A scalar; `plain` if it is not quoted.
    Scalar {
        text: String,
        plain: bool,
    },
    /// A value that was refused.
    Refused,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

impl Node {
    /// The place of the value at `path` (`apps[0].hosts[1]`), or of its nearest existing parent.
    pub(super) fn place_of(&self, path: &str) -> Place {
        let mut node = self;
        for step in path.split(['.', '[']) {
            let next = match step.strip_suffix(']').map(str::parse::<usize>) {
                Some(index) => index.ok().and_then(|index| node.items().get(index)),
                None => {
                    node.entries().iter().find(|entry| entry.name == step).map(|entry| &entry.node)
                }
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.place
    }

    /// The entries of a map; empty for anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The items of a list; empty for anything else.
    pub(super) fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// Frees unused capacity, because a file may have many small maps.
    fn shrink(&mut self) {
        match &mut self.value {
            Value::Map(entries) => entries.shrink_to_fit(),
            Value::List(items) => items.shrink_to_fit(),
            Value::Scalar { .. } | Value::Refused => {}
        }
    }

    /// The text of a non-empty scalar.
    pub(super) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether it is absent: nothing, an empty text, or one of YAML's words for null.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Scalar { text, plain } => {
                text.is_empty() || *plain && matches!(text.as_str(), "~" | "null" | "Null" | "NULL")
            }
            Value::Map(_) | Value::List(_) | Value::Refused => false,
        }
    }
}

/// Parses `text`; errors go to `problems`. `None` if it is not YAML, or says nothing.
pub(super) fn read(text: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut builder = Builder { problems, open: Vec::new(), root: None };
    if !builder.parse(text) {
        return None;
    }
    let root = builder.root.take().filter(|root| !root.is_empty());
    if root.is_none() {
        let start = Place { line: 1, column: 1 };
        let cure = "start with a minimal configuration, such as config/minimal.yaml";
        builder.refuse(start, EMPTY, cure);
    }
    root
}

/// The text under `key` of the outermost map, even if `text` is not valid elsewhere. `None` also if
/// it is not certain.
pub(super) fn outermost(key: &str, text: &str) -> Option<String> {
    let mut problems = Vec::new();
    let mut builder = Builder { problems: &mut problems, open: Vec::new(), root: None };
    let is_yaml = builder.parse(text);
    // After a mistake, the maps that had begun before it are still open.
    let mut open = builder.open.into_iter();
    let root = builder.root.or_else(|| open.next().map(|outermost| outermost.node));
    let read = root.as_ref().and_then(|root| text_under(key, root));
    if is_yaml { read } else { read.or_else(|| on_a_line_of_its_own(key, text)) }
}

/// The text under `key`; `None` also if the key is there twice.
fn text_under(key: &str, root: &Node) -> Option<String> {
    let mut entries = root.entries().iter().filter(|entry| entry.name == key);
    let entry = entries.next().filter(|_| entries.next().is_none())?;
    entry.node.scalar().map(str::to_owned)
}

/// The text under `key` if exactly one line has it: keys of the outermost map are not indented.
fn on_a_line_of_its_own(key: &str, text: &str) -> Option<String> {
    let mut found =
        text.lines().filter(|line| !line.starts_with([' ', '\t', '#'])).filter_map(|line| {
            let root = read(line, &mut Vec::new())?;
            text_under(key, &root)
        });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// A hint for a line that a parser refuses. Few editors show a tab, and YAML reads an unquoted
/// `${NAME}` inside a map as a map.
pub(super) fn cure_at(text: &str, place: Place) -> Option<&'static str> {
    let line = text.lines().nth(place.line.checked_sub(1)?)?;
    if line.contains('\t') {
        Some("this line contains a tab: use spaces")
    } else if line.contains("${") {
        Some("write the variable in quotes: `\"${NAME}\"`")
    } else {
        None
    }
}

struct Builder<'a> {
    problems: &'a mut Vec<Problem>,
    /// Maps and lists that have begun and not ended.
    open: Vec<Open>,
    root: Option<Node>,
}

struct Open {
    node: Node,
    /// In a map: the key of the next value. The name is absent if the key was refused.
    key: Option<(Option<String>, Place)>,
}

impl Builder<'_> {
    /// Takes everything in `text`, up to a mistake. Returns whether there was none.
    fn parse(&mut self, text: &str) -> bool {
        self.refuse_odd_breaks(text);
        for event in Parser::new_from_str(text) {
            match event {
                Ok((event, span)) => self.take(event, &span),
                Err(error) => {
                    let what = format!("invalid YAML: {}", error.info());
                    let place = place(error.marker());
                    let cure = cure_at(text, place).unwrap_or("check indentation and quotes");
                    self.refuse(place, what, cure);
                    return false;
                }
            }
        }
        true
    }

    fn take(&mut self, event: Event<'_>, span: &Span) {
        let at = place(&span.start);
        let (value, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                (Value::Scalar { text: text.into_owned(), plain }, anchor, tag)
            }
            Event::MappingStart(_, anchor, tag) => (Value::Map(Vec::new()), anchor, tag),
            Event::SequenceStart(_, anchor, tag) => (Value::List(Vec::new()), anchor, tag),
            Event::Alias(_) => {
                self.refuse(at, "YAML aliases are not supported", "write the value out");
                (Value::Refused, 0, None)
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(mut ended) = self.open.pop() {
                    ended.node.shrink();
                    self.place(ended.node);
                }
                return;
            }
            _ => return,
        };
        if anchor > 0 {
            self.refuse(
                at,
                "YAML anchors are not supported",
                "remove the `&…`, and write the value out where it is used",
            );
        }
        if tag.is_some() {
            self.refuse(at, "YAML tags are not supported", "remove the `!…`");
        }
        let node = Node { place: at, value };
        if matches!(node.value, Value::Map(_) | Value::List(_)) {
            self.open.push(Open { node, key: None });
        } else {
            self.place(node);
        }
    }

    /// Adds a finished node to its parent.
    fn place(&mut self, node: Node) {
        let Some(parent) = self.open.last_mut() else {
            if self.root.is_some() {
                self.refuse(
                    node.place,
                    "a second document begins here",
                    "keep one document in a file",
                );
            } else {
                self.root = Some(node);
            }
            return;
        };
        match (&mut parent.node.value, parent.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(entries), Some((Some(name), place))) => {
                let first =
                    entries.iter().find(|entry| entry.name == name).map(|entry| entry.place);
                if let Some(first) = first {
                    let what = format!("`{name}` is written twice: first on line {}", first.line);
                    self.refuse(place, what, "keep one of them");
                } else if name == "<<" {
                    self.refuse(place, "YAML merge keys are not supported", "write the keys out");
                } else {
                    entries.push(Entry { name, place, node });
                }
            }
            (_, Some(_)) => {}
            (_, None) => {
                let place = node.place;
                let name =
                    if let Value::Scalar { text, .. } = node.value { Some(text) } else { None };
                if name.is_none() {
                    self.refuse(place, "a key must be a word", "write `key: value`");
                }
                // Looked up again, because `refuse` borrows all of `self`.
                if let Some(parent) = self.open.last_mut() {
                    parent.key = Some((name, place));
                }
            }
        }
    }

    /// Refuses line breaks of YAML 1.1 that YAML 1.2 does not have, and single carriage returns,
    /// which few editors show. With them, what looks like a comment might be a key.
    fn refuse_odd_breaks(&mut self, text: &str) {
        for (line, text) in (1..).zip(text.lines()) {
            for (column, character) in (1..).zip(text.chars()) {
                if matches!(character, '\r' | '\u{85}' | '\u{2028}' | '\u{2029}') {
                    let code = u32::from(character);
                    let what = format!("U+{code:04X} ends a line for some YAML parsers only");
                    self.refuse(Place { line, column }, what, "replace it with a space");
                }
            }
        }
    }

    fn refuse(&mut self, place: Place, what: impl Into<String>, cure: &str) {
        let (what, cure) = (what.into(), Some(cure.to_owned()));
        self.problems.push(Problem { place: Some(place), key: String::new(), what, cure });
    }
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1 }
}

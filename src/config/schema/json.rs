//! The table as a JSON Schema (draft 2020-12), for editors.
//!
//! It covers keys, types, words and ranges. Relations between values (that an app exists, that two
//! hosts differ) are checked only by `check`.

use serde_json::{Map, Value, json};

use super::{FILE, Key, Kind, Words};

/// The schema of the whole file.
pub(in crate::config) fn schema() -> Value {
    let mut schema = of(&FILE);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "The configuration of Doorward".into();
    schema
}

fn of(kind: &Kind) -> Value {
    match kind {
        Kind::Map(keys) => map(keys),
        Kind::Names(kind) => {
            json!({ "type": "object", "additionalProperties": of(kind), "minProperties": 1 })
        }
        Kind::List(kind) => json!({ "type": "array", "items": of(kind) }),
        Kind::Text | Kind::Secret => json!({ "type": "string", "minLength": 1 }),
        Kind::Whole(range) => {
            json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() })
        }
        Kind::Switch => json!({ "type": "boolean" }),
        Kind::Span(_) => json!({ "type": "string", "pattern": "^([0-9]+ ?[a-zA-Z]+ ?)+$" }),
        Kind::Rate(_) => json!({ "type": "string", "pattern": "^[1-9][0-9]*/m$" }),
        Kind::Word(words) => one_of(words),
        Kind::WordOr(words, keys) => json!({ "anyOf": [one_of(words), map(keys)] }),
        Kind::WordOrTexts(words) => {
            json!({ "anyOf": [one_of(words), of(&Kind::List(&Kind::Text))] })
        }
        Kind::TextOrTexts => {
            json!({ "anyOf": [of(&Kind::Text), of(&Kind::List(&Kind::Text))] })
        }
        Kind::Later => Value::Bool(false),
    }
}

fn one_of(words: &Words) -> Value {
    json!({ "enum": words.names })
}

fn map(keys: &[Key]) -> Value {
    let known = || keys.iter().filter(|key| !matches!(key.kind, Kind::Later));
    let properties: Map<String, Value> = known()
        .map(|key| {
            let mut schema = of(&key.kind);
            schema["description"] = key.about.into();
            (key.name.to_owned(), schema)
        })
        .collect();
    let needed: Vec<&str> =
        known().filter(|key| key.needed.is_some()).map(|key| key.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": needed,
        "additionalProperties": false,
    })
}

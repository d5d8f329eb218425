//! The keys of the `sms` section.

use super::{Key, Kind, TEXTS, Words, key, needed};

const PROVIDERS: Words =
    Words { names: &["twilio", "vonage", "http"], also: &[("nexmo", "vonage")] };
const METHODS: Words = Words { names: &["post", "put"], also: &[("POST", "post"), ("PUT", "put")] };
const MAP: Kind = Kind::Names(&Kind::Text);

const LIMITS: &[Key] = &[
    key("number_hour", Kind::Whole(1..=100), "texts in an hour to one number and for one user"),
    key("number_day", Kind::Whole(1..=1_000), "texts in a day to one number and for one user"),
    key(
        "address_hour",
        Kind::Whole(1..=10_000),
        "texts in an hour requested from one client address",
    ),
    key("day", Kind::Whole(1..=10_000), "texts in a day in all"),
    key(
        "brake_after",
        Kind::Whole(0..=10_000),
        "after this many codes to one country in a day, no more are sent there while too few are entered; 0: never",
    ),
];

/// The section.
pub(super) const SMS: Kind = Kind::Map(&[
    needed("provider", Kind::Word(&PROVIDERS), "who sends the texts", "add `provider: twilio`"),
    key("account", Kind::Text, "the account: Twilio's SID, Vonage's API key"),
    key("token", Kind::Secret, "its secret, from an environment variable: `${NAME}`"),
    key("token_file", Kind::Text, "a file that holds its secret"),
    key("from", Kind::Text, "the sender: a number, or a name where the provider allows one"),
    key("messaging_service", Kind::Text, "Twilio: the messaging service instead of a sender"),
    key("url", Kind::Text, "where the request goes; for http, and to override the usual one"),
    key("method", Kind::Word(&METHODS), "http: the method; default: post"),
    key("headers", MAP, "http: headers of the request"),
    key("form", MAP, "http: the body as a form"),
    key("json", Kind::Text, "http: the body as JSON"),
    key(
        "success",
        Kind::Map(&[
            needed(
                "pointer",
                Kind::Text,
                "a JSON pointer into the answer (RFC 6901)",
                "add one, such as `pointer: /status`",
            ),
            needed("value", Kind::Text, "what must be there, as text", "add the expected `value`"),
        ]),
        "http: what the response must contain, in addition to a status from 200 to 299",
    ),
    key("authority", Kind::Text, "a PEM file: the CA that signed the provider's certificate"),
    needed(
        "countries",
        TEXTS,
        "the countries to which texts are sent, by two letters",
        "add the countries of your people, such as `countries: [CH]`",
    ),
    key("default_country", Kind::Text, "the country of numbers without a country code"),
    key("own_numbers", TEXTS, "your own numbers, to which no codes are sent"),
    key("limits", Kind::Map(LIMITS), "limits against toll fraud"),
]);

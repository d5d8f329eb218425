//! Security keys and passkeys on our pages, and what a browser is told to ask them (WebAuthn §5.4,
//! §5.5), as JSON.

use askama::Template;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::config::{AcceptedKeys, Config, RelyingParty};
use crate::domain::factor::security_key::{Challenge, SecurityKey};
use crate::domain::factor::{Factor, Kind, Rejection};
use crate::domain::user::User;
use crate::flow::Submitted;
use crate::identity::webauthn::ALGORITHMS;
use crate::identity::{Assertion, Registration};
use crate::web::pages::{Part, Said, SetUpWords, Step, Steps, html};

/// This kind on our pages.
pub static PART: Part = Part {
    kind: Kind::SecurityKey,
    heading: "Use your security key",
    lead: "Press the button and follow your browser. Then touch the key, or unlock your device.",
    before: None,
    button: "Use the security key",
    instead: "Use a security key instead",
    needed: "This page needs a security key.",
    lost: "Lost the security key and the recovery codes?",
    fields: |inputs| {
        html(&Fields {
            ceremony: "get",
            options: inputs.options.clone(),
            seconds: SECONDS,
            by_autofill: false,
        })
    },
    read: |sent| read(sent, |sent| Assertion::read(sent).map(Submitted::SecurityKey)),
    resembles: |typed| typed.starts_with('{'),
    wrong: WRONG,
    used: WRONG,
    set_up: Some(SET_UP),
};

/// An answer was not accepted.
const WRONG: Said = Said {
    sentence: "The security key was not accepted. Please try again.",
    advice: Some("If this happens again, use another key or another way."),
    blames_what_was_typed: false,
};

/// The key may have been copied.
pub const DOUBTED: Said = Said {
    sentence: "This security key is no longer accepted: it may have been copied.",
    advice: Some(
        "Use another way. If you are sure that nobody has a copy, allow the key again on your \
         security page. Otherwise remove it there.",
    ),
    blames_what_was_typed: false,
};

/// A new key is none of those that are accepted here, which the page lists.
pub const OTHER_MODEL: Said = Said {
    sentence: "This key cannot be set up: it is not one of those that are accepted here.",
    advice: Some(
        "Use one of the models listed above. If your browser asks whether this site may see the \
         make and model of the key, allow it.",
    ),
    blames_what_was_typed: false,
};

/// The same where the page lists none.
pub const OTHER_MAKER: Said = Said {
    advice: Some(
        "Ask your administrator which security keys you can use. If your browser asks whether this \
         site may see the make and model of the key, allow it.",
    ),
    ..OTHER_MODEL
};

/// What is said of a new key that is none of those that `config` accepts.
pub fn other_model(config: &Config) -> Said {
    let has_names = config.accepted_keys.as_ref().is_some_and(|only| !only.aaguids.is_empty());
    if has_names { OTHER_MODEL } else { OTHER_MAKER }
}

/// How it is set up and managed.
pub const SET_UP: &SetUpWords = &SetUpWords {
    lead: "After this, you are also asked for your security key when you sign in. A stolen password \
           alone is then not enough, and the key works only on the real site.",
    takes: "It takes a minute and a security key, or a passkey on your phone or this device.",
    choice: "Security key or passkey",
    section: "Security keys",
    unnamed: "Security key",
    rename: "Name this security key",
    naming: "A name helps you to tell your keys apart.",
    remove: (
        "Remove this security key?",
        "It will no longer be accepted, and your sessions in other browsers end. Your other second \
         factors work as before.",
    ),
    headings: ["Add a security key", "Replace with a security key"],
    leads: [
        "When you sign in, you can use this key, or any second factor that you have already.",
        "What you have now works until the new key is set up. Then all of it stops working, and your \
         sessions in other browsers end.",
    ],
    change: None,
    too_many: Said {
        sentence: "You have the maximum number of security keys. Remove one first.",
        advice: None,
        blames_what_was_typed: false,
    },
    read: |sent| read(sent, |sent| Registration::read(sent).map(Submitted::NewSecurityKey)),
    wrong: Said {
        sentence: "The security key could not be set up. Please try again.",
        advice: Some("If this key is set up here already, use another one."),
        blames_what_was_typed: false,
    },
};

/// Reads what the script sent; nothing was sent if it did not run.
fn read(sent: &str, read: fn(&str) -> Option<Submitted>) -> Result<Submitted, Rejection> {
    if sent.is_empty() {
        return Err(Rejection::Wrong);
    }
    Ok(read(sent).unwrap_or(Submitted::Unreadable))
}

/// For how long after a page was loaded a key may be asked: what it signs expires soon after. A page
/// that is loaded again may show what was asked a minute ago.
const SECONDS: u64 = 210;

/// How long the browser's dialog should wait, in milliseconds.
const TIMEOUT: u64 = 120_000;

#[derive(Template)]
#[template(path = "page/factor/security-key.html", block = "ask")]
struct Fields {
    /// `create` or `get`.
    ceremony: &'static str,
    options: Option<String>,
    seconds: u64,
    by_autofill: bool,
}

impl Fields {
    fn is_new(&self) -> bool {
        self.ceremony == "create"
    }
}

#[derive(Template)]
#[template(path = "page/factor/security-key.html", block = "prepare")]
struct Prepare {
    /// The models that are accepted, if not all are; empty: they have no names.
    accepted: Option<Vec<String>>,
}

/// The accepted models, by their names, or by their AAGUIDs where these do not tell them apart.
pub fn models(accepted: &AcceptedKeys) -> Vec<String> {
    let mut models: Vec<String> = Vec::new();
    for aaguid in &accepted.aaguids {
        let name = match aaguid.model() {
            Some(name) if aaguid.shares_its_name() => format!("{name} ({aaguid})"),
            Some(name) => name.to_owned(),
            None => aaguid.to_string(),
        };
        if !models.contains(&name) {
            models.push(name);
        }
    }
    models
}

/// The steps of setting up a key that is asked `options` (`None`: keys cannot be used here), of one
/// of the `accepted` models (`None`: of any).
pub fn steps(options: Option<String>, accepted: Option<Vec<String>>) -> Steps {
    let prepare = html(&Prepare { accepted });
    Steps {
        before: vec![Step { heading: "Have the key at hand", content: prepare }],
        last: "Press the button and follow your browser",
        fields: html(&Fields { ceremony: "create", options, seconds: SECONDS, by_autofill: false }),
        sends: None,
        texted: None,
    }
}

/// What the browser is told to set up (WebAuthn §5.4): a key that `user` has not set up yet.
///
/// It should be found without a user name, if it can and passkeys sign in. Its maker is asked to
/// attest it only if not every key is accepted: that tells the site the make of the key.
pub fn creation(
    party: &RelyingParty,
    user: &User,
    challenge: &Challenge,
    config: &Config,
) -> String {
    let resident_key = if config.passkeys { "preferred" } else { "discouraged" };
    let attestation = if config.accepted_keys.is_some() { "direct" } else { "none" };
    let identity = user.identity();
    let display_name = identity.full_name.unwrap_or_else(|| identity.written.clone());
    let algorithms: Vec<Value> =
        ALGORITHMS.iter().map(|alg| json!({ "type": "public-key", "alg": alg })).collect();
    json!({
        "rp": { "id": party.id, "name": party.name },
        "user": {
            "id": BASE64URL_NOPAD.encode(user.id().as_bytes()),
            "name": identity.written,
            "displayName": display_name,
        },
        "challenge": BASE64URL_NOPAD.encode(challenge.as_bytes()),
        "pubKeyCredParams": algorithms,
        "timeout": TIMEOUT,
        "excludeCredentials": credentials(user, |_| true),
        "authenticatorSelection": { "residentKey": resident_key, "userVerification": "preferred" },
        "attestation": attestation,
        "extensions": { "credProps": true },
    })
    .to_string()
}

/// What the browser is told to ask (WebAuthn §5.5) of somebody who has not said their name: any
/// passkey for this site.
pub fn any_passkey(party: &RelyingParty, challenge: &Challenge) -> String {
    json!({
        "challenge": BASE64URL_NOPAD.encode(challenge.as_bytes()),
        "rpId": party.id,
        "timeout": TIMEOUT,
        "userVerification": "required",
    })
    .to_string()
}

/// The same of `user`: any of their keys that verifies them.
pub fn own_passkey(party: &RelyingParty, user: &User, challenge: &Challenge) -> String {
    json!({
        "challenge": BASE64URL_NOPAD.encode(challenge.as_bytes()),
        "rpId": party.id,
        "timeout": TIMEOUT,
        "allowCredentials": credentials(user, |key| is_usable(key) && key.verifies_user()),
        "userVerification": "required",
    })
    .to_string()
}

/// The fields of a form that sends the answer of a passkey. `by_autofill`: the browser may offer one
/// in the field for the name (conditional mediation, WebAuthn §5.1.4).
pub fn passkey_fields(options: String, by_autofill: bool) -> String {
    html(&Fields { ceremony: "get", options: Some(options), seconds: SECONDS, by_autofill })
}

/// What the browser is told to ask (WebAuthn §5.5): any of the keys of `user`.
pub fn request(party: &RelyingParty, user: &User, challenge: &Challenge) -> String {
    json!({
        "challenge": BASE64URL_NOPAD.encode(challenge.as_bytes()),
        "rpId": party.id,
        "timeout": TIMEOUT,
        "allowCredentials": credentials(user, is_usable),
        "userVerification": "preferred",
    })
    .to_string()
}

/// What the browser is told of the keys of `user`, and of their name (WebAuthn §5.1.10, "signal"
/// methods): all of the keys, also one that may have been copied, because it may be kept.
pub fn known_keys(party: &RelyingParty, user: &User) -> String {
    let identity = user.identity();
    let display_name = identity.full_name.unwrap_or_else(|| identity.written.clone());
    let keys = user.factors().iter().filter_map(Factor::security_key);
    let ids = keys.map(|key| BASE64URL_NOPAD.encode(key.credential().as_bytes()));
    json!({
        "rpId": party.id,
        "userId": BASE64URL_NOPAD.encode(user.id().as_bytes()),
        "allAcceptedCredentialIds": ids.collect::<Vec<_>>(),
        "name": identity.written,
        "displayName": display_name,
    })
    .to_string()
}

fn is_usable(key: &SecurityKey) -> bool {
    !key.is_for_other_rp_id()
}

fn credentials(user: &User, which: impl Fn(&SecurityKey) -> bool) -> Vec<Value> {
    let keys = user.factors().iter().filter_map(Factor::security_key).filter(|key| which(key));
    let described = keys.map(|key| {
        json!({
            "type": "public-key",
            "id": BASE64URL_NOPAD.encode(key.credential().as_bytes()),
            "transports": key.transports().words().collect::<Vec<_>>(),
        })
    });
    described.collect()
}

/// What the security page says of a key.
pub(super) fn notes(key: &SecurityKey) -> Vec<&'static str> {
    let copies = match (key.can_be_copied(), key.is_copied()) {
        (false, _) => "Stays on one device",
        (true, false) => "Can be copied to your other devices",
        (true, true) => "Copied to your other devices",
    };
    if key.is_for_other_rp_id() {
        return vec!["It belongs to the former address of this site. You can only remove it."];
    }
    let doubted = key.doubted().map(|_| "No longer accepted: it may have been copied");
    doubted.into_iter().chain([copies]).collect()
}

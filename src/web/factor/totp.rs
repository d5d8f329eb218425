//! Authenticator apps on our pages.

use askama::Template;

use crate::domain::factor::totp::Key;
use crate::domain::factor::{Answer, Kind, Rejection};
use crate::flow::Submitted;
use crate::web::pages::{NewPlace, Part, Problem, Said, SetUpWords, Step, Steps, described, html};
use crate::web::qr::{self, Qr};

/// This kind on our pages.
pub static PART: Part = Part {
    kind: Kind::Totp,
    heading: "Enter your code",
    lead: "Open your authenticator app and type the six digits that it shows now.",
    before: None,
    button: "Continue",
    instead: "Use the authenticator app instead",
    needed: "This page needs a code from the app.",
    lost: "Lost the phone and the recovery codes?",
    fields: |inputs| html(&Fields { described: inputs.described.clone() }),
    read,
    resembles: |typed| typed.chars().all(|c| c.is_ascii_digit() || c.is_whitespace()),
    wrong: WRONG,
    used: Said {
        sentence: "That code was already used. Each code works once. Wait for the next one and \
                   try again.",
        advice: None,
        blames_what_was_typed: true,
    },
    set_up: Some(SET_UP),
};

fn read(typed: &str) -> Result<Submitted, Rejection> {
    typed.parse().map(Answer::Totp).map(Submitted::Answer)
}

/// A code is wrong or malformed.
const WRONG: Said = Said {
    sentence: "That code did not work. Wait for the next one and try again.",
    advice: Some(
        "If this continues, the clock of your phone may be wrong. Let your phone set its date and \
         time automatically.",
    ),
    blames_what_was_typed: true,
};

/// How it is set up and managed.
pub const SET_UP: &SetUpWords = &SetUpWords {
    lead: "After this, you are also asked for a code from your phone when you sign in. A stolen \
           password alone is then not enough.",
    takes: "It takes two minutes and a phone.",
    choice: "Authenticator app",
    section: "Authenticator apps",
    unnamed: "Authenticator app",
    rename: "Name this authenticator",
    naming: "A name helps you to tell your authenticators apart. You can use the name of the phone.",
    remove: (
        "Remove this authenticator?",
        "Its codes will no longer be accepted, and your sessions in other browsers end. Your other \
         authenticators work as before.",
    ),
    headings: ["Add another authenticator", "Replace with an authenticator app"],
    leads: [
        "Codes from all of your authenticators are accepted.",
        "What you have now works until you enter a code from the new app. Then all of it stops \
         working, and your sessions in other browsers end.",
    ],
    change: None,
    too_many: Said {
        sentence: "You have the maximum number of authenticators. Remove one first.",
        advice: None,
        blames_what_was_typed: false,
    },
    read,
    wrong: WRONG,
};

#[derive(Template)]
#[template(path = "page/factor/totp.html", block = "ask")]
struct Fields {
    described: String,
}

#[derive(Template)]
#[template(path = "page/factor/totp.html", block = "choose")]
struct Choose;

#[derive(Template)]
#[template(path = "page/factor/totp.html", block = "scan")]
struct ScanIt<'a> {
    scan: &'a Scan,
}

#[derive(Template)]
#[template(path = "page/factor/totp.html", block = "first_code")]
struct FirstCode {
    described: String,
    focus: bool,
}

/// A new key for the authenticator app, as a picture and as text.
#[derive(Clone)]
pub struct Scan {
    /// The `otpauth://` URL as a QR code; missing if it is too long for one.
    pub qr: Option<Qr>,
    /// The `otpauth://` URL, for an app on the same device.
    pub uri: String,
    /// The secret in base32 without padding or spaces; shown in groups of four.
    pub secret: String,
    /// The issuer that the app shows.
    pub issuer: String,
    /// The user name that the app shows.
    pub username: String,
}

impl Scan {
    fn secret_groups(&self) -> Vec<String> {
        let symbols: Vec<char> = self.secret.chars().collect();
        symbols.chunks(4).map(|group| group.iter().collect()).collect()
    }
}

/// What an authenticator app is shown of `key`.
pub fn scan(issuer: &str, username: &str, key: &Key) -> Scan {
    let uri = key.expose_url(issuer, username).unwrap_or_default();
    Scan {
        qr: qr::svg_path(&uri),
        uri,
        secret: key.expose_base32(),
        issuer: issuer.to_owned(),
        username: username.to_owned(),
    }
}

/// The steps of setting up an authenticator: the first one, or one at a `place` among others.
pub fn steps(scan: &Scan, place: Option<NewPlace>, problem: Option<&Problem>) -> Steps {
    let picture = html(&ScanIt { scan });
    let (before, last) = match place {
        None => (
            vec![
                Step { heading: "Choose an authenticator app", content: html(&Choose) },
                Step { heading: "Scan this picture with it", content: picture },
            ],
            "Type the code that the app shows",
        ),
        Some(_) => (
            vec![Step { heading: "Scan this picture with the new app or phone", content: picture }],
            "Type the code that it shows",
        ),
    };
    let fields = FirstCode { described: described(problem, "time-note"), focus: problem.is_some() };
    Steps { before, last, fields: html(&fields), sends: None, texted: None }
}

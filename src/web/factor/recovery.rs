//! Recovery codes on our pages, where they stand in for a factor. Showing and renewing them is
//! elsewhere (`recovery_codes`).

use askama::Template;

use crate::domain::factor::{Answer, Kind};
use crate::flow::Submitted;
use crate::web::pages::{Part, Said, html};

/// This kind on our pages.
pub static PART: Part = Part {
    kind: Kind::RecoveryCode,
    heading: "Use a recovery code",
    lead: "Type one of the recovery codes that you saved when you set up two-factor. Each works \
           once.",
    before: None,
    button: "Continue",
    instead: "Use a recovery code instead",
    needed: "This page needs a recovery code.",
    lost: "Lost the phone and the recovery codes?",
    fields: |inputs| html(&Fields { described: inputs.described.clone() }),
    read: |typed| typed.parse().map(Answer::RecoveryCode).map(Submitted::Answer),
    resembles: |_| true,
    wrong: Said {
        sentence: "That code did not work. Check it and try again, or use another one.",
        advice: None,
        blames_what_was_typed: true,
    },
    used: Said {
        sentence: "That code was already used. Each code works once. Use another one from your \
                   list.",
        advice: None,
        blames_what_was_typed: true,
    },
    set_up: None,
};

#[derive(Template)]
#[template(path = "page/factor/recovery.html")]
struct Fields {
    described: String,
}

//! Codes by e-mail on our pages.

use askama::Template;

use super::sent;
use crate::domain::ceremony::Purpose;
use crate::domain::factor::code::Emailed;
use crate::domain::factor::{Kind, Rejection};
use crate::domain::name::Email;
use crate::domain::time::Timestamp;
use crate::flow::emailed::{Sent, is_offered, offered_at};
use crate::flow::{AuthenticatedRequest, Env, Submitted};
use crate::web::pages::{self, Part, Problem, Said, SetUpWords, Step, Steps, described, html};

/// This kind on our pages.
pub static PART: Part = Part {
    kind: Kind::Email,
    heading: "Enter the code from the e-mail",
    lead: "You get a six-digit code by e-mail.",
    before: Some([
        "Get a code by e-mail",
        "If no text message arrives, you can get a six-digit code by e-mail.",
    ]),
    button: "Continue",
    instead: "Use a code by e-mail instead",
    needed: "This page needs a code from an e-mail.",
    lost: "Lost the phone and the recovery codes?",
    fields: |inputs| html(&Fields { described: inputs.described.clone() }),
    read,
    resembles: |_| false,
    wrong: WRONG,
    used: WRONG,
    set_up: Some(SET_UP),
};

fn read(typed: &str) -> Result<Submitted, Rejection> {
    typed.parse().map(Submitted::Emailed)
}

/// A code is wrong or malformed.
const WRONG: Said = sent::wrong("That code did not work. Type the one from the newest e-mail.");

/// How they are turned on and managed.
pub const SET_UP: &SetUpWords = &SetUpWords {
    lead: "If a text message does not arrive, you can sign in with a code that we e-mail to you.",
    takes: "It takes a minute.",
    choice: "E-mail code",
    section: "Codes by e-mail",
    unnamed: "Codes by e-mail",
    rename: "Name this mailbox",
    naming: "The name is shown on your security page only.",
    remove: (
        "Turn off codes by e-mail?",
        "Only your phone gets codes then, and your sessions in other browsers end.",
    ),
    headings: ["Turn on codes by e-mail", "Replace with codes by e-mail"],
    leads: [
        "They replace a text message that does not arrive. You can ask for one a minute after a text message \
         was sent.",
        "Codes by e-mail can only be used beside text messages.",
    ],
    change: None,
    too_many: Said {
        sentence: "Codes by e-mail are turned on already.",
        advice: None,
        blames_what_was_typed: false,
    },
    read,
    wrong: WRONG,
};

#[derive(Template)]
#[template(path = "page/factor/email.html", block = "ask")]
struct Fields {
    described: String,
}

#[derive(Template)]
#[template(path = "page/factor/email.html", block = "worth")]
struct Worth;

#[derive(Template)]
#[template(path = "page/factor/email.html", block = "address")]
struct Address {
    address: String,
}

/// The steps of turning them on for the user with this `address`.
pub fn steps(
    begun: &Emailed,
    address: Option<&Email>,
    problem: Option<&Problem>,
    now: Timestamp,
) -> Steps {
    let before = vec![Step { heading: "Before you choose codes by e-mail", content: html(&Worth) }];
    // One that went to a former address is worth nothing.
    let waits = begun.is_waiting(now) && begun.recipient() == address;
    let address = address.map(ToString::to_string).unwrap_or_default();
    if !waits {
        return Steps {
            before,
            last: "Get a code",
            fields: html(&Address { address }),
            sends: Some("E-mail me a code"),
            texted: None,
        };
    }
    Steps {
        before,
        last: "Type the code that you get",
        fields: html(&Fields { described: described(problem, "") }),
        sends: None,
        texted: Some(pages::Texted {
            by_mail: true,
            sets_up: true,
            ..sent::state(begun, address, None, now)
        }),
    }
}

/// The state of the code of a challenge, if this guest may use one.
pub fn at_challenge(
    env: &Env,
    authenticated: &AuthenticatedRequest,
    now: Timestamp,
) -> Option<pages::Texted> {
    let (user, session) = (&authenticated.user.user, &authenticated.session);
    if !is_offered(env, user, session, now) {
        return None;
    }
    let address = user.mailbox()?.address();
    let begun = session.email_for(Purpose::Challenge, now);
    let begun = begun.filter(|begun| begun.recipient() == Some(address)).cloned();
    let begun = begun.unwrap_or_else(|| Emailed::to(address.clone()));
    let not_before = offered_at(env, user, session, now);
    Some(pages::Texted { by_mail: true, ..sent::state(&begun, address.hinted(), not_before, now) })
}

/// The time of day after which a code by e-mail can be asked for at this challenge, if that is to come.
pub fn offered_later(
    env: &Env,
    authenticated: &AuthenticatedRequest,
    now: Timestamp,
) -> Option<String> {
    let (user, session) = (&authenticated.user.user, &authenticated.session);
    offered_at(env, user, session, now).filter(|at| *at > now).map(sent::time_of_day)
}

/// Why no code was sent, where that is a problem of codes by e-mail.
pub fn problem(sent: Sent) -> Option<Problem> {
    let said = |sentence, advice| {
        Problem::Answer(Said { sentence, advice: Some(advice), blames_what_was_typed: false })
    };
    Some(match sent {
        Sent::Now | Sent::Closed(_) => return None,
        Sent::Lately => said(
            "A code was sent to this address a moment ago.",
            "It can take a minute. Then you can send another one.",
        ),
        Sent::NotYet => said(
            "A code by e-mail can be sent one minute after a text message.",
            "Get a code by text message first.",
        ),
        Sent::TooMany => said(
            "No more codes are sent by e-mail for now.",
            "Use another way, or try again later.",
        ),
        Sent::Not => said("Codes by e-mail cannot be used now.", "Use another way."),
    })
}

//! Codes by text message on our pages.

use askama::Template;

use super::sent;
use crate::domain::ceremony::Purpose;
use crate::domain::factor::code::Texted;
use crate::domain::factor::{Factor, Kind, Rejection};
use crate::domain::phone::{Number, Unsuitable};
use crate::domain::texts::Withheld;
use crate::domain::time::Timestamp;
use crate::flow::texts::Sent;
use crate::flow::{AuthenticatedRequest, Submitted};
use crate::web::pages::{self, Part, Problem, Said, SetUpWords, Step, Steps, described, html};

/// This kind on our pages.
pub static PART: Part = Part {
    kind: Kind::Sms,
    heading: "Enter the code from your phone",
    lead: "You get a six-digit code as a text message.",
    before: Some(["Get a code by text message", "Press the button to get a six-digit code."]),
    button: "Continue",
    instead: "Use a text message instead",
    needed: "This page needs a code from a text message.",
    lost: "Lost the phone and the recovery codes?",
    fields: |inputs| {
        html(&Fields { described: inputs.described.clone(), sends_itself: inputs.sends_itself })
    },
    read,
    resembles: |_| false,
    wrong: WRONG,
    used: WRONG,
    set_up: Some(SET_UP),
};

fn read(typed: &str) -> Result<Submitted, Rejection> {
    typed.parse().map(Submitted::Texted)
}

/// A code is wrong or malformed.
const WRONG: Said = sent::wrong("That code did not work. Type the newest one that you got.");

/// The provider refused the text.
pub const NOT_SENT: Said = Said {
    sentence: "The text message could not be sent.",
    advice: Some("Send another code, or use another way."),
    blames_what_was_typed: false,
};

/// How it is set up and managed.
pub const SET_UP: &SetUpWords = &SetUpWords {
    lead: "After this, you sign in with your password and a code that we text to your phone. A stolen \
           password alone is then not enough.",
    takes: "It takes a minute and a mobile phone.",
    choice: "Text message",
    section: "Phone number",
    unnamed: "Phone",
    rename: "Name this phone number",
    naming: "You can use the name of the phone.",
    remove: (
        "Remove this phone number?",
        "It will get no more codes, and your sessions in other browsers end. Your other second factors \
         work as before.",
    ),
    headings: ["Add a phone number", "Replace with a phone number"],
    leads: [
        "When you sign in, you can use a code that is sent to this number, or any second factor that you have \
         already.",
        "What you have now works until you enter a code from the phone. Then all of it stops working, \
         and your sessions in other browsers end.",
    ],
    change: Some([
        "Change the phone number",
        "Once you enter the code, codes go to the new number. The old number gets one last text message, \
         which says so.",
    ]),
    too_many: Said {
        sentence: "You have a phone number already. Remove it first.",
        advice: None,
        blames_what_was_typed: false,
    },
    read,
    wrong: WRONG,
};

#[derive(Template)]
#[template(path = "page/factor/sms.html", block = "ask")]
struct Fields {
    described: String,
    sends_itself: bool,
}

#[derive(Template)]
#[template(path = "page/factor/sms.html", block = "worth")]
struct Worth;

#[derive(Template)]
#[template(path = "page/factor/sms.html", block = "number")]
struct NumberField<'a> {
    described: String,
    current: Option<String>,
    number: &'a str,
}

#[derive(Template)]
#[template(path = "page/factor/sms.html", block = "first_code")]
struct FirstCode {
    described: String,
    focus: bool,
}

/// The steps of setting up a phone: its number first, and the code once it was sent. `current`: the
/// number to which codes go now. `typed`: a number that was just typed.
pub fn steps(
    begun: &Texted,
    current: Option<&Number>,
    typed: &str,
    problem: Option<&Problem>,
    now: Timestamp,
) -> Steps {
    let before = vec![Step { heading: "Before you choose text messages", content: html(&Worth) }];
    if !begun.is_waiting(now) {
        let shown = begun.recipient().map(Number::grouped).unwrap_or_default();
        let number = if typed.is_empty() { &shown } else { typed };
        let current = current.map(Number::grouped);
        let described = described(problem, "number-note");
        let fields = html(&NumberField { described, current, number });
        return Steps {
            before,
            last: "Type your phone number",
            fields,
            sends: Some("Text me a code"),
            texted: None,
        };
    }
    let fields = FirstCode { described: described(problem, ""), focus: true };
    Steps {
        before,
        last: "Type the code that you get",
        fields: html(&fields),
        sends: None,
        texted: Some(texted(begun, now, Some(typed))),
    }
}

/// The page that turns two-factor off, where the form that sends a code may be.
pub const TURN_OFF: &str = "turn-off";

/// The state of a code, for a page. `typed`: at a set-up, where the number can be changed, what was
/// typed as one; elsewhere only the end of the number is shown, because somebody who knows the password
/// sees this page.
pub fn texted(begun: &Texted, now: Timestamp, typed: Option<&str>) -> pages::Texted {
    let shown = begun.recipient().map(Number::grouped).unwrap_or_default();
    let to = match typed {
        Some(_) => shown.clone(),
        None => format!("the number that ends in {}", begun.recipient().map_or("", Number::ending)),
    };
    let number = typed.map(|typed| if typed.is_empty() { shown } else { typed.to_owned() });
    pages::Texted { number, ..sent::state(begun, to, None, now) }
}

/// Why no code was sent, where that is a problem to show.
pub fn problem(sent: &Sent) -> Option<Problem> {
    let said = |sentence, advice, blames_what_was_typed| {
        Problem::Answer(Said { sentence, advice, blames_what_was_typed })
    };
    Some(match sent {
        Sent::Unsuitable(why) => said(
            match why {
                Unsuitable::Malformed => "That is not a complete phone number. Please check it.",
                Unsuitable::Landline => "That is a landline. It gets no text messages.",
                Unsuitable::Service => "That is a service number. It gets no text messages.",
                Unsuitable::Pager => "That is a pager. It gets no text messages.",
                Unsuitable::Voip => {
                    "That is an internet phone number. Its texts can be read with a password alone, so \
                     it cannot be used here."
                }
                Unsuitable::Own => {
                    "That is one of our own numbers. Its texts can only be read after signing in, so \
                     it cannot be used here."
                }
                Unsuitable::Country => "No text messages are sent to that country.",
            },
            match why {
                Unsuitable::Malformed => Some("Begin with a plus sign and the country code."),
                Unsuitable::Country => Some("Use a number in another country, or another way."),
                _ => Some("Use the number of a mobile phone, or another way."),
            },
            true,
        ),
        Sent::Withheld(Withheld::Lately) => said(
            "A code was sent to this number a moment ago.",
            Some("It can take a minute. Then you can send another one."),
            false,
        ),
        Sent::Withheld(
            Withheld::Number | Withheld::Address | Withheld::Country | Withheld::Day,
        ) => said(
            "No more text messages are sent for now.",
            Some("Use another way, or try again later."),
            false,
        ),
        Sent::Away => said(
            "Text messages cannot be sent at the moment.",
            Some("Use another way, or try again in a few minutes."),
            false,
        ),
        Sent::Now | Sent::Owes(_) | Sent::Closed(_) | Sent::Not => return None,
    })
}

/// The state of the code of a challenge for this purpose, if the user has a phone.
pub fn at_challenge(
    authenticated: &AuthenticatedRequest,
    purpose: Purpose,
    now: Timestamp,
) -> Option<pages::Texted> {
    let number = authenticated.user.user.phones().find_map(Factor::phone)?;
    let begun = authenticated.session.text_for(purpose, now);
    Some(match begun.filter(|begun| begun.recipient() == Some(number)) {
        Some(begun) => texted(begun, now, None),
        None => texted(&Texted::to(number.clone()), now, None),
    })
}

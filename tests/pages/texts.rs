//! The pages of text messages, in every state.

use std::time::Duration;

use doorward::domain::factor::Kind;
use doorward::domain::factor::code::Texted as Begun;
use doorward::domain::phone::Number;
use doorward::domain::time::Timestamp;
use doorward::web::factor::{part, sent, sms};
use doorward::web::pages::{
    Challenge, NewFactor, NewPlace, Problem, Said, SetUp, Steps, Texted, TurnOff, html,
};

use super::{challenge, form, frame, set_up};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

pub(super) fn samples() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    let mut add = |name: &str, page: String| pages.push((name.to_owned(), page));
    let away = || Some(Problem::Answer(AWAY));

    let at = |texted, problem| Challenge {
        texted: Some(texted),
        others: vec![part(Kind::RecoveryCode)],
        ..challenge(Kind::Sms, problem)
    };
    add("challenge-text", html(&at(not_sent(), None)));
    add("challenge-text-away", html(&at(not_sent(), away())));
    let not_sent_after_all = Some(Problem::Answer(sms::NOT_SENT));
    add("challenge-text-not-sent", html(&at(Texted { again: None, ..sent() }, not_sent_after_all)));
    let too_old = Some(Problem::Answer(sent::TOO_OLD));
    add("challenge-text-too-old", html(&at(not_sent(), too_old)));
    let used_up = Some(Problem::Answer(sent::USED_UP));
    add("challenge-text-used-up", html(&at(not_sent(), used_up)));
    add("challenge-text-sent", html(&at(sent(), None)));
    let wrong = Some(Problem::Answer(sms::PART.wrong));
    add("challenge-text-refused", html(&at(Texted { again: None, ..sent() }, wrong)));

    add("set-up-text", html(&first(number(""), None)));
    let why = "That is a landline. It gets no text messages.";
    let said = Said { sentence: why, advice: None, blames_what_was_typed: true };
    let landline = Some(Problem::Answer(said));
    add("set-up-text-refused", html(&first(number("044 668 18 00"), landline)));
    add("set-up-text-sent", html(&first(with_code(), None)));
    add("text-add-sent", html(&another(NewPlace::Beside, with_code())));
    let current = Number::parse("+41 79 123 45 67", None).unwrap();
    let change = sms::steps(&Begun::default(), Some(&current), "", None, NOW);
    add("phone", html(&NewFactor { kinds: Vec::new(), ..another(NewPlace::Phone, change) }));
    let instead = NewPlace::Instead { devices: 2, forget_devices: true };
    add("text-replace", html(&another(instead, number(""))));

    let turn_off = TurnOff {
        frame: frame(Some("ada")),
        form: form(),
        demanded: None,
        part: Some(part(Kind::Sms)),
        options: None,
        texted: Some(Texted { back: Some("turn-off"), ..sent() }),
        others: vec![("recovery-code", part(Kind::RecoveryCode).instead)],
        problem: None,
    };
    add("turn-off-text", html(&turn_off));
    pages.extend(super::emailed::samples());
    pages
}

const AWAY: Said = Said {
    sentence: "Text messages cannot be sent at the moment.",
    advice: Some("Use another way, or try again in a few minutes."),
    blames_what_was_typed: false,
};

fn not_sent() -> Texted {
    Texted { to: "the number that ends in 67".into(), ..Texted::default() }
}

fn sent() -> Texted {
    let again = Some((Duration::from_secs(42), "14:03:20 UTC".to_owned()));
    Texted { is_waiting: true, again, ..not_sent() }
}

fn number(typed: &str) -> Steps {
    sms::steps(&Begun::default(), None, typed, None, NOW)
}

fn with_code() -> Steps {
    let texted =
        Texted { to: "+41 79 123 45 67".into(), number: Some("+41 79 123 45 67".into()), ..sent() };
    Steps { texted: Some(texted), sends: None, ..sent_steps() }
}

fn sent_steps() -> Steps {
    use rand::SeedableRng;
    let number = Number::parse("+41 79 123 45 67", None).unwrap();
    let mut rng = rand::rngs::StdRng::seed_from_u64(1);
    let (_, code) = doorward::domain::mailed::MailedCode::random(&mut rng, NOW);
    sms::steps(&Begun::sent(number, code), None, "", None, NOW)
}

fn kinds() -> Vec<(Kind, &'static str)> {
    let choice = |kind: Kind| (kind, part(kind).set_up.unwrap().choice);
    vec![choice(Kind::Totp), choice(Kind::Sms)]
}

fn first(steps: Steps, problem: Option<Problem>) -> SetUp {
    SetUp { kind: Kind::Sms, kinds: kinds(), words: sms::SET_UP, steps, ..set_up(None, problem) }
}

fn another(place: NewPlace, steps: Steps) -> NewFactor {
    NewFactor {
        frame: frame(Some("ada")),
        form: form(),
        place,
        kind: Kind::Sms,
        kinds: kinds(),
        words: sms::SET_UP,
        steps,
        name: String::new(),
        problem: None,
    }
}

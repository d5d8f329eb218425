//! The pages of codes by e-mail, in every state.

use std::time::Duration;

use doorward::domain::factor::Kind;
use doorward::domain::factor::code::Emailed;
use doorward::domain::mailed::MailedCode;
use doorward::domain::name::Email;
use doorward::domain::time::Timestamp;
use doorward::flow::emailed::Sent;
use doorward::web::factor::{email, part};
use doorward::web::pages::{Challenge, Factor, NewFactor, NewPlace, Security, Steps, Texted, html};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{challenge, factor, form, frame, security};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

pub(super) fn samples() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    let mut add = |name: &str, page: String| pages.push((name.to_owned(), page));

    let at = |kind, texted, problem| Challenge {
        texted: Some(texted),
        others: vec![part(Kind::Sms), part(Kind::RecoveryCode)],
        ..challenge(kind, problem)
    };
    add("challenge-email", html(&at(Kind::Email, not_sent(), None)));
    add("challenge-email-sent", html(&at(Kind::Email, sent(), None)));
    let early = email::problem(Sent::NotYet);
    add("challenge-email-early", html(&at(Kind::Email, not_sent(), early)));
    let texted = Texted {
        to: "the number that ends in 67".into(),
        mail_at: Some("14:03:20 UTC".to_owned()),
        by_mail: false,
        ..sent()
    };
    add("challenge-text-email-later", html(&at(Kind::Sms, texted, None)));

    let address = Email::parse("ada@example.com").unwrap();
    let steps = |begun: &Emailed| email::steps(begun, Some(&address), None, NOW);
    add("email-add", html(&another(steps(&Emailed::default()))));
    let (_, code) = MailedCode::random(&mut StdRng::seed_from_u64(1), NOW);
    add("email-add-sent", html(&another(steps(&Emailed::sent(address.clone(), code)))));

    let phone =
        || Factor { section: "Phone number", kind: Kind::Sms, ..factor("Phone ending in 67") };
    let codes = Factor {
        section: "Codes by e-mail",
        kind: Kind::Email,
        ..factor("Codes to a…@example.com")
    };
    let offered = Security { factors: vec![phone()], may_add_mailbox: true, ..security("ada") };
    add("security-email-offered", html(&offered));
    add("security-email", html(&Security { factors: vec![phone(), codes], ..security("ada") }));
    pages
}

fn not_sent() -> Texted {
    Texted { to: "a…@example.com".into(), by_mail: true, ..Texted::default() }
}

fn sent() -> Texted {
    let again = Some((Duration::from_secs(42), "14:03:20 UTC".to_owned()));
    Texted { is_waiting: true, again, ..not_sent() }
}

fn another(steps: Steps) -> NewFactor {
    NewFactor {
        frame: frame(Some("ada")),
        form: form(),
        place: NewPlace::Beside,
        kind: Kind::Email,
        kinds: Vec::new(),
        words: email::SET_UP,
        steps,
        name: String::new(),
        problem: None,
    }
}

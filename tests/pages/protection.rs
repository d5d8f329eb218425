//! The pages of changes to one's own protection, in every state.

use std::time::Duration;

use doorward::domain::factor::Kind;
use doorward::web::factor::totp;
use doorward::web::pages::{
    Ask, Challenge, ChangeEmail, ChangePassword, Demanded, Forgot, Frame, Mailed, NewFactor,
    NewPlace, Problem, ProveFirst, Proving, Question, RecoveryCodes, Rename, Standing, TurnOff,
    html,
};

use super::{HOSTILE, LONG, RIGHT_TO_LEFT, challenge, form, frame, moment, recovery_codes, scan};

pub(super) fn samples() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    let mut add = |name: &str, page: String| pages.push((name.to_owned(), page));

    for (name, mails, asked, problem) in [
        ("forgot", true, false, None),
        ("forgot-asked", true, true, None),
        ("forgot-no-mail", false, false, None),
        ("forgot-wait", true, false, Some(Problem::Wait(Duration::from_secs(40)))),
    ] {
        let (frame, form) = (frame(None), form());
        add(name, html(&Forgot { frame, form, mails, asked, problem }));
    }
    for (name, problem) in
        [("change-password", None), ("change-password-too-common", Some(Problem::TooCommon))]
    {
        let (frame, form) = (frame(Some("ada")), form());
        let username = "ada".into();
        add(name, html(&ChangePassword { frame, form, username, at_least: 8, problem }));
    }
    add("change-email", html(&change_email(None, None, None)));
    add("change-email-waiting", html(&change_email(Some("ada@example.org"), None, None)));
    add("change-email-refused", html(&change_email(None, None, Some(Problem::Address))));
    add("change-email-old-address", html(&change_email(None, Some(mailed(None)), None)));
    let under_way = Some(mailed(Some(Duration::from_secs(42))));
    add("change-email-code", html(&change_email(None, under_way, Some(Problem::MailedCode))));
    let no_mail = ChangeEmail { mails: false, present: None, ..change_email(None, None, None) };
    add("change-email-no-mail", html(&no_mail));
    let again = Some(mailed(Some(Duration::ZERO)));
    add("prove-first-mail", html(&prove_first(Some(mailed(None)), None)));
    let sent = Some(mailed(Some(Duration::from_secs(42))));
    add("prove-first-mail-sent", html(&prove_first(sent, None)));
    add("prove-first-mail-again", html(&prove_first(again, Some(Problem::TooManyMails))));
    add("prove-first-link", html(&prove_first(None, None)));
    let mail_from = Some(moment());
    add("prove-first-link-or-later", html(&ProveFirst { mail_from, ..prove_first(None, None) }));
    let due = Some("14 December 2026".to_owned());
    add("prove-first-mail-due", html(&ProveFirst { due, ..prove_first(Some(mailed(None)), None) }));
    let nobody_named = Frame { support: None, ..frame(Some("ada")) };
    let demanded = ProveFirst { is_demanded: true, frame: nobody_named, ..prove_first(None, None) };
    add("prove-first-link-demanded", html(&demanded));
    let locked_out = prove_first(Some(mailed(Some(Duration::ZERO))), Some(Problem::LockedOut));
    add("prove-first-locked-out", html(&locked_out));
    let wait = prove_first(
        Some(mailed(Some(Duration::from_secs(10)))),
        Some(Problem::Wait(Duration::from_secs(30))),
    );
    add("prove-first-wait", html(&wait));

    for (name, place, problem) in [
        ("authenticator-add", NewPlace::Beside, None),
        ("authenticator-add-many", NewPlace::Beside, Some(Problem::Answer(totp::SET_UP.too_many))),
        ("authenticator-replace", instead(0), None),
        ("authenticator-replace-devices", instead(2), Some(Problem::Answer(totp::PART.wrong))),
    ] {
        add(name, html(&new_factor(place, problem)));
    }
    for (name, called) in [("long", LONG), ("right-to-left", RIGHT_TO_LEFT), ("hostile", HOSTILE)] {
        let what = Question::RemoveFactor { name: called.into(), words: totp::SET_UP.remove };
        add(&format!("ask-remove-{name}"), html(&ask(what)));
        let (frame, form, name_now) = (frame(Some(called)), form(), called.into());
        let words = totp::SET_UP;
        let page = Rename { frame, form, words, name: name_now, problem: None };
        add(&format!("rename-{name}"), html(&page));
    }
    for left in [0, 1, 7] {
        add(&format!("ask-new-codes-{left}"), html(&ask(Question::NewRecoveryCodes { left })));
    }
    let username = || "ada".to_owned();
    add("ask-not-me", html(&ask(Question::NotMe { username: username() })));
    let address = "ada@example.org".to_owned();
    add("ask-verify-email", html(&ask(Question::VerifyEmail { address, username: username() })));

    let half_a_minute = Duration::from_secs(30);
    for (name, demanded, problem) in [
        ("", None, None),
        ("-refused", None, Some(Problem::Answer(totp::PART.wrong))),
        ("-wait", None, Some(Problem::WaitOrRecoveryCode(half_a_minute))),
        ("-locked", None, Some(Problem::Locked)),
        ("-demanded", Some(Demanded::OfEveryone), None),
        ("-demanded-of-you", Some(Demanded::OfYou), None),
        ("-demanded-for-a-place", Some(Demanded::ForAPlace), None),
        ("-demanded-in-app", Some(Demanded::InApp("CRM".into())), None),
        ("-demanded-long", Some(Demanded::OfGroup(LONG.into())), None),
        ("-demanded-right-to-left", Some(Demanded::OfGroup(RIGHT_TO_LEFT.into())), None),
        ("-demanded-hostile", Some(Demanded::InApp(HOSTILE.into())), None),
    ] {
        let (frame, form) = (frame(Some("ada")), form());
        let (part, options, texted, others) = (None, None, None, Vec::new());
        let page = TurnOff { frame, form, demanded, part, options, texted, others, problem };
        add(&format!("turn-off{name}"), html(&page));
    }
    for (name, standing) in
        [("challenge-app-alone", Standing::Outside), ("challenge-app-again", Standing::AskedAgain)]
    {
        let (others, recovery_codes_sign_in) = (Vec::new(), standing == Standing::Outside);
        let page = challenge(Kind::Totp, None);
        let page = Challenge { standing, others, recovery_codes_sign_in, ..page };
        add(name, html(&page));
    }
    add("recovery-codes-again", html(&RecoveryCodes { to_be_saved: false, ..recovery_codes() }));
    pages
}

/// A code that goes to Ada: it is under way if there is a time after which another can be sent.
pub(super) fn mailed(again_in: Option<Duration>) -> Mailed {
    Mailed { to: "a…@example.com".into(), sent: again_in.is_some(), again_in }
}

fn change_email(
    waiting: Option<&str>,
    old_address: Option<Mailed>,
    problem: Option<Problem>,
) -> ChangeEmail {
    ChangeEmail {
        frame: frame(Some("ada")),
        form: form(),
        mails: true,
        present: Some("ada@example.com".into()),
        waiting: waiting.map(Into::into),
        old_address,
        typed: problem.map(|_| "ada@".to_owned()).unwrap_or_default(),
        problem,
    }
}

pub(super) fn prove_first(by_mail: Option<Mailed>, problem: Option<Problem>) -> ProveFirst {
    let (frame, form, what) = (frame(Some("ada")), form(), Proving::SetUp);
    let mail_from = None;
    ProveFirst { frame, form, what, by_mail, mail_from, is_demanded: false, due: None, problem }
}

const fn instead(devices: usize) -> NewPlace {
    NewPlace::Instead { devices, forget_devices: true }
}

fn new_factor(place: NewPlace, problem: Option<Problem>) -> NewFactor {
    NewFactor {
        frame: frame(Some("ada")),
        form: form(),
        place,
        kind: Kind::Totp,
        kinds: Vec::new(),
        words: totp::SET_UP,
        steps: totp::steps(&scan("ada"), Some(place), problem.as_ref()),
        name: String::new(),
        problem,
    }
}

pub(super) fn ask(what: Question) -> Ask {
    Ask { frame: frame(Some("ada")), form: form(), what, problem: None }
}

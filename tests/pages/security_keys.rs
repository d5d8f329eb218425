//! The pages of security keys, in every state.

use doorward::domain::event::What;
use doorward::domain::factor::Kind;
use doorward::web::factor::{part, security_key, totp};
use doorward::web::pages::{
    Challenge, Confirm, Factor, NewFactor, NewPlace, NotYet, Passkey, Problem, Protection,
    ProveFirst, Proving, Question, Rename, Security, SecurityKeyHelp, SetUp, SignIn, Trust,
    TurnOff, html,
};

use super::protection::{ask, mailed, prove_first};
use super::{
    challenge, confirm, factor, form, frame, happened, moment, security, set_up, sign_in, trust,
};

const OPTIONS: &str = r#"{"challenge":"AAAA","rpId":"id.example.com"}"#;

pub(super) fn samples() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    let mut add = |name: &str, page: String| pages.push((name.to_owned(), page));

    let asked = |problem| Challenge {
        options: Some(OPTIONS.to_owned()),
        others: vec![part(Kind::Totp), part(Kind::RecoveryCode)],
        ..challenge(Kind::SecurityKey, problem)
    };
    add("challenge-key", html(&asked(None)));
    add("challenge-key-refused", html(&asked(Some(Problem::Answer(security_key::PART.wrong)))));
    add("challenge-key-doubted", html(&asked(Some(Problem::Answer(security_key::DOUBTED)))));
    add("challenge-key-expired", html(&asked(Some(Problem::Expired))));
    add("challenge-key-unable", html(&Challenge { options: None, ..asked(None) }));

    add("set-up-key", html(&first(None, None)));
    add("set-up-key-demanded", html(&first(Some("CRM"), None)));
    let refused = Some(Problem::Answer(security_key::SET_UP.wrong));
    add("set-up-key-refused", html(&first(None, refused)));
    let only = |models: &[&str], problem| {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        let steps = security_key::steps(Some(OPTIONS.to_owned()), Some(models));
        html(&SetUp { steps, ..first(None, problem) })
    };
    let other = Some(Problem::Answer(security_key::OTHER_MODEL));
    add("set-up-key-only", only(&["YubiKey 5 with NFC", "YubiKey Bio"], None));
    add("set-up-key-other-model", only(&["YubiKey 5 with NFC", "YubiKey Bio"], other));
    let of_others = Some(Problem::Answer(security_key::OTHER_MAKER));
    add("set-up-key-only-unnamed", only(&[], of_others));
    let passkey = |by_autofill| Passkey {
        fields: security_key::passkey_fields(OPTIONS.to_owned(), by_autofill),
        token: "passkey-token".into(),
    };
    add("sign-in-passkey", html(&SignIn { passkey: Some(passkey(true)), ..sign_in(None) }));
    let refused = Some(Problem::Passkey);
    add(
        "sign-in-passkey-refused",
        html(&SignIn { passkey: Some(passkey(true)), ..sign_in(refused) }),
    );
    add("confirm-passkey", html(&Confirm { passkey: Some(passkey(false)), ..confirm(None) }));
    let from = moment();
    add("key-not-yet", html(&NotYet { frame: frame(Some("ada")), from }));
    add("security-key-help", html(&SecurityKeyHelp { frame: frame(Some("ada")) }));
    let kinds = kinds();
    add("set-up-choice", html(&SetUp { kinds, ..set_up(None, None) }));

    let too_many = Some(Problem::Answer(security_key::SET_UP.too_many));
    add("key-add", html(&another(NewPlace::Beside, None)));
    add("key-add-many", html(&another(NewPlace::Beside, too_many)));
    let instead = NewPlace::Instead { devices: 2, forget_devices: true };
    add("key-replace", html(&another(instead, None)));

    let what = Question::RemoveFactor { name: "Drawer".into(), words: security_key::SET_UP.remove };
    add("key-remove", html(&ask(what)));
    add("key-keep", html(&ask(Question::KeepKey { name: "Drawer".into() })));
    let first = |by_mail| ProveFirst { what: Proving::Key, ..prove_first(by_mail, None) };
    add("key-prove-link", html(&first(None)));
    add("key-prove-mail", html(&first(Some(mailed(None)))));
    let (frame, form, words) = (frame(Some("ada")), form(), security_key::SET_UP);
    let rename = Rename { frame, form, words, name: "Drawer".into(), problem: None };
    add("key-rename", html(&rename));

    add("turn-off-key", html(&turn_off(None)));
    let refused = Some(Problem::Answer(security_key::PART.wrong));
    add("turn-off-key-refused", html(&turn_off(refused)));

    let key = |name: &str, notes| Factor {
        section: security_key::SET_UP.section,
        kind: Kind::SecurityKey,
        notes,
        ..factor(name)
    };
    let bound = vec!["Stays on one device"];
    let copied = vec!["Copied to your other devices"];
    let doubted = vec!["No longer accepted: there may be a copy of it", "Stays on one device"];
    let keys = Security {
        known_keys: Some(r#"{"rpId":"id.example.com","allAcceptedCredentialIds":[]}"#.into()),
        factors: vec![key("Key ring", bound.clone()), key("Password manager", copied)],
        ..security("ada")
    };
    add("security-keys", html(&keys));
    let mixed = Security {
        factors: vec![factor("Phone"), key("Key ring", bound)],
        two_factor: Protection::On { trusted_until: None, demanded: None },
        ..security("ada")
    };
    add("security-key-and-app", html(&mixed));
    let former = "It belongs to the former address of this site. You can only remove it.";
    let moved = Security {
        factors: vec![
            factor("Phone"),
            Factor { is_usable: false, ..key("Key ring", vec![former]) },
        ],
        two_factor: Protection::On { trusted_until: None, demanded: None },
        ..security("ada")
    };
    add("security-key-former-address", html(&moved));
    let events = [What::KeyDoubted, What::FactorAdded(Kind::SecurityKey), What::SignedIn];
    let copied = Security {
        factors: vec![Factor { is_doubted: true, ..key("Key ring", doubted) }, factor("Phone")],
        happened: events.map(happened).into(),
        ..security("ada")
    };
    add("security-key-doubted", html(&copied));
    pages
}

fn kinds() -> Vec<(Kind, &'static str)> {
    let choice = |kind: Kind| (kind, part(kind).set_up.unwrap().choice);
    vec![choice(Kind::Totp), choice(Kind::SecurityKey)]
}

fn first(demanded_by: Option<&str>, problem: Option<Problem>) -> SetUp {
    SetUp {
        kind: Kind::SecurityKey,
        kinds: kinds(),
        words: security_key::SET_UP,
        steps: security_key::steps(Some(OPTIONS.to_owned()), None),
        trust: Some(Trust { ticked: problem.is_some(), ..trust() }),
        ..set_up(demanded_by, problem)
    }
}

fn another(place: NewPlace, problem: Option<Problem>) -> NewFactor {
    NewFactor {
        frame: frame(Some("ada")),
        form: form(),
        place,
        kind: Kind::SecurityKey,
        kinds: kinds(),
        words: security_key::SET_UP,
        steps: security_key::steps(Some(OPTIONS.to_owned()), None),
        name: String::new(),
        problem,
    }
}

fn turn_off(problem: Option<Problem>) -> TurnOff {
    TurnOff {
        frame: frame(Some("ada")),
        form: form(),
        demanded: None,
        part: Some(part(Kind::SecurityKey)),
        options: Some(OPTIONS.to_owned()),
        texted: None,
        others: vec![("totp", totp::PART.instead)],
        problem,
    }
}

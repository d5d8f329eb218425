//! Every page that a visitor can meet, in every state.
//!
//! `cargo test --test suite pages:: -- --ignored` writes them all to `target/pages/`, to be looked at.

mod emailed;
mod protection;
mod security_keys;
mod texts;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::factor::Kind;
use doorward::domain::provider::Purpose;
use doorward::domain::user::UserId;
use doorward::domain::user_session::UserSessionId;
use doorward::flow::next::Offer;
use doorward::flow::provider::Stop;
use doorward::web::assets;
use doorward::web::factor::totp::{self, Scan};
use doorward::web::factor::{part, recovery};
use doorward::web::pages::{
    self, Accounts, Challenge, CodesLeft, Confirm, Connected, Demanded, Device, Factor, Form,
    Frame, Happened, Home, Later, Leave, Link, Moment, NamelessPage, Notice, NoticePage, OfferPage,
    Owed, Problem, Protection, RecoveryCodes, Row, Security, Session, SetPassword, SetUp, SignIn,
    SignOut, Standing, Trust, TwoFactor, html, recovery_codes_file,
};
use doorward::web::qr;
use fast_qr::{ECL, QRBuilder};
use sha2::Digest;

const LONG: &str = "Verwaltungsgemeinschaft-Wasserversorgungszweckverband.of.the.Upper.Valleys";
const RIGHT_TO_LEFT: &str = "دانيال";
const HOSTILE: &str = "\"><script>alert('ada')</script>";
const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

#[test]
fn every_page_in_every_state_reads_as_it_did() {
    let mut settings = insta::Settings::clone_current();
    // A change of style or script is no change of a page.
    settings.add_filter(r"-[0-9a-f]{16}\.", "-[hash].");
    for (name, page) in samples() {
        settings.bind(|| insta::assert_snapshot!(name, page));
    }
}

/// It brings its style along: nothing can be loaded from a host that is none.
#[test]
fn the_page_for_whoever_names_no_host_of_ours_names_none() {
    let page = html(&NamelessPage { notice: Notice::WrongHost, reference: None });
    insta::assert_snapshot!("nameless-wrong-host", page);
    let (_, style) = page.split_once("<style>").unwrap();
    let style = style.split_once("</style>").unwrap().0;
    let digest = data_encoding::BASE64.encode(&sha2::Sha256::digest(style));
    assert_eq!(NamelessPage::style_digest(), format!("sha256-{digest}"));
}

#[test]
fn the_strict_content_policy_finds_nothing_to_refuse() {
    for (name, page) in samples() {
        assert!(!page.contains("<style"), "{name} has a style of its own");
        for (tag, attributes) in tags(&page) {
            assert!(tag != "script" || attributes.contains(" src="), "{name} has a script in it");
            for (attribute, value) in pairs(&attributes) {
                assert!(!attribute.starts_with("on"), "{name}: <{tag} {attribute}>");
                assert_ne!(attribute, "style", "{name}: <{tag}>");
                assert!(!value.starts_with("javascript:"), "{name}: {value}");
                let loads = matches!(&*tag, "script" | "img" | "link" | "iframe")
                    && matches!(&*attribute, "src" | "href");
                // What it says of its host, its own policy allows by its whole address.
                let clears = tag == "img" && value.ends_with("/.doorward/signed-out");
                let ours = value.starts_with("/.doorward/assets/") || clears;
                assert!(!loads || ours, "{name}: {value}");
            }
        }
    }
}

#[test]
fn every_page_has_one_heading_a_title_and_a_language() {
    for (name, page) in samples() {
        assert_eq!(page.matches("<h1>").count(), 1, "{name}");
        assert!(page.contains("<html lang=\"en\">"), "{name}");
        assert!(!page.contains("<title> –"), "{name}");
    }
}

#[test]
fn every_field_has_a_label_and_everything_named_is_there() {
    for (name, page) in samples() {
        let mut ids = BTreeSet::new();
        for (_, attributes) in tags(&page) {
            if let Some(id) = value(&attributes, "id") {
                assert!(ids.insert(id.clone()), "{name} has two of #{id}");
            }
        }
        for (tag, attributes) in tags(&page) {
            if tag == "input" && value(&attributes, "type").as_deref() != Some("hidden") {
                let id = value(&attributes, "id").expect("a field has an id");
                assert!(page.contains(&format!("<label for=\"{id}\">")), "{name}: #{id}");
            }
            for reference in ["aria-describedby", "for", "data-copy"] {
                let named = value(&attributes, reference).unwrap_or_default();
                for id in named.split_whitespace() {
                    assert!(ids.contains(id), "{name}: <{tag}> names #{id}");
                }
            }
        }
    }
}

#[test]
fn every_form_is_posted_and_carries_its_token_and_where_to_go() {
    for (name, page) in samples() {
        for form in page.split("<form").skip(1) {
            assert!(form.starts_with(" method=\"post\""), "{name}");
            assert!(form.contains("name=\"csrf\" value=\"csrf-token\""), "{name}");
            assert!(
                form.contains("name=\"return_to\" value=\"/orders?year=2026&#38;all\""),
                "{name}"
            );
        }
    }
}

#[test]
fn a_problem_is_announced_and_tied_to_the_field_that_it_is_about() {
    let page = html(&sign_in(Some(Problem::SignIn)));
    assert!(page.contains("id=\"problem\" role=\"alert\""));
    assert_eq!(page.matches("aria-describedby=\"problem\" aria-invalid=\"true\"").count(), 2);

    let busy = html(&sign_in(Some(Problem::Busy)));
    assert!(!busy.contains("aria-invalid"), "nothing that was typed is to blame");
}

#[test]
fn where_codes_from_the_app_are_locked_only_the_recovery_code_is_offered() {
    let locked = html(&challenge(Kind::Totp, Some(Problem::Locked)));
    assert!(!locked.contains("<form"));
    assert!(locked.contains("href=\"/.doorward/challenge?kind=recovery-code&amp;return_to="));
    assert!(html(&challenge(Kind::RecoveryCode, Some(Problem::Locked))).contains("<form"));
}

#[test]
fn what_hostile_people_call_themselves_stays_text() {
    for (name, page) in samples() {
        assert!(!page.contains("<script>"), "{name}");
        assert!(!page.contains("\"><script"), "{name}");
    }
    assert!(html(&home(HOSTILE, TwoFactor::On)).contains("&#60;script&#62;"));
}

#[test]
fn a_password_never_comes_back_to_the_page() {
    for (name, page) in samples() {
        for (tag, attributes) in tags(&page) {
            let name_of = value(&attributes, "name").unwrap_or_default();
            let secret = value(&attributes, "type").as_deref() == Some("password")
                || name_of == "code"
                || name_of == "mailed_code";
            assert!(tag != "input" || !secret || value(&attributes, "value").is_none(), "{name}");
        }
    }
}

#[test]
fn the_path_draws_each_dark_module_of_the_qr_code_and_no_other() {
    let qr = qr::svg_path(&uri()).expect("a common length");
    let code = QRBuilder::new(uri()).ecl(ECL::M).build().expect("the same text");
    let drawn = rasterise(&qr);
    for row in 0..code.size {
        for column in 0..code.size {
            assert_eq!(drawn[row + 4][column + 4], code[row][column].value(), "{column}, {row}");
        }
    }
}

#[test]
fn the_qr_code_has_the_quiet_zone_that_readers_need() {
    let qr = qr::svg_path(&uri()).expect("a common length");
    for (y, row) in rasterise(&qr).iter().enumerate() {
        for (x, dark) in row.iter().enumerate() {
            let inside = |at: usize| (4..qr.size - 4).contains(&at);
            assert!(!dark || (inside(x) && inside(y)), "dark at {x}, {y}");
        }
    }
}

#[test]
fn what_no_qr_code_can_hold_is_shown_as_text_alone() {
    assert!(qr::svg_path(&"x".repeat(3000)).is_none());
    let scan = Scan { qr: None, ..scan("ada") };
    let steps = totp::steps(&scan, None, None);
    let page = html(&SetUp { steps, ..set_up(None, None) });
    assert!(!page.contains("<svg"));
    assert!(page.contains("id=\"secret\""));
}

#[test]
fn the_secret_is_copied_without_the_gaps_between_its_groups() {
    let page = html(&set_up(None, None));
    let secret =
        page.split("<code id=\"secret\">").nth(1).unwrap().split("</code>").next().unwrap();
    let text = secret.replace("<span>", "").replace("</span>", "");
    assert_eq!(text, SECRET);
}

#[test]
fn an_asset_is_found_by_its_name_alone_and_named_by_its_content() {
    let style = &assets::all().style;
    assert_eq!(assets::find(&style.file_name).map(|found| found.body), Some(style.body));
    assert!(style.url.ends_with(&style.file_name));
    assert!(assets::find("style.css").is_none());
    assert!(assets::find("../style.css").is_none());
}

#[test]
fn the_file_of_recovery_codes_says_whose_they_are() {
    let file = recovery_codes_file("CRM", "ada", &codes());
    insta::assert_snapshot!("recovery-codes.txt", file);
}

#[test]
#[ignore = "writes the pages to target/pages, to be looked at"]
fn write_the_pages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pages");
    let beside = folder.join(".doorward/assets");
    fs::create_dir_all(&beside).unwrap();
    let all = assets::all();
    for asset in [&all.style, &all.script, &all.security_key, &all.icon] {
        fs::write(beside.join(&asset.file_name), asset.body).unwrap();
    }
    for (name, page) in samples() {
        fs::write(folder.join(format!("{name}.html")), page).unwrap();
    }
}

/// Every page in every state, each with its name.
pub(crate) fn samples() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    let mut add = |name: &str, page: String| pages.push((name.to_owned(), page));

    add("sign-in", html(&SignIn { username: String::new(), ..sign_in(None) }));
    for (name, page) in with_providers() {
        add(name, page);
    }
    for (name, problem) in [
        ("refused", Problem::SignIn),
        ("wait", Problem::Wait(Duration::from_secs(30))),
        ("expired", Problem::Expired),
        ("foreign", Problem::Foreign),
        ("no-origin", Problem::NoOrigin),
        ("busy", Problem::Busy),
    ] {
        add(&format!("sign-in-{name}"), html(&sign_in(Some(problem))));
    }
    for (name, called) in [("long", LONG), ("right-to-left", RIGHT_TO_LEFT), ("hostile", HOSTILE)] {
        let frame = Frame { site: called.into(), support: Some(called.into()), user: None };
        let page =
            SignIn { frame, app: Some(called.into()), username: called.into(), ..sign_in(None) };
        add(&format!("sign-in-{name}"), html(&page));
    }

    add("challenge", html(&challenge(Kind::Totp, None)));
    for (name, problem) in [
        ("refused", Problem::Answer(totp::PART.wrong)),
        ("used", Problem::Answer(totp::PART.used)),
        ("wait", Problem::WaitOrRecoveryCode(Duration::from_secs(240))),
        ("locked", Problem::Locked),
        ("frozen", Problem::Frozen),
    ] {
        add(&format!("challenge-{name}"), html(&challenge(Kind::Totp, Some(problem))));
    }
    let nobody = Frame { support: None, ..frame(Some("ada")) };
    let strict = Challenge { trust: None, frame: nobody, ..challenge(Kind::Totp, None) };
    add("challenge-no-trust", html(&strict));
    let again =
        Challenge { standing: Standing::AskedAgain, trust: None, ..challenge(Kind::Totp, None) };
    add("challenge-again", html(&again));
    add("challenge-recovery-code", html(&challenge(Kind::RecoveryCode, None)));
    for (name, said) in [("refused", recovery::PART.wrong), ("used", recovery::PART.used)] {
        let page = challenge(Kind::RecoveryCode, Some(Problem::Answer(said)));
        add(&format!("challenge-recovery-code-{name}"), html(&page));
    }

    add("set-up", html(&set_up(None, None)));
    add("set-up-demanded", html(&set_up(Some("CRM"), None)));
    add("set-up-refused", html(&set_up(None, Some(Problem::Answer(totp::PART.wrong)))));
    for (name, called) in [("long", LONG), ("right-to-left", RIGHT_TO_LEFT), ("hostile", HOSTILE)] {
        let page = SetUp {
            frame: frame(Some(called)),
            steps: totp::steps(&Scan { issuer: called.into(), ..scan(called) }, None, None),
            ..set_up(Some(called), None)
        };
        add(&format!("set-up-{name}"), html(&page));
    }

    let later = Some(Later { due: "3 December 2026".into(), url: "/orders".into() });
    add("set-up-later", html(&SetUp { later, ..set_up(None, None) }));
    add("recovery-codes", html(&recovery_codes()));
    add("confirm", html(&confirm(None)));
    add("confirm-refused", html(&confirm(Some(Problem::Password))));
    add("set-password", html(&set_password(None)));
    for (name, problem) in [
        ("too-short", Problem::TooShort(8)),
        ("too-long", Problem::TooLong(256)),
        ("too-common", Problem::TooCommon),
        ("too-personal", Problem::TooPersonal),
        ("untypable", Problem::Untypable),
    ] {
        add(&format!("set-password-{name}"), html(&set_password(Some(problem))));
    }
    let protected = SetPassword { has_second_factor: true, ..set_password(None) };
    add("set-password-two-factor", html(&protected));

    add("home", html(&home("ada", TwoFactor::On)));
    let here = TwoFactor::OnButHere { until: "22 December 2026".into() };
    add("home-trusted", html(&home("ada", here)));
    add("home-two-factor-off", html(&home("ada", TwoFactor::Off)));
    for (name, called) in [("long", LONG), ("right-to-left", RIGHT_TO_LEFT), ("hostile", HOSTILE)] {
        add(&format!("home-{name}"), html(&home(called, TwoFactor::On)));
    }
    for (name, page) in securities() {
        add(name, html(&page));
    }
    for (name, offer) in [
        ("set-up", Offer::SetUp),
        ("replace", Offer::Replace { codes_left: 11 }),
        ("new-codes", Offer::NewCodes { codes_left: 1 }),
        ("no-codes", Offer::NewCodes { codes_left: 0 }),
    ] {
        add(&format!("offer-{name}"), html(&OfferPage { offer, ..offer_page(None) }));
    }
    add("offer-expired", html(&offer_page(Some(Problem::Expired))));
    add("sign-out", html(&SignOut { frame: frame(Some("ada")), form: form(), problem: None }));

    for (name, notice) in notices() {
        let user = matches!(notice, Notice::Refused { .. }).then_some("ada");
        let broken = notice.status().is_server_error().then_some("m4qk2d7eyh5xw3tb");
        let reference = notice.reference().or(broken).map(str::to_owned);
        add(name, html(&NoticePage { frame: frame(user), leave: leave(), notice, reference }));
    }
    let more = [protection::samples(), security_keys::samples(), texts::samples()];
    pages.extend(more.into_iter().flatten());
    pages
}

/// The security page in every state.
fn securities() -> Vec<(&'static str, Security)> {
    let on = |demanded| Protection::On { trusted_until: None, demanded };
    let off = |due| Security {
        two_factor: Protection::Off { due },
        factors: Vec::new(),
        codes_left: None,
        devices: Vec::new(),
        ..security("ada")
    };
    let none = Security {
        devices: Vec::new(),
        sessions: vec![session("Chrome on Mac", true)],
        happened: Vec::new(),
        ..security("ada")
    };
    let many = Security {
        two_factor: Protection::On {
            trusted_until: Some("22 December 2026".into()),
            demanded: None,
        },
        factors: ["Phone", "Tablet", "Authenticator app", "Old phone", "1Password"]
            .map(factor)
            .into(),
        may_add: false,
        may_add_mailbox: false,
        devices: (0..10).map(|n| device("Firefox on Windows", n == 0)).collect(),
        sessions: (0..50).map(|n| session("A browser", n == 0)).collect(),
        more_sessions: 7,
        happened: everything(),
        ..security("ada")
    };
    let frozen = Security {
        two_factor: Protection::Frozen { since: moment() },
        devices: Vec::new(),
        ..security("ada")
    };
    let forlorn = Security {
        frame: Frame { support: None, ..frame(Some("ada")) },
        two_factor: Protection::Frozen { since: moment() },
        ..security("ada")
    };
    let group = |name: &str| on(Some(Demanded::OfGroup(name.into())));
    let demanded = |of| Security { two_factor: on(Some(of)), ..security("ada") };
    vec![
        ("security", security("ada")),
        ("security-none", none),
        ("security-many", many),
        ("security-off", off(None)),
        ("security-off-for-now", off(Some("3 December 2026".into()))),
        ("security-frozen", frozen),
        ("security-frozen-without-support", forlorn),
        ("security-demanded-of-everyone", demanded(Demanded::OfEveryone)),
        ("security-demanded-of-group", demanded(Demanded::OfGroup("staff".into()))),
        ("security-demanded-of-you", demanded(Demanded::OfYou)),
        ("security-demanded-for-a-place", demanded(Demanded::ForAPlace)),
        ("security-demanded-in-app", demanded(Demanded::InApp("CRM".into()))),
        ("security-few-codes", Security { codes_left: Some(CodesLeft(3)), ..security("ada") }),
        ("security-last-code", Security { codes_left: Some(CodesLeft(1)), ..security("ada") }),
        ("security-no-codes", Security { codes_left: Some(CodesLeft(0)), ..security("ada") }),
        ("security-no-mail", Security { email: None, ..security("ada") }),
        ("security-new-mail", {
            let new_email = Some("ada@lovelace.example".into());
            Security { new_email, ..security("ada") }
        }),
        ("security-accounts", Security { accounts: Some(Accounts(2)), ..security("ada") }),
        ("security-expired", Security { problem: Some(Problem::Expired), ..security("ada") }),
        ("security-long", Security { two_factor: group(LONG), ..security(LONG) }),
        ("security-right-to-left", {
            Security { two_factor: group(RIGHT_TO_LEFT), ..security(RIGHT_TO_LEFT) }
        }),
        ("security-hostile", Security { two_factor: group(HOSTILE), ..security(HOSTILE) }),
    ]
}

/// The page of somebody who calls everything so.
fn security(called: &str) -> Security {
    let factors = if called == "ada" { vec!["Phone"] } else { vec![called, called] };
    Security {
        frame: frame(Some(called)),
        form: form(),
        two_factor: Protection::On { trusted_until: None, demanded: None },
        factors: factors.into_iter().map(factor).collect(),
        may_add: true,
        may_add_mailbox: false,
        codes_left: Some(CodesLeft(12)),
        devices: vec![device("Firefox on Windows", false), device("Safari on iPhone", false)],
        sessions: vec![session("Chrome on Mac", true), session("Safari on iPhone", false)],
        more_sessions: 0,
        email: Some(format!("{called}@example.com")),
        new_email: None,
        accounts: None,
        happened: [What::DeviceCopied, What::SignedIn, What::Unlocked].map(happened).into(),
        known_keys: None,
        problem: None,
    }
}

fn factor(called: &str) -> Factor {
    let (id, section) = ("0".repeat(32), totp::SET_UP.section);
    let (name, added, last_used) = (called.into(), moment(), moment());
    let (notes, kind, is_doubted, is_usable) = (Vec::new(), Kind::Totp, false, true);
    Factor { id, name, section, added, last_used, notes, kind, is_doubted, is_usable }
}

fn device(browser: &str, is_this: bool) -> Device {
    let row = row(browser, is_this);
    Device { row, made: moment(), last_used: moment(), expires: moment() }
}

fn session(browser: &str, is_this: bool) -> Session {
    Session { row: row(browser, is_this), began: moment(), last_used: moment() }
}

fn row(browser: &str, is_this: bool) -> Row {
    // One says nothing of where it came from, one came from afar.
    let address = (browser != "A browser").then(|| "2001:db8:85a3:8d3:1319:8a2e:370:7348".into());
    Row { id: "0".repeat(32), browser: browser.into(), address, is_this }
}

/// Everything that can happen.
fn everything() -> Vec<Happened> {
    What::all().map(happened).collect()
}

fn happened(what: What) -> Happened {
    let visitor = what != What::Unlocked;
    let browser = visitor.then(|| "Firefox on Windows".into());
    Happened { at: moment(), what, browser, address: visitor.then(|| "192.0.2.1".into()) }
}

fn moment() -> Moment {
    let words = "22 November 2026, 08:00 UTC".into();
    Moment { machine: "2026-11-22T08:00Z".into(), words }
}

fn offer_page(problem: Option<Problem>) -> OfferPage {
    let url = "/.doorward/set-up?return_to=%2Forders".into();
    let takes = totp::SET_UP.takes;
    OfferPage { frame: frame(Some("ada")), form: form(), offer: Offer::SetUp, url, takes, problem }
}

fn leave() -> Leave {
    Leave { is_signed_in: true, url: "/.doorward/sign-out?return_to=%2Fx".into() }
}

fn notices() -> Vec<(&'static str, Notice)> {
    let url = || "/.doorward/sign-in?return_to=%2Forders".to_owned();
    let unsent = |owed| Notice::Unsent { owed, url: url(), is_ours: false };
    let unchanged = |owed| Notice::Unsent { owed, url: url(), is_ours: true };
    let forgets = |host| format!("https://{host}.example.com/.doorward/signed-out");
    vec![
        ("refused", Notice::Refused { reference: "7GQK-2M4X".into() }),
        ("bad-request", Notice::BadRequest { reference: "7GQK-2M4X".into() }),
        ("not-found", Notice::NotFound),
        ("not-allowed", Notice::NotAllowed),
        ("unsent-sign-in", unsent(Owed::SignIn)),
        ("unsent-challenge", unsent(Owed::Challenge)),
        ("unsent-confirm", unsent(Owed::Confirm)),
        ("unsent-set-up", unsent(Owed::SetUp)),
        ("unchanged-sign-in", unchanged(Owed::SignIn)),
        ("unchanged-challenge", unchanged(Owed::Challenge)),
        ("unchanged-confirm", unchanged(Owed::Confirm)),
        ("unchanged-set-up", unchanged(Owed::SetUp)),
        ("framed", Notice::Framed { url: url() }),
        ("unreachable", Notice::Unreachable { app: "CRM".into() }),
        ("unreadable", Notice::Unreadable { app: "CRM".into() }),
        ("late", Notice::Late { app: "CRM".into() }),
        ("unavailable", Notice::Unavailable),
        ("too-large", Notice::TooLarge),
        ("doubled-cookie", Notice::DoubledCookie { url: "/orders".into() }),
        ("head-too-large", Notice::HeadTooLarge),
        ("spent-link", Notice::SpentLink),
        ("frozen", Notice::Frozen),
        ("only-authenticator", Notice::OnlyAuthenticator),
        ("no-password", Notice::NoPassword),
        ("address-kept-elsewhere", Notice::AddressKeptElsewhere),
        ("provider-spent", not_signed_in(Stop::Spent)),
        ("provider-denied", not_signed_in(Stop::Denied)),
        ("provider-unavailable", not_signed_in(Stop::Unavailable)),
        ("provider-refused", not_signed_in(Stop::Refused)),
        ("provider-not-admitted", not_signed_in(Stop::NotAdmitted)),
        ("provider-name-taken", not_signed_in(Stop::NameTaken)),
        ("provider-no-name", not_signed_in(Stop::NoName)),
        ("provider-somebody-else", not_confirmed(Stop::SomebodyElse)),
        ("provider-not-again", not_confirmed(Stop::NotAgain)),
        ("provider-cannot-confirm", not_confirmed(Stop::CannotConfirm)),
        ("provider-account-taken", not_connected(Stop::AccountTaken)),
        ("provider-too-many", not_connected(Stop::TooMany)),
        ("provider-denied-connect", not_connected(Stop::Denied)),
        ("provider-spent-connect", not_connected(Stop::Spent)),
        ("provider-denied-confirm", not_confirmed(Stop::Denied)),
        ("provider-waiting", not_signed_in(Stop::Waiting { wait: Duration::from_secs(30) })),
        ("signed-out", Notice::SignedOut { url: url(), clears: Vec::new() }),
        (
            "signed-out-of-several",
            Notice::SignedOut { url: url(), clears: vec![forgets("id"), forgets("wiki")] },
        ),
    ]
}

fn frame(user: Option<&str>) -> Frame {
    Frame {
        site: "CRM".into(),
        support: Some("help@example.com".into()),
        user: user.map(Into::into),
    }
}

fn form() -> Form {
    let return_to = "/orders?year=2026&all".into();
    Form { csrf: "csrf-token".into(), return_to, ..Form::default() }
}

fn trust() -> Trust {
    Trust { lasts: Duration::from_secs(30 * 86_400), ticked: false }
}

/// The pages that name identity providers.
fn with_providers() -> [(&'static str, String); 6] {
    let sign_in = SignIn { username: String::new(), providers: providers(), ..sign_in(None) };
    let both = Confirm { providers: providers(), ..confirm(None) };
    let elsewhere = Confirm { has_password: false, providers: providers(), ..confirm(None) };
    let nowhere = Confirm { has_password: false, ..confirm(None) };
    [
        ("sign-in-providers", html(&sign_in)),
        ("confirm-providers", html(&both)),
        ("confirm-elsewhere", html(&elsewhere)),
        ("confirm-nowhere", html(&nowhere)),
        ("providers", html(&connected(&["Google", LONG]))),
        ("providers-none", html(&connected(&[]))),
    ]
}

fn connected(all: &[&str]) -> pages::Providers {
    let accounts = all.iter().enumerate().map(|(n, provider)| Connected {
        provider: (*provider).to_owned(),
        subject: "110169484474386276334".to_owned(),
        handle: "0".repeat(32),
        is_origin: n == 0,
        may_go: n > 0,
    });
    let others = ["GitHub", HOSTILE].map(|name| (name.to_lowercase(), name.to_owned()));
    pages::Providers {
        frame: frame(Some("ada")),
        form: form(),
        accounts: accounts.collect(),
        others: others.into(),
        problem: None,
    }
}

fn not_signed_in(stop: Stop) -> Notice {
    let url = "/.doorward/sign-in".into();
    Notice::NotSignedIn { provider: "Google".into(), purpose: Purpose::SignIn, stop, url }
}

fn not_confirmed(stop: Stop) -> Notice {
    let (user, user_session) = (UserId::from([7; 16]), UserSessionId::from([7; 16]));
    let (purpose, url) = (Purpose::Confirm { user, user_session }, "/.doorward/confirm".into());
    Notice::NotSignedIn { provider: "Google".into(), purpose, stop, url }
}

fn not_connected(stop: Stop) -> Notice {
    let (user, user_session) = (UserId::from([7; 16]), UserSessionId::from([7; 16]));
    let purpose = Purpose::Connect { user, user_session };
    let url = "/.doorward/security/providers".into();
    Notice::NotSignedIn { provider: "Google".into(), purpose, stop, url }
}

fn providers() -> Vec<Link> {
    let link = |name: &str| Link {
        name: name.into(),
        url: format!("/.doorward/sign-in/provider/{}", name.to_lowercase()),
    };
    vec![link("Google"), link("GitHub"), Link { name: LONG.into(), ..link("long") }]
}

fn sign_in(problem: Option<Problem>) -> SignIn {
    let app = Some("CRM".into());
    let (passkey, username, providers) = (None, "ada".into(), Vec::new());
    SignIn { frame: frame(None), form: form(), app, passkey, username, providers, problem }
}

fn challenge(kind: Kind, problem: Option<Problem>) -> Challenge {
    let ticked = problem.is_some();
    let trust = Some(Trust { ticked, ..trust() });
    let standing = Standing::Outside;
    let other = if kind == Kind::Totp { Kind::RecoveryCode } else { Kind::Totp };
    Challenge {
        frame: frame(Some("ada")),
        form: form(),
        part: part(kind),
        options: None,
        texted: None,
        others: vec![part(other)],
        standing,
        trust,
        recovery_codes_sign_in: false,
        problem,
    }
}

fn uri() -> String {
    format!("otpauth://totp/Example%20Inc.:ada?secret={SECRET}&issuer=Example%20Inc.")
}

fn set_up(demanded_by: Option<&str>, problem: Option<Problem>) -> SetUp {
    SetUp {
        frame: frame(Some("ada")),
        form: form(),
        demanded_by: demanded_by.map(Into::into),
        later: None,
        kind: Kind::Totp,
        kinds: Vec::new(),
        words: totp::SET_UP,
        steps: totp::steps(&scan("ada"), None, problem.as_ref()),
        trust: Some(trust()),
        problem,
    }
}

fn scan(username: &str) -> Scan {
    Scan {
        qr: qr::svg_path(&uri()),
        uri: uri(),
        secret: SECRET.into(),
        issuer: "Example Inc.".into(),
        username: username.into(),
    }
}

fn codes() -> Vec<String> {
    ('A'..='L').map(|message| format!("K7QF{message}-M4XA-TW2B")).collect()
}

fn recovery_codes() -> RecoveryCodes {
    RecoveryCodes {
        frame: frame(Some("ada")),
        form: form(),
        codes: codes(),
        issuer: "Example Inc.".into(),
        username: "ada".into(),
        to_be_saved: true,
        problem: None,
    }
}

fn confirm(problem: Option<Problem>) -> Confirm {
    let lasts = Duration::from_secs(15 * 60);
    Confirm {
        frame: frame(Some("ada")),
        form: form(),
        username: "ada".into(),
        has_password: true,
        providers: Vec::new(),
        passkey: None,
        lasts,
        problem,
    }
}

fn set_password(problem: Option<Problem>) -> SetPassword {
    SetPassword {
        frame: frame(None),
        form: form(),
        username: "ada".into(),
        has_second_factor: false,
        at_least: 8,
        problem,
    }
}

fn home(called: &str, two_factor: TwoFactor) -> Home {
    Home {
        frame: frame(Some(called)),
        form: form(),
        username: called.into(),
        two_factor,
        apps: vec![Link { name: "CRM".into(), url: "https://crm.example.com/".into() }],
    }
}

/// The modules of a picture, true where dark, read from its path alone.
fn rasterise(qr: &qr::Qr) -> Vec<Vec<bool>> {
    let mut dark = vec![vec![false; qr.size]; qr.size];
    for run in qr.path.split('M').skip(1) {
        let numbers: Vec<usize> = run.split([' ', 'h', 'v']).flat_map(str::parse).collect();
        if let [x, y, length, ..] = numbers[..] {
            dark[y][x..x + length].fill(true);
        }
    }
    dark
}

/// The opening tags of a page: name, and attributes as written.
fn tags(page: &str) -> Vec<(String, String)> {
    page.split('<')
        .filter(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()))
        .map(|part| {
            let tag = part.split('>').next().unwrap_or_default();
            let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
            (name.to_ascii_lowercase(), format!(" {attributes}"))
        })
        .collect()
}

/// The attributes of a tag with their values; our pages quote every value.
fn pairs(attributes: &str) -> Vec<(String, String)> {
    let mut parts = attributes.split('"');
    let mut pairs = Vec::new();
    while let (Some(names), value) = (parts.next(), parts.next()) {
        for name in names.split_whitespace() {
            let valued = name.strip_suffix('=');
            let value = valued.and(value).unwrap_or_default().to_owned();
            pairs.push((valued.unwrap_or(name).to_ascii_lowercase(), value));
        }
    }
    pairs
}

/// The value of one attribute.
fn value(attributes: &str, name: &str) -> Option<String> {
    pairs(attributes).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

#[test]
fn the_reader_of_these_tests_sees_what_it_should() {
    let (tag, attributes) = tags("<p>a<input ONCLICK=\"x\" hidden class=\"b c\">").remove(1);
    assert_eq!(tag, "input");
    assert_eq!(value(&attributes, "onclick").as_deref(), Some("x"));
    assert_eq!(value(&attributes, "class").as_deref(), Some("b c"));
    assert_eq!(value(&attributes, "hidden").as_deref(), Some(""));
    assert_eq!(value(&attributes, "value"), None);
}

//! What operators do to people, as these and guessers meet it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use doorward::domain::digest::Digest;
use doorward::domain::event::What;
use doorward::domain::name::{Email, Login, Name};
use doorward::domain::user::{Change, Profile};
use doorward::flow::administer::{self, Linking, Switched};
use doorward::flow::import::{self, Newcomer, TakenOver};
use doorward::store::Records;
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{Gate, PASSWORD};
use crate::support::overtaken::Overtaken;

impl Gate {
    pub(crate) async fn disables(&self, name: &str) {
        let done = administer::disable(&self.env, "root", &Login::typed(name)).await.unwrap();
        assert!(matches!(done, Some(Switched::Now(_))));
    }

    async fn enables(&self, name: &str) {
        administer::enable(&self.env, "root", &Login::typed(name)).await.unwrap().unwrap();
    }

    /// Somebody comes from another system with this digest.
    async fn takes_over(&self, name: &str, digest: Option<&str>) -> TakenOver {
        let profile = Profile {
            name: Name::parse(name).unwrap(),
            full_name: None,
            email: Some(Email::parse(&format!("{name}@example.com")).unwrap()),
            groups: [].into(),
        };
        let password = digest.map(|digest| Digest::parse(digest).unwrap());
        let people = vec![Newcomer { profile, password }];
        import::take_over(&self.env, "root", people, true).await.unwrap().remove(0)
    }
}

#[tokio::test]
async fn disabling_somebody_ends_what_they_have_open() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    let mut ada = gate.browser();
    ada.opens(&link).await;
    ada.sends(&[("password", PASSWORD)]).await;
    assert_eq!(ada.opens("/").await.passed, Some(Some("ada".to_owned())));
    let reset = gate.makes_a_link("ada").await;

    gate.disables("ada").await;
    assert_eq!(ada.opens("/").await.passed, None);
    assert_eq!(gate.browser().opens(&reset).await.status, StatusCode::GONE);
    let link = administer::password_link(&gate.env, "root", &Login::typed("ada")).await.unwrap();
    assert!(matches!(link, Some(Linking::Disabled(_))));

    gate.enables("ada").await;
    assert_eq!(ada.opens("/").await.passed, None, "what has ended does not come back");
    assert_eq!(gate.browser().opens(&reset).await.status, StatusCode::GONE);
    assert_eq!(gate.browser().signs_in("ada").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn nobody_can_tell_that_somebody_is_disabled() {
    let gate = Gate::new();
    gate.knows("ada").await;
    gate.knows("bob").await;
    gate.disables("ada").await;
    let signed_in = async || {
        let events = gate.events().await;
        events.iter().filter(|what| **what == What::SignedIn).count()
    };
    let before = signed_in().await;
    let mut told = Vec::new();
    for (name, password) in [("ada", PASSWORD), ("bob", "wrong"), ("nobody", "wrong")] {
        let mut browser = gate.browser();
        let mut said = Vec::new();
        for _ in 0..6 {
            let hashed = gate.hashed.load(Ordering::SeqCst);
            browser.signs_in_with(name, password).await;
            let page = browser.page_about(name);
            said.push((browser.status, page, gate.hashed.load(Ordering::SeqCst) - hashed));
        }
        told.push(said);
    }
    assert_eq!(told[0][0].0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(told[0][5].0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(told[0], told[1], "the right password of ada is as wrong as any");
    assert_eq!(told[0], told[2]);
    assert_eq!(signed_in().await, before);
    let events = gate.events().await;
    assert_eq!(events.iter().filter(|what| **what == What::PasswordRefused).count(), 15);
}

#[tokio::test]
async fn disabling_overtakes_a_sign_in_that_is_under_way() {
    let inner: Arc<dyn Records> = Arc::new(Memory::new());
    let staged = Arc::new(Overtaken::over(Arc::clone(&inner)));
    let (gate, other) = (Gate::over(staged.clone()), Gate::over(inner));
    gate.knows("ada").await;
    let mut ada = gate.browser();
    ada.opens("/.doorward/sign-in").await;
    // The charge is our next commit; right before the one that would begin the session.
    staged.by_after(1, async move { other.disables("ada").await });
    ada.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
    assert!(staged.is_played_out());
    assert_eq!(ada.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ada.opens("/").await.passed, None);
}

#[tokio::test]
async fn after_a_reset_the_password_alone_signs_in_until_two_factor_is_set_up_anew() {
    let gate = Gate::new();
    let with = gate.protects("ada").await;
    let mut trusted = gate.browser();
    trusted.signs_in("ada").await;
    trusted.follows().await;
    trusted.sends(&[("code", &with.code(&gate)), ("trust_device", "yes")]).await;
    assert_eq!(trusted.visits("/").await.passed, Some(Some("ada".to_owned())));

    let ada = Login::typed("ada");
    administer::reset_second_factor(&gate.env, "root", &ada).await.unwrap().unwrap();
    assert_eq!(trusted.opens("/").await.passed, None, "sessions end");
    trusted.signs_in("ada").await;
    assert_eq!(trusted.visits("/").await.passed, Some(Some("ada".to_owned())));
    trusted.visits("/strict/").await;
    assert_eq!(trusted.heading(), "Set up two-factor", "where it is demanded, set-up is forced");
    assert!(!trusted.page.contains("id=\"secret\""), "and only a link leads to it");
    let link = gate.makes_a_link("ada").await;
    trusted.opens(&link).await;
    trusted.sends(&[("password", PASSWORD)]).await;
    let anew = trusted.sets_up(&gate, "/strict/").await;
    assert_ne!(anew.recovery_codes, with.recovery_codes);
    trusted.sends(&[("saved", "yes")]).await;

    gate.waits_for_the_next_code();
    let mut again = gate.browser();
    again.signs_in("ada").await;
    again.follows().await;
    again.sends(&[("code", &with.recovery_codes[0])]).await;
    assert_eq!(again.opens("/").await.passed, None, "nothing of before works");
    let mut device = trusted.clone();
    device.signs_out().await;
    device.signs_in("ada").await;
    device.follows().await;
    assert_eq!(device.heading(), "Enter your code", "the device is trusted no longer");
    let id = gate.env.store.user_named(&ada).await.unwrap().unwrap();
    let told = gate.env.store.events_of(id, 100).await.unwrap();
    let reset = told.iter().find(|event| event.what == What::TwoFactorReset).unwrap();
    assert_eq!(reset.by.as_deref(), Some("root"));
}

#[tokio::test]
async fn whoever_is_removed_is_nobody_at_once() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let link = gate.makes_a_link("ada").await;
    let mut ada = gate.browser();
    ada.signs_in("ada").await;
    assert_eq!(ada.opens("/").await.passed, Some(Some("ada".to_owned())));
    let login = Login::typed("ada@example.com");
    administer::remove(&gate.env, "root", &login).await.unwrap().unwrap();
    assert_eq!(ada.opens("/").await.passed, None);
    assert_eq!(gate.browser().opens(&link).await.status, StatusCode::GONE);
    assert_eq!(gate.browser().signs_in("ada").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(gate.env.store.user_named(&Login::typed("ada")).await.unwrap(), None);
    gate.knows("ada").await;
    assert_eq!(ada.opens("/").await.passed, None, "the next of that name is somebody else");
}

#[tokio::test]
async fn a_change_of_groups_lets_sessions_live_and_reaches_their_next_request() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut ada = gate.browser();
    ada.signs_in("ada").await;
    let change = Change { remove_groups: vec!["staff".parse().unwrap()], ..Change::default() };
    administer::change(&gate.env, "root", &Login::typed("ada"), &change).await.unwrap().unwrap();
    assert_eq!(ada.opens("/").await.passed, Some(Some("ada".to_owned())));
    let id = gate.env.store.user_named(&Login::typed("ada")).await.unwrap().unwrap();
    let known = gate.env.store.user(id).await.unwrap().unwrap();
    assert!(known.identity.groups.is_empty(), "applications are told so from now on");
}

#[tokio::test]
async fn an_address_that_somebody_takes_meanwhile_is_not_given_twice() {
    let inner: Arc<dyn Records> = Arc::new(Memory::new());
    let staged = Arc::new(Overtaken::over(Arc::clone(&inner)));
    let (gate, other) = (Gate::over(staged.clone()), Gate::over(inner));
    gate.adds("ada").await;
    staged.by(async move {
        other.adds("eve").await;
    });
    let email = Some(Some(Email::parse("eve@example.com").unwrap()));
    let change = Change { email, ..Change::default() };
    let ada = Login::typed("ada");
    let changed = administer::change(&gate.env, "root", &ada, &change).await.unwrap().unwrap();
    assert!(staged.is_played_out());
    assert!(matches!(changed, administer::Changing::EmailTaken));
    let shown = administer::show(&gate.env, &Login::typed("ada@example.com"), 9).await.unwrap();
    assert_eq!(shown.unwrap().user.name().as_str(), "ada", "nothing was changed");
}

#[tokio::test]
async fn whoever_was_taken_meanwhile_is_left_out_of_a_batch_and_the_others_are_added() {
    let inner: Arc<dyn Records> = Arc::new(Memory::new());
    let staged = Arc::new(Overtaken::over(Arc::clone(&inner)));
    let (gate, other) = (Gate::over(staged.clone()), Gate::over(inner));
    staged.by(async move {
        other.adds("ada").await;
    });
    let people = ["ada", "bob", "bob"].map(|name| Newcomer {
        profile: Profile {
            name: Name::parse(name).unwrap(),
            full_name: None,
            email: None,
            groups: [].into(),
        },
        password: None,
    });
    let made = import::take_over(&gate.env, "root", people.into(), true).await.unwrap();
    assert!(staged.is_played_out());
    assert!(matches!(
        &made[..],
        [TakenOver::NameTaken, TakenOver::Added(Some(_)), TakenOver::NameTaken]
    ));
}

#[tokio::test]
async fn whoever_hears_of_events_hears_of_people_who_are_taken_over() {
    let gate = Gate::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    gate.env.store.tell(move |event, name| {
        told.lock().unwrap().push((event.what, name.unwrap_or_default().to_owned()));
    });
    let people = ["ada", "bob"].map(|name| Newcomer {
        profile: Profile {
            name: Name::parse(name).unwrap(),
            full_name: None,
            email: None,
            groups: [].into(),
        },
        password: None,
    });
    import::take_over(&gate.env, "root", people.into(), true).await.unwrap();
    let heard = heard.lock().unwrap();
    let of = |name: &str| -> Vec<What> {
        heard.iter().filter(|(_, whom)| whom == name).map(|(what, _)| *what).collect()
    };
    assert_eq!(of("ada"), [What::UserAdded, What::LinkMade]);
    assert_eq!(of("bob"), [What::UserAdded, What::LinkMade]);
}

#[tokio::test]
async fn an_imported_password_costs_a_guesser_what_any_other_does() {
    let gate = Gate::new();
    gate.takes_over("ada", Some("{SHA}OYBaeO2HwcCGoTlnV52HQ2SqtxE=")).await;
    let mut guesser = gate.browser();
    for _ in 0..5 {
        guesser.signs_in_with("ada", "wrong").await;
        assert_eq!(guesser.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(guesser.signs_in("ada").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn what_happened_to_somebody_is_told_the_newest_first_and_nothing_of_others() {
    let gate = Gate::new();
    gate.adds("ada").await;
    gate.knows("bob").await;
    for name in ["ada", "bob", "nobody", "ada"] {
        gate.waits(std::time::Duration::from_secs(1));
        gate.browser().signs_in_with(name, "wrong").await;
    }
    gate.waits(std::time::Duration::from_secs(1));
    gate.makes_a_link("ada").await;
    let shown = administer::show(&gate.env, &Login::typed("ada"), 2).await.unwrap().unwrap();
    let told: Vec<_> = shown.events.iter().map(|event| (event.what, event.at)).collect();
    let second_ago = doorward::domain::time::Timestamp::from_secs(gate.now().seconds() - 1);
    assert_eq!(told, [(What::LinkMade, gate.now()), (What::PasswordRefused, second_ago)]);
    let all = administer::show(&gate.env, &Login::typed("ada"), 100).await.unwrap().unwrap();
    assert_eq!(all.events.len(), 3);
}

#[tokio::test]
async fn nobody_can_tell_by_the_work_whose_password_comes_from_elsewhere_or_who_is_a_user() {
    let gate = Gate::new();
    gate.knows("ada").await;
    gate.browser().signs_in("ada").await;
    let taken = |gate: &Gate| gate.took.lock().unwrap().last().cloned().unwrap();
    assert_eq!(taken(&gate), [], "as long as everybody has a password of ours");
    let bcrypt = "$2y$05$0123456789abcdefghijkOVADbYVm/zyFr2QSUJsHa7tpbXnXIIPu";
    gate.takes_over("bob", Some(bcrypt)).await;
    gate.takes_over("eve", Some("$6$saltsaltsaltsalt$vUWGZp7eENkGlij86rRY7AwoG2gKbPiGrk.3xbryfBZcvG7VxUkvb7Rs2/5p.lvVPCX6hQbk3ECMVufjcwpxl.")).await;
    let mut told = Vec::new();
    for name in ["ada", "bob", "eve", "nobody", "bob@example.com"] {
        gate.browser().signs_in_with(name, "wrong").await;
        told.push(taken(&gate));
    }
    assert!(told.iter().all(|taken| taken.len() == 2 && *taken == told[0]), "{told:?}");

    // The first right password is kept as ours; once nobody is left, nothing more is done.
    gate.browser().signs_in("bob").await;
    gate.browser().signs_in_with("nobody", "wrong").await;
    assert_eq!(taken(&gate).len(), 1);
    administer::remove(&gate.env, "root", &Login::typed("eve")).await.unwrap().unwrap();
    for name in ["ada", "bob", "nobody"] {
        gate.browser().signs_in_with(name, "wrong").await;
        assert_eq!(taken(&gate), [], "{name}");
    }
}

#[tokio::test]
async fn a_new_password_by_a_link_ends_the_digest_from_elsewhere_and_two_at_once_are_both_counted()
{
    let inner: Arc<dyn Records> = Arc::new(Memory::new());
    let staged = Arc::new(Overtaken::over(Arc::clone(&inner)));
    let (gate, other) = (Gate::over(staged.clone()), Gate::over(inner));
    let bcrypt = "$2y$05$0123456789abcdefghijkOVADbYVm/zyFr2QSUJsHa7tpbXnXIIPu";
    for name in ["ada", "bob"] {
        gate.takes_over(name, Some(bcrypt)).await;
    }
    let link = gate.makes_a_link("ada").await;
    let mut ada = gate.browser();
    ada.opens(&link).await;
    staged.by(async move {
        other.browser().signs_in("bob").await;
    });
    ada.sends(&[("password", "four dry umbrellas")]).await;
    assert!(staged.is_played_out());
    assert_eq!(ada.status, StatusCode::SEE_OTHER);
    assert_eq!(gate.env.store.dearest_digests().await.unwrap(), []);
}

/// What the sign-in page says to whoever tries a wrong password.
async fn says(gate: &Gate, name: &str) -> (StatusCode, String) {
    let mut browser = gate.browser();
    browser.signs_in_with(name, "wrong").await;
    (browser.status, browser.page_about(name))
}

#[tokio::test]
async fn after_a_flood_of_names_failures_at_people_and_at_nobody_are_remembered_alike() {
    let gate = Gate::remembering(1_000);
    let people = ["ada", "bob", "cyd", "kim"];
    let nobody = ["anna", "bert", "cleo", "kate"];
    for name in people {
        gate.knows(name).await;
    }
    for (tries, names) in [(1, 0), (3, 1), (5, 2), (7, 3)] {
        for _ in 0..tries {
            for name in [people[names], nobody[names]] {
                gate.browser().signs_in_with(name, "wrong").await;
            }
        }
    }
    gate.waits(std::time::Duration::from_secs(1));
    let now = gate.now();
    for number in 0..2_000 {
        let login = Login::typed(&format!("flood{number}"));
        let target = gate.env.store.target(&login).await.unwrap();
        gate.env.store.update_attempts(&target, |failures| failures.fail(now)).await.unwrap();
    }
    assert!(gate.env.store.sweep(now).await.unwrap() > 0);
    for (person, nobody) in people.into_iter().zip(nobody) {
        for tried in 0..6 {
            assert_eq!(says(&gate, person).await, says(&gate, nobody).await, "{person} {tried}");
        }
    }
    let kim = gate.env.store.user_named(&Login::typed("kim")).await.unwrap().unwrap();
    let kim = gate.env.store.user(kim).await.unwrap().unwrap();
    assert_eq!(kim.user.strangers().password.count(), 5, "what operators see is exact");
}

#[tokio::test]
async fn a_flood_of_names_that_are_tried_once_ends_no_wait() {
    let gate = Gate::remembering(100);
    gate.knows("ada").await;
    for _ in 0..5 {
        for name in ["ada", "nobody"] {
            gate.browser().signs_in_with(name, "wrong").await;
        }
    }
    let now = gate.now();
    for number in 0..500 {
        let target = gate.env.store.target(&Login::typed(&format!("flood{number}"))).await.unwrap();
        gate.env.store.update_attempts(&target, |failures| failures.fail(now)).await.unwrap();
    }
    gate.env.store.sweep(now).await.unwrap();
    for name in ["ada", "nobody"] {
        assert_eq!(says(&gate, name).await.0, StatusCode::TOO_MANY_REQUESTS, "{name}");
    }
}

#[tokio::test]
async fn a_full_sign_in_forgets_wrong_passwords_from_unknown_browsers_and_so_does_an_operator() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let fails = async |times: usize| {
        for _ in 0..times {
            gate.browser().signs_in_with("ada", "wrong").await;
        }
    };
    fails(4).await;
    let mut half = gate.browser();
    half.signs_in("ada").await;
    fails(1).await;
    assert_eq!(says(&gate, "ada").await.0, StatusCode::TOO_MANY_REQUESTS, "half of it does not");
    gate.waits(std::time::Duration::from_secs(30));
    gate.browser().signs_in_fully(&gate, "ada", &ada).await;
    fails(4).await;
    assert_eq!(says(&gate, "ada").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(says(&gate, "ada").await.0, StatusCode::TOO_MANY_REQUESTS);
    administer::unlock(&gate.env, "root", &Login::typed("ada")).await.unwrap().unwrap();
    assert_eq!(gate.browser().signs_in("ada").await.status, StatusCode::SEE_OTHER);
}

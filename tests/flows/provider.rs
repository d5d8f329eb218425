//! Signing in at an identity provider: who becomes a user, who does not, and what follows.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward::domain::device::Seen;
use doorward::domain::event::What;
use doorward::domain::name::{Email, Login, Name};
use doorward::domain::provider::{Account, Detour};
use doorward::domain::time::Timestamp;
use doorward::domain::user::{FirstFactorAsks, Profile, User, UserId};
use doorward::domain::user_session::{Renewal, UserSession, UserSessionId};
use doorward::flow::renew::renew_due;
use doorward::flow::{Env, administer};
use doorward::identity::SignInLimit;
use doorward::store::memory::Memory;
use doorward::store::{Batch, Expect, Kind, Reads, Records};
use http::StatusCode;
use serde_json::json;

use super::log::Log;
use crate::support::gate::{Browser, CONFIG, Gate, MAILS, PASSWORD, START};
use crate::support::overtaken::Overtaken;
use crate::support::provider::{How, Sign, StandIn};

pub(super) const LINK: &str = "/.doorward/sign-in/provider/idp";
pub(super) const CALLBACK: &str = "/.doorward/sign-in/provider/idp/callback";
/// Whoever has a verified address there becomes a user.
const CREATES: &str = "people: { create: true, only: { email_domains: [example.com] } }";

/// Sessions that end by nothing else for a week.
const LONG: &str = "sessions: { idle: 7d, at_most: 30d }";

/// A gateway that trusts `idp`, with these further keys for it.
pub(super) fn gate(idp: &StandIn, more: &str) -> Gate {
    gate_with(idp, more, "")
}

fn gate_with(idp: &StandIn, more: &str, rest: &str) -> Gate {
    gate_over(idp, more, rest, Arc::new(Memory::new()))
}

fn gate_over(idp: &StandIn, more: &str, rest: &str, records: Arc<dyn Records>) -> Gate {
    Gate::configured(&config(idp, more, rest), records)
}

fn config(idp: &StandIn, more: &str, rest: &str) -> String {
    let config = CONFIG.replace(
        "    otherwise: sign-in\n",
        "      - { paths: [/boss/], only: { users: [grace] }, require: sign-in }\n    otherwise: \
         sign-in\n",
    );
    let issuer = &idp.issuer;
    format!(
        "{config}
providers:
  - name: idp
    label: Example ID
    issuer: {issuer}
    client_id: doorward
    client_secret_file: tests/config/provider.secret
    {more}
{rest}
"
    )
}

/// Goes to the provider on the way to `return_to`, signs in there, and comes back.
pub(super) async fn signs_in(browser: &mut Browser, idp: &StandIn, return_to: &str) {
    browser.opens(&format!("{LINK}?return_to={return_to}")).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    let query = idp.signs_in(&browser.location().unwrap());
    browser.opens(&format!("{CALLBACK}?{query}")).await;
}

/// The name under which the application is asked.
async fn at_the_application(browser: &mut Browser) -> Option<String> {
    browser.visits("/orders").await;
    browser.passed.clone().flatten()
}

async fn user(gate: &Gate, name: &str) -> Option<User> {
    let id = gate.env.store.user_named(&Login::typed(name)).await.unwrap()?;
    Some(gate.env.store.user(id).await.unwrap()?.user.clone())
}

#[tokio::test]
async fn the_first_sign_in_makes_a_user_and_the_second_finds_them() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut browser = gate.browser();
    browser.opens("/.doorward/sign-in?return_to=/orders").await;
    assert!(browser.page.contains("Sign in with <bdi>Example ID</bdi>"), "{}", browser.page);
    signs_in(&mut browser, &idp, "/orders?b=c%26d").await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.follows().await.declines().await;
    assert_eq!(at_the_application(&mut browser).await.as_deref(), Some("ada"));
    assert_eq!(browser.page, "fed", "what Remote-Amr says");
    let ada = user(&gate, "ada").await.unwrap();
    assert_eq!(ada.identity().full_name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(ada.identity().email.as_deref(), Some("ada@example.com"));
    assert!(ada.identity().groups.is_empty());

    let mut other = gate.browser();
    signs_in(&mut other, &idp, "/").await;
    assert_eq!(at_the_application(&mut other).await.as_deref(), Some("ada"));
    assert_eq!(user(&gate, "ada").await.unwrap().id(), ada.id());
    let events = gate.events().await;
    assert_eq!(events.iter().filter(|what| **what == What::UserBrought).count(), 1);
    assert_eq!(events.iter().filter(|what| **what == What::SignedIn).count(), 2);
}

#[tokio::test]
async fn the_url_that_was_wanted_survives_the_detour() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/orders%3Fb%3Dc%2526d").await;
    let location = browser.location().unwrap();
    let leads = |location: &str| location == "/orders?b=c%26d" || location.contains("%2Forders");
    assert!(leads(&location), "{location}");
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "//evil.test/").await;
    assert!(!browser.location().unwrap().contains("evil"));
}

#[tokio::test]
async fn the_second_factor_is_ours_as_for_everybody() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    let protected = browser.sets_up(&gate, "/").await;
    browser.sends(&[("saved", "yes")]).await;
    gate.waits_for_the_next_code();

    let mut other = gate.browser();
    signs_in(&mut other, &idp, "/orders").await;
    other.follows().await;
    assert!(other.at.contains("/challenge"), "{}", other.at);
    assert_eq!(at_the_application(&mut other).await, None);
    other.opens("/.doorward/challenge").await;
    let code = protected.code(&gate);
    other.sends(&[("code", &code)]).await;
    assert_eq!(at_the_application(&mut other).await.as_deref(), Some("ada"));
    assert_eq!(other.page, "fed,otp,mfa");
}

#[tokio::test]
async fn ten_tabs_come_back_in_any_order() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut browser = gate.browser();
    let mut ways = Vec::new();
    for tab in 0..10 {
        browser.opens(&format!("{LINK}?return_to=/tab/{tab}")).await;
        ways.push(idp.signs_in(&browser.location().unwrap()));
    }
    for tab in [7, 0, 9, 3, 1, 2, 8, 4, 6, 5] {
        browser.opens(&format!("{CALLBACK}?{}", ways[tab])).await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
        let location = browser.location().unwrap();
        assert!(
            location.ends_with(&format!("tab/{tab}")) || location.contains(&format!("tab%2F{tab}")),
            "{location}"
        );
    }
    assert_eq!(at_the_application(&mut browser).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn back_and_reload_lead_somewhere() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut browser = gate.browser();
    browser.opens(LINK).await;
    let query = idp.signs_in(&browser.location().unwrap());
    browser.opens(&format!("{CALLBACK}?{query}")).await;
    browser.opens(&format!("{CALLBACK}?{query}")).await;
    assert_eq!(browser.location().as_deref(), Some("/.doorward/"), "signed in already");
    browser.opens(LINK).await;
    assert_eq!(browser.location().as_deref(), Some("/"), "nobody signs in twice");
}

#[tokio::test]
async fn only_members_of_the_domain_come_in() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    for (email, verified) in [
        ("ada@example.com", false),
        ("ada@example.com.evil.test", true),
        ("ada@mail.example.com", true),
        ("ada@evil.test@example.com", true),
        ("ada@ex\u{430}mple.com", true),
    ] {
        idp.said().claims = json!({ "email": email, "email_verified": verified });
        let mut browser = gate.browser();
        signs_in(&mut browser, &idp, "/").await;
        assert_eq!(browser.status, StatusCode::FORBIDDEN, "{email}");
        assert!(browser.session().is_none() && browser.page.contains("does not open this site"));
    }
    assert!(user(&gate, "ada").await.is_none());
    idp.said().claims = json!({ "email": "Ada@EXAMPLE.com" });
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(at_the_application(&mut browser).await.as_deref(), Some("ada"));
    // Whoever leaves the domain is out at the next sign-in.
    idp.said().claims = json!({ "email": "ada@elsewhere.test" });
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    let barred = gate.events().await;
    assert_eq!(barred.iter().filter(|what| **what == What::ProviderBarred).count(), 6);
}

#[tokio::test]
async fn where_nobody_new_is_brought_only_known_accounts_come_in() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, "people: { create: false }");
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    let profile = Profile {
        name: Name::parse("Countess").unwrap(),
        full_name: None,
        email: None,
        groups: BTreeSet::new(),
    };
    let account = Account::new(&idp.issuer, "7").unwrap();
    let user = User::new(UserId::from([7; 16]), profile, gate.now()).of_provider(account);
    gate.env.store.add_user(&user, None, &[]).await.unwrap();
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(at_the_application(&mut browser).await.as_deref(), Some("countess"));
}

#[tokio::test]
async fn a_local_user_is_never_joined_by_name_or_address() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    gate.knows("ada").await;
    for claims in [
        json!({}),
        json!({ "preferred_username": "ADA" }),
        json!({ "preferred_username": "lovelace" }),
        json!({ "preferred_username": null }),
    ] {
        idp.said().claims = claims.clone();
        let mut browser = gate.browser();
        signs_in(&mut browser, &idp, "/").await;
        assert_eq!(browser.status, StatusCode::CONFLICT, "{claims}: {}", browser.page);
        assert!(browser.session().is_none());
    }
    let events = gate.events().await;
    assert_eq!(events.iter().filter(|what| **what == What::ProviderNameTaken).count(), 4);
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    assert!(browser.session().is_some(), "her password still works");
}

#[tokio::test]
async fn a_name_that_a_rule_mentions_is_given_to_nobody_by_a_provider() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    idp.said().claims = json!({ "preferred_username": "Grace", "email": "grace@example.com" });
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/boss/").await;
    assert_eq!(browser.status, StatusCode::CONFLICT, "{}", browser.page);
    assert!(user(&gate, "grace").await.is_none());
}

#[tokio::test]
async fn the_name_of_somebody_who_was_removed_is_given_to_nobody_by_a_provider() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    administer::remove(&gate.env, "root", &Login::typed("ada")).await.unwrap().unwrap();
    assert_eq!(at_the_application(&mut browser).await, None);
    for subject in ["7", "8"] {
        idp.said().claims = json!({ "sub": subject, "preferred_username": "Ada" });
        let mut browser = gate.browser();
        signs_in(&mut browser, &idp, "/").await;
        assert_eq!(browser.status, StatusCode::CONFLICT, "{subject}: {}", browser.page);
    }
    assert!(user(&gate, "ada").await.is_none());
    // An operator decides.
    gate.adds("ada").await;
    assert!(user(&gate, "ada").await.is_some());
}

#[tokio::test]
async fn an_account_without_a_name_or_an_address_is_told_so() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, "people: { create: true, everyone: true }");
    idp.said().claims = json!({ "preferred_username": null, "email": null });
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    assert!(browser.page.contains("did not tell us a name"), "{}", browser.page);
    assert!(gate.events().await.contains(&What::ProviderNameMissing));
}

#[tokio::test]
async fn somebody_with_anything_of_their_own_is_not_taken_over_by_a_verified_address() {
    const BY_EMAIL: &str =
        "people: { only: { email_domains: [example.com] }, match_by: verified-email }";
    let idp = StandIn::opens().await;
    let gate = gate(&idp, BY_EMAIL);
    // An operator added her, and she has not done anything yet.
    let link = gate.adds("ada").await;
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(at_the_application(&mut browser).await.as_deref(), Some("ada"));
    assert!(gate.events().await.contains(&What::ProviderConnected));
    let ada = user(&gate, "ada").await.unwrap();
    assert!(!gate.env.mail_proves(&ada), "her mailbox opens with the account at the provider");
    let mut thief = gate.browser();
    thief.opens(&link).await;
    assert_eq!(thief.status, StatusCode::GONE, "the link from before is void");

    // Pre-hijack: whoever has a password, or another account, is not joined.
    gate.knows("bob").await;
    idp.said().claims = json!({ "sub": "8", "email": "bob@example.com" });
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(browser.status, StatusCode::CONFLICT, "{}", browser.page);
    idp.said().claims = json!({ "sub": "9" });
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(browser.status, StatusCode::CONFLICT, "another account with the same address");
    // An unverified address finds nobody.
    gate.adds("eve").await;
    idp.said().claims = json!({ "sub": "10", "email": "eve@example.com", "email_verified": false });
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn groups_are_those_that_are_mapped() {
    let idp = StandIn::opens().await;
    let map = "groups: { claim: groups, map: { eng: staff, ops: operators } }";
    let gate = gate(&idp, &format!("{CREATES}\n    {map}"));
    let groups = async |said: serde_json::Value| {
        idp.said().claims = json!({ "groups": said });
        let mut browser = gate.browser();
        signs_in(&mut browser, &idp, "/").await;
        let groups = user(&gate, "ada").await.unwrap().identity().groups;
        groups.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(groups(json!(["eng", "admins", "operators"])).await, ["staff"]);
    assert_eq!(groups(json!(["ops"])).await, ["operators"]);
    assert!(groups(json!(["staff"])).await.is_empty());
    // Without the claim, nobody comes in, and nobody loses a group.
    assert_eq!(groups(json!(["eng"])).await, ["staff"]);
    idp.said().claims = json!({});
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(browser.status, StatusCode::BAD_GATEWAY);
    assert_eq!(user(&gate, "ada").await.unwrap().identity().groups.len(), 1);
}

#[tokio::test]
async fn a_stated_name_that_is_the_address_of_somebody_else_is_not_taken() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    idp.said().claims = json!({ "preferred_username": "ceo@example.com" });
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(at_the_application(&mut browser).await.as_deref(), Some("ada@example.com"));
    assert!(user(&gate, "ceo@example.com").await.is_none());
}

#[tokio::test]
async fn claims_may_come_from_the_userinfo_endpoint_and_only_of_the_same_person() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    idp.said().claims = json!({ "email": null, "email_verified": null });
    idp.said().userinfo = json!({ "sub": "8", "email": "ada@example.com", "email_verified": true });
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(browser.status, StatusCode::BAD_GATEWAY, "somebody else");
    idp.said().userinfo["sub"] = json!("7");
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(at_the_application(&mut browser).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn an_address_is_not_verified_by_what_is_said_of_another_one() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    idp.said().claims = json!({ "email": "eve@example.com", "email_verified": null });
    idp.said().userinfo = json!({ "sub": "7", "email": "ada@example.com", "email_verified": true });
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN, "no verified address in the domain");
    idp.said().userinfo["email"] = json!("eve@example.com");
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert!(browser.session().is_some());
}

#[tokio::test]
async fn whoever_is_disabled_does_not_come_in() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    administer::disable(&gate.env, "root", &Login::typed("ada")).await.unwrap();
    assert_eq!(at_the_application(&mut browser).await, None);
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    assert!(browser.session().is_none());
}

#[tokio::test]
async fn a_password_of_somebody_whom_a_provider_answers_for_counts_for_a_day() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    browser.opens("/.doorward/security/password").await;
    assert_eq!(browser.status, StatusCode::CONFLICT, "a first password takes a link");
    let link = gate.makes_a_link("ada").await;
    let mut other = gate.browser();
    other.opens(&link).await;
    other.sends(&[("password", PASSWORD)]).await;
    other.follows().await.declines().await;
    assert_eq!(at_the_application(&mut other).await.as_deref(), Some("ada"));

    gate.waits(Duration::from_hours(23));
    let mut by_password = gate.browser();
    by_password.signs_in("ada").await;
    assert_eq!(at_the_application(&mut by_password).await.as_deref(), Some("ada"));
    let open = by_password.keeps_open("/orders").await;
    gate.waits(Duration::from_hours(1));
    assert_eq!(at_the_application(&mut by_password).await, None, "the day is over");
    assert!(!by_password.may_go_on(&open).await);
    let mut again = gate.browser();
    again.signs_in("ada").await;
    assert!(again.session().is_none());
    idp.said().now = gate.now();
    signs_in(&mut again, &idp, "/").await;
    let mut by_password = gate.browser();
    by_password.signs_in("ada").await;
    assert_eq!(at_the_application(&mut by_password).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn mail_proves_nothing_for_people_of_a_provider_unless_their_mailbox_is_separate() {
    let mail = "mail: { server: '127.0.0.1:9', tls: none, from: door@example.com }";
    for (mailbox, proves) in [("same", false), ("separate", true)] {
        let idp = StandIn::opens().await;
        let set_up = format!("{mail}\nset_up: {{ proof: mail, mailbox: {mailbox} }}");
        let gate = gate_with(&idp, CREATES, &set_up);
        let mut browser = gate.browser();
        signs_in(&mut browser, &idp, "/").await;
        browser.opens("/.doorward/set-up").await;
        assert_eq!(browser.page.contains("a…@example.com"), proves, "{}", browser.page);
        let before = gate.messages().await.len();
        let mut stranger = gate.browser();
        stranger.opens("/.doorward/forgot").await;
        stranger.sends(&[("username", "ada"), ("email", "ada"), ("name", "ada")]).await;
        gate.settles().await;
        assert_eq!(gate.messages().await.len() > before, proves);
        browser.opens("/.doorward/security/email").await;
        assert_eq!(browser.status, StatusCode::CONFLICT, "the provider keeps the address");
    }
}

#[tokio::test]
async fn to_confirm_means_to_sign_in_there_again_as_the_same_person() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    gate.waits(Duration::from_mins(16));
    idp.said().now = gate.now();
    browser.visits("/.doorward/set-up").await;
    assert!(browser.at.contains("/confirm"), "{}", browser.at);
    assert!(!browser.page.contains("type=\"password\""), "she has none");
    let confirm = format!("{LINK}?return_to=/.doorward/set-up&for=confirm");
    let escaped = "/.doorward/sign-in/provider/idp?return_to=%2F.doorward%2Fset-up&#38;for=confirm";
    assert!(browser.page.contains(escaped), "{}", browser.page);

    // Somebody else, and nobody who signed in only before.
    for (claims, status) in [
        (json!({ "sub": "8" }), StatusCode::FORBIDDEN),
        (json!({ "auth_time": gate.now().seconds() - 1 }), StatusCode::FORBIDDEN),
        (json!({ "auth_time": null }), StatusCode::FORBIDDEN),
    ] {
        idp.said().claims = claims.clone();
        browser.opens(&confirm).await;
        let location = browser.location().unwrap();
        assert!(location.contains("prompt=login") && location.contains("max_age=0"), "{location}");
        let query = idp.signs_in(&location);
        browser.opens(&format!("{CALLBACK}?{query}")).await;
        assert_eq!(browser.status, status, "{claims}");
        browser.opens("/.doorward/set-up").await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "{claims}");
    }
    let refused = gate.events().await;
    assert_eq!(refused.iter().filter(|what| **what == What::ProviderRefused).count(), 3);

    idp.said().claims = json!({});
    browser.opens(&confirm).await;
    let query = idp.signs_in(&browser.location().unwrap());
    let before = browser.session().cloned();
    browser.opens(&format!("{CALLBACK}?{query}")).await;
    assert_ne!(browser.session(), before.as_ref(), "the session continues under a new id");
    browser.follows().await;
    assert!(browser.page.contains("id=\"secret\""), "{}", browser.page);
}

#[tokio::test]
async fn a_confirmation_is_of_one_session() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    gate.waits(Duration::from_mins(16));
    idp.said().now = gate.now();
    browser.opens(&format!("{LINK}?for=confirm")).await;
    let query = idp.signs_in(&browser.location().unwrap());
    browser.signs_out().await;
    browser.opens(&format!("{CALLBACK}?{query}")).await;
    assert_eq!(browser.status, StatusCode::GONE, "{}", browser.page);
    assert_eq!(at_the_application(&mut browser).await, None);
}

#[tokio::test]
async fn the_only_way_to_sign_in_is_taken_at_once_and_a_password_still_has_its_page() {
    let idp = StandIn::opens().await;
    let gate = gate_with(&idp, CREATES, "only_sign_in: idp");
    gate.knows("bob").await;
    let mut browser = gate.browser();
    browser.opens("/orders").await;
    browser.opens(&browser.location().unwrap()).await;
    browser.opens(&browser.location().unwrap()).await;
    let location = browser.location().unwrap();
    assert!(location.starts_with(&idp.issuer), "{location}");
    let mut bob = gate.browser();
    bob.opens("/.doorward/sign-in?with=password").await;
    assert_eq!(bob.status, StatusCode::OK);
    let policy = bob.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains(&format!("form-action 'self' {}", idp.issuer)), "{policy}");
    bob.sends(&[("username", "bob"), ("password", PASSWORD)]).await;
    assert!(bob.session().is_some());
}

#[tokio::test]
async fn what_a_provider_says_instead_of_a_code_has_a_page_and_a_next_step() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    for (error, status, event) in [
        ("access_denied", StatusCode::FORBIDDEN, What::ProviderDenied),
        ("login_required", StatusCode::FORBIDDEN, What::ProviderDenied),
        ("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE, What::ProviderUnavailable),
        ("unauthorized_client", StatusCode::BAD_GATEWAY, What::ProviderRefused),
        ("%3Cscript%3Ealert(1)%3C/script%3E", StatusCode::BAD_GATEWAY, What::ProviderRefused),
    ] {
        let mut browser = gate.browser();
        browser.opens(&format!("{LINK}?return_to=/orders")).await;
        let query = idp.signs_in(&browser.location().unwrap());
        let (_, state) = query.split_once("state=").unwrap();
        let before = gate.events().await.iter().filter(|what| **what == event).count();
        browser.opens(&format!("{CALLBACK}?error={error}&state={state}")).await;
        assert_eq!(browser.status, status, "{error}");
        assert!(
            browser.page.contains("/.doorward/sign-in?return_to=%2Forders"),
            "{}",
            browser.page
        );
        assert!(!browser.page.contains("<script>alert"));
        let after = gate.events().await.iter().filter(|what| **what == event).count();
        assert_eq!(after, before + 1, "{error}");
    }
}

#[tokio::test]
async fn a_script_is_told_what_a_provider_was_asked_for_in_vain() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let stranger = gate.browser();
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    gate.knows("bob").await;
    let mut bob = gate.browser();
    bob.signs_in("bob").await;
    bob.visits(PROVIDERS).await.sends(&[("connect", "idp")]).await;
    for (mut browser, link, error) in [
        (stranger, Some(LINK.to_owned()), "not-signed-in"),
        (ada, Some(format!("{LINK}?for=confirm")), "not-confirmed"),
        (bob, None, "not-connected"),
    ] {
        if let Some(link) = link {
            browser.opens(&link).await;
        }
        let url: url::Url = browser.location().unwrap().parse().unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let target = format!("{CALLBACK}?error=access_denied&state={state}");
        let script = [(http::header::ACCEPT.as_str(), "application/json")];
        browser.requests(http::Method::GET, &target, &script, "".into()).await;
        let said: serde_json::Value = serde_json::from_str(&browser.page).unwrap();
        assert_eq!(said["error"], error);
    }
}

#[tokio::test]
async fn a_provider_that_is_away_is_said_to_be_away() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut browser = gate.browser();
    idp.said().answer = How::Broken;
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(browser.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(gate.events().await.contains(&What::ProviderUnavailable));
    idp.said().answer = How::Well;
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(at_the_application(&mut browser).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn a_new_address_from_the_provider_is_told_to_the_old_one_and_voids_its_links() {
    let idp = StandIn::opens().await;
    let rest = format!("{MAILS}\nset_up: {{ proof: mail, mailbox: separate }}");
    let gate = gate_with(&idp, CREATES, &rest);
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    let mut stranger = gate.browser();
    stranger.opens("/.doorward/forgot").await;
    stranger.sends(&[("username", "ada"), ("email", "ada"), ("name", "ada")]).await;
    gate.settles().await;
    let link = gate.link_mailed_to("ada@example.com").await;
    assert!(!gate.events().await.contains(&What::EmailChanged), "the first one is no change");

    idp.said().claims = json!({ "email": "countess@example.com" });
    signs_in(&mut gate.browser(), &idp, "/").await;
    assert!(gate.events().await.contains(&What::EmailChanged));
    gate.mail_to("ada@example.com", "Your e-mail address was changed").await;
    stranger.opens(&link).await;
    assert_eq!(stranger.status, StatusCode::GONE, "{}", stranger.page);
    let ada = user(&gate, "ada").await.unwrap();
    let proof = gate.env.set_up_proof(&ada);
    assert_eq!(ada.first_factor_asks(proof, gate.now()), FirstFactorAsks::Link);
}

#[tokio::test]
async fn of_two_first_sign_ins_at_once_the_second_finds_the_user_of_the_first() {
    let by_name = |_: &Gate| async {};
    first_sign_ins_at_once(CREATES, by_name).await;
    let by_address = "people: { only: { email_domains: [example.com] }, match_by: verified-email }";
    let adds = |gate: &Gate| {
        let (store, now) = (Arc::clone(&gate.env.store), gate.now());
        async move {
            let profile = Profile {
                name: Name::parse("ada").unwrap(),
                full_name: None,
                email: Some(Email::parse("ada@example.com").unwrap()),
                groups: BTreeSet::new(),
            };
            let ada = User::new(UserId::from([7; 16]), profile, now);
            store.add_user(&ada, None, &[]).await.unwrap();
        }
    };
    first_sign_ins_at_once(by_address, adds).await;
}

async fn first_sign_ins_at_once<F: Future<Output = ()>>(people: &str, before: impl Fn(&Gate) -> F) {
    let idp = StandIn::opens().await;
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let overtaken = Arc::new(Overtaken::over(Arc::clone(&records)));
    let here = gate_over(&idp, people, "", Arc::clone(&overtaken) as Arc<dyn Records>);
    let there = gate_over(&idp, people, "", records);
    before(&there).await;
    let (mut first, mut second) = (there.browser(), here.browser());
    first.opens(LINK).await;
    let query = idp.signs_in(&first.location().unwrap());
    overtaken.by(async move {
        first.opens(&format!("{CALLBACK}?{query}")).await;
        assert!(first.session().is_some(), "{}", first.page);
    });
    signs_in(&mut second, &idp, "/").await;
    assert!(overtaken.is_played_out());
    assert!(second.session().is_some(), "{}", second.page);
    assert_eq!(at_the_application(&mut second).await.as_deref(), Some("ada"));
}

/// Nobody may fail more often than this in a minute.
fn allowing(mut gate: Gate, failures: u32) -> Gate {
    let limit = Arc::new(SignInLimit::a_minute(failures.try_into().unwrap()));
    gate.changes(|env| Env { limit, ..env });
    gate
}

#[tokio::test]
async fn a_known_browser_is_not_shut_out_by_others_at_its_address() {
    let idp = StandIn::opens().await;
    let gate = allowing(gate(&idp, CREATES), 2);
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    ada.follows().await.declines().await;
    ada.signs_out().await;
    idp.said().claims = json!({ "nonce": "another" });
    let mut stranger = gate.browser();
    stranger.address = ada.address;
    for status in [StatusCode::BAD_GATEWAY, StatusCode::BAD_GATEWAY, StatusCode::TOO_MANY_REQUESTS]
    {
        signs_in(&mut stranger, &idp, "/").await;
        assert_eq!(stranger.status, status, "{}", stranger.page);
    }
    idp.said().claims = json!({});
    signs_in(&mut ada, &idp, "/").await;
    assert_eq!(at_the_application(&mut ada).await.as_deref(), Some("ada"));
    // Its own failures count.
    idp.said().claims = json!({ "nonce": "another" });
    ada.signs_out().await;
    for _ in 0..2 {
        signs_in(&mut ada, &idp, "/").await;
        assert_eq!(ada.status, StatusCode::BAD_GATEWAY);
    }
    signs_in(&mut ada, &idp, "/").await;
    assert_eq!(ada.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn who_comes_back_while_others_of_the_office_are_under_way_waits_for_them() {
    let idp = StandIn::opens().await;
    let gate = allowing(gate(&idp, CREATES), 1);
    idp.said().answer = How::Held;
    let mut under_way = Vec::new();
    for mut browser in [gate.browser(), gate.browser()] {
        browser.address = [192, 0, 2, 1].into();
        browser.opens(LINK).await;
        let query = idp.signs_in(&browser.location().unwrap());
        under_way.push(tokio::spawn(async move {
            browser.opens(&format!("{CALLBACK}?{query}")).await;
            browser
        }));
        idp.is_asked("/token", 1).await;
    }
    gate.settles().await;
    assert_eq!(idp.asked("/token"), 1, "the second one waits");
    idp.releases();
    for one in under_way {
        let browser = one.await.unwrap();
        assert!(browser.session().is_some(), "{}", browser.page);
    }
}

#[tokio::test]
async fn a_provider_that_hangs_while_fifty_sign_in_delays_no_request_and_leaves_nothing_behind() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut known = gate.browser();
    signs_in(&mut known, &idp, "/").await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    idp.said().answer = How::Held;
    let mut under_way = Vec::new();
    for _ in 0..50 {
        let mut browser = gate.browser();
        browser.opens(LINK).await;
        let query = idp.signs_in(&browser.location().unwrap());
        under_way.push(tokio::spawn(async move {
            browser.opens(&format!("{CALLBACK}?{query}")).await;
            browser
        }));
    }
    // As many are asked at once as one provider is given.
    idp.is_asked("/token", 1 + 32).await;
    for _ in 0..100 {
        assert_eq!(at_the_application(&mut known).await.as_deref(), Some("ada"));
    }
    assert_eq!(under_way.iter().filter(|one| one.is_finished()).count(), 0);
    assert_eq!(idp.asked("/token"), 1 + 32);
    for one in &under_way {
        one.abort();
    }
    for one in under_way {
        assert!(one.await.is_err());
    }
    idp.releases();
    while tasks() > before {
        tokio::task::yield_now().await;
    }
    // The places of those who gave up are free again.
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert!(browser.session().is_some(), "{}", browser.page);
}

#[tokio::test]
async fn a_provider_that_is_away_uses_up_no_attempts() {
    let idp = StandIn::opens().await;
    let gate = allowing(gate(&idp, CREATES), 1);
    let mut browser = gate.browser();
    idp.said().answer = How::Broken;
    for _ in 0..3 {
        signs_in(&mut browser, &idp, "/").await;
        assert_eq!(browser.status, StatusCode::SERVICE_UNAVAILABLE, "{}", browser.page);
    }
}

#[tokio::test]
async fn clocks_that_differ_disturb_no_confirmation() {
    for there in [Timestamp::from_secs(START.seconds() - 240), START.plus(Duration::from_mins(4))] {
        let idp = StandIn::opens().await;
        let gate = gate(&idp, CREATES);
        idp.said().now = there;
        let mut browser = gate.browser();
        signs_in(&mut browser, &idp, "/").await;
        browser.opens(&format!("{LINK}?return_to=/.doorward/set-up&for=confirm")).await;
        let query = idp.signs_in(&browser.location().unwrap());
        browser.opens(&format!("{CALLBACK}?{query}")).await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "{there:?}: {}", browser.page);
        assert!(gate.events().await.contains(&What::Confirmed));
    }
}

#[tokio::test]
async fn a_key_stands_in_for_the_client_secret() {
    let idp = StandIn::opens().await;
    let home = tempfile::tempdir().unwrap();
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let file = home.path().join("client.key");
    std::fs::write(&file, &pem).unwrap();
    let config = config(&idp, CREATES, "").replace(
        "client_secret_file: tests/config/provider.secret",
        &format!("key_file: {}", file.display()),
    );
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    idp.knows_the_client_by(&pem);
    for _ in 0..2 {
        let mut browser = gate.browser();
        signs_in(&mut browser, &idp, "/").await;
        assert_eq!(at_the_application(&mut browser).await.as_deref(), Some("ada"));
    }
    idp.knows_the_client_by(&rcgen::KeyPair::generate().unwrap().serialize_pem());
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(browser.status, StatusCode::BAD_GATEWAY, "{}", browser.page);
}

/// Whether the application is reached here, and what `Remote-Amr` says.
async fn reaches(browser: &mut Browser, target: &str) -> Option<String> {
    browser.visits(target).await;
    browser.passed.clone().flatten().map(|_| browser.page.clone())
}

#[tokio::test]
async fn a_second_factor_at_a_trusted_provider_counts_for_the_session_but_not_for_all() {
    let idp = StandIn::opens().await;
    let trusts = format!("{CREATES}\n    trusts: {{ amr: [mfa, hwk] }}");
    let demand = "second_factor: { demanded_of: { everyone: true } }";
    let gate = gate_with(&idp, &trusts, demand);
    idp.said().claims = json!({ "amr": ["pwd", "mfa"] });
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    assert_eq!(reaches(&mut browser, "/orders").await.as_deref(), Some("fed,mfa"));
    assert_eq!(reaches(&mut browser, "/strict/").await.as_deref(), Some("fed,mfa"));
    for within in ["/bank/", "/.doorward/security/turn-off"] {
        assert_eq!(reaches(&mut browser, within).await, None, "{within}");
    }
    // What userinfo says is not signed, and other methods are not trusted.
    idp.said().userinfo = json!({ "sub": "7", "amr": ["mfa"] });
    idp.said().document = json!({ "userinfo_endpoint": format!("{}/userinfo", idp.issuer) });
    for claims in [json!({}), json!({ "amr": ["pwd"] })] {
        idp.said().claims = claims.clone();
        let mut browser = gate.browser();
        signs_in(&mut browser, &idp, "/").await;
        assert_eq!(reaches(&mut browser, "/orders").await, None, "{claims}");
        assert!(browser.at.contains("/set-up"), "{}", browser.at);
    }
}

#[tokio::test]
async fn a_trusted_provider_spares_the_challenge_and_no_change() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, &format!("{CREATES}\n    trusts: {{ amr: [mfa] }}"));
    let mut browser = gate.browser();
    signs_in(&mut browser, &idp, "/").await;
    browser.sets_up(&gate, "/").await;
    browser.sends(&[("saved", "yes")]).await;
    gate.waits_for_the_next_code();
    idp.said().claims = json!({ "amr": ["mfa"] });
    let mut other = gate.browser();
    signs_in(&mut other, &idp, "/").await;
    assert_eq!(reaches(&mut other, "/orders").await.as_deref(), Some("fed,mfa"));
    other.visits("/.doorward/security/factors/add").await;
    assert!(other.at.contains("/challenge"), "{}", other.at);
    // Once it is no longer trusted, nothing of that counts.
    let untrusting = Gate::configured(&config(&idp, CREATES, ""), Arc::new(Memory::new()));
    let mut gate = gate;
    gate.changes(|env| Env {
        config: Arc::clone(&untrusting.env.config),
        providers: Arc::clone(&untrusting.env.providers),
        ..env
    });
    other.goes_to(&gate);
    assert_eq!(reaches(&mut other, "/orders").await, None);
}

const PROVIDERS: &str = "/.doorward/security/providers";

/// Presses the button to connect an account, signs in there, and comes back.
async fn connects(browser: &mut Browser, idp: &StandIn) {
    browser.visits(PROVIDERS).await;
    browser.sends(&[("connect", "idp")]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    let query = idp.signs_in(&browser.location().unwrap());
    browser.opens(&format!("{CALLBACK}?{query}")).await;
}

/// The value of the button with this name.
fn button(browser: &Browser, name: &str) -> Option<String> {
    let (_, rest) = browser.page.split_once(&format!("name=\"{name}\" value=\""))?;
    rest.split('"').next().map(str::to_owned)
}

#[tokio::test]
async fn a_person_connects_an_account_behind_a_change_and_signs_in_with_it() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, "people: { create: false }");
    gate.knows("bob").await;
    let mut bob = gate.browser();
    bob.signs_in("bob").await;
    gate.waits(Duration::from_mins(16));
    idp.said().now = gate.now();
    bob.visits(PROVIDERS).await;
    assert!(bob.at.contains("/confirm"), "{}", bob.at);
    bob.sends(&[("password", PASSWORD)]).await;
    connects(&mut bob, &idp).await;
    assert_eq!(bob.location().as_deref(), Some(PROVIDERS), "{}", bob.page);
    assert!(gate.events().await.contains(&What::ProviderConnected));
    let mut other = gate.browser();
    signs_in(&mut other, &idp, "/").await;
    assert_eq!(at_the_application(&mut other).await.as_deref(), Some("bob"));

    // It is nobody else's any more.
    gate.knows("eve").await;
    let mut eve = gate.browser();
    eve.signs_in("eve").await;
    connects(&mut eve, &idp).await;
    assert_eq!(eve.status, StatusCode::CONFLICT, "{}", eve.page);
    assert!(user(&gate, "eve").await.unwrap().accounts().next().is_none());

    // Disconnected, it opens nothing; its sessions end, and it may be connected elsewhere.
    bob.visits(PROVIDERS).await;
    let handle = button(&bob, "disconnect").unwrap();
    bob.sends(&[("disconnect", &handle)]).await;
    assert_eq!(bob.status, StatusCode::SEE_OTHER, "{}", bob.page);
    assert_eq!(at_the_application(&mut bob).await.as_deref(), Some("bob"));
    assert_eq!(at_the_application(&mut other).await, None);
    let mut other = gate.browser();
    signs_in(&mut other, &idp, "/").await;
    assert_eq!(other.status, StatusCode::FORBIDDEN, "{}", other.page);
    assert!(gate.events().await.contains(&What::ProviderDisconnected));
    connects(&mut eve, &idp).await;
    assert!(user(&gate, "eve").await.unwrap().accounts().next().is_some());
}

#[tokio::test]
async fn a_way_to_connect_is_of_one_session_and_begins_with_our_button() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, "people: { create: false }");
    gate.knows("bob").await;
    let mut bob = gate.browser();
    bob.signs_in("bob").await;
    // A link of another site can only lead to a sign-in, and bob is signed in.
    bob.opens(&format!("{LINK}?for=connect")).await;
    assert_eq!(bob.location().as_deref(), Some("/"));
    bob.posts(PROVIDERS, &[("connect", "idp")]).await;
    assert_ne!(bob.status, StatusCode::SEE_OTHER, "without our token");
    // Signed out meanwhile.
    bob.visits(PROVIDERS).await;
    bob.sends(&[("connect", "idp")]).await;
    let location = bob.location().unwrap();
    assert!(location.contains("prompt=login"), "{location}");
    let query = idp.signs_in(&location);
    bob.signs_out().await;
    bob.opens(&format!("{CALLBACK}?{query}")).await;
    assert_eq!(bob.status, StatusCode::GONE, "{}", bob.page);
    assert!(user(&gate, "bob").await.unwrap().accounts().next().is_none());
}

/// Where the page's policy lets its form lead.
fn form_action(browser: &Browser) -> Vec<String> {
    let policy = browser.headers["content-security-policy"].to_str().unwrap();
    let (_, sources) = policy.split_once("form-action ").unwrap();
    sources.split(';').next().unwrap().split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn a_form_may_lead_to_endpoints_elsewhere_before_anybody_was_there() {
    let (idp, other) = (StandIn::opens().await, StandIn::opens().await);
    idp.said().document = json!({
        "authorization_endpoint": format!("{}/auth", other.issuer),
        "end_session_endpoint": format!("{}/end", other.issuer),
    });
    let everywhere = "people: { create: false }\n    sign_out: everywhere";
    for (rest, page) in [
        ("", PROVIDERS),
        ("", "/.doorward/sign-out"),
        ("only_sign_in: idp", "/.doorward/sign-in?with=password"),
    ] {
        let gate = gate_with(&idp, everywhere, rest);
        let mut bob = gate.browser();
        if rest.is_empty() {
            gate.knows("bob").await;
            bob.signs_in("bob").await;
        }
        bob.visits(page).await;
        assert_eq!(bob.status, StatusCode::OK, "{}", bob.page);
        assert!(form_action(&bob).contains(&other.issuer), "{page}: {:?}", form_action(&bob));
    }
}

#[tokio::test]
async fn a_page_whose_form_leads_to_a_provider_that_is_away_is_shown() {
    let idp = StandIn::opens().await;
    idp.said().document = json!({ "issuer": "https://another.example.com" });
    let gate = gate(&idp, "people: { create: false }");
    gate.knows("bob").await;
    let mut bob = gate.browser();
    bob.signs_in("bob").await;
    bob.visits(PROVIDERS).await;
    assert_eq!(bob.status, StatusCode::OK, "{}", bob.page);
    assert_eq!(form_action(&bob), ["'self'", &idp.issuer]);
}

#[tokio::test]
async fn the_account_of_the_origin_cannot_be_disconnected() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    ada.follows().await.declines().await;
    ada.visits(PROVIDERS).await;
    assert_eq!(button(&ada, "disconnect"), None, "{}", ada.page);
    let handle = user(&gate, "ada").await.unwrap().accounts().next().unwrap().handle();
    ada.sends(&[("disconnect", &handle)]).await;
    assert_eq!(user(&gate, "ada").await.unwrap().accounts().count(), 1);
}

/// The provider says that somebody has signed out there.
async fn hears(gate: &Gate, token: &str) -> StatusCode {
    hears_from(gate, gate.browser().address, token).await
}

async fn hears_from(gate: &Gate, address: IpAddr, token: &str) -> StatusCode {
    let mut provider = gate.browser();
    provider.address = address;
    let form = [(http::header::CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded")];
    let target = "/.doorward/sign-in/provider/idp/signed-out";
    let body = format!("logout_token={token}");
    provider.requests(http::Method::POST, target, &form, body.into()).await.status
}

#[tokio::test]
async fn whoever_signs_out_at_the_provider_is_signed_out_here_in_that_session() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut sessions = Vec::new();
    for session in ["a", "b"] {
        idp.said().claims = json!({ "sid": session });
        let mut browser = gate.browser();
        signs_in(&mut browser, &idp, "/").await;
        sessions.push(browser);
    }
    let link = gate.makes_a_link("ada").await;
    let open = sessions[0].keeps_open("/orders").await;
    assert_eq!(hears(&gate, &idp.logout_token(&json!({ "sid": "a" }))).await, StatusCode::OK);
    assert!(!sessions[0].may_go_on(&open).await, "requests under way end, too");
    assert_eq!(at_the_application(&mut sessions[0]).await, None);
    assert_eq!(at_the_application(&mut sessions[1]).await.as_deref(), Some("ada"));
    assert!(gate.events().await.contains(&What::SignedOutThere));

    // The session is named without the subject.
    let nameless = idp.logout_token(&json!({ "jti": "2", "sub": null, "sid": "b" }));
    assert_eq!(hears(&gate, &nameless).await, StatusCode::OK);
    assert_eq!(at_the_application(&mut sessions[1]).await, None);

    // All sessions of the subject that began there; those that began otherwise stay.
    let mut by_link = gate.browser();
    by_link.opens(&link).await;
    by_link.sends(&[("password", PASSWORD)]).await;
    by_link.follows().await.declines().await;
    let mut again = gate.browser();
    idp.said().claims = json!({ "sid": "c" });
    signs_in(&mut again, &idp, "/").await;
    let all = idp.logout_token(&json!({ "jti": "3" }));
    assert_eq!(hears(&gate, &all).await, StatusCode::OK);
    assert_eq!(at_the_application(&mut again).await, None);
    assert_eq!(at_the_application(&mut by_link).await.as_deref(), Some("ada"));
    // Somebody who is not here.
    let other = idp.logout_token(&json!({ "jti": "4", "sub": "99" }));
    assert_eq!(hears(&gate, &other).await, StatusCode::OK);
}

#[tokio::test]
async fn to_confirm_may_begin_another_session_there_whose_end_counts_from_then_on() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    idp.said().claims = json!({ "sid": "a" });
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    idp.said().claims = json!({ "sid": "b" });
    ada.opens(&format!("{LINK}?for=confirm")).await;
    let query = idp.signs_in(&ada.location().unwrap());
    ada.opens(&format!("{CALLBACK}?{query}")).await;
    assert!(gate.events().await.contains(&What::Confirmed));
    let nameless = idp.logout_token(&json!({ "sub": null, "sid": "b" }));
    assert_eq!(hears(&gate, &nameless).await, StatusCode::OK);
    assert_eq!(at_the_application(&mut ada).await, None);
}

#[tokio::test]
async fn a_logout_token_counts_once_and_only_if_the_provider_means_us() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    let now = gate.now().seconds();
    for claims in [
        json!({ "iss": "https://evil.test" }),
        json!({ "aud": "another-client" }),
        json!({ "iat": now - 601 }),
        json!({ "exp": now }),
        json!({ "nonce": "n" }),
        json!({ "events": null }),
        json!({ "jti": null }),
        json!({ "sub": null }),
    ] {
        let token = idp.logout_token(&claims);
        assert_eq!(hears(&gate, &token).await, StatusCode::BAD_REQUEST, "{claims}");
    }
    for sign in [Sign::Not, Sign::WithAnotherKey, Sign::WithTheClientSecret] {
        idp.said().sign = sign;
        let token = idp.logout_token(&json!({}));
        assert_eq!(hears(&gate, &token).await, StatusCode::BAD_REQUEST, "{sign:?}");
    }
    assert_eq!(hears(&gate, "").await, StatusCode::BAD_REQUEST);
    assert_eq!(at_the_application(&mut ada).await.as_deref(), Some("ada"));
    idp.said().sign = Sign::Well;
    let token = idp.logout_token(&json!({}));
    assert_eq!(hears(&gate, &token).await, StatusCode::OK);
    assert_eq!(at_the_application(&mut ada).await, None);
    gate.waits(Duration::from_secs(1));
    idp.said().now = gate.now();
    let mut again = gate.browser();
    signs_in(&mut again, &idp, "/").await;
    assert_eq!(hears(&gate, &token).await, StatusCode::BAD_REQUEST, "a second time");
    assert_eq!(at_the_application(&mut again).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn whoever_signs_out_there_while_they_sign_in_here_is_not_signed_in() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    for (session, claims) in [
        ("a", json!({ "jti": "1", "sid": "a" })),
        ("b", json!({ "jti": "2", "sid": "b", "sub": null })),
        ("c", json!({ "jti": "3" })),
    ] {
        idp.said().claims = json!({ "sid": session });
        let mut ada = gate.browser();
        ada.opens(LINK).await;
        let query = idp.signs_in(&ada.location().unwrap());
        assert_eq!(hears(&gate, &idp.logout_token(&claims)).await, StatusCode::OK);
        ada.opens(&format!("{CALLBACK}?{query}")).await;
        assert_eq!(ada.status, StatusCode::FORBIDDEN, "{claims}: {}", ada.page);
        assert!(ada.session().is_none());
    }
    gate.waits(Duration::from_secs(1));
    idp.said().now = gate.now();
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    assert_eq!(at_the_application(&mut ada).await.as_deref(), Some("ada"));
    let token = idp.logout_token(&json!({ "jti": "4", "sid": "d" }));
    idp.said().claims = json!({ "sid": "d" });
    ada.opens(&format!("{LINK}?for=confirm")).await;
    let query = idp.signs_in(&ada.location().unwrap());
    assert_eq!(hears(&gate, &token).await, StatusCode::OK);
    ada.opens(&format!("{CALLBACK}?{query}")).await;
    assert_eq!(ada.status, StatusCode::FORBIDDEN, "{}", ada.page);
}

#[tokio::test]
async fn a_session_ends_with_those_in_which_it_was_confirmed() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let in_session = |session: &str| idp.said().claims = json!({ "sid": session });
    let confirms = async |browser: &mut Browser, session: &str| {
        in_session(session);
        browser.opens(&format!("{LINK}?return_to=/orders&for=confirm")).await;
        let query = idp.signs_in(&browser.location().unwrap());
        browser.opens(&format!("{CALLBACK}?{query}")).await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    };
    let ends = async |session: &str| {
        let token = idp.logout_token(&json!({ "jti": session, "sub": null, "sid": session }));
        assert_eq!(hears(&gate, &token).await, StatusCode::OK);
    };
    for (first, second, ended) in [("a", "b", "b"), ("c", "d", "c")] {
        let mut ada = gate.browser();
        in_session(first);
        signs_in(&mut ada, &idp, "/").await;
        confirms(&mut ada, second).await;
        assert_eq!(at_the_application(&mut ada).await.as_deref(), Some("ada"));
        ends(ended).await;
        assert_eq!(at_the_application(&mut ada).await, None, "{ended}");
    }
    let link = gate.makes_a_link("ada").await;
    let mut by_link = gate.browser();
    by_link.opens(&link).await;
    by_link.sends(&[("password", PASSWORD)]).await;
    let mut by_password = gate.browser();
    by_password.signs_in("ada").await;
    confirms(&mut by_password, "e").await;
    assert_eq!(at_the_application(&mut by_password).await.as_deref(), Some("ada"));
    ends("e").await;
    assert_eq!(at_the_application(&mut by_password).await, None);
}

#[tokio::test]
async fn logout_tokens_and_the_people_at_their_address_are_counted_apart() {
    let idp = StandIn::opens().await;
    let gate = allowing(gate(&idp, CREATES), 2);
    let address = [192, 0, 2, 1].into();
    let mut ada = gate.browser();
    ada.address = address;
    signs_in(&mut ada, &idp, "/").await;
    let wrong = idp.logout_token(&json!({ "aud": "another-client" }));
    for status in [StatusCode::BAD_REQUEST, StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS]
    {
        assert_eq!(hears_from(&gate, address, &wrong).await, status);
    }
    let mut other = gate.browser();
    other.address = address;
    signs_in(&mut other, &idp, "/").await;
    assert!(other.session().is_some(), "{}", other.page);
    // What the provider has signed is heard nevertheless.
    let right = idp.logout_token(&json!({}));
    assert_eq!(hears_from(&gate, address, &right).await, StatusCode::OK);
    assert_eq!(at_the_application(&mut ada).await, None);
}

#[tokio::test]
async fn a_logout_token_that_is_sent_again_is_counted_and_not_verified() {
    let idp = StandIn::opens().await;
    let gate = allowing(gate(&idp, CREATES), 2);
    let address = [192, 0, 2, 1].into();
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    let token = idp.logout_token(&json!({}));
    assert_eq!(hears_from(&gate, address, &token).await, StatusCode::OK);
    // A token with the same id is not looked at more closely, whoever has signed it.
    idp.said().sign = Sign::WithAnUnknownKey;
    let unknown = idp.logout_token(&json!({}));
    idp.said().sign = Sign::Well;
    let asked = idp.asked("/keys");
    // The keys may be fetched again by now.
    gate.waits(Duration::from_secs(90));
    for (token, status) in [
        (&token, StatusCode::BAD_REQUEST),
        (&unknown, StatusCode::BAD_REQUEST),
        (&token, StatusCode::TOO_MANY_REQUESTS),
    ] {
        assert_eq!(hears_from(&gate, address, token).await, status);
    }
    assert_eq!(idp.asked("/keys"), asked);
    let new = idp.logout_token(&json!({ "jti": "2" }));
    assert_eq!(hears_from(&gate, address, &new).await, StatusCode::OK);
}

#[tokio::test]
async fn a_logout_token_about_a_session_that_nobody_has_here_is_logged() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let (log, _guard) = Log::start();
    for (claims, lines) in [
        (json!({ "jti": "1", "sub": "99" }), 0),
        (json!({ "jti": "2", "sub": null, "sid": "nowhere" }), 1),
    ] {
        assert_eq!(hears(&gate, &idp.logout_token(&claims)).await, StatusCode::OK);
        let why =
            "logout token without effect: no session here belongs to the session that ended there";
        assert_eq!(log.lines_about(why).len(), lines, "{claims}");
    }
}

#[tokio::test]
async fn no_session_hides_behind_a_thousand_others() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    let id = user(&gate, "ada").await.unwrap().id();
    let over = gate.now().plus(Duration::from_hours(1));
    let begun = gate.env.store.update(Reads::user(id), |tx| {
        for number in 0..1_000_u128 {
            let began = UserSession::begin(id, tx.user.epoch(), Seen::default(), gate.now());
            tx.begin_user_session(UserSessionId::from(number.to_be_bytes()), began, over);
        }
    });
    begun.await.unwrap().unwrap();
    assert_eq!(at_the_application(&mut ada).await.as_deref(), Some("ada"));
    assert_eq!(hears(&gate, &idp.logout_token(&json!({}))).await, StatusCode::OK);
    assert_eq!(at_the_application(&mut ada).await, None);
}

#[tokio::test]
async fn whoever_connects_an_account_must_have_signed_in_there_for_that() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, "people: { create: false }");
    gate.knows("bob").await;
    let mut bob = gate.browser();
    bob.signs_in("bob").await;
    for auth_time in [json!(gate.now().seconds() - 1), json!(null)] {
        idp.said().claims = json!({ "auth_time": auth_time });
        connects(&mut bob, &idp).await;
        assert_eq!(bob.status, StatusCode::FORBIDDEN, "{}", bob.page);
        assert!(user(&gate, "bob").await.unwrap().accounts().next().is_none());
    }
    assert!(gate.events().await.contains(&What::ProviderRefused));
}

#[tokio::test]
async fn a_session_is_confirmed_with_the_account_with_which_it_began() {
    let (idp, other) = (StandIn::opens().await, StandIn::opens().await);
    let gate = gate(&idp, &besides(&other, CREATES));
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    ada.visits(PROVIDERS).await;
    ada.sends(&[("connect", "other")]).await;
    let query = other.signs_in(&ada.location().unwrap());
    ada.opens(&format!("/.doorward/sign-in/provider/other/callback?{query}")).await;
    goes_by_other(&mut ada, &other, "&for=confirm").await;
    assert_eq!(ada.status, StatusCode::FORBIDDEN, "{}", ada.page);
    assert!(!gate.events().await.contains(&What::Confirmed));
    ada.opens("/.doorward/confirm").await;
    assert!(ada.page.contains("provider/idp?"), "{}", ada.page);
    assert!(!ada.page.contains("provider/other"), "{}", ada.page);
}

#[tokio::test]
async fn a_new_address_that_is_somebody_elses_here_is_not_taken_and_not_passed_over() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    gate.knows("bob").await;
    signs_in(&mut gate.browser(), &idp, "/").await;
    idp.said().claims = json!({ "email": "bob@example.com", "name": "Countess Lovelace" });
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    assert_eq!(at_the_application(&mut ada).await.as_deref(), Some("ada"));
    let identity = user(&gate, "ada").await.unwrap().identity();
    assert_eq!(identity.email.as_deref(), Some("ada@example.com"));
    assert_eq!(identity.full_name.as_deref(), Some("Countess Lovelace"));
    assert!(gate.events().await.contains(&What::ProviderNameTaken));
}

#[tokio::test]
async fn signing_out_everywhere_goes_by_the_provider_and_comes_back() {
    let idp = StandIn::opens().await;
    idp.said().document = json!({ "end_session_endpoint": format!("{}/end?x=y", idp.issuer) });
    for (sign_out, goes) in [("here", false), ("everywhere", true)] {
        let gate = gate(&idp, &format!("{CREATES}\n    sign_out: {sign_out}"));
        let mut ada = gate.browser();
        signs_in(&mut ada, &idp, "/").await;
        ada.opens("/.doorward/sign-out").await;
        let policy = ada.headers["content-security-policy"].to_str().unwrap().to_owned();
        assert_eq!(policy.contains(&format!("form-action 'self' {}", idp.issuer)), goes);
        ada.sends(&[]).await;
        let location: url::Url = url::Url::parse("https://crm.example.com")
            .unwrap()
            .join(&ada.location().unwrap())
            .unwrap();
        let asked: std::collections::BTreeMap<_, _> = location.query_pairs().into_owned().collect();
        assert_eq!(asked.contains_key("post_logout_redirect_uri"), goes, "{location}");
        if goes {
            assert!(location.as_str().starts_with(&format!("{}/end?x=y&", idp.issuer)));
            assert_eq!(asked["client_id"], "doorward");
            let back = "https://crm.example.com/.doorward/sign-out";
            assert_eq!(asked["post_logout_redirect_uri"], back);
        }
        assert_eq!(at_the_application(&mut ada).await, None);
        ada.opens("/.doorward/sign-out?state=").await;
        assert!(ada.page.contains("You are signed out"), "{}", ada.page);
        // Whoever came by a password has nothing to end there.
        gate.knows("bob").await;
        let mut bob = gate.browser();
        bob.signs_in("bob").await;
        bob.opens("/.doorward/sign-out").await;
        bob.sends(&[]).await;
        assert!(bob.location().unwrap().starts_with("/.doorward/sign-out"));
    }
}

#[tokio::test]
async fn a_provider_that_is_asked_again_and_says_no_ends_the_session() {
    let idp = StandIn::opens().await;
    let gate = gate_with(&idp, &format!("{CREATES}\n    refresh: 15m"), LONG);
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    let renews = async |minutes| {
        gate.waits(Duration::from_mins(minutes));
        idp.said().now = gate.now();
        renew_due(&gate.env).await.unwrap()
    };
    assert_eq!(renews(14).await, 0, "not yet");
    for number in 2..5 {
        assert_eq!(renews(15).await, 1);
        assert_eq!(idp.said().refresh, Some(number), "each token is used once");
    }
    assert_eq!(at_the_application(&mut ada).await.as_deref(), Some("ada"));
    let open = ada.keeps_open("/orders").await;
    idp.said().refresh = None;
    renews(15).await;
    assert!(!ada.may_go_on(&open).await);
    assert_eq!(at_the_application(&mut ada).await, None);
    assert!(gate.events().await.contains(&What::SignedOutThere));
    assert_eq!(renews(15).await, 0, "the token is forgotten");
}

#[tokio::test]
async fn a_provider_that_is_away_keeps_the_sessions_for_a_day() {
    let idp = StandIn::opens().await;
    let gate = gate_with(&idp, &format!("{CREATES}\n    refresh: 12h"), LONG);
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    idp.said().answer = How::Broken;
    for (hours, there) in [(12, Some("ada")), (11, Some("ada")), (13, None)] {
        gate.waits(Duration::from_hours(hours));
        renew_due(&gate.env).await.unwrap();
        assert_eq!(at_the_application(&mut ada).await.as_deref(), there);
    }
}

#[tokio::test]
async fn a_token_of_a_session_that_has_ended_or_is_not_wanted_is_forgotten() {
    let idp = StandIn::opens().await;
    let asking = gate(&idp, &format!("{CREATES}\n    refresh: 15m"));
    let mut ada = asking.browser();
    signs_in(&mut ada, &idp, "/").await;
    assert_eq!(renewals(&asking).await.len(), 1);
    ada.signs_out().await;
    assert!(renewals(&asking).await.is_empty());
    // Without the setting none is asked for, and none is kept.
    let silent = gate(&idp, CREATES);
    signs_in(&mut silent.browser(), &idp, "/").await;
    assert!(renewals(&silent).await.is_empty());
}

async fn renewals(gate: &Gate) -> Vec<Renewal> {
    let (all, unreadable) = gate.env.store.readable::<Renewal>().await.unwrap();
    assert!(unreadable.is_none());
    all
}

#[tokio::test]
async fn nobody_is_asked_about_a_session_that_has_ended() {
    let idp = StandIn::opens().await;
    let gate = gate_with(&idp, &format!("{CREATES}\n    refresh: 15m"), "sessions: { idle: 10m }");
    let ada = Login::typed("ada");
    for ending in ["idle", "disabled", "removed"] {
        idp.said().now = gate.now();
        signs_in(&mut gate.browser(), &idp, "/").await;
        assert_eq!(renewals(&gate).await.len(), 1, "{ending}");
        match ending {
            "idle" => gate.waits(Duration::from_mins(10)),
            "disabled" => {
                administer::disable(&gate.env, "root", &ada).await.unwrap();
            }
            _ => {
                administer::remove(&gate.env, "root", &ada).await.unwrap();
            }
        }
        let asked = idp.asked("/token");
        gate.waits(Duration::from_mins(15));
        assert_eq!(renew_due(&gate.env).await.unwrap(), 1);
        assert_eq!(idp.asked("/token"), asked, "{ending}");
        assert!(renewals(&gate).await.is_empty(), "{ending}");
        if ending == "disabled" {
            administer::enable(&gate.env, "root", &ada).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_asked_again_decides_about_admission_and_groups() {
    let idp = StandIn::opens().await;
    let map = "groups: { claim: groups, map: { eng: staff, ops: operators } }";
    let gate = gate_with(&idp, &format!("{CREATES}\n    refresh: 15m\n    {map}"), LONG);
    idp.said().claims = json!({ "groups": ["eng"] });
    idp.said().userinfo = json!({ "sub": "7", "groups": ["eng"] });
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    let renews = async |userinfo: serde_json::Value| {
        idp.said().userinfo = userinfo;
        gate.waits(Duration::from_mins(15));
        idp.said().now = gate.now();
        renew_due(&gate.env).await.unwrap();
        let groups = user(&gate, "ada").await.unwrap().identity().groups;
        groups.into_iter().collect::<Vec<_>>()
    };
    let told = |sub: &str, email: &str, groups: &[&str]| json!({ "sub": sub, "email": email, "email_verified": true, "groups": groups });
    assert_eq!(renews(told("7", "ada@example.com", &["ops"])).await, ["operators"]);
    // Somebody else's, or without the groups: nothing follows, but the new token counts.
    assert_eq!(renews(told("8", "eve@example.com", &["eng"])).await, ["operators"]);
    assert_eq!(renews(json!({ "sub": "7" })).await, ["operators"]);
    assert_eq!(at_the_application(&mut ada).await.as_deref(), Some("ada"));
    assert!(renews(told("7", "countess@example.com", &[])).await.is_empty());
    assert_eq!(at_the_application(&mut ada).await.as_deref(), Some("ada"));
    assert!(gate.events().await.contains(&What::EmailChanged));
    renews(told("7", "ada@elsewhere.test", &["eng"])).await;
    assert_eq!(at_the_application(&mut ada).await, None, "she has left the domain");
    assert!(gate.events().await.contains(&What::SignedOutThere));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_keeps_nobody_else_from_being_asked_about() {
    let idp = StandIn::opens().await;
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let more = format!("{CREATES}\n    refresh: 15m");
    let gate = gate_over(&idp, &more, "", Arc::clone(&records));
    for (subject, name) in [("7", "ada"), ("8", "grete")] {
        let email = format!("{name}@example.com");
        idp.said().claims = json!({ "sub": subject, "preferred_username": name, "email": email });
        signs_in(&mut gate.browser(), &idp, "/").await;
    }
    // Both have the same token there, which can be used once.
    let ada = *user(&gate, "ada").await.unwrap().id().as_bytes();
    let broken = Batch::new().put(Kind::Renewal, [0; 32], Expect::Absent, None, "no record").put(
        Kind::User,
        ada,
        Expect::Any,
        None,
        "no user",
    );
    records.commit(broken).await.unwrap();
    gate.waits(Duration::from_mins(15));
    assert!(renew_due(&gate.env).await.is_err(), "it is reported");
    assert_eq!(idp.said().refresh, Some(2));
    let (all, unreadable) = gate.env.store.readable::<Renewal>().await.unwrap();
    assert!(unreadable.is_some());
    let renewed: Vec<_> = all.iter().filter(|one| one.answered == gate.now()).collect();
    assert_eq!(renewed.len(), 1);
    assert_eq!(renewed[0].account.subject(), "8");
}

/// A second provider, after the keys `more` of the first.
fn besides(other: &StandIn, more: &str) -> String {
    let issuer = &other.issuer;
    format!(
        "{more}
  - name: other
    label: Other ID
    issuer: {issuer}
    client_id: doorward
    client_secret_file: tests/config/provider.secret"
    )
}

/// Signs in at the second provider, or confirms there: `query` of the way.
async fn goes_by_other(browser: &mut Browser, other: &StandIn, query: &str) {
    let way = "/.doorward/sign-in/provider/other";
    browser.opens(&format!("{way}?return_to=/{query}")).await;
    let query = other.signs_in(&browser.location().unwrap());
    browser.opens(&format!("{way}/callback?{query}")).await;
}

/// Somebody for whom `idp` answers, with a password.
async fn knows_of(gate: &Gate, idp: &StandIn, name: &str) {
    let profile = Profile {
        name: Name::parse(name).unwrap(),
        full_name: None,
        email: None,
        groups: BTreeSet::new(),
    };
    let account = Account::new(&idp.issuer, "7").unwrap();
    let user = User::new(UserId::from([7; 16]), profile, gate.now()).of_provider(account);
    gate.env.store.add_user(&user, None, &[]).await.unwrap();
    let link = gate.makes_a_link(name).await;
    let mut browser = gate.browser();
    browser.opens(&link).await;
    browser.sends(&[("password", PASSWORD)]).await;
}

#[tokio::test]
async fn a_connected_account_counts_no_longer_than_the_word_of_the_origin() {
    let (idp, other) = (StandIn::opens().await, StandIn::opens().await);
    let gate = gate_with(&idp, &besides(&other, CREATES), LONG);
    let mut ada = gate.browser();
    signs_in(&mut ada, &idp, "/").await;
    ada.visits(PROVIDERS).await;
    ada.sends(&[("connect", "other")]).await;
    let query = other.signs_in(&ada.location().unwrap());
    ada.opens(&format!("/.doorward/sign-in/provider/other/callback?{query}")).await;
    assert_eq!(user(&gate, "ada").await.unwrap().accounts().count(), 2, "{}", ada.page);

    gate.waits(Duration::from_hours(23));
    other.said().now = gate.now();
    let mut by_other = gate.browser();
    goes_by_other(&mut by_other, &other, "").await;
    assert_eq!(reaches(&mut by_other, "/orders").await.as_deref(), Some("fed"));
    let open = by_other.keeps_open("/orders").await;
    gate.waits(Duration::from_hours(1));
    assert!(!by_other.may_go_on(&open).await, "the company's provider has not spoken for a day");
    assert_eq!(at_the_application(&mut by_other).await, None);
    other.said().now = gate.now();
    for query in ["&for=confirm", ""] {
        let before = gate.events().await.len();
        goes_by_other(&mut by_other, &other, query).await;
        assert_eq!(by_other.status, StatusCode::FORBIDDEN, "{query}: {}", by_other.page);
        assert_eq!(gate.events().await[before..], [What::ProviderBarred], "{query}");
    }
    let mut again = gate.browser();
    goes_by_other(&mut again, &other, "").await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    assert!(again.session().is_none());

    idp.said().now = gate.now();
    signs_in(&mut gate.browser(), &idp, "/").await;
    goes_by_other(&mut again, &other, "").await;
    assert_eq!(at_the_application(&mut again).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn a_second_factor_at_a_connected_account_counts_for_nothing() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, "people: { create: false }\n    trusts: { amr: [mfa] }");
    gate.knows("bob").await;
    // Somebody has his password, and connects an account of their own.
    let mut thief = gate.browser();
    thief.signs_in("bob").await;
    connects(&mut thief, &idp).await;
    idp.said().claims = json!({ "amr": ["mfa"] });
    let mut thief = gate.browser();
    signs_in(&mut thief, &idp, "/").await;
    assert_eq!(reaches(&mut thief, "/orders").await.as_deref(), Some("fed"));
    assert_eq!(reaches(&mut thief, "/strict/").await, None);
    assert!(thief.at.contains("/set-up"), "{}", thief.at);
}

#[tokio::test]
async fn what_a_provider_that_is_asked_again_denies_ends_by_every_first_factor() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, &format!("{CREATES}\n    refresh: 15m"));
    knows_of(&gate, &idp, "ada").await;
    signs_in(&mut gate.browser(), &idp, "/").await;
    let mut by_password = gate.browser();
    by_password.signs_in("ada").await;
    let renews = async || {
        gate.waits(Duration::from_mins(15));
        idp.said().now = gate.now();
        assert_eq!(renew_due(&gate.env).await.unwrap(), 1);
    };
    for _ in 0..2 {
        renews().await;
        assert_eq!(at_the_application(&mut by_password).await.as_deref(), Some("ada"));
    }
    let open = by_password.keeps_open("/orders").await;
    idp.said().refresh = None;
    renews().await;
    assert!(!by_password.may_go_on(&open).await);
    assert_eq!(at_the_application(&mut by_password).await, None);
    let mut again = gate.browser();
    again.signs_in("ada").await;
    assert!(again.session().is_none(), "{}", again.page);
}

#[tokio::test]
async fn other_first_factors_outlast_the_word_of_a_provider_that_is_asked_again_by_minutes() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, &format!("{CREATES}\n    refresh: 15m"));
    knows_of(&gate, &idp, "ada").await;
    signs_in(&mut gate.browser(), &idp, "/").await;
    let mut by_password = gate.browser();
    by_password.signs_in("ada").await;
    for (minutes, there) in [(15, Some("ada")), (5, None)] {
        gate.waits(Duration::from_mins(minutes));
        assert_eq!(at_the_application(&mut by_password).await.as_deref(), there);
    }
}

#[tokio::test]
async fn nobody_takes_the_question_whether_they_may_stay_out_of_the_url() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, &format!("{CREATES}\n    refresh: 15m"));
    let mut ada = gate.browser();
    ada.opens(LINK).await;
    let location = ada.location().unwrap();
    assert!(location.contains("+offline_access"), "{location}");
    let query = idp.signs_in(&location.replace("+offline_access", ""));
    ada.opens(&format!("{CALLBACK}?{query}")).await;
    assert_eq!(ada.status, StatusCode::BAD_GATEWAY, "{}", ada.page);
    assert!(ada.session().is_none());
    assert!(gate.events().await.contains(&What::ProviderRefused));
    // Whoever confirms is asked about already.
    signs_in(&mut ada, &idp, "/").await;
    ada.opens(&format!("{LINK}?return_to=/orders&for=confirm")).await;
    let query = idp.signs_in(&ada.location().unwrap());
    ada.opens(&format!("{CALLBACK}?{query}")).await;
    assert_eq!(ada.status, StatusCode::SEE_OTHER, "{}", ada.page);
}

#[tokio::test]
async fn a_slow_person_begins_again() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, CREATES);
    let mut browser = gate.browser();
    browser.opens(&format!("{LINK}?return_to=/orders")).await;
    let query = idp.signs_in(&browser.location().unwrap());
    gate.waits(Detour::LASTS + Duration::from_secs(1));
    browser.opens(&format!("{CALLBACK}?{query}")).await;
    assert_eq!(browser.status, StatusCode::GONE);
    assert!(browser.page.contains("return_to=%2Forders"), "{}", browser.page);
}

//! The whole way on sockets: a newcomer, two-factor, a trusted device, and who is asked again.

use std::time::Duration;

use crate::support::instance::{HOST, Instance, PASSWORD};
use crate::support::upstream::Upstream;
use crate::support::window::Window;

const FORGED: &str = "Remote-User: mallory\r\nREMOTE_USER: mallory\r\nremote.groups: admin\r\n\
                      Remote_Email: m@evil.test\r\nX_Forwarded_User: mallory\r\n";

/// Asserts that the application got the request in the name of `ada`, by `amr`, and heard
/// nothing of what the visitor said about themselves.
fn reaches_the_application(window: &Window, amr: &str) {
    let received = window.answer.received();
    let headers = received["headers"].as_array().unwrap();
    let said = |name: &str| -> Vec<&str> {
        let named = headers.iter().filter(|header| header[0] == name);
        named.map(|header| header[1].as_str().unwrap()).collect()
    };
    assert_eq!(said("remote-user"), ["ada"]);
    assert_eq!(said("remote-groups"), ["staff"]);
    assert_eq!(said("remote-amr"), [amr]);
    assert_eq!(said("host"), [HOST]);
    for forged in ["mallory", "evil.test", "admin"] {
        assert!(!window.answer.body.contains(forged), "{}", window.answer.body);
    }
    assert!(said("cookie").is_empty(), "{}", window.answer.body);
}

fn signs_in(window: &mut Window, target: &str) {
    window.visits(target);
    assert!(window.at.starts_with("/.doorward/sign-in"), "{}", window.at);
    window.posts(&[("username", "ada"), ("password", PASSWORD)]);
}

fn is_challenged(window: &Window) {
    assert!(window.at.starts_with("/.doorward/challenge"), "{}: {}", window.at, window.answer.body);
}

#[test]
fn a_newcomer_sets_up_two_factor_trusts_a_device_and_is_not_asked_again_there() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let mut home = instance.window();

    // The operator's one-time link sets the password; then everything begins as for anybody.
    let link = instance.adds("ada");
    home.visits(&link).posts(&[("password", PASSWORD)]);
    home.visits("/.doorward/sign-out").posts(&[]);

    // A stranger is sent to sign in, and from there to set up what the place asks for.
    home.opens("/strict/report?year=1");
    assert_eq!(home.answer.status, 303);
    assert!(home.answer.header("location").starts_with("/.doorward/sign-in?return_to="));
    signs_in(&mut home, "/strict/report?year=1");
    assert!(home.at.starts_with("/.doorward/set-up"), "{}", home.at);
    let secret = home.secret();
    home.posts(&[("code", &instance.code(&secret))]);

    // Recovery codes come back until they are saved; then the application.
    assert_eq!(home.recovery_codes().len(), 12);
    home.visits("/strict/report?year=1");
    assert_eq!(home.recovery_codes().len(), 12);
    home.posts(&[("saved", "yes")]);
    home.opens_with("/strict/report?year=1", FORGED);
    assert_eq!(home.answer.received()["target"], "/strict/report?year=1");
    reaches_the_application(&home, "pwd,otp,mfa");

    // Signed out is out.
    home.visits("/.doorward/sign-out").posts(&[]);
    home.opens("/page");
    assert_eq!(home.answer.status, 303);

    // From now on the code is asked for everywhere; this device is to be trusted.
    instance.waits(Duration::from_secs(30));
    signs_in(&mut home, "/page");
    is_challenged(&home);
    home.posts(&[("code", &instance.code(&secret)), ("trust_device", "yes")]);
    reaches_the_application(&home, "pwd,otp,mfa");
    home.visits("/.doorward/sign-out").posts(&[]);

    // No challenge on the trusted device, but where a place does not accept it.
    instance.waits(Duration::from_secs(30));
    signs_in(&mut home, "/page");
    reaches_the_application(&home, "pwd,trusted-device");
    home.visits("/bank/");
    is_challenged(&home);
    home.posts(&[("code", &instance.code(&secret))]);
    reaches_the_application(&home, "pwd,otp,trusted-device,mfa");

    // On another browser the code is asked for, and one that was used is none.
    let mut cafe = instance.window();
    signs_in(&mut cafe, "/page");
    is_challenged(&cafe);
    cafe.posts(&[("code", &instance.code(&secret))]);
    is_challenged(&cafe);
    instance.waits(Duration::from_secs(30));
    cafe.posts(&[("code", &instance.code(&secret))]);
    reaches_the_application(&cafe, "pwd,otp,mfa");
}

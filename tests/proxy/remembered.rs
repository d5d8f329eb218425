//! A connection remembers what its last request said of its visitor, and nothing that may change.

use super::passing::received;
use crate::support::instance::Instance;
use crate::support::upstream::Upstream;
use crate::support::wire::Wire;

fn get(cookies: &[&str]) -> String {
    let mut head = "GET /page HTTP/1.1\r\nHost: crm.localhost:8080\r\n".to_owned();
    for line in cookies {
        head = head + "Cookie: " + line + "\r\n";
    }
    head + "\r\n"
}

#[test]
fn every_request_is_in_the_name_that_its_own_cookies_say() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let (ada, eve) = (instance.session_of("ada"), instance.session_of("eve"));
    let (ada, eve) = (format!("a=1; {ada}"), format!("{eve}; b=2"));
    let mut wire = Wire::to(instance.address);
    for _ in 0..2 {
        for (line, name, rest) in [(&ada, "ada", "a=1"), (&eve, "eve", "b=2"), (&eve, "eve", "b=2")]
        {
            let answer = wire.asks(get(&[line]));
            assert_eq!(received(&answer, "remote-user"), [name]);
            assert_eq!(received(&answer, "cookie"), [rest]);
        }
        assert_eq!(wire.asks(get(&[])).status, 401, "without cookies");
        assert_eq!(wire.asks(get(&[&ada, &eve])).status, 401, "two of one name: nobody's");
        let changed = ada.replace("doorward-session=", "doorward-session=A");
        assert_eq!(wire.asks(get(&[&changed])).status, 401);
    }
    let answer = wire.asks(get(&["c=3", &ada]));
    assert_eq!(received(&answer, "remote-user"), ["ada"]);
    assert_eq!(received(&answer, "cookie"), ["c=3", "a=1"]);
    let long = format!("{ada}; long={}", "x".repeat(3_000));
    for _ in 0..2 {
        let answer = wire.asks(get(&[&long]));
        assert_eq!(received(&answer, "remote-user"), ["ada"]);
        assert_eq!(received(&answer, "cookie"), [long.replace(&ada, "a=1")]);
    }
}

#[test]
fn whoever_may_no_longer_come_is_stopped_on_the_connection_that_knew_them() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let ada = instance.session();
    let mut wire = Wire::to(instance.address);
    for _ in 0..2 {
        assert_eq!(received(&wire.asks(get(&[&ada])), "remote-groups"), ["staff"]);
    }
    instance.takes_out_of_staff("ada");
    let answer = wire.asks(get(&[&ada]));
    assert_eq!(received(&answer, "remote-user"), ["ada"]);
    assert!(received(&answer, "remote-groups").is_empty());
    instance.disables("ada");
    assert_eq!(wire.asks(get(&[&ada])).status, 401);
}

#[test]
fn what_was_shown_at_one_host_is_nothing_at_another() {
    let upstream = Upstream::start();
    let wiki = format!(
        "  - {{ name: wiki, hosts: ['http://wiki.localhost:8080'], upstream: 'http://{}', \
         otherwise: sign-in }}\nportal: http://crm.localhost:8080\n",
        upstream.address
    );
    let instance = Instance::with_more(upstream.address, &wiki);
    let ada = instance.session();
    let elsewhere = get(&[&ada]).replace("Host: crm", "Host: wiki");
    let mut wire = Wire::to(instance.address);
    for _ in 0..2 {
        assert_eq!(received(&wire.asks(get(&[&ada])), "remote-user"), ["ada"]);
        assert_eq!(wire.asks(&elsewhere).status, 401);
    }
}

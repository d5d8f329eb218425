//! The id of a request: ours, unless a trusted proxy has given one.

use rstest::rstest;

use super::passing::received;
use crate::support::exact::{Bodies, Exact};
use crate::support::instance::Instance;
use crate::support::upstream::Upstream;
use crate::support::wire::{Answer, Wire};

fn asks(instance: &Instance, more: &str) -> Answer {
    let request = format!("GET /open/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n{more}\r\n");
    Wire::to(instance.address).asks(request)
}

fn is_ours(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
}

#[test]
fn a_visitor_cannot_choose_the_id_in_any_spelling() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let chosen = "X-Request-Id: chosen-by-me\r\nx_request_id: chosen-by-me\r\n\
                  X.Request.Id: chosen-by-me\r\nHTTP-X-Request-Id: chosen-by-me\r\n";
    let answers = [asks(&instance, chosen), asks(&instance, chosen)];
    for answer in &answers {
        let ids = received(answer, "x-request-id");
        assert!(ids.len() == 1 && is_ours(&ids[0]), "{ids:?}");
        assert!(!answer.body.contains("chosen-by-me"), "{}", answer.body);
    }
    assert_ne!(received(&answers[0], "x-request-id"), received(&answers[1], "x-request-id"));
}

#[rstest]
#[case::plain("X-Request-Id: 0af7651916cd43dd.8448_EB-211c", Some("0af7651916cd43dd.8448_EB-211c"))]
#[case::short("X-Request-Id: 0af7651", None)]
#[case::forging("X-Request-Id: 0af7651916\" status=200", None)]
#[case::several("X-Request-Id: 0af7651916cd\r\nX-Request-Id: 0af7651916ce", None)]
#[case::none("X-Other: 1", None)]
fn the_id_of_a_trusted_proxy_is_kept_if_it_is_plain(
    #[case] given: &str,
    #[case] kept: Option<&str>,
) {
    let upstream = Upstream::start();
    let instance = Instance::with_more(upstream.address, "trusted_proxies: [127.0.0.1]\n");
    let answer = asks(&instance, &format!("X-Forwarded-For: 192.0.2.7\r\n{given}\r\n"));
    let ids = received(&answer, "x-request-id");
    match kept {
        Some(kept) => assert_eq!(ids, [kept]),
        None => assert!(ids.len() == 1 && is_ours(&ids[0]), "{ids:?}"),
    }
}

#[test]
fn the_answer_of_an_application_has_its_own_id_or_none() {
    for (theirs, ids) in [("X-Request-Id: theirs-1\r\n", &["theirs-1"][..]), ("", &[])] {
        let upstream = Exact::answering(Bodies::Read, move |_| {
            format!("HTTP/1.1 200 OK\r\n{theirs}Content-Length: 0\r\n\r\n").into_bytes()
        });
        let instance = Instance::before(upstream.address);
        assert_eq!(asks(&instance, "").all("x-request-id"), ids);
    }
}

#[test]
fn what_we_answer_ourselves_has_an_id_and_so_has_what_is_no_request() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    for request in [
        "GET /page HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n",
        "GET /.doorward/sign-in HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
        "GET /\r\n\r\n",
    ] {
        let answer = Wire::to(instance.address).asks(request);
        assert!(is_ours(answer.header("x-request-id")), "{request}: {answer:?}");
    }
}

//! Which certificate is shown, and what the listeners do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustls::{NamedGroup, ProtocolVersion};

use super::http2;
use super::means::{
    HOST, believes, believes_and_shows, certificate, certificates, config, connects, key, read,
    visitor,
};
use crate::support::instance::Instance;
use crate::support::upstream::Upstream;
use crate::support::wire::Wire;

fn get(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[test]
fn everybody_is_told_to_come_by_https_from_now_on() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let mut visitor = visitor(&instance, HOST);
    let passed = visitor.asks(get("/open/a", HOST));
    assert_eq!((passed.status, passed.header("strict-transport-security")), (200, "max-age=86400"));
    let refused = visitor.asks(get("/orders", HOST));
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("strict-transport-security"), "max-age=86400");
}

#[test]
fn nobody_is_told_so_where_the_operator_does_not_want_it() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "tls: { hsts: 0s }");
    let answer = visitor(&instance, HOST).asks(get("/open/a", HOST));
    assert_eq!(answer.header("strict-transport-security"), "");
}

#[test]
fn what_is_agreed_upon_holds_against_quantum_computers() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let config = believes(&certificates(&instance), &[b"h2", b"http/1.1"]);
    let stream = connects(instance.address, HOST, config).unwrap();
    assert_eq!(stream.conn.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = stream.conn.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
}

#[test]
fn every_host_shows_a_certificate_of_its_own() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let [all, wiki] = <[_; 2]>::try_from(certificates(&instance)).unwrap();
    let meets = |host: &str, whom| connects(instance.address, host, believes(&[whom], &[])).is_ok();
    assert!(meets(HOST, all.clone()) && meets("wiki.example.com", wiki.clone()));
    assert!(!meets(HOST, wiki) && !meets("wiki.example.com", all));
}

#[test]
fn whoever_comes_without_encryption_is_sent_on_with_what_they_asked() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let answer = Wire::to(instance.listener(1)).asks(get("/open/a?b=//c", HOST));
    assert_eq!(answer.status, 308);
    assert_eq!(answer.header("location"), format!("https://{HOST}/open/a?b=//c"));
    assert_eq!(answer.header("strict-transport-security"), "");
    let port = Wire::to(instance.listener(1)).asks(get("/", "CRM.example.com:8080"));
    assert_eq!(port.header("location"), format!("https://{HOST}/"));
    let own = Wire::to(instance.listener(1)).asks(get("/.doorward/sign-in", HOST));
    assert_eq!((own.status, own.all("set-cookie").len()), (308, 0));
    assert_eq!(Wire::to(instance.listener(1)).asks(get("/", "evil.test")).status, 421);
}

#[test]
fn the_port_of_another_scheme_is_another_host() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let status =
        |port: &str| visitor(&instance, HOST).asks(get("/open/a", &format!("{HOST}{port}"))).status;
    assert_eq!([status(""), status(":443"), status(":80"), status(":")], [200, 200, 421, 421]);
}

#[test]
fn a_host_without_encryption_is_not_served_with_it() {
    let upstream = Upstream::start();
    let instance = Instance::with(|folder| {
        certificate(folder, "all", &[HOST, "old.localhost"]);
        certificate(folder, "wiki", &["wiki.example.com"]);
        config(upstream.address, folder, "").replace(
            "  - name: wiki",
            &format!(
                "  - {{ name: old, hosts: ['http://old.localhost'], upstream: 'http://{}', otherwise: \
                 nothing }}\n  - name: wiki",
                upstream.address
            ),
        )
    });
    assert_eq!(Wire::to(instance.listener(2)).asks(get("/", "old.localhost")).status, 200);
    assert_eq!(visitor(&instance, "old.localhost").asks(get("/", "old.localhost")).status, 421);
}

#[test]
fn certificates_are_replaced_under_load_and_nobody_notices() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let before = read(&instance.folder().join("all.pem"));
    let mut steady = visitor(&instance, HOST);
    assert_eq!(steady.asks(get("/open/a", HOST)).status, 200);

    let folder = tempfile::tempdir().unwrap();
    let after = certificate(folder.path(), "all", &[HOST]);
    let (done, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let both = vec![before.clone(), after.clone()];
    let load: Vec<_> = (0..2)
        .map(|_| {
            let (done, served) = (Arc::clone(&done), Arc::clone(&served));
            let (address, both) = (instance.address, both.clone());
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let config = believes(&both, &[b"http/1.1"]);
                    let stream = connects(address, HOST, config).expect("a handshake failed");
                    assert_eq!(Wire::over(stream).asks(get("/open/a", HOST)).status, 200);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    // The key of one beside the certificate of the other makes no sense: the old pair is shown.
    for name in ["all.key", "all.pem"] {
        std::fs::copy(folder.path().join(name), instance.folder().join(name)).unwrap();
    }
    let is_new =
        || connects(instance.address, HOST, believes(std::slice::from_ref(&after), &[])).is_ok();
    while !is_new() {}
    done.store(true, Ordering::Relaxed);
    for one in load {
        one.join().unwrap();
    }
    assert!(served.load(Ordering::Relaxed) > 0);
    assert_eq!(steady.asks(get("/open/a", HOST)).status, 200);
    assert!(connects(instance.address, HOST, believes(&[before], &[])).is_err());
}

#[test]
fn a_certificate_that_makes_no_sense_is_no_reason_to_show_none() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let believed = certificates(&instance);
    std::fs::write(instance.folder().join("all.pem"), "nonsense").unwrap();
    let kept = instance.reloads_with(|text| text);
    assert!(kept.unwrap_err().contains("contains no certificate"));
    assert!(connects(instance.address, HOST, believes(&believed, &[])).is_ok());
}

#[test]
fn nobody_comes_in_without_a_certificate_where_one_is_asked_for() {
    let upstream = Upstream::start();
    let instance = Instance::with(|folder| {
        certificate(folder, "all", &[HOST, "id.example.com"]);
        certificate(folder, "wiki", &["wiki.example.com"]);
        certificate(folder, "ada", &["ada"]);
        config(upstream.address, folder, "")
            .replace("key: all.key", "key: all.key, client_authority: ada.pem")
    });
    let folder = instance.folder();
    let with = |name: &str| {
        let file = |end: &str| folder.join(format!("{name}.{end}"));
        let own = (read(&file("pem")), key(&file("key")));
        believes_and_shows(&certificates(&instance), &[b"http/1.1"], Some(own))
    };
    let strangers = [believes(&certificates(&instance), &[]), with("wiki")];
    for config in strangers {
        // In TLS 1.3 the refusal arrives with the first answer.
        let refused = match connects(instance.address, HOST, config) {
            Ok(stream) => std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                Wire::over(stream).asks(get("/open/a", HOST))
            }))
            .is_err(),
            Err(_) => true,
        };
        assert!(refused);
    }
    let mut ada = Wire::over(connects(instance.address, HOST, with("ada")).unwrap());
    assert_eq!(ada.asks(get("/open/a", HOST)).status, 200);
    assert_eq!(ada.asks(get("/", "wiki.example.com")).status, 421);
    // Nor does a stream lead to another host (RFC 9110 §7.4).
    let mut config = with("ada");
    config.alpn_protocols = vec![b"h2".to_vec()];
    http2::runs(async {
        let mut ada = http2::connects_with(&instance, config).await;
        let to = |host: &str| http::Request::get(format!("https://{host}/open/a"));
        assert_eq!(http2::asks(&mut ada, to(HOST), None).await.0.status(), 200);
        assert_eq!(http2::asks(&mut ada, to("wiki.example.com"), None).await.0.status(), 421);
    });
}

#[test]
fn whoever_came_in_before_certificates_were_asked_for_is_out_when_they_are() {
    let upstream = Upstream::start();
    let instance = super::means::instance(&upstream, "");
    let tunnel = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let tunnel = get("/socket", "wiki.example.com").replace("\r\n\r\n", "\r\n") + tunnel;
    let (mut idle, mut busy) = (visitor(&instance, HOST), visitor(&instance, "wiki.example.com"));
    let mut plain = Wire::to(instance.listener(2));
    assert_eq!(idle.asks(get("/open/a", HOST)).status, 200);
    assert_eq!(plain.asks(get("/open/a", HOST)).status, 200);
    busy.sends(tunnel);
    assert_eq!(busy.head().status, 101);
    let asks =
        |text: String| text.replace("key: all.key", "key: all.key, client_authority: wiki.pem");
    instance.reloads_with(asks).unwrap();
    assert_eq!(idle.asks(get("/open/a", HOST)).status, 421);
    assert!(busy.is_over());
    assert_eq!(plain.asks(get("/open/a", HOST)).status, 200, "nothing has changed there");
}

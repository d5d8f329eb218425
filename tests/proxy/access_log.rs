//! The access log: a line for each request, whatever became of it, that nobody can forge.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::free_address::free_address;
use crate::support::instance::{Instance, PASSWORD};
use crate::support::upstream::Upstream;
use crate::support::wire::Wire;

const JSON: &str = "access_log: { to: ./access.log, format: json }\n";

fn starts() -> (Upstream, Instance) {
    let upstream = Upstream::start();
    let instance = Instance::with_more(upstream.address, JSON);
    (upstream, instance)
}

fn get(target: &str, more: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: crm.localhost:8080\r\n{more}\r\n")
}

/// All lines. A gateway that stops has written them.
fn text(instance: &mut Instance) -> String {
    instance.stops();
    fs::read_to_string(instance.folder().join("access.log")).unwrap()
}

fn lines(instance: &mut Instance) -> Vec<Value> {
    text(instance).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The only line about this path.
fn line_of(instance: &mut Instance, path: &str) -> Value {
    let mut lines = lines(instance);
    lines.retain(|line| line["path"] == path);
    assert_eq!(lines.len(), 1, "{path}: {lines:?}");
    lines.remove(0)
}

#[test]
fn a_request_that_was_let_through_is_a_line_with_its_user_rule_and_upstream() {
    let (upstream, mut instance) = starts();
    let more = format!("Cookie: {}\r\n", instance.session());
    let answer = Wire::to(instance.address).asks(get("/page?token=s3cret", &more));
    assert_eq!(answer.status, 200);
    Wire::to(instance.address).asks(get("/open/", &more));
    let file = instance.folder().join("access.log");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o137, 0);
    let line = line_of(&mut instance, "/page");
    for (key, value) in [
        ("time", "2027-01-15T08:00:00.000Z".into()),
        ("client", "127.0.0.1".into()),
        ("user", "ada".into()),
        ("app", "crm".into()),
        ("method", "GET".into()),
        ("status", 200.into()),
        ("bytes", answer.body.len().into()),
        ("upstream", format!("http://{}", upstream.address).into()),
        ("verdict", "pass".into()),
        ("rule", "otherwise".into()),
    ] {
        assert_eq!(line[key], Value::clone(&value), "{key} of {line}");
    }
    assert!(line["upstream_ms"].as_f64().unwrap() <= line["duration_ms"].as_f64().unwrap());
    let text = fs::read_to_string(file).unwrap();
    assert!(!text.contains("s3cret") && !text.contains('?'), "{text}");
    let open = text.lines().find(|line| line.contains("\"/open/\"")).unwrap();
    let open: Value = serde_json::from_str(open).unwrap();
    let yaml = fs::read_to_string(instance.folder().join("doorward.yaml")).unwrap();
    let at = yaml.lines().position(|line| line.contains("[/open/,")).unwrap() + 1;
    assert_eq!((&open["rule"], &open["rule_line"]), (&"1".into(), &at.into()), "{open}");
}

#[test]
fn what_we_answer_ourselves_is_a_line_too() {
    let (_upstream, mut instance) = starts();
    let ask = |request: &str| Wire::to(instance.address).asks(request).status;
    assert_eq!(ask(&get("/page", "")), 401);
    assert_eq!(ask(&get("/.doorward/sign-in", "")), 200);
    assert_eq!(ask(&get("/.doorward/nowhere", "")), 404);
    assert_eq!(ask("GET /wrong-host HTTP/1.1\r\nHost: elsewhere\r\n\r\n"), 421);
    assert_eq!(ask("GET /%zz HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n"), 400);
    assert_eq!(ask("TRACE /traced HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n"), 405);
    assert_eq!(ask("GET /unread\r\n\r\n"), 400);
    let mut said: Vec<_> = lines(&mut instance)
        .into_iter()
        .map(|line| {
            let word = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
            (word("method"), word("path"), line["status"].as_u64().unwrap(), word("verdict"))
        })
        .collect();
    let expected = [
        ("GET", "/page", 401, "sign-in"),
        ("GET", "/.doorward/sign-in", 200, "pass"),
        ("GET", "/.doorward/nowhere", 404, "-"),
        ("GET", "/wrong-host", 421, "-"),
        ("GET", "/%zz", 400, "malformed"),
        ("TRACE", "/traced", 405, "-"),
        ("-", "-", 400, "malformed"),
    ];
    let mut expected = expected.map(|(method, path, status, verdict)| {
        (method.to_owned(), path.to_owned(), status, verdict.to_owned())
    });
    // A line is written after the answer: it may come after that of the next request.
    said.sort();
    expected.sort();
    assert_eq!(said, expected);
}

#[test]
fn the_token_of_a_link_is_in_no_line_however_it_is_spelled() {
    let (_upstream, mut instance) = starts();
    let link = instance.adds("ada");
    let token = link.rsplit('/').next().unwrap().to_owned();
    for target in [
        format!("/.doorward/link/{token}"),
        format!("//.doorward/link/{token}"),
        format!("/%2Edoorward/link/{token}"),
        format!("/.doorward/link/{token}%zz"),
        format!("/.doorward/link/{token}?a=b"),
        format!("http://crm.localhost:8080/.doorward/link/{token}"),
        format!("http://user:s3cret@elsewhere/.doorward/link/{token}"),
    ] {
        Wire::to(instance.address).asks(get(&target, ""));
    }
    let lines = lines(&mut instance);
    assert_eq!(lines.len(), 7);
    for line in lines {
        // A URL with a password is not even read as a request.
        let path = line["path"].as_str();
        assert!(path.is_none_or(|path| path.starts_with("/.doorward/")), "{line}");
        let text = line.to_string();
        assert!(!text.contains(&token) && !text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_hostile_request_is_one_line_that_says_what_it_was() {
    for format in ["json", "text"] {
        let upstream = Upstream::start();
        let more = format!("access_log: {{ to: ./access.log, format: {format} }}\n");
        let mut instance = Instance::with_more(upstream.address, &more);
        let hostile: [&[u8]; 4] = [
            b"GET /open/a\"b\\c%0Astatus=200 HTTP/1.1\r\nHost: crm.localhost:8080\r\n\
              User-Agent: \"}\\n{\"status\":200}\r\n\r\n",
            b"GET /open/\xe9\xff\xe2\x80\xa8\" HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n",
            b"G'|~ /open/x HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n",
            b"GET /open/\x1b[2K\x7f HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n",
        ];
        for request in hostile {
            Wire::to(instance.address).asks(request);
        }
        let text = text(&mut instance);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()), "{text:?}");
        assert!(text.contains("%E9%FF"), "{text}");
        for line in text.lines() {
            if format == "json" {
                serde_json::from_str::<Value>(line).unwrap();
            } else {
                assert!(line.starts_with("time=2027-"), "{line}");
                assert_eq!(line.matches(" status=").count(), 1, "{line}");
            }
        }
    }
}

#[test]
fn a_tunnel_is_a_line_at_its_end_even_if_we_cut_it_off() {
    let (_upstream, mut instance) = starts();
    let more = format!(
        "Cookie: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://crm.localhost:8080\r\n",
        instance.session()
    );
    let mut tunnel = Wire::to(instance.address);
    tunnel.sends(get("/socket", &more));
    assert_eq!(tunnel.head().status, 101);
    instance.disables("ada");
    assert!(tunnel.is_closed());
    let line = line_of(&mut instance, "/socket");
    assert_eq!((&line["status"], &line["user"]), (&101.into(), &"ada".into()), "{line}");
    assert_eq!(line["verdict"], "pass", "{line}");
}

#[test]
fn an_application_that_cannot_be_reached_is_named_in_the_line() {
    let address = free_address();
    let mut instance = Instance::with_more(address, JSON);
    assert_eq!(Wire::to(instance.address).asks(get("/open/", "")).status, 502);
    let line = line_of(&mut instance, "/open/");
    assert_eq!(line["status"], 502, "{line}");
    assert_eq!(line["upstream"], format!("http://{address}"), "{line}");
    assert_eq!(line["upstream_ms"], Value::Null, "{line}");
}

#[test]
fn a_visitor_who_leaves_before_the_answer_is_a_line_without_a_status() {
    let (upstream, mut instance) = starts();
    let mut visitor = TcpStream::connect(instance.address).unwrap();
    visitor.write_all(get("/held", "").as_bytes()).unwrap();
    upstream.is_reached();
    drop(visitor);
    let line = line_of(&mut instance, "/held");
    assert_eq!(line["status"], Value::Null, "{line}");
}

#[test]
fn it_is_turned_on_changed_and_turned_off_by_a_reload() {
    let upstream = Upstream::start();
    let mut instance = Instance::before(upstream.address);
    let ask = |instance: &Instance, path: &str| Wire::to(instance.address).asks(get(path, ""));
    ask(&instance, "/open/1");
    instance.reloads_with(|text| text + JSON).unwrap();
    ask(&instance, "/open/2");
    instance.reloads_with(|text| text.replace("access.log, format: json", "other.log")).unwrap();
    ask(&instance, "/open/3");
    instance.reloads_with(|text| text.replace("access_log: { to: ./other.log }\n", "")).unwrap();
    ask(&instance, "/open/4");
    let text = text(&mut instance);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("\"/open/2\""), "{text}");
    let other = fs::read_to_string(instance.folder().join("other.log")).unwrap();
    assert_eq!(other.lines().count(), 1, "{other}");
    assert!(other.contains(" path=/open/3 "), "{other}");
}

#[test]
fn a_file_that_cannot_be_opened_is_a_refused_reload_that_names_the_key_and_the_cure() {
    let (_upstream, mut instance) = starts();
    let change = |text: String| text.replace("./access.log", "./");
    let kept = instance.reloads_with(change).unwrap_err();
    for says in ["access_log.to: ", " is a folder", "name a file in it"] {
        assert!(kept.contains(says), "{kept}");
    }
    Wire::to(instance.address).asks(get("/open/", ""));
    assert_eq!(line_of(&mut instance, "/open/")["status"], 200);
}

#[test]
fn a_line_that_a_crash_cut_off_does_not_spoil_the_next() {
    let upstream = Upstream::start();
    let mut instance = Instance::with(|folder| {
        fs::write(folder.join("access.log"), "{\"time\":\"2027-01-1").unwrap();
        format!(
            "
listen: [{{ address: '127.0.0.1:0' }}]
operators: {{ address: '127.0.0.1:0' }}
state: {}
apps:
  - {{ name: crm, hosts: ['http://crm.localhost:8080'], upstream: 'http://{}', otherwise: nothing }}
{JSON}",
            folder.join("state").display(),
            upstream.address,
        )
    });
    assert_eq!(Wire::to(instance.address).asks(get("/page", "")).status, 200);
    let text = text(&mut instance);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(serde_json::from_str::<Value>(lines[1]).unwrap()["path"], "/page");
}

#[test]
fn signing_in_is_lines_with_no_secret_in_them() {
    let (_upstream, mut instance) = starts();
    let mut window = instance.window();
    let link = instance.adds("ada");
    window.visits(&link).posts(&[("password", PASSWORD)]);
    window.opens("/orders");
    let cookies: Vec<_> = window.cookies.values().map(ToString::to_string).collect();
    let text = text(&mut instance);
    for secret in cookies.iter().map(String::as_str).chain([PASSWORD, link.as_str()]) {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let posts = text.lines().filter(|line| line.contains("\"method\":\"POST\"")).count();
    assert!(posts >= 1 && text.contains("\"path\":\"/.doorward/link/\""), "{text}");
}

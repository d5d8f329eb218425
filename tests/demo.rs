//! `doorward demo`, as somebody at a terminal meets it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use tungstenite::client::IntoClientRequest;
use tungstenite::{HandshakeError, Message, WebSocket};

use crate::support::free_address::free_address;

const DOORWARD: &str = env!("CARGO_BIN_EXE_doorward");

/// The running demo, and what it says.
struct Demo {
    child: Child,
    port: u16,
    typed: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Demo {
    fn starts() -> Self {
        Self::on(free_address().port())
    }

    fn on(port: u16) -> Self {
        let mut child = Command::new(DOORWARD)
            .args(["demo", "--port", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let typed = child.stdin.take().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, port, typed, said }
    }

    /// What it says up to the line that begins so.
    fn says_until(&mut self, beginning: &str) -> String {
        let mut all = String::new();
        loop {
            let from = all.len();
            assert_ne!(self.said.read_line(&mut all).unwrap(), 0, "it ended after:\n{all}");
            if all[from..].starts_with(beginning) {
                return all;
            }
        }
    }

    fn answers(&self, path: &str) -> String {
        self.asks(
            "GET",
            path,
            "Accept: text/html,application/xhtml+xml\r\nRemote-User: root\r\n",
            "",
        )
    }

    /// Sends a request with these lines in its head, and reads the answer to its end.
    fn asks(&self, method: &str, path: &str, lines: &str, body: &str) -> String {
        let mut stream = self.begins(method, path, &format!("{lines}Connection: close\r\n"), body);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn begins(&self, method: &str, path: &str, lines: &str, body: &str) -> TcpStream {
        let mut stream = self.connection();
        let (port, length) = (self.port, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{lines}Content-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        stream
    }

    fn connection(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        // Far longer than anything here takes: a test that hangs says where.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Signs somebody in who has no second factor; their cookies, as a line of a head.
    fn signs_in(&self, name: &str, password: &str) -> String {
        let page = self.answers("/.doorward/sign-in");
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let form =
            "Sec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        let lines = format!("{}{form}", cookies(&page));
        let body = format!("csrf={csrf}&username={name}&password={}", password.replace(' ', "+"));
        let answer = self.asks("POST", "/.doorward/sign-in", &lines, &body);
        assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        cookies(&answer)
    }

    /// Opens the chat with these cookies, or none.
    fn joins_the_chat(&self, cookies: &str) -> Result<WebSocket<TcpStream>, tungstenite::Error> {
        let url = format!("ws://localhost:{}/chat/ws", self.port);
        let mut request = url.into_client_request().unwrap();
        if let Some(pairs) = cookies.strip_prefix("Cookie: ") {
            request.headers_mut().insert("cookie", pairs.trim_end().parse().unwrap());
        }
        match tungstenite::client(request, self.connection()) {
            Ok((socket, _)) => Ok(socket),
            Err(HandshakeError::Failure(error)) => Err(error),
            Err(HandshakeError::Interrupted(_)) => panic!("no answer to the handshake"),
        }
    }

    /// Ctrl-C.
    fn ends(mut self) -> (bool, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().success(), rest)
    }
}

/// The cookies that an answer gives, as a line of a head.
fn cookies(answer: &str) -> String {
    let given = answer.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("set-cookie").then(|| value.split(';').next().unwrap())
    });
    format!("Cookie: {}\r\n", given.collect::<Vec<_>>().join("; "))
}

/// The next line that somebody in the chat hears.
fn hears(socket: &mut WebSocket<TcpStream>) -> serde_json::Value {
    serde_json::from_str(socket.read().unwrap().to_text().unwrap()).unwrap()
}

#[test]
fn the_demo_shows_everything_and_leaves_nothing() {
    let mut demo = Demo::starts();
    let welcome = demo.says_until("Press Enter");
    let config =
        welcome.lines().map(str::trim).find(|line| line.ends_with("/doorward.yaml")).unwrap();
    assert!(Path::new(config).is_file());

    let news = demo.answers("/news");
    assert!(news.starts_with("HTTP/1.1 200"), "{news}");
    assert!(news.contains("<span>nobody</span>"), "a visitor named themselves: {news}");
    let home = demo.answers("/");
    assert!(home.starts_with("HTTP/1.1 303"), "{home}");
    assert!(home.contains("/.doorward/sign-in"), "{home}");

    demo.typed.write_all(b"\n").unwrap();
    let shown = demo.says_until("Alan's code: ");
    let code: String = shown.chars().filter(char::is_ascii_digit).take(6).collect();
    assert_eq!(code.len(), 6, "{shown}");

    let listed =
        Command::new(DOORWARD).args(["user", "list", "--config", config]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let two_factor: Vec<_> = listed
        .lines()
        .skip(1)
        .map(|line| (line.split_whitespace().next().unwrap(), line.contains(" on ")))
        .collect();
    assert_eq!(two_factor, [("ada", false), ("alan", true), ("grace", false)], "{listed}");

    let (well, rest) = demo.ends();
    assert!(well, "{rest}");
    assert!(!Path::new(config).parent().unwrap().exists());
}

#[test]
fn what_stays_open_is_for_those_who_signed_in() {
    let mut demo = Demo::starts();
    demo.says_until("Press Enter");
    let stream = "Accept: text/event-stream\r\n";
    let Err(tungstenite::Error::Http(refused)) = demo.joins_the_chat("") else {
        panic!("a stranger is in the chat")
    };
    assert_eq!(refused.status(), 401);
    let refused = demo.asks("GET", "/clock/ticks", stream, "");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");

    let grace = demo.signs_in("grace", "pepper velvet signpost");
    for path in ["/chat", "/clock", "/chat.js", "/clock.js"] {
        let page = demo.asks("GET", path, &grace, "");
        assert!(page.starts_with("HTTP/1.1 200"), "{path}: {page}");
    }
    let mut sockets = [(); 2].map(|()| demo.joins_the_chat(&grace).unwrap());
    sockets[0].send(Message::text("Mind the bug")).unwrap();
    for socket in &mut sockets {
        let heard = hears(socket);
        assert_eq!(heard, serde_json::json!({ "by": "Grace Hopper", "text": "Mind the bug" }));
    }
    let ticks = demo.begins("GET", "/clock/ticks", &format!("{grace}{stream}"), "");
    let mut ticks = BufReader::new(ticks).lines().map(Result::unwrap);
    assert_eq!(ticks.next().unwrap(), "HTTP/1.1 200 OK");
    // Two: the second comes while the stream goes on.
    for _ in 0..2 {
        let tick = ticks.find(|line| line.starts_with("data: ")).unwrap();
        assert_eq!(tick.len(), "data: 08:00:00".len(), "{tick}");
    }

    // They are still open, and do not keep the demo.
    let (well, rest) = demo.ends();
    assert!(well, "{rest}");
}

#[test]
fn a_port_that_is_taken_is_a_plain_sentence() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let demo = Demo::on(taken.local_addr().unwrap().port());
    let output = demo.child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("doorward: cannot start the gateway of the demo: "), "{said}");
    assert!(said.ends_with("choose another: doorward demo --port 8081\n"), "{said}");
}

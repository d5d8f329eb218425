//! `doorward demo`, as somebody at a terminal meets it.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

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
        // Free a moment ago; nothing else on this machine asks for a port by number.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        Self::on(port)
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
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let port = self.port;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: text/html\r\n\
             Remote-User: root\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
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
fn a_port_that_is_taken_is_a_plain_sentence() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let demo = Demo::on(taken.local_addr().unwrap().port());
    let output = demo.child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("doorward: the gateway of the demo does not start: "), "{said}");
    assert!(said.ends_with("choose another: doorward demo --port 8081\n"), "{said}");
}

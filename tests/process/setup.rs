//! An application, a configuration before it, and the processes that are started with them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::upstream::Upstream;
use crate::support::window::Window;
use crate::support::wire::{Answer, Wire};

/// What visitors have in their address line.
pub(crate) const HOST: &str = "crm.localhost:8080";
/// The password of everybody here.
pub(crate) const PASSWORD: &str = "three wet umbrellas";

pub(crate) struct Setup {
    pub upstream: Upstream,
    home: TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub notes: String,
}

impl Said {
    /// What it printed, as JSON.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }

    /// The path of the one-time link that it printed with `--json`.
    pub(crate) fn link(&self) -> String {
        let said = self.json();
        let link = said["link"].as_str().unwrap();
        link.strip_prefix("http://crm.localhost:8080").unwrap().to_owned()
    }
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// A gateway whose configuration has `more`.
    pub(crate) fn with(more: &str) -> Self {
        let setup = Self { upstream: Upstream::start(), home: tempfile::tempdir().unwrap() };
        setup.configures("127.0.0.1:0", more);
        setup
    }

    /// Writes the configuration. Unless `more` says otherwise, the log is JSON and hides nothing.
    pub(crate) fn configures(&self, listen: &str, more: &str) {
        let talkative = "log: { format: json, level: trace }";
        let log = if more.contains("log:") { "" } else { talkative };
        let yaml = format!(
            "
listen: [{{ address: '{listen}' }}]
operators: {{ address: 127.0.0.1:0 }}
state: {}
{log}
{more}
apps:
  - name: crm
    hosts: ['http://{HOST}']
    upstream: http://{}
    rules:
      - {{ paths: [/held], require: nothing }}
      - {{ paths: [/closed], require: nobody }}
    otherwise: sign-in
",
            self.state().display(),
            self.upstream.address,
        );
        fs::write(self.file(), yaml).unwrap();
    }

    /// Puts the application at `address` in the place of the one that all have here.
    pub(crate) fn moves_to(&self, address: SocketAddr) {
        let yaml = fs::read_to_string(self.file()).unwrap();
        let moved = yaml.replace(&self.upstream.address.to_string(), &address.to_string());
        assert_ne!(moved, yaml);
        fs::write(self.file(), moved).unwrap();
    }

    /// Where the configuration lies.
    pub(crate) fn file(&self) -> PathBuf {
        self.home.path().join("doorward.yaml")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args(words).env("DOORWARD_CONFIG", self.file()).current_dir(self.home.path());
        command
    }

    /// The same, with an empty variable where the configuration would be named.
    pub(crate) fn types_without_file(&self, words: &[&str]) -> Said {
        Self::said(self.command(words).env("DOORWARD_CONFIG", ""))
    }

    /// Types `doorward` and these words.
    pub(crate) fn types(&self, words: &[&str]) -> Said {
        Self::said(&mut self.command(words))
    }

    fn said(command: &mut Command) -> Said {
        let done = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: done.status.code(), out: text(done.stdout), notes: text(done.stderr) }
    }

    /// Starts a gateway, and waits until it listens.
    pub(crate) fn opens(&self) -> Process {
        self.opens_with(&[])
    }

    /// Starts a gateway with more words on its line, and waits until it listens.
    pub(crate) fn opens_with(&self, more: &[&str]) -> Process {
        let mut process = self.starts(more);
        process.address = process.listens("listening");
        process.operators = process.listens("listening for health checks and metrics");
        process
    }

    /// Starts a gateway that ends by itself. Its exit code, and what it says.
    pub(crate) fn does_not_open(&self, more: &[&str]) -> (Option<i32>, String) {
        let mut process = self.starts(more);
        let code = process.ends().code();
        (code, process.said())
    }

    /// Starts a gateway whose log is closed to it once it listens, as when whoever reads it dies.
    pub(crate) fn opens_unheard(&self) -> Process {
        let last = "\"message\":\"listening for health checks and metrics\"";
        let mut process = self.starts_heard_until(&[], Some(last));
        process.address = process.listens("listening");
        process.operators = process.listens("listening for health checks and metrics");
        assert!(process.lines.recv_timeout(LONG).is_err(), "somebody listens still");
        process
    }

    /// Starts a gateway, and waits for nothing.
    pub(crate) fn starts(&self, more: &[&str]) -> Process {
        self.starts_heard_until(more, None)
    }

    /// Starts a gateway none of whose files may grow beyond what the store needs to be opened, and
    /// waits until it listens.
    pub(crate) fn opens_where_nothing_can_be_written(&self) -> Process {
        let program = env!("CARGO_BIN_EXE_doorward");
        let limited = ["-c", "ulimit -S -f 16; exec \"$0\" serve", program];
        let mut command = Command::new("sh");
        command.args(limited).env("DOORWARD_CONFIG", self.file()).current_dir(self.home.path());
        let mut process = Self::heard(command, None);
        process.address = process.listens("listening");
        process.operators = process.listens("listening for health checks and metrics");
        process
    }

    fn starts_heard_until(&self, more: &[&str], last: Option<&'static str>) -> Process {
        self.begins_heard_until(&[&["serve"], more].concat(), last)
    }

    /// Types `doorward` and these words, and waits for nothing.
    pub(crate) fn begins(&self, words: &[&str]) -> Process {
        self.begins_heard_until(words, None)
    }

    fn begins_heard_until(&self, words: &[&str], last: Option<&'static str>) -> Process {
        Self::heard(self.command(words), last)
    }

    fn heard(mut command: Command, last: Option<&'static str>) -> Process {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (teller, lines) = channel();
        let (out, log) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let stenographer = Arc::clone(&said);
        thread::spawn(move || {
            writes_down(log, last, &stenographer, &teller);
            // The rest of it: nothing, or nothing before the end.
            if last.is_none() {
                writes_down(out, None, &stenographer, &teller);
            }
        });
        Process { child, said, lines, address: NOWHERE, operators: NOWHERE }
    }

    /// An operator adds somebody; the one-time link's path.
    pub(crate) fn adds(&self, name: &str) -> String {
        self.types(&["user", "add", name, "--json"]).link()
    }
}

const NOWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// Writes down the lines of `stream`, to its end or until `last` was said, and closes it.
fn writes_down(
    stream: impl Read,
    last: Option<&str>,
    said: &Mutex<String>,
    teller: &Sender<String>,
) {
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        said.lock().unwrap().extend([&line, "\n"]);
        let was_last = last.is_some_and(|last| line.contains(last));
        // Whoever has heard enough listens no more.
        teller.send(line).ok();
        if was_last {
            break;
        }
    }
}

/// A running gateway. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    lines: Receiver<String>,
    pub address: SocketAddr,
    pub operators: SocketAddr,
}

impl Process {
    fn listens(&self, message: &str) -> SocketAddr {
        let line = self.hears(&format!("\"message\":\"{message}\""));
        let line: Value = serde_json::from_str(&line).unwrap();
        line["address"].as_str().unwrap().parse().unwrap()
    }

    /// Waits for a line of the log with these words.
    pub(crate) fn hears(&self, words: &str) -> String {
        loop {
            match self.lines.recv_timeout(LONG) {
                Ok(line) if line.contains(words) => return line,
                Ok(_) => {}
                Err(why) => panic!("not heard: {words}: {why}\n{}", self.said()),
            }
        }
    }

    /// Everything that it has printed and logged so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn window(&self) -> Window {
        Window::new(self.address, HOST)
    }

    /// What operators are told at this path.
    pub(crate) fn tells_operators(&self, path: &str) -> Answer {
        let asked = format!("GET {path} HTTP/1.1\r\nHost: operators\r\n\r\n");
        Wire::to(self.operators).asks(asked)
    }

    /// Sends a signal, by its name.
    pub(crate) fn signals(&self, name: &str) {
        let line = ["-c", "kill -s \"$0\" \"$1\"", name, &self.child.id().to_string()];
        assert!(Command::new("sh").args(line).status().unwrap().success());
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`.
    pub(crate) fn is_killed(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended, and nobody holds its log open.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        loop {
            match self.lines.recv_timeout(LONG) {
                Ok(_) => {}
                Err(Disconnected) => return self.child.wait().unwrap(),
                Err(Timeout) => panic!("it does not end\n{}", self.said()),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Far longer than anything here takes: a test that hangs says where.
const LONG: Duration = Duration::from_secs(20);

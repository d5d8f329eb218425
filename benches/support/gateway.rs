//! A gateway that runs beside the bench, and what the system says of it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

pub(crate) const HOST: &str = "crm.localhost:8080";

/// A `doorward serve`. It ends when this is dropped.
pub(crate) struct Gateway {
    process: Child,
    pub(crate) address: SocketAddr,
    home: tempfile::TempDir,
}

impl Gateway {
    /// A gateway that refuses no crowd.
    pub(crate) fn start(upstream: SocketAddr) -> Self {
        Self::start_with(
            upstream,
            "",
            &format!("'http://{HOST}'"),
            "limits: { connections_per_address: 1000000, sign_in_posts: 10000/m }\n\
             deadlines: { head: 300s, idle: 1h }",
        )
    }

    /// A gateway that has more listeners, and `more` in its configuration.
    pub(crate) fn start_with(
        upstream: SocketAddr,
        listeners: &str,
        hosts: &str,
        more: &str,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = format!(
            "
listen: [{{ address: '{address}' }}{listeners}]
state: {}
log: {{ level: info }}
{more}
apps:
  - name: crm
    hosts: [{hosts}]
    upstream: http://{upstream}
    rules:
      - {{ paths: [/open/], require: nothing }}
      - {{ paths: [/signed-in/], require: sign-in }}
",
            home.path().join("state").display()
        );
        let file = home.path().join("doorward.yaml");
        std::fs::write(&file, config).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_doorward"))
            .arg("serve")
            .arg(&file)
            .stderr(std::fs::File::create(home.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        while TcpStream::connect(address).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        Self { process, address, home }
    }

    /// Its configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.home.path().join("doorward.yaml")
    }

    /// Runs a command of an operator.
    pub(crate) fn told(&self, words: &[&str]) -> Output {
        let told = Command::new(env!("CARGO_BIN_EXE_doorward"))
            .args(words)
            .arg("--config")
            .arg(self.config())
            .output()
            .unwrap();
        assert!(told.status.success(), "{words:?}: {}", String::from_utf8_lossy(&told.stderr));
        told
    }

    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most resident memory since [`Gateway::forgets_the_peak`], in KiB.
    pub(crate) fn peak(&self) -> usize {
        self.status("VmHWM:")
    }

    /// Lets the peak begin at what is resident now (proc(5), `clear_refs`).
    pub(crate) fn forgets_the_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5").unwrap();
    }

    fn status(&self, key: &str) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Processor time so far, of all threads that it ever had (proc(5), `stat`: a hundredth of a
    /// second is the unit on every Linux).
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
        Duration::from_millis(10 * ticks.sum::<u64>())
    }

    /// How many bytes lie in its state directory, and how long its log is.
    pub(crate) fn on_disk(&self) -> (u64, u64) {
        let files = std::fs::read_dir(self.home.path().join("state")).unwrap();
        let sizes = files.map(|file| file.unwrap().metadata().unwrap().len());
        (sizes.sum(), std::fs::metadata(self.home.path().join("log")).unwrap().len())
    }

    pub(crate) fn connects(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A connection from this address.
pub(crate) fn connects_from(from: SocketAddr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// What runs on this thread comes last: attackers sit elsewhere, and what they cost themselves is not
/// the gateway's doing.
pub(crate) fn comes_last() {
    rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19).unwrap();
}

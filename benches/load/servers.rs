//! Everybody who is measured: Doorward, Pingora by itself, and what else operators put before an
//! application, each as a process of its own before the same application.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::account;

/// A proxy that runs, and where.
pub(crate) struct Server {
    children: Vec<Child>,
    pub(crate) plain: SocketAddr,
    pub(crate) tls: Option<SocketAddr>,
}

impl Server {
    /// All of its processes.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.children.iter().flat_map(|child| account::family(child.id())).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Asked, or the children of nginx would stay; to end at once, or Pingora would take minutes.
            if let Some(process) = Pid::from_raw(child.id().cast_signed()) {
                kill_process(process, Signal::INT).ok();
            }
            // Whoever was started in the background may be deaf to that.
            let patience = Instant::now() + Duration::from_secs(10);
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < patience {
                thread::sleep(Duration::from_millis(20));
            }
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Where everything is, and what everybody needs.
pub(crate) struct Site<'a> {
    /// A folder to write in.
    pub(crate) folder: &'a Path,
    /// Where the application is.
    pub(crate) application: SocketAddr,
    /// On how many processors everybody may work.
    pub(crate) threads: usize,
    /// A command before those that are built here, such as a profiler's.
    pub(crate) under: &'a str,
}

impl Site<'_> {
    fn certificate(&self) -> PathBuf {
        self.folder.join("doorward.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.join("doorward.key")
    }

    fn start(&self, program: &Path) -> Command {
        let mut words = self.under.split_whitespace();
        match words.next() {
            None => Command::new(program),
            Some(under) => {
                let mut command = Command::new(under);
                command.args(words).arg(program);
                command
            }
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A certificate for everybody, and a configuration for Doorward.
    pub(crate) fn prepare(&self) -> (PathBuf, SocketAddr, SocketAddr) {
        let made = Command::new(DOORWARD)
            .args(["cert", "self-signed", HOST, "--to"])
            .arg(self.folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let (plain, tls) = (free(), free());
        let config = self.write(
            "doorward.yaml",
            &format!(
                "
listen:
  - address: {plain}
  - {{ address: {tls}, tls: {{ certificate: doorward.pem, key: doorward.key }} }}
state: state
limits: {{ connections: 9000, connections_per_address: 9000, sign_in_posts: 10000/m }}
apps:
  - name: crm
    hosts: [{HOST}]
    upstream: http://{}
    rules:
      - {{ paths: [/static/], require: nothing }}
      - {{ paths: [/admin/], only: {{ groups: [admins] }}, require: {{ second_factor: {{ trusted_device: false }} }} }}
      - {{ paths: [/notes/], require: sign-in }}
    otherwise: second-factor
set_up: {{ proof: none }}
",
                self.application
            ),
        );
        (config, plain, tls)
    }

    /// Doorward with that configuration.
    pub(crate) fn doorward(&self, config: &Path, plain: SocketAddr, tls: SocketAddr) -> Server {
        let log = fs::File::create(self.folder.join("doorward.log")).unwrap();
        let child =
            self.start(Path::new(DOORWARD)).arg("serve").arg(config).stderr(log).spawn().unwrap();
        started(vec![child], plain, Some(tls))
    }

    /// Pingora by itself, served by this program.
    pub(crate) fn pingora(&self, program: &Path) -> Server {
        let (plain, tls) = (free(), free());
        let child = self
            .start(program)
            .arg("serve")
            .args([self.threads.to_string(), plain.to_string(), tls.to_string()])
            .arg(self.application.to_string())
            .args([self.certificate(), self.key()])
            .spawn()
            .unwrap();
        started(vec![child], plain, Some(tls))
    }

    pub(crate) fn nginx(&self) -> Server {
        let (plain, tls) = (free(), free());
        let server = format!(
            "upstream app {{ server {}; keepalive 256; keepalive_requests 1000000000; }}
            server {{
                listen {plain}; listen {tls} ssl http2;
                ssl_certificate {}; ssl_certificate_key {};
                location / {{ {PASS} }}
            }}",
            self.application,
            self.certificate().display(),
            self.key().display()
        );
        started(vec![self.an_nginx("nginx", &server)], plain, Some(tls))
    }

    /// nginx that asks a second one about every request, which always says yes.
    pub(crate) fn auth_request(&self) -> Server {
        let (plain, asked) = (free(), free());
        let second = format!("server {{ listen {asked}; location / {{ return 204; }} }}");
        let first = format!(
            "upstream app {{ server {}; keepalive 256; keepalive_requests 1000000000; }}
            upstream auth {{ server {asked}; keepalive 256; keepalive_requests 1000000000; }}
            server {{
                listen {plain};
                location / {{ auth_request /auth; {PASS} }}
                location = /auth {{
                    internal; proxy_pass http://auth; proxy_http_version 1.1;
                    proxy_set_header Connection ''; proxy_set_header Content-Length '';
                    proxy_pass_request_body off;
                }}
            }}",
            self.application
        );
        let second = self.an_nginx("asked", &second);
        started(vec![self.an_nginx("asking", &first), second], plain, None)
    }

    fn an_nginx(&self, name: &str, servers: &str) -> Child {
        let (folder, threads) = (self.folder.display(), self.threads);
        let config = self.write(
            &format!("{name}.conf"),
            &format!(
                "worker_processes {threads}; daemon off; pid {folder}/{name}.pid;
                error_log stderr error; worker_rlimit_nofile 20000;
                events {{ worker_connections 8192; }}
                http {{
                    access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
                    client_body_temp_path {folder}/{name}-body;
                    proxy_temp_path {folder}/{name}-proxy; fastcgi_temp_path {folder}/{name}-f;
                    uwsgi_temp_path {folder}/{name}-u; scgi_temp_path {folder}/{name}-s;
                    {servers}
                }}"
            ),
        );
        Command::new("nginx").arg("-c").arg(config).stderr(Stdio::null()).spawn().unwrap()
    }

    pub(crate) fn haproxy(&self) -> Server {
        let (plain, tls) = (free(), free());
        let [mut both, key] = [self.certificate(), self.key()].map(|path| fs::read(path).unwrap());
        both.extend(key);
        let both = self.write("haproxy.pem", std::str::from_utf8(&both).unwrap());
        let config = self.write(
            "haproxy.cfg",
            &format!(
                "global
    nbthread {}
    maxconn 8000
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 60s
    http-reuse always
frontend visitors
    bind {plain}
    bind {tls} ssl crt {} alpn h2,http/1.1
    default_backend application
backend application
    server application {}
",
                self.threads,
                both.display(),
                self.application
            ),
        );
        let child = Command::new("haproxy").arg("-f").arg(config).stderr(Stdio::null()).spawn();
        started(vec![child.unwrap()], plain, Some(tls))
    }
}

const PASS: &str = "proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ''; \
                    proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; \
                    proxy_set_header X-Forwarded-Proto $scheme; proxy_max_temp_file_size 0;";

/// The application's host, as visitors know it.
pub(crate) const HOST: &str = "crm.example.com";
pub(crate) const DOORWARD: &str = env!("CARGO_BIN_EXE_doorward");

/// The version of a program that is installed, if it is.
pub(crate) fn installed(program: &str) -> Option<String> {
    let said = Command::new(program).arg("-v").output().ok()?;
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let number = said
        .lines()
        .next()?
        .split([' ', '/'])
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    Some(number.split('-').next()?.to_owned())
}

/// Starts the application, in a process of its own.
pub(crate) fn application() -> Server {
    let address = free();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["application", &address.to_string()])
        .spawn()
        .unwrap();
    started(vec![child], address, None)
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn started(children: Vec<Child>, plain: SocketAddr, tls: Option<SocketAddr>) -> Server {
    let mut server = Server { children, plain, tls };
    while TcpStream::connect(plain).is_err() {
        for child in &mut server.children {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("a server ended before it listened: {status}");
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    server
}

//! `doorward demo`: two small applications, a gateway and three users, in one process.

mod chat;
mod clock;
mod intranet;
mod people;
mod wiki;

use std::fs::DirBuilder;
use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, thread};

use data_encoding::HEXLOWER;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use self::people::Alan;
use super::failure::{Failure, unwritten};
use super::log;
use super::serve::{Gateway, World};
use crate::config::Config;
use crate::os;

/// Runs the demo on `http://localhost:port` until it is stopped, and leaves nothing behind.
///
/// # Errors
/// Why it did not start, for the operator.
pub(super) fn run(port: u16, out: &mut dyn Write) -> Result<(), Failure> {
    let world = World::real();
    let home = Home::make(&world)?;
    let system = |error: io::Error| Failure::new("cannot start the demo").because(error);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(system)?;

    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(system)?;
    let intranet = listener.local_addr().map_err(system)?;
    let router = intranet::router(Arc::clone(&world.clock));
    runtime.spawn(async move { axum::serve(listener, router).await });
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(system)?;
    let wiki = listener.local_addr().map_err(system)?;
    let router = wiki::router(&format!("http://localhost:{port}"));
    runtime.spawn(async move { axum::serve(listener, router).await });

    let file = home.0.join("doorward.yaml");
    fs::write(&file, configuration(port, &home.0.join("state"), intranet, wiki)).map_err(system)?;
    let config = Config::load(&os::environment, &file).map_err(|problems| {
        Failure::new("the demo's configuration is not valid").because(problems)
    })?;
    log::start(config.log);
    let gateway = Gateway::start(config, world).map_err(|error| {
        Failure::new("cannot start the gateway of the demo")
            .because_of(&error)
            .cure("if the port is taken, choose another: doorward demo --port 8081")
    })?;
    let alan = runtime.block_on(people::move_in(&gateway.env()))?;

    let command = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("doorward"));
    write!(out, "{}", welcome(port, &file, &command)).map_err(unwritten)?;
    out.flush().map_err(unwritten)?;
    let end = runtime.block_on(wait(&alan, &gateway, out));
    writeln!(out, "\nThe demo has ended, and its files are deleted.").ok();
    // The gateway waits for requests in progress, and a chat would last until the limit.
    runtime.shutdown_background();
    gateway.stop();
    end.map_err(system)
}

/// Prints a code at each Enter, until Ctrl-C or SIGTERM.
async fn wait(alan: &Alan, gateway: &Gateway, out: &mut dyn Write) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut enter = lines_typed();
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            () = next(&mut enter) => {
                match gateway.env().now() {
                    Ok(now) => writeln!(out, "{}", alan.shows(now))?,
                    Err(error) => writeln!(out, "No code: {error}.")?,
                }
            }
        }
    }
}

/// The next line that is typed; never, without a terminal.
async fn next(enter: &mut mpsc::Receiver<()>) {
    if enter.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// A separate thread reads the terminal: it cannot be interrupted, and ends with the process.
fn lines_typed() -> mpsc::Receiver<()> {
    let (typed, lines) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if line.is_err() || typed.blocking_send(()).is_err() {
                break;
            }
        }
    });
    lines
}

/// A folder for the state of this demo; deleted at the end.
struct Home(PathBuf);

impl Home {
    fn make(world: &World) -> Result<Self, Failure> {
        let mut name = [0; 8];
        world.rng.draw(|rng| rng.fill_bytes(&mut name));
        let path = std::env::temp_dir().join(format!("doorward-demo-{}", HEXLOWER.encode(&name)));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => {
                Err(Failure::new(format!("cannot create {}", path.display())).because(error))
            }
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be deleted stays in the temporary folder, closed to others.
        fs::remove_dir_all(&self.0).ok();
    }
}

fn configuration(port: u16, state: &Path, intranet: SocketAddr, wiki: SocketAddr) -> String {
    // A JSON string is also a YAML string.
    let state = serde_json::Value::from(state.display().to_string());
    format!(
        "\
# The configuration of this demo. `otherwise` is for all paths without a rule.
listen:
  - address: 127.0.0.1:{port}
state: {state}
# People sign in on the host of the intranet, once for both.
portal: http://localhost:{port}
apps:
  - name: intranet
    hosts: [\"http://localhost:{port}\"]
    upstream: http://{intranet}
    rules:
      - {{ paths: [/news, /style.css], require: nothing }}
      - {{ paths: [/payroll/], require: second-factor }}
      - paths: [/bank/]
        require: {{ second_factor: {{ within: 1m, trusted_device: false }} }}
    otherwise: sign-in
  - name: wiki
    hosts: [\"http://wiki.localhost:{port}\"]
    upstream: http://{wiki}
    rules:
      - paths: [/plans/]
        require: {{ second_factor: {{ trusted_device: false }} }}
    otherwise: sign-in
second_factor:
  totp: {{ issuer: Doorward demo }}
log: {{ level: warn }}
"
    )
}

fn welcome(port: u16, file: &Path, command: &Path) -> String {
    let origin = format!("http://localhost:{port}");
    let people = people::EVERYBODY
        .map(|person| format!("  {:6} {:24} {}\n", person.name, person.password, person.story));
    let people = people.concat();
    let (file, command) = (file.display(), command.display());
    format!(
        "
An old intranet, behind Doorward:

  {origin}

Users and their passwords:

{people}
What to try:

  {origin}/news        is open to everybody
  {origin}/            asks you to sign in, and shows what the application receives
  {origin}/chat        uses a WebSocket: sign out in another window, and it ends
  {origin}/clock       uses an event stream, which ends in the same way
  {origin}/payroll/    requires a second factor, or a trusted device
  {origin}/bank/       requires a code from the last minute, even on a trusted device
  {origin}/.doorward/  shows who you are, with links to your devices and sessions
  http://wiki.localhost:{port}/  is another application: one sign-in is enough for both

The configuration:

  {file}

Commands for operators, in another terminal:

  {command} user list --config {file}
  {command} explain --url {origin}/bank/ --config {file}
  {command} reload --config {file}

Press Enter for the code that Alan's phone shows now, Ctrl-C to stop.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_of_the_demo_is_valid() {
        let text = configuration(
            8080,
            Path::new("/tmp/it's \"here\""),
            ([127, 0, 0, 1], 9).into(),
            ([127, 0, 0, 1], 7).into(),
        );
        let config = Config::read("demo", &text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.state, Path::new("/tmp/it's \"here\""));
    }

    #[test]
    fn the_welcome_names_people_places_and_the_configuration() {
        insta::assert_snapshot!(welcome(
            8080,
            Path::new("/tmp/doorward-demo-0/doorward.yaml"),
            Path::new("doorward")
        ));
    }
}

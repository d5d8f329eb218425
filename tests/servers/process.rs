//! Servers as processes: each with a port and a folder of its own, ended with the test.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::free_address::free_address;

/// A server that runs, with whatever it needs beside it.
pub(crate) struct Server {
    pub address: SocketAddr,
    processes: Vec<Child>,
    home: TempDir,
}

impl Server {
    /// Starts what `prepare` makes ready, and waits until it takes connections.
    pub(crate) fn start(prepare: impl FnOnce(&mut Self) -> Command) -> Self {
        let home = tempfile::tempdir().unwrap();
        // Who serves may be another user than we are.
        open_to_all(home.path());
        let mut server = Self { address: free_address(), processes: Vec::new(), home };
        let command = prepare(&mut server);
        let address = server.address;
        server.runs(command, || TcpStream::connect(address).is_ok());
        server
    }

    /// Starts what the server needs, which listens on `socket`.
    pub(crate) fn needs(&mut self, command: Command, socket: &Path) {
        self.runs(command, || UnixStream::connect(socket).is_ok());
    }

    fn runs(&mut self, mut command: Command, is_ready: impl Fn() -> bool) {
        let errors = std::fs::File::create(self.home.path().join("stderr.log")).unwrap();
        // In a group of its own: apache ends with everybody in its group.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{command:?}: {error}; is a package missing? Run .ci/needs test")
        });
        self.processes.push(child);
        while !is_ready() {
            if let Some(ended) = self.processes.last_mut().unwrap().try_wait().unwrap() {
                let logs = ["stderr.log", "error.log"].map(|name| self.home.path().join(name));
                let logs = logs.map(|log| std::fs::read_to_string(log).unwrap_or_default());
                panic!(
                    "{command:?} ended: {ended}; is a package missing? Run .ci/needs test\n{}",
                    logs.concat()
                );
            }
            // Nothing depends on how long this is: it leaves the processor to the server.
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// The folder of its files.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file into its folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        for folder in Path::new(name).ancestors().skip(1) {
            let folder = self.home.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            open_to_all(&folder);
        }
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes a configuration in which `@HOME@`, `@SITE@`, `@ADDRESS@`, `@PORT@` and the names of
    /// `more` stand for something.
    pub(crate) fn configures(&self, name: &str, text: &str, more: &[(&str, &str)]) -> PathBuf {
        let home = self.home.path().display().to_string();
        let mut text = text.to_owned();
        for (key, value) in more {
            text = text.replace(key, value);
        }
        text = text.replace("@SITE@", &format!("{home}/site")).replace("@HOME@", &home);
        text = text.replace("@ADDRESS@", &self.address.to_string());
        self.write(name, &text.replace("@PORT@", &self.address.port().to_string()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            // As an operator ends it: apache ends its children then.
            let told = Command::new("kill").arg(process.id().to_string()).status();
            if !told.is_ok_and(|status| status.success()) {
                process.kill().ok();
            }
            process.wait().ok();
        }
    }
}

fn open_to_all(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Makes a file a program.
pub(crate) fn is_run(file: &Path) {
    open_to_all(file);
}

pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The program whose name begins with `name`; Debian's PHP has its version in it.
pub(crate) fn found(name: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"].map(Path::new);
    if let Some(path) = folders.iter().map(|folder| folder.join(name)).find(|path| path.exists()) {
        return path;
    }
    file_in(&folders, name)
}

/// The file in one of `folders` whose name begins with `name`.
pub(crate) fn file_in(folders: &[&Path], name: &str) -> PathBuf {
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let mut paths = entries.map(|entry| entry.unwrap()).filter_map(|entry| {
        entry.file_name().to_string_lossy().starts_with(name).then(|| entry.path())
    });
    paths.next().unwrap_or_else(|| panic!("{name} is missing: run .ci/needs test"))
}

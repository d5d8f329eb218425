//! Files behind apache2 with `mod_dav`, on a port of its own.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::free_address::free_address;

/// What stands in protected files alone.
pub(crate) const SECRET: &str = "this-is-protected";

/// Every file, and what is in it at first.
const SITE: [(&str, &str); 4] = [
    ("pub/a.html", "planted"),
    ("admin/rules.txt", SECRET),
    ("data/secret/s.txt", SECRET),
    ("data/open.txt", "open"),
];

pub(crate) struct Files {
    pub address: SocketAddr,
    process: Child,
    home: TempDir,
}

impl Files {
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let address = free_address();
        let at = home.path().display();
        let user = if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            "User www-data\nGroup www-data\n"
        } else {
            ""
        };
        let modules = "/usr/lib/apache2/modules";
        let config = format!(
            "ServerRoot {at}\nServerName localhost\nListen {address}\nPidFile {at}/pid\n\
             ErrorLog {at}/error.log\n{user}\
             LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so\n\
             LoadModule authz_core_module {modules}/mod_authz_core.so\n\
             LoadModule dir_module {modules}/mod_dir.so\n\
             LoadModule mime_module {modules}/mod_mime.so\n\
             LoadModule dav_module {modules}/mod_dav.so\n\
             LoadModule dav_fs_module {modules}/mod_dav_fs.so\n\
             StartServers 2\nMaxRequestWorkers 4\nTypesConfig /dev/null\nDAVLockDB {at}/locks\n\
             DocumentRoot {at}/site\nDavDepthInfinity On\n\
             <Directory {at}/site>\nDav On\nRequire all granted\n</Directory>\n"
        );
        open_to_all(home.path());
        let file = home.path().join("apache.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(apache());
        command.args(["-D", "FOREGROUND", "-f"]).arg(file);
        // In a group of its own: apache ends with everybody in its group.
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let mut files = Self { address, process, home };
        files.restore();
        while TcpStream::connect(address).is_err() {
            if let Some(ended) = files.process.try_wait().unwrap() {
                let log = std::fs::read_to_string(files.home.path().join("error.log"));
                panic!("the server ended: {ended}: {log:?}");
            }
            std::thread::yield_now();
        }
        files
    }

    /// Puts everything back as it was at first.
    pub(crate) fn restore(&self) {
        for folder in ["", "pub", "admin", "data", "data/secret", "out"] {
            std::fs::create_dir_all(self.site().join(folder)).unwrap();
            open_to_all(&self.site().join(folder));
        }
        for (file, text) in SITE {
            let file = self.site().join(file);
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
        }
    }

    /// Every file that lies protected, and what is in it.
    pub(crate) fn protected(&self) -> BTreeMap<String, String> {
        let mut files = self.files();
        files.retain(|file, _| is_protected(file));
        files
    }

    /// Every other file in which something protected stands.
    pub(crate) fn leaked(&self) -> Vec<String> {
        let leaked = |(file, text): &(String, String)| !is_protected(file) && text.contains(SECRET);
        self.files().into_iter().filter(leaked).map(|(file, _)| file).collect()
    }

    fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.site()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.site()).unwrap().display().to_string();
                if path.is_dir() && !path.ends_with(".DAV") {
                    folders.push(path);
                } else if path.is_file() {
                    files.insert(name, String::from_utf8(std::fs::read(path).unwrap()).unwrap());
                }
            }
        }
        files
    }

    fn site(&self) -> PathBuf {
        self.home.path().join("site")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let told = Command::new("kill").arg(self.process.id().to_string()).status();
        if !told.is_ok_and(|status| status.success()) {
            self.process.kill().ok();
        }
        self.process.wait().ok();
    }
}

fn is_protected(file: &str) -> bool {
    file.starts_with("admin/") || file.starts_with("data/secret/")
}

fn open_to_all(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
}

fn apache() -> PathBuf {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin"].into_iter();
    folders
        .map(|folder| Path::new(folder).join("apache2"))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("apache2 is missing: run .ci/needs test"))
}

//! Servers from Debian's packages, each on a port of its own, with the same site.
//!
//! `/admin/…` and every `secret.php` answer with [`MARK`]; below `/echo` the target comes back in
//! brackets, as it arrived.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// What only a protected handler says.
pub(crate) const MARK: &str = "this-is-the-protected-handler";

pub(crate) struct Server {
    pub address: SocketAddr,
    process: Child,
    home: TempDir,
}

impl Server {
    pub(crate) fn apache() -> Self {
        Self::start(|home, address| {
            site(home);
            let modules = Path::new("/usr/lib/apache2/modules");
            let php = std::fs::read_dir(modules)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .find(|path| path.to_string_lossy().contains("libphp"))
                .unwrap_or_else(|| panic!("PHP for apache2 is missing: run .ci/needs test"));
            let at = home.display();
            let user = if is_root() { "User www-data\nGroup www-data\n" } else { "" };
            let modules = modules.display();
            let config = format!(
                "ServerRoot {at}\nServerName localhost\nListen {address}\nPidFile {at}/pid\n\
                 ErrorLog {at}/error.log\n{user}\
                 LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so\n\
                 LoadModule authz_core_module {modules}/mod_authz_core.so\n\
                 LoadModule dir_module {modules}/mod_dir.so\n\
                 LoadModule mime_module {modules}/mod_mime.so\n\
                 LoadModule alias_module {modules}/mod_alias.so\n\
                 LoadModule php_module {}\n\
                 StartServers 2\nMaxRequestWorkers 8\nAllowEncodedSlashes NoDecode\n\
                 DocumentRoot {at}/site\n<Directory {at}/site>\nRequire all granted\n</Directory>\n\
                 AliasMatch ^/echo {at}/site/echo.php\nAliasMatch ^/admin(/.*)?$ {at}/site/mark.php\n\
                 DirectoryIndex index.php\n\
                 <FilesMatch \\.php$>\nSetHandler application/x-httpd-php\n</FilesMatch>\n\
                 TypesConfig /dev/null\n",
                php.display()
            );
            let file = write(home, "apache.conf", &config);
            let mut command = Command::new(found("apache2"));
            command.args(["-D", "FOREGROUND", "-f"]).arg(file);
            command
        })
    }

    pub(crate) fn nginx() -> Self {
        Self::start(|home, address| {
            site(home);
            let at = home.display();
            let user = if is_root() { "user root;" } else { "" };
            let config = format!(
                "{user}\ndaemon off;\npid {at}/pid;\nerror_log {at}/error.log;\nworker_processes 1;\n\
                 events {{ worker_connections 64; }}\nhttp {{\naccess_log off;\n\
                 client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;\n\
                 uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\nserver {{\nlisten {address};\n\
                 merge_slashes on;\n\
                 location /echo {{ return 200 \"[$request_uri]\"; }}\n\
                 location /admin {{ return 200 \"{MARK}\"; }}\n\
                 location ~ /secret\\.php$ {{ return 200 \"{MARK}\"; }}\n\
                 location / {{ return 404; }}\n}}\n}}\n"
            );
            let file = write(home, "nginx.conf", &config);
            let mut command = Command::new(found("nginx"));
            command.arg("-c").arg(file).arg("-e").arg(home.join("error.log"));
            command
        })
    }

    pub(crate) fn wsgi() -> Self {
        Self::start(|home, address| {
            let script = format!(
                "
import http.server, socketserver, wsgiref.simple_server as s, posixpath
def site(environ, start):
    path = environ['PATH_INFO'].encode('latin-1').decode('utf-8', 'replace')
    raw = environ['RAW']
    clean = posixpath.normpath(path.replace('\\\\', '/').lower())
    while clean.startswith('//'): clean = clean[1:]
    if raw.startswith('/echo'): body = '[' + raw + ']'
    elif clean == '/admin' or clean.startswith('/admin/') or clean.endswith('/secret.php'): body = '{MARK}'
    else: body = 'nothing'
    body = body.encode('latin-1', 'replace')
    start('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
class Handler(s.WSGIRequestHandler):
    def get_environ(self):
        environ = super().get_environ()
        environ['RAW'] = self.requestline.split(' ')[1]
        return environ
    def log_message(self, *a): pass
class Server(socketserver.ThreadingMixIn, s.WSGIServer): daemon_threads = True
server = Server(('127.0.0.1', {}), Handler)
server.set_app(site)
server.serve_forever()
",
                address.port()
            );
            let file = write(home, "site.py", &script);
            let mut command = Command::new("python3");
            command.arg(file);
            command
        })
    }

    fn start(prepare: impl FnOnce(&Path, SocketAddr) -> Command) -> Self {
        let home = tempfile::tempdir().unwrap();
        // Whoever serves may be somebody else than we are.
        open_to_all(home.path());
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = prepare(home.path(), address);
        // In a group of its own: apache ends with everybody in its group.
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let mut server = Self { address, process, home };
        while TcpStream::connect(address).is_err() {
            if let Some(ended) = server.process.try_wait().unwrap() {
                let log = std::fs::read_to_string(server.home.path().join("error.log"));
                panic!("the server ended: {ended}: {log:?}");
            }
            std::thread::yield_now();
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is told as an operator would: apache ends its children then.
        let told = Command::new("kill").arg(self.process.id().to_string()).status();
        if !told.is_ok_and(|status| status.success()) {
            self.process.kill().ok();
        }
        self.process.wait().ok();
    }
}

fn site(home: &Path) {
    let site = home.join("site");
    for folder in ["", "x"] {
        std::fs::create_dir_all(site.join(folder)).unwrap();
        open_to_all(&site.join(folder));
    }
    let mark = format!("<?php echo '{MARK}';");
    for name in ["mark.php", "x/secret.php"] {
        write(&site, name, &mark);
    }
    write(&site, "echo.php", "<?php echo '[' . $_SERVER['REQUEST_URI'] . ']';");
    write(
        &site,
        "wp-login.php",
        "<?php setcookie('wordpress_test_cookie', 'WP Cookie check'); header('X-Redirect-By: \
         WordPress'); echo json_encode(['user' => $_SERVER['HTTP_REMOTE_USER'] ?? null, 'post' => \
         $_POST, 'get' => $_GET, 'cookie' => $_COOKIE, 'file' => isset($_FILES['f']) ? \
         md5_file($_FILES['f']['tmp_name']) : null, 'as' => $_SERVER['REQUEST_METHOD'], 'type' => \
         $_SERVER['CONTENT_TYPE'] ?? null]);",
    );
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn found(name: &str) -> PathBuf {
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is missing: run .ci/needs test"))
}

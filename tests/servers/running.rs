//! Three servers from Debian's packages, each with the same site.
//!
//! `/admin/…` and every `secret.php` answer with [`MARK`]; below `/echo` the target comes back in
//! brackets, as it arrived.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Server, file_in, found, is_root};

/// What only a protected handler says.
pub(crate) const MARK: &str = "this-is-the-protected-handler";

const MODULES: &str = "/usr/lib/apache2/modules";

impl Server {
    pub(crate) fn apache() -> Self {
        Self::start(|server| {
            let mark = format!("<?php echo '{MARK}';");
            server.write("site/mark.php", &mark);
            server.write("site/x/secret.php", &mark);
            server.write("site/echo.php", "<?php echo '[' . $_SERVER['REQUEST_URI'] . ']';");
            server.write("site/wp-login.php", include_str!("sites/wp-login.php"));
            apache_with(server, include_str!("sites/echo-apache.conf"), &[])
        })
    }

    pub(crate) fn nginx() -> Self {
        Self::start(|server| {
            nginx_with(server, include_str!("sites/echo-nginx.conf"), &[("@MARK@", MARK)])
        })
    }

    pub(crate) fn wsgi() -> Self {
        Self::start(|server| {
            let site = include_str!("sites/echo.py");
            let site = server.configures("site.py", site, &[("@MARK@", MARK)]);
            let mut command = Command::new(found("python3"));
            command.arg(site);
            command
        })
    }
}

/// apache2 with this configuration, in which `@LIBPHP@` stands for PHP's module.
pub(crate) fn apache_with(server: &Server, config: &str, more: &[(&str, &str)]) -> Command {
    let user = if is_root() { "User www-data\nGroup www-data" } else { "" };
    let php = libphp().display().to_string();
    let more = [more, &[("@USER@", user), ("@MODULES@", MODULES), ("@LIBPHP@", &php)]].concat();
    let file = server.configures("apache.conf", config, &more);
    let mut command = Command::new(found("apache2"));
    command.args(["-D", "FOREGROUND", "-f"]).arg(file);
    command
}

/// nginx with this configuration.
pub(crate) fn nginx_with(server: &Server, config: &str, more: &[(&str, &str)]) -> Command {
    let user = if is_root() { "user root;" } else { "" };
    let file = server.configures("nginx.conf", config, &[more, &[("@USER@", user)]].concat());
    let mut command = Command::new(found("nginx"));
    command.arg("-c").arg(file).arg("-e").arg(server.home().join("error.log"));
    command
}

fn libphp() -> PathBuf {
    file_in(&[Path::new(MODULES)], "libphp")
}

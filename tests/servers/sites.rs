//! Servers and frameworks that people run, each with one site whose handlers say who they are.
//!
//! Every handler answers with `RAN` and the path that it stands for: `/admin.php`, `/panel/users`.
//! So a test can ask a server itself what a request runs there. Scripts have that line in their
//! source, too: who is shown the source is shown the line. A server that finds nothing may fall back
//! upon an index file: `FELL BACK /index.php`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Server, found, is_root, is_run};
use super::running::{apache_with, nginx_with};

/// A server with its site.
pub(crate) struct Site {
    pub server: Server,
    /// What the handlers of the site stand for.
    pub handlers: Vec<&'static str>,
    /// How many requests may be made up for each handler: fewer where each starts a process.
    pub rounds: usize,
}

/// How many requests are made up for each handler, beside those that are the same each time.
const ROUNDS: usize = 80;

/// Scripts of PHP. One `index.php` routes in a folder, see `sites/front.php`.
const SCRIPTS: &[&str] = &[
    "/admin.php",
    "/secret.php",
    "/xmlrpc.php",
    "/public.php",
    "/panel2/index.php",
    "/admin/index.php",
    "/admin/users.php",
    "/app/admin.php",
];

/// What the front controllers know.
const FRONT: &[&str] = &["/index.php", "/panel/users", "/users/5", "/app/index.php"];

/// Programs of the folder for CGI.
const PROGRAMS: &[&str] = &["/cgi-bin/secret.cgi", "/cgi-bin/open.cgi", "/cgi-bin/tool"];

/// What the routes of the frameworks know.
const ROUTES: &[&str] = &["/", "/secret", "/panel/users", "/users", "/users/5", "/static/app.js"];

/// Where frameworks differ: whether the canonical address of a place ends in a slash.
const ADMIN: &[&str] = &["/admin", "/admin/settings"];
const ADMIN_FOLDER: &[&str] = &["/admin/", "/admin/settings"];
const ADMIN_FOLDERS: &[&str] = &["/admin/", "/admin/settings/"];

/// PHP's own server, in the folder of the site.
pub(crate) fn php_builtin() -> Site {
    files(ROUNDS, &[SCRIPTS, FRONT], |server| {
        let mut command = php(server);
        command.arg("-t").arg(server.home().join("site"));
        command
    })
}

/// PHP's own server with a script that routes, as Laravel and Symfony have one.
pub(crate) fn php_router() -> Site {
    files(ROUNDS, &[SCRIPTS, FRONT], |server| {
        let router = server.write("site/router.php", include_str!("sites/router.php"));
        let mut command = php(server);
        command.arg("-t").arg(server.home().join("site")).arg(router);
        command
    })
}

/// nginx as Laravel's documentation has it: what is no file goes to the front controller.
pub(crate) fn nginx_try_files() -> Site {
    nginx_fpm(
        "location / { try_files $uri $uri/ /index.php?$args; }
         location ~ \\.php$ { fastcgi_pass unix:@HOME@/fpm.sock; }",
    )
}

/// nginx as its documentation splits a script from what stands behind it.
pub(crate) fn nginx_path_info() -> Site {
    nginx_fpm(
        "location ~ \\.php {
             fastcgi_split_path_info ^(.+?\\.php)(/.*)$;
             fastcgi_pass unix:@HOME@/fpm.sock;
         }",
    )
}

/// nginx where addresses do without `.php`.
pub(crate) fn nginx_extension() -> Site {
    nginx_fpm(
        "location / { try_files $uri $uri.html $uri/ @script; }
         location @script { rewrite ^(.*)$ $1.php last; }
         location ~ \\.php$ { fastcgi_pass unix:@HOME@/fpm.sock; }",
    )
}

/// apache with PHP inside, and a folder for CGI.
pub(crate) fn apache_php() -> Site {
    apache(ROUNDS, "", MOD_PHP)
}

/// The same where apache looks for what a name could mean.
pub(crate) fn apache_multiviews() -> Site {
    let php = format!("{MOD_PHP}\nAddType application/x-httpd-php .php");
    apache(ROUNDS, "+MultiViews", &php)
}

/// apache that starts PHP for each request.
pub(crate) fn apache_cgi() -> Site {
    apache(
        40,
        "",
        "ScriptAlias /php-cgi/ /usr/bin/\n<Directory /usr/bin>\nRequire all granted\n</Directory>\n\
         Action application/x-httpd-php /php-cgi/php-cgi\nAddHandler application/x-httpd-php .php",
    )
}

/// apache before PHP-FPM, as Debian's `php-fpm.conf` has it.
pub(crate) fn apache_fpm() -> Site {
    apache(
        ROUNDS,
        "",
        "<FilesMatch \".+\\.ph(?:ar|p|tml)$\">\n\
         SetHandler \"proxy:unix:@HOME@/fpm.sock|fcgi://localhost\"\n</FilesMatch>",
    )
}

/// lighttpd with PHP, and a folder for CGI.
pub(crate) fn lighttpd() -> Site {
    files(ROUNDS, &[SCRIPTS, FRONT, PROGRAMS], |server| {
        let config = include_str!("sites/lighttpd.conf");
        let file = server.configures("lighttpd.conf", config, &[]);
        found("php-cgi");
        let mut command = Command::new(found("lighttpd"));
        command.arg("-D").arg("-f").arg(file);
        command
    })
}

/// Python's own server of CGI.
pub(crate) fn python_cgi() -> Site {
    files(60, &[PROGRAMS], |server| {
        python("cgi_server.py", server, &[&server.home().join("site").display().to_string()])
    })
}

/// A framework of Python's, see `sites/frameworks.py`.
pub(crate) fn framework(name: &str) -> Site {
    let admin = match name {
        "flask" | "starlette" | "cherrypy" => ADMIN_FOLDER,
        "django" => ADMIN_FOLDERS,
        _ => ADMIN,
    };
    routes(admin, |server| python("frameworks.py", server, &[name]))
}

/// `FastAPI`, as .ci/registries installs it.
pub(crate) fn fastapi() -> Site {
    routes(ADMIN, |server| {
        let python = from_registries("python/bin/python");
        python_of(&python, "frameworks.py", server, &["fastapi"])
    })
}

/// Express 4 for node.
pub(crate) fn express() -> Site {
    node("express.js", Path::new("/usr/share/nodejs"))
}

/// A framework for node, as .ci/registries installs it.
pub(crate) fn npm(script: &str) -> Site {
    node(script, &from_registries("node/node_modules"))
}

pub(crate) fn sinatra() -> Site {
    ruby("sinatra.rb")
}

/// The router of Rails.
pub(crate) fn rails() -> Site {
    ruby("rails.rb")
}

/// Tomcat with servlets.
pub(crate) fn tomcat() -> Site {
    java("TomcatSite.java", "tomcat10-embed-core.jar")
}

/// Jetty with servlets.
pub(crate) fn jetty() -> Site {
    java(
        "JettySite.java",
        "servlet-api.jar:jetty9-server.jar:jetty9-servlet.jar:jetty9-util.jar:jetty9-http.jar:\
         jetty9-io.jar:jetty9-security.jar:jetty9-util-ajax.jar",
    )
}

const MOD_PHP: &str = "LoadModule php_module @LIBPHP@\n<FilesMatch \".+\\.ph(?:ar|p|tml)$\">\n\
                       SetHandler application/x-httpd-php\n</FilesMatch>";

fn nginx_fpm(php: &str) -> Site {
    files(ROUNDS, &[SCRIPTS, FRONT], |server| {
        starts_fpm(server);
        nginx_with(server, include_str!("sites/nginx.conf"), &[("@PHP@", php)])
    })
}

fn apache(rounds: usize, options: &str, php: &str) -> Site {
    files(rounds, &[SCRIPTS, FRONT, PROGRAMS], |server| {
        if php.contains("fpm.sock") {
            starts_fpm(server);
        }
        if php.contains("php-cgi") {
            found("php-cgi");
        }
        let more = [("@PHP@", php), ("@OPTIONS@", options)];
        apache_with(server, include_str!("sites/apache.conf"), &more)
    })
}

/// A site of files.
fn files(
    rounds: usize,
    handlers: &[&[&'static str]],
    serve: impl FnOnce(&mut Server) -> Command,
) -> Site {
    let server = Server::start(|server| {
        for script in SCRIPTS {
            let text = include_str!("sites/script.php").replace("@SELF@", script);
            server.write(&format!("site{script}"), &text);
        }
        for folder in ["", "/app"] {
            let front = include_str!("sites/front.php").replace("@FOLDER@", folder);
            server.write(&format!("site{folder}/index.php"), &front);
        }
        for program in PROGRAMS {
            let text = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\necho \"RAN ";
            is_run(&server.write(&format!("site{program}"), &format!("{text}{program}\"\n")));
        }
        for page in ["about.html", "docs/index.html", "static/app.js", "static/v1.2/app.js"] {
            server.write(&format!("site/{page}"), "a page for everybody");
        }
        serve(server)
    });
    Site { server, handlers: handlers.concat(), rounds }
}

/// A site of routes.
fn routes(admin: &[&'static str], serve: impl FnOnce(&mut Server) -> Command) -> Site {
    Site { server: Server::start(serve), handlers: [ROUTES, admin].concat(), rounds: ROUNDS }
}

fn php(server: &Server) -> Command {
    let mut command = Command::new(found("php"));
    command.arg("-S").arg(server.address.to_string());
    command
}

fn ruby(script: &str) -> Site {
    routes(ADMIN, |server| {
        let mut command = Command::new("/usr/bin/ruby");
        command.arg(source(script)).arg(server.address.port().to_string());
        command
    })
}

/// A program of one file, compiled as it starts.
fn java(program: &str, jars: &str) -> Site {
    let jars: Vec<_> = jars.split(':').map(|jar| format!("/usr/share/java/{jar}")).collect();
    routes(ADMIN, |server| {
        let mut command = Command::new(found("java"));
        command.arg("-cp").arg(jars.join(":")).arg(source(program));
        command.arg(server.address.port().to_string()).arg(server.home());
        command
    })
}

/// A program for node, with the packages in this folder.
fn node(script: &str, packages: &Path) -> Site {
    routes(ADMIN, |server| {
        let mut command = Command::new("node");
        command.env("NODE_PATH", packages).arg(source(script));
        command.arg(server.address.port().to_string());
        command
    })
}

/// Debian's own Python: it has Debian's packages.
fn python(script: &str, server: &Server, arguments: &[&str]) -> Command {
    python_of(Path::new("/usr/bin/python3"), script, server, arguments)
}

fn python_of(python: &Path, script: &str, server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(python);
    command.arg("-B").arg(source(script)).arg(server.address.port().to_string()).args(arguments);
    command
}

fn starts_fpm(server: &mut Server) {
    let user = if is_root() { "user = www-data\ngroup = www-data" } else { "" };
    let file = server.configures("fpm.conf", include_str!("sites/fpm.conf"), &[("@USER@", user)]);
    let mut command = Command::new(found("php-fpm"));
    command.arg("-F").arg("-y").arg(file);
    server.needs(command, &server.home().join("fpm.sock"));
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/sites").join(name)
}

/// What .ci/registries installs.
pub(super) fn from_registries(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers").join(name);
    assert!(path.exists(), "{} is missing: run .ci/registries", path.display());
    path
}

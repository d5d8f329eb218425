//! Validates the apps.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::written::{self, List, Spelling};
use crate::config::{App, KeyPair, Origin, SignOutLink, Upstream};
use crate::domain::assurance::Requirement;
use crate::domain::secret::Secret;
use crate::policy::pattern::Pattern;
use crate::policy::{Options, Parameter, Policy, Rule};

use super::outline::{Outline, Outlines};
use super::{Judge, below, items};

/// The default folder of scripts on common servers (Apache's `ScriptAlias`).
const CGI: &str = "/cgi-bin/";

impl Judge<'_> {
    /// Reads all apps: what is known of them and, if none was refused, the apps themselves.
    pub(super) fn apps(&mut self, apps: &List<written::App>) -> (Outlines, Option<Vec<Arc<App>>>) {
        if apps.is_empty() {
            self.refuse_empty("apps", "add one; config/minimal.yaml shows one");
        }
        let mut names: BTreeMap<&str, String> = BTreeMap::new();
        for (at, app) in items("apps", apps) {
            let Some(name) = app.name.as_deref() else { continue };
            if let Some(first) = names.insert(name, at.clone()) {
                let what = format!("{first} has the name `{name}`, too");
                self.refuse(&below(&at, "name"), what, "give each application a name of its own");
            }
        }
        // Read all of them, so that all problems are found.
        let mut outlines = Outlines::default();
        let mut all = Vec::with_capacity(apps.len());
        for (index, app) in apps.iter().enumerate() {
            let read = app.as_ref().and_then(|app| {
                let (outline, app) = self.app(index, app);
                outlines.all.push(outline);
                app
            });
            all.push(read.map(Arc::new));
        }
        let known = outlines.all.len() == apps.len() && !apps.is_empty();
        outlines.is_complete = known && outlines.all.iter().all(Outline::has_all_hosts);
        let all = all.into_iter().collect::<Option<Vec<_>>>();
        (outlines, all.filter(|apps| !apps.is_empty()))
    }

    fn app(&mut self, index: usize, app: &written::App) -> (Outline, Option<App>) {
        let at = &*format!("apps[{index}]");
        let insecure = app.insecure || self.has_refused(&below(at, "insecure"));
        let hosts = app.hosts.as_ref();
        let hosts = hosts.map(|hosts| self.hosts(&below(at, "hosts"), hosts, insecure));
        let upstreams = app.upstream.as_ref();
        let upstreams = upstreams.map(|written| self.upstreams(&below(at, "upstream"), written));
        let (known, upstreams) = match upstreams {
            Some(Ok(upstreams)) => (upstreams.clone(), Some(upstreams)),
            Some(Err(known)) => (known, None),
            None => (Vec::new(), None),
        };
        let certificate = app.tls.as_ref().and_then(|tls| {
            self.key_pair(&below(at, "tls"), tls.certificate.as_deref(), tls.key.as_deref())
        });
        let outline = Outline {
            index,
            hosts: hosts.unwrap_or_default(),
            upstreams: known,
            has_certificate: certificate.is_some() || self.has_refused_below(&below(at, "tls")),
        };
        let app = self.app_of(at, app, &outline, upstreams, certificate);
        (outline, app)
    }

    /// The app, whose hosts, upstreams and certificate were read already.
    fn app_of(
        &mut self,
        at: &str,
        app: &written::App,
        outline: &Outline,
        upstreams: Option<Vec<Upstream>>,
        certificate: Option<KeyPair>,
    ) -> Option<App> {
        let name = app.name.as_deref().and_then(|name| self.name(&below(at, "name"), name));
        let hosts = outline.has_all_hosts().then(|| outline.hosts.iter().flatten().cloned());
        let reach = self.reach(at, app, upstreams.as_deref());
        let rules = self.rules(&below(at, "rules"), &app.rules);
        let mut otherwise = None;
        if let Some(written) = &app.otherwise {
            let at = below(at, "otherwise");
            otherwise = self.requirement(&at, written);
            let takes_all = |rule: &Rule| {
                rule.enforce && rule.is_free() && rule.paths.iter().any(Pattern::takes_all)
            };
            if rules.iter().any(takes_all) {
                self.warn(&at, "never applies: an earlier rule matches every path");
            }
        }
        if app.enforce == Some(false) {
            let what = "observe mode: what would be refused is logged and let through";
            self.warn(&below(at, "enforce"), what);
        }
        let scripts = self.scripts(&below(at, "scripts"), app.scripts.as_ref());
        let options = Options {
            scripts,
            case_sensitive: app.case_sensitive,
            strict_spelling: app.spelling == Some(Spelling::Strict),
            webdav: app.webdav,
        };
        self.warn_of_webdav(at, app.webdav, &rules);
        let safe_methods = self.safe_methods(&below(at, "safe_methods"), &app.safe_methods, &rules);
        let policy =
            Policy::with(rules, otherwise.unwrap_or(Requirement::second_factor()), options)
                .with_safe_methods(safe_methods);
        let headers = self.identity_headers(&below(at, "identity_headers"), app);
        let told = headers.clone().unwrap_or_default();
        let request_headers =
            self.request_headers(&below(at, "request_headers"), &app.request_headers, &told);
        let secret = self.upstream_secret(at, app);
        let sign_out_paths = self.sign_out_links(&below(at, "sign_out_paths"), &app.sign_out_paths);
        Some(App {
            name: name?,
            hosts: hosts?.collect(),
            upstreams: upstreams?,
            reach: reach?,
            certificate,
            policy,
            enforce: app.enforce.unwrap_or(true),
            identity_headers: headers?,
            request_headers,
            upstream_secret: secret?,
            sign_out_paths,
        })
    }

    /// The folders in which every file is a script.
    fn scripts(&mut self, at: &str, written: Option<&List<String>>) -> Vec<Pattern> {
        let Some(written) = written else {
            return CGI.parse().into_iter().collect();
        };
        if written.is_empty() {
            return Vec::new();
        }
        let folders = self.paths(at, written);
        for folder in folders.iter().filter(|folder| !folder.is_literal_folder()) {
            let what = format!("`{folder}` is not a folder");
            self.refuse(
                at,
                what,
                "write a path that ends with a slash and has no `*`: `/cgi-bin/`",
            );
        }
        folders
    }

    /// Parses paths with an optional query: `/wp-login.php?action=logout`.
    fn sign_out_links(&mut self, at: &str, written: &List<String>) -> Vec<SignOutLink> {
        let mut links = Vec::new();
        for (at, link) in items(at, written) {
            let (path, query) = link.split_once('?').unwrap_or((link, ""));
            let Some(path) = self.parsed::<Pattern>(&at, path) else { continue };
            let pairs = query.split('&').filter(|pair| !pair.is_empty());
            let parameter = |pair: &str| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let values = pair.contains('=').then(|| value.to_owned()).into_iter().collect();
                Parameter { name: name.to_owned(), values }
            };
            links.push(SignOutLink { path, query: pairs.map(parameter).collect() });
        }
        links
    }

    fn name(&mut self, at: &str, name: &str) -> Option<String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.len() > 32 || !name.bytes().all(fits) {
            let what = format!("`{name}` is not a valid name for an application");
            self.refuse(at, what, "write up to 32 lower-case letters, digits and hyphens");
            return None;
        }
        Some(name.to_owned())
    }

    /// The hosts; `None` for one that was refused.
    fn hosts(&mut self, at: &str, hosts: &List<String>, insecure: bool) -> Vec<Option<Origin>> {
        if hosts.is_empty() {
            self.refuse_empty(at, "add one, such as `crm.example.com`");
        }
        let numbered = hosts.iter().enumerate();
        let read = numbered.map(|(number, host)| {
            self.host(&format!("{at}[{number}]"), host.as_deref()?, insecure)
        });
        read.collect()
    }

    /// The secret with which the app recognises our requests. It is never written in the
    /// configuration itself.
    #[expect(clippy::option_option, reason = "`Some(None)` is no secret, `None` an error")]
    fn upstream_secret(&mut self, at: &str, app: &written::App) -> Option<Option<Secret>> {
        let (named, file) = (app.upstream_secret.as_deref(), app.upstream_secret_file.as_deref());
        match (named, file) {
            (None, None) => Some(None),
            (None, Some(file)) => {
                self.secret_in_file(&below(at, "upstream_secret_file"), file, INVENTED).map(Some)
            }
            (Some(named), None) => {
                self.secret_in_environment(&below(at, "upstream_secret"), named).map(Some)
            }
            (Some(_), Some(_)) => {
                let what = "`upstream_secret_file` is set, too";
                self.refuse(&below(at, "upstream_secret"), what, "keep one of them");
                None
            }
        }
    }

    pub(super) fn secret_in_environment(&mut self, at: &str, written: &str) -> Option<Secret> {
        let name = written.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            let what = "a secret must not be written in the configuration";
            self.refuse(at, what, "write `${NAME}` for an environment variable, or name a file");
            return None;
        };
        let Some(value) = (self.environment)(name) else {
            let what = format!("the environment variable `{name}` is not set");
            self.refuse(at, what, "set it in the environment of Doorward");
            return None;
        };
        self.sound_secret(at, &format!("`{name}`"), &value)
    }

    /// Reads a secret from a file relative to the configuration, without the final line break.
    ///
    /// `cure` says what to do if the file cannot be read.
    pub(super) fn secret_in_file(&mut self, at: &str, file: &str, cure: &str) -> Option<Secret> {
        let path = self.beside(file);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let what = format!("{} cannot be read: {error}", path.display());
                self.refuse(at, what, cure);
                return None;
            }
        };
        self.sound_secret(at, &path.display().to_string(), &text)
    }

    fn sound_secret(&mut self, at: &str, holder: &str, text: &str) -> Option<Secret> {
        let secret = text.trim_end_matches(['\n', '\r']);
        let visible = !secret.is_empty()
            && secret.trim() == secret
            && secret.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if !visible || secret.len() > 4096 {
            let what = format!("{holder} contains no valid secret");
            self.refuse(at, what, "write 1 to 4096 visible ASCII characters on one line");
            return None;
        }
        Some(Secret::new(secret.as_bytes().to_vec()))
    }
}

/// The cure for a missing secret that nobody else knows.
const INVENTED: &str = "create it with a secret that nobody can guess: openssl rand -base64 32";

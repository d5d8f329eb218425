//! `doorward cert`: a self-signed certificate for the beginning, until there is one from a CA.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use jiff::{Span, Timestamp as Moment, tz::TimeZone};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use url::Url;

use super::failure::{Failure, unwritten};
use crate::config::{Config, Listener, Tls, Way};
use crate::os;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a self-signed certificate and its key
    #[command(after_help = EXAMPLES)]
    SelfSigned {
        /// The hosts; if none are given, those under https in the configuration
        #[arg(value_name = "HOST")]
        hosts: Vec<String>,
        /// The folder for `doorward.pem` and `doorward.key`
        #[arg(long, value_name = "DIR", default_value = ".")]
        to: PathBuf,
        /// For how many days it is valid
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=397))]
        days: u16,
        /// Replace the files if they exist
        #[arg(long)]
        force: bool,
    },
}

/// The text below the help of `doorward cert`.
pub(super) const NOTE: &str = "\
For production, let an ACME client such as certbot or lego fetch certificates. If it replaces the
files, new connections use the new ones within seconds.

Example:
  doorward cert self-signed --to /etc/doorward";

const EXAMPLES: &str = "\
Browsers warn about it until they are told to trust it. Use it for testing, and for a gateway that
nobody can reach from outside.

Examples:
  doorward cert self-signed --to /etc/doorward
  doorward cert self-signed crm.example.com id.example.com
  curl --cacert doorward.pem https://crm.example.com/";

/// Runs `command`; `configuration` finds the file that names hosts.
///
/// # Errors
/// If there are no hosts, or the files cannot be written.
pub(super) fn run(
    command: Command,
    configuration: impl FnOnce() -> Result<PathBuf, Failure>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Command::SelfSigned { hosts, to, days, force } = command;
    let hosts = hosts.iter().map(|host| named(host)).collect::<Result<Vec<_>, _>>()?;
    let (hosts, config) = if hosts.is_empty() {
        let config = read(&configuration()?)?;
        (hosts_of(&config)?, Some(config))
    } else {
        // The file is not needed. If there is a valid one, we say what to change in it.
        (hosts, configuration().ok().and_then(|file| read(&file).ok()))
    };
    let (certificate, key) = self_signed(&hosts, days)
        .map_err(|error| Failure::new(format!("cannot create a certificate: {error}")))?;
    fs::create_dir_all(&to).map_err(|error| {
        Failure::new(format!("cannot create the folder {}", to.display())).because(error)
    })?;
    let (certificate_at, key_at) = (to.join("doorward.pem"), to.join("doorward.key"));
    if !force && let Some(there) = [&certificate_at, &key_at].into_iter().find(|at| at.exists()) {
        let what = format!("{} already exists; --force replaces it", there.display());
        return Err(Failure::new(what));
    }
    let written =
        write(&key_at, &key, 0o600).and_then(|()| write(&certificate_at, &certificate, 0o644));
    written
        .map_err(|(at, error)| Failure::new(format!("cannot write {}: {error}", at.display())))?;
    let next = next_step(config.as_ref(), &full(&certificate_at), &full(&key_at));
    let hosts = hosts.join(", ");
    writeln!(out, "Created a certificate for {hosts}, valid for {days} days. {next}")
        .map_err(unwritten)
}

/// What to do with the files: nothing if the configuration names them, else what to write where.
fn next_step(config: Option<&Config>, certificate: &Path, key: &Path) -> String {
    let listeners = config.map_or(&[][..], |config| &config.listen);
    let tls: Vec<(&Listener, &Tls)> = listeners
        .iter()
        .filter_map(|listener| match &listener.way {
            Way::Tls(tls) => Some((listener, tls)),
            Way::Plain | Way::Redirect => None,
        })
        .collect();
    let apps = config.into_iter().flat_map(|config| &config.apps);
    let named = apps.filter_map(|app| app.certificate.as_ref());
    let mut named = named.chain(tls.iter().filter_map(|(_, tls)| tls.certificate.as_ref()));
    if named.any(|named| full(&named.certificate) == certificate && full(&named.key) == key) {
        return "The configuration already names these files.".to_owned();
    }
    if !tls.is_empty() {
        let addresses: Vec<String> =
            tls.iter().map(|(listener, _)| listener.address.to_string()).collect();
        let addresses = addresses.join(", ");
        // Only the two keys: `tls` may have others, which must stay.
        return format!(
            "The configuration has a listener with `tls` ({addresses}). Write these keys there:\n\n    \
             certificate: {}\n    key: {}",
            certificate.display(),
            key.display()
        );
    }
    let is_free = |port| !listeners.iter().any(|listener| listener.address.port() == port);
    let redirect = if is_free(80) { "\n  - { address: 0.0.0.0:80, redirect: https }" } else { "" };
    let address = if is_free(443) { "0.0.0.0:443" } else { "0.0.0.0:8443" };
    let what = if listeners.is_empty() { "" } else { ", in addition to its listeners" };
    format!(
        "Write this to the configuration{what}:\n\nlisten:\n  - address: {address}\n    tls: {{ \
         certificate: {}, key: {} }}{redirect}",
        certificate.display(),
        key.display()
    )
}

/// The full path, if the file exists.
fn full(at: &Path) -> PathBuf {
    fs::canonicalize(at).unwrap_or_else(|_| at.to_owned())
}

/// The configuration. Its certificate files need not exist yet.
fn read(file: &Path) -> Result<Config, Failure> {
    Config::load(&os::environment, file)
        .map_err(|problems| Failure::new(format!("the configuration has problems\n{problems}")))
}

/// A name or an address as a certificate has it. A wildcard stands for the first label (RFC 9525 §6.3).
fn named(typed: &str) -> Result<String, Failure> {
    let (wildcard, name) = match typed.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", typed),
    };
    if let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>()
        && wildcard.is_empty()
    {
        return Ok(address.to_string());
    }
    if let Ok(url::Host::Domain(name)) = url::Host::parse(name) {
        return Ok(format!("{wildcard}{name}"));
    }
    let failure = Failure::new(format!("`{typed}` is not the name of a host"));
    let url = Url::parse(typed).ok().filter(Url::has_host);
    let url = url.or_else(|| Url::parse(&format!("https://{typed}")).ok());
    Err(match url.as_ref().and_then(Url::host_str) {
        Some(host) => failure.cure(format!("write the host alone: `{host}`")),
        None => failure.cure("write it like `crm.example.com`"),
    })
}

/// The https hosts in the configuration.
fn hosts_of(config: &Config) -> Result<Vec<String>, Failure> {
    let hosts: Vec<String> = config
        .hosts()
        .filter(|host| host.origin.is_secure())
        .map(|host| host.origin.host().trim_matches(['[', ']']).to_owned())
        .collect();
    if hosts.is_empty() {
        let what = "the configuration has no https host; name a host here";
        return Err(Failure::new(what));
    }
    Ok(hosts)
}

/// A certificate for `hosts` and its key, as PEM.
fn self_signed(
    hosts: &[String],
    days: u16,
) -> Result<(String, String), Box<dyn std::error::Error>> {
    let mut params = CertificateParams::new(hosts.to_vec())?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, hosts.first().map_or("doorward", String::as_str));
    params.distinguished_name = name;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = Moment::from_second(i64::try_from(os::system_time().seconds())?)?;
    let day = |span: Span| -> Result<_, jiff::Error> {
        let day = now.to_zoned(TimeZone::UTC).checked_add(span)?.date();
        Ok((i32::from(day.year()), day.month().unsigned_abs(), day.day().unsigned_abs()))
    };
    // Other clocks may be behind.
    let (year, month, date) = day(Span::new().days(-1))?;
    params.not_before = rcgen::date_time_ymd(year, month, date);
    let (year, month, date) = day(Span::new().days(i64::from(days) + 1))?;
    params.not_after = rcgen::date_time_ymd(year, month, date);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn write<'a>(at: &'a Path, text: &str, mode: u32) -> Result<(), (&'a Path, io::Error)> {
    let beside = at.with_extension("new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&beside, at));
    written.map_err(|error| (at, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn make(to: &Path, force: bool) -> Result<String, String> {
        let command = Command::SelfSigned {
            hosts: vec!["crm.example.com".to_owned(), "127.0.0.1".to_owned()],
            to: to.to_owned(),
            days: 90,
            force,
        };
        let mut out = Vec::new();
        run(command, || Err(Failure::new("unneeded")), &mut out).map_err(|why| why.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn it_says_what_to_write_and_nobody_else_reads_the_key() {
        let home = tempfile::tempdir().unwrap();
        let said = make(home.path(), false).unwrap();
        assert!(
            said.contains(
                "Created a certificate for crm.example.com, 127.0.0.1, valid for 90 days"
            )
        );
        let mode = fs::metadata(home.path().join("doorward.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn only_what_a_browser_compares_is_a_name() {
        for (typed, name) in [
            ("crm.example.com", "crm.example.com"),
            ("CRM.example.com", "crm.example.com"),
            ("*.example.com", "*.example.com"),
            ("münchen.example", "xn--mnchen-3ya.example"),
            ("::1", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(named(typed).ok().as_deref(), Some(name), "{typed}");
        }
        for (typed, cure) in [
            ("https://a.test:8443", "write the host alone: `a.test`"),
            ("a.test:8443", "write the host alone: `a.test`"),
            ("a.test/x", "write the host alone: `a.test`"),
            ("", "write it like `crm.example.com`"),
            ("a b", "write it like `crm.example.com`"),
        ] {
            let said = named(typed).unwrap_err().to_string();
            assert!(said.contains(cure), "{typed}: {said}");
        }
    }

    /// What is said of the configuration `listen` in the folder where the files are written.
    fn says_beside(listen: &str) -> String {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("doorward.yaml");
        let rest = "\nstate: state\nportal: https://id.example.com\napps:\n  - { name: crm, hosts: \
                    [crm.example.com], upstream: 'http://127.0.0.1:9000' }\n";
        fs::write(&file, format!("listen: {listen}{rest}")).unwrap();
        let to = home.path().to_owned();
        let command = Command::SelfSigned { hosts: Vec::new(), to, days: 90, force: false };
        let mut out = Vec::new();
        run(command, || Ok(file), &mut out).map_err(|why| why.to_string()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_second_listener_is_proposed_beside_one_with_tls() {
        let named = says_beside(
            "[{ address: '127.0.0.1:8443', tls: { certificate: doorward.pem, key: doorward.key } }]",
        );
        assert!(named.contains("already names these files"), "{named}");
        assert!(!named.contains("443"), "{named}");
        let other = says_beside(
            "[{ address: '127.0.0.1:8443', tls: { certificate: old.pem, key: old.key } }]",
        );
        assert!(other.contains("a listener with `tls` (127.0.0.1:8443)"), "{other}");
        assert!(other.contains("Write these keys there:\n\n    certificate: /"), "{other}");
        assert!(other.contains("doorward.pem\n    key: /"), "{other}");
        assert!(!other.contains("tls: "), "what else `tls` has is not replaced: {other}");
        assert!(!other.contains("address: 0.0.0.0"), "{other}");
    }

    #[test]
    fn a_port_that_a_listener_has_is_not_proposed_again() {
        let plain = says_beside(
            "[{ address: '0.0.0.0:80', redirect: https }, { address: '127.0.0.1:8080' }]",
        );
        assert!(plain.contains("- address: 0.0.0.0:443"), "{plain}");
        assert!(!plain.contains("0.0.0.0:80,"), "{plain}");
    }

    #[test]
    fn what_is_there_is_not_replaced_by_accident() {
        let home = tempfile::tempdir().unwrap();
        make(home.path(), false).unwrap();
        let before = fs::read(home.path().join("doorward.key")).unwrap();
        assert!(make(home.path(), false).unwrap_err().contains("already exists"));
        assert_eq!(fs::read(home.path().join("doorward.key")).unwrap(), before);
        make(home.path(), true).unwrap();
        assert_ne!(fs::read(home.path().join("doorward.key")).unwrap(), before);
    }
}

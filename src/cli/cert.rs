//! `doorward cert`: a self-signed certificate for the beginning, until there is one from a CA.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use jiff::{Span, Timestamp as Moment, tz::TimeZone};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};

use super::failure::{Failure, unwritten};
use crate::config::Config;
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
files, the next connection uses the new ones.

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
    let hosts = if hosts.is_empty() { configured(&configuration()?)? } else { hosts };
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
    let full = |at: &Path| fs::canonicalize(at).unwrap_or_else(|_| at.to_owned());
    writeln!(
        out,
        "Created a certificate for {}, valid for {days} days. Write this to the configuration:\n\n\
         listen:\n  - address: 0.0.0.0:443\n    tls: {{ certificate: {}, key: {} }}\n  \
         - {{ address: 0.0.0.0:80, redirect: https }}",
        hosts.join(", "),
        full(&certificate_at).display(),
        full(&key_at).display(),
    )
    .map_err(unwritten)
}

/// The https hosts in the configuration. Its certificate files need not exist yet.
fn configured(file: &Path) -> Result<Vec<String>, Failure> {
    let config = Config::load(&os::environment, file)
        .map_err(|problems| Failure::new(format!("the configuration has problems\n{problems}")))?;
    let hosts: Vec<String> = config
        .sites()
        .filter(|site| site.origin.is_secure())
        .map(|site| site.origin.host().trim_matches(['[', ']']).to_owned())
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

//! The programs that these tests call in, and what is said where one is missing.

use std::io::{ErrorKind, Write};
use std::process::{Command, Output};

use doorward::domain::time::Timestamp;
use tempfile::NamedTempFile;

/// The first of these programs that is on the search path.
pub(crate) fn found(names: &[&str]) -> String {
    let looked = names.join(" || command -v ");
    let found = Command::new("sh").args(["-c", &format!("command -v {looked}")]).output().unwrap();
    assert!(found.status.success(), "{}", missing(names[0]));
    String::from_utf8(found.stdout).unwrap().trim().to_owned()
}

/// What the QR code in this picture says, as zbarimg reads it.
pub(crate) fn scan(picture: &[u8]) -> String {
    let mut file = NamedTempFile::with_suffix(".png").unwrap();
    file.write_all(picture).unwrap();
    let path = file.path().display().to_string();
    let read = run("zbarimg", &["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", &path]);
    assert!(read.status.success(), "zbarimg sees no QR code: {read:?}");
    String::from_utf8(read.stdout).unwrap().trim().to_owned()
}

/// The code that oathtool makes of this Base32 secret at `now`.
pub(crate) fn code(secret: &str, now: Timestamp) -> String {
    let now = format!("@{}", now.seconds());
    let made = run("oathtool", &["--totp", "--base32", "--now", &now, secret]);
    assert!(made.status.success(), "oathtool: {made:?}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!("{}", missing(program)),
        _ => panic!("{program}: {error}"),
    })
}

fn missing(program: &str) -> String {
    format!("This test needs {program}, which is not installed; `make test` installs it.")
}

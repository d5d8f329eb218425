//! `chromedriver`, as a process that ends with the test, however the test ends.

use std::io::{BufRead, BufReader, Read, Seek};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::tools::found;

/// A driver on a port of its own.
pub(crate) struct Driver {
    process: Child,
    /// Where it is asked.
    pub url: String,
    /// Kept open: it may go on talking, and must not find that nobody listens.
    out: Option<BufReader<ChildStdout>>,
}

impl Driver {
    /// The driver takes a port for IPv6 and then the same for IPv4, and ends where somebody else holds
    /// that one: then another is begun.
    pub(crate) fn start() -> Self {
        let mut said = String::new();
        for _ in 0..20 {
            match Self::try_start() {
                Ok(driver) => return driver,
                Err(output) => said = output,
            }
        }
        panic!("chromedriver does not start: {said}");
    }

    /// What it said, where it ended.
    fn try_start() -> Result<Self, String> {
        let mut errors = tempfile::tempfile().unwrap();
        let process = Command::new(found(&["chromedriver"]))
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut driver = Self { process, url: String::new(), out: None };
        let mut out = BufReader::new(driver.process.stdout.take().unwrap());
        let mut said = String::new();
        let port = loop {
            let before = said.len();
            if out.read_line(&mut said).unwrap() == 0 {
                errors.rewind().unwrap();
                errors.read_to_string(&mut said).unwrap();
                return Err(said);
            }
            if let Some((_, port)) = said[before..].split_once("successfully on port ") {
                break port.trim().trim_end_matches('.').to_owned();
            }
        };
        driver.url = format!("http://127.0.0.1:{port}");
        driver.out = Some(out);
        Ok(driver)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        self.out.take();
    }
}

//! `chromedriver`, as a process that ends with the test, however the test ends.

use std::io::{BufRead, BufReader};
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
    pub(crate) fn start() -> Self {
        let process = Command::new(found(&["chromedriver"]))
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut driver = Self { process, url: String::new(), out: None };
        let mut out = BufReader::new(driver.process.stdout.take().unwrap());
        let mut line = String::new();
        while driver.url.is_empty() {
            line.clear();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "chromedriver does not start");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                driver.url = format!("http://127.0.0.1:{}", port.trim().trim_end_matches('.'));
            }
        }
        driver.out = Some(out);
        driver
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        self.out.take();
    }
}

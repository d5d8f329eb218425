//! One browser of one person, with a profile of its own, that knows the way to the gateway.
//!
//! It waits until what it is told to see is there, and looks far longer than anything here takes:
//! a test that hangs says what it waited for.

use std::process::Command;
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::driver::Driver;
use super::tools::found;
use crate::support::instance::{HOST, Instance};

/// A browser, until it is dropped.
pub(crate) struct Browser {
    runtime: Runtime,
    client: Client,
    /// The number of its process.
    process: Option<u64>,
    origin: String,
    /// Where it keeps everything, downloads too.
    profile: TempDir,
    _driver: Driver,
}

impl Browser {
    /// A browser that has never been here.
    pub(crate) fn before(instance: &Instance) -> Self {
        Self::start(&way_to(instance), &format!("http://{HOST}"), true)
    }

    /// One that runs no script of any page.
    pub(crate) fn without_script(instance: &Instance) -> Self {
        Self::start(&way_to(instance), &format!("http://{HOST}"), false)
    }

    /// One that begins at the portal of several hosts.
    pub(crate) fn before_several(instance: &Instance, script: bool) -> Self {
        Self::start(&way_to(instance), "http://id.localhost:8080", script)
    }

    /// One for pages at `origin`, wherever that is.
    pub(crate) fn at_origin(origin: &str) -> Self {
        Self::start("", origin, true)
    }

    fn start(way: &str, origin: &str, script: bool) -> Self {
        let driver = Driver::start();
        let profile = TempDir::with_prefix("doorward-browser-").unwrap();
        let wanted = wanted(&profile, way, script);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let connecting = builder.capabilities(wanted).connect(&driver.url);
        let client = runtime
            .block_on(connecting)
            .unwrap_or_else(|error| panic!("chromium does not start: {error}"));
        let process = client.capabilities().and_then(|said| said["goog:processID"].as_u64());
        let origin = origin.to_owned();
        let browser = Self { runtime, client, process, origin, profile, _driver: driver };
        let downloads = browser.profile.path().display().to_string();
        browser.commands(
            "Browser.setDownloadBehavior",
            &json!({ "behavior": "allow", "downloadPath": downloads }),
        );
        // Nobody clicks into a window that is not there; it counts as the one in front all the same.
        browser.commands("Emulation.setFocusEmulationEnabled", &json!({ "enabled": true }));
        browser
    }

    /// Types an address, and goes where it is sent.
    pub(crate) fn visits(&self, target: &str) -> &Self {
        self.goes_to(&format!("{}{target}", self.origin))
    }

    /// Types the address of another host.
    pub(crate) fn goes_to(&self, url: &str) -> &Self {
        self.navigates(self.client.goto(url))
    }

    /// Goes back to the page before.
    pub(crate) fn goes_back(&self) -> &Self {
        self.navigates(self.client.back())
    }

    /// The path and the query in its address line; the whole address at another host.
    pub(crate) fn at(&self) -> String {
        let url = self.reads("know its address", async || self.client.current_url().await);
        url.as_str().strip_prefix(&self.origin).unwrap_or(url.as_str()).to_owned()
    }

    /// Waits until the address is this one, whatever its fragment, and, where none is said, its query.
    /// The page behind it may still be on its way.
    pub(crate) fn comes_to(&self, address: &str) -> &Self {
        self.until(&format!("be at {address}"), || {
            let at = self.at();
            let at = at.split('#').next().unwrap_or_default();
            let path = at.split('?').next().unwrap_or_default();
            (address == if address.contains('?') { at } else { path }).then_some(())
        });
        self
    }

    /// Does something that leads to another page, and waits until that is there: what was on this one
    /// is gone then. An address is none to wait for, where it stays the same.
    pub(crate) fn leads(&self, operation: impl FnOnce(&Self)) -> &Self {
        let page = self.does(self.client.find(Locator::Css("html")));
        operation(self);
        self.until("be on another page", || {
            self.runtime.block_on(page.tag_name()).is_err().then_some(())
        });
        self
    }

    /// Waits until there is such an element.
    pub(crate) fn sees(&self, selector: &str) -> &Self {
        self.handles(Locator::Css(selector), async |_| Ok(()));
        self
    }

    /// How many such elements are on the page.
    pub(crate) fn counts(&self, selector: &str) -> usize {
        self.reads("count", async || self.client.find_all(Locator::Css(selector)).await).len()
    }

    /// Fills in the field of this name.
    pub(crate) fn types(&self, field: &str, text: &str) -> &Self {
        self.handles(Locator::Css(&format!("[name={field}]")), async |element| {
            element.clear().await?;
            element.send_keys(text).await
        });
        self
    }

    /// Clicks on the box of this name.
    pub(crate) fn ticks(&self, field: &str) -> &Self {
        let field = format!("[name={field}]");
        self.handles(Locator::Css(&field), async |element| element.click().await);
        self
    }

    /// Clicks on the button or link that says this, and waits for the page that it leads to.
    pub(crate) fn presses(&self, label: &str) -> &Self {
        self.leads(|browser| {
            browser.clicks(label);
        })
    }

    /// Types a code whose last digit sends it, and waits for the page that it leads to.
    pub(crate) fn enters(&self, code: &str) -> &Self {
        self.leads(|browser| {
            browser.types("code", code);
        })
    }

    /// Clicks on the button or link that says this, to those who see it or to those who hear it; it leads
    /// nowhere else.
    pub(crate) fn clicks(&self, label: &str) -> &Self {
        let says = format!("normalize-space()='{label}' or @aria-label='{label}'");
        let button = format!("//*[(self::button or self::a) and ({says})]");
        self.handles(Locator::XPath(&button), async |element| element.click().await);
        self
    }

    /// Strikes keys, wherever the focus is.
    pub(crate) fn strikes(&self, keys: &str) -> &Self {
        let focused = self.does(self.client.active_element());
        self.does(focused.send_keys(keys));
        self
    }

    /// Goes so many elements on with the Tab key.
    pub(crate) fn tabs(&self, times: usize) -> &Self {
        self.strikes(&Key::Tab.repeat(times))
    }

    /// Goes so many elements back.
    pub(crate) fn tabs_back(&self, times: usize) -> &Self {
        self.strikes(&format!("{}{}", Key::Shift, Key::Tab.repeat(times)))
    }

    /// What the first such element says.
    pub(crate) fn text(&self, selector: &str) -> String {
        self.handles(Locator::Css(selector), async |element| element.text().await)
    }

    /// What all such elements say.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        self.reads("read", async || {
            let mut texts = Vec::new();
            for element in self.client.find_all(Locator::Css(selector)).await? {
                texts.push(element.text().await?);
            }
            Ok(texts)
        })
    }

    /// Looks at what is in the first frame of the page.
    pub(crate) fn enters_frame(&self) -> &Self {
        self.handles(Locator::Css("iframe"), async |frame| frame.enter_frame().await);
        self
    }

    /// Looks at the whole page again.
    pub(crate) fn leaves_frame(&self) -> &Self {
        self.does(self.client.enter_parent_frame());
        self
    }

    /// What a script of the page it is at comes to.
    pub(crate) fn runs(&self, script: &str) -> Value {
        self.does(self.client.execute(&format!("return (async () => {{ {script} }})()"), vec![]))
    }

    /// Asks Chromium itself for what its driver has no word for.
    pub(crate) fn commands(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.does(self.client.issue_cmd(Own { path: "goog/cdp/execute", body }))
    }

    /// How large the page is shown, in which light.
    pub(crate) fn shows(&self, width: u32, height: u32, scheme: &str) -> &Self {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.commands("Emulation.setDeviceMetricsOverride", &size);
        let light = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.commands("Emulation.setEmulatedMedia", &json!({ "features": light }));
        self
    }

    /// A picture of what it shows, as PNG.
    pub(crate) fn picture(&self) -> Vec<u8> {
        self.does(self.client.screenshot())
    }

    /// The file of this name, once it is downloaded.
    pub(crate) fn downloaded(&self, name: &str) -> String {
        let path = self.profile.path().join(name);
        self.until(&format!("have {name}"), || {
            // It is there, under its name, before anything is in it.
            std::fs::read_to_string(&path).ok().filter(|text| !text.is_empty())
        })
    }

    /// What it complained of in its console since this was last asked: breaches of the content
    /// policy, scripts that failed, files that could not be had.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = Own { path: "se/log", body: json!({ "type": "browser" }) };
        let log = self.does(self.client.issue_cmd(log));
        let grave = |entry: &&Value| entry["level"] == "SEVERE" || entry["level"] == "WARNING";
        let said = log.as_array().unwrap().iter().filter(grave);
        said.map(|entry| entry["message"].to_string()).collect()
    }

    /// Waits until `look` finds something.
    pub(crate) fn until<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "waited to {what}, but {}", self.describes());
            self.runtime.block_on(async { tokio::time::sleep(BLINK).await });
        }
    }

    /// Does something with an element once it is there. A page may go while we look at it: then
    /// with the element of the next.
    fn handles<T>(
        &self,
        which: Locator<'_>,
        operation: impl AsyncFn(Element) -> Result<T, CmdError>,
    ) -> T {
        self.until(&format!("handle {which:?}"), || {
            let operation = async { operation(self.client.find(which).await?).await };
            self.runtime.block_on(operation).ok()
        })
    }

    /// Goes to another page. One whose script leads on before the driver has seen the end of it is no
    /// failure.
    fn navigates(&self, operation: impl Future<Output = Result<(), CmdError>>) -> &Self {
        match self.runtime.block_on(operation) {
            Err(error) if !error.to_string().contains("aborted by navigation") => panic!("{error}"),
            _ => self,
        }
    }

    /// Looks at a page, and at the next one if that goes meanwhile.
    fn reads<T>(&self, what: &str, look: impl AsyncFn() -> Result<T, CmdError>) -> T {
        self.until(what, || self.runtime.block_on(look()).ok())
    }

    fn does<T>(&self, operation: impl Future<Output = Result<T, CmdError>>) -> T {
        self.runtime.block_on(operation).unwrap_or_else(|error| panic!("{error}"))
    }

    fn describes(&self) -> String {
        let page = async {
            let url = self.client.current_url().await?;
            let body = self.client.find(Locator::Css("body")).await?.text().await?;
            Ok::<_, CmdError>(format!("is at {url} and sees: {body}"))
        };
        self.runtime.block_on(page).unwrap_or_else(|error| format!("cannot look: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let client = self.client.clone();
        let closed = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(5), client.close()).await });
        if let (Err(_) | Ok(Err(_)), Some(process)) = (closed, self.process) {
            Command::new("kill").args(["-9", &process.to_string()]).status().ok();
        }
    }
}

/// Leads the address that people type to the port that the gateway has found.
fn way_to(instance: &Instance) -> String {
    let hosts = [HOST, "id.localhost:8080", "wiki.localhost:8080"];
    hosts.map(|host| format!("MAP {host} {}", instance.address)).join(", ")
}

fn wanted(profile: &TempDir, way: &str, script: bool) -> Capabilities {
    let arguments = [
        "--headless",
        // Who runs tests as root, or in a container, has no sandbox to offer.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,1400",
        &format!("--host-resolver-rules={way}"),
        &format!("--user-data-dir={}", profile.path().display()),
    ];
    let javascript = if script { 1 } else { 2 };
    let wanted = json!({
        "goog:chromeOptions": {
            "binary": found(&["chromium", "chromium-browser"]),
            "args": arguments,
            "prefs": { "profile.managed_default_content_settings.javascript": javascript },
        },
        "goog:loggingPrefs": { "browser": "ALL" },
    });
    serde_json::from_value(wanted).unwrap()
}

/// A command of `chromedriver`'s own.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(
        &self,
        base_url: &url::Url,
        session_id: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base_url.join(&format!("session/{}/{}", session_id.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
const BLINK: Duration = Duration::from_millis(20);

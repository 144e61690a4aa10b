//! A Chromium of a test's own, driven over WebDriver.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use wissel_testkit::free_port;

/// The browser. It and its driver end when this is dropped.
pub(crate) struct Chromium {
    client: Client,
    _driver: Child,
    profile: TempDir,
}

/// Keys without a letter.
#[derive(Clone, Copy)]
pub(crate) enum Key {
    Tab,
    Enter,
}

const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];
const PATIENCE: Duration = Duration::from_secs(20);
/// What is asked of pages: WCAG 2.2, level AA.
const RULES: &str = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']";

impl Drop for Chromium {
    /// Killing the driver, as a test does that fails, leaves the browser: it goes by its
    /// profile, which nobody else has.
    fn drop(&mut self) {
        let profile = format!("user-data-dir={}", self.profile.path().display());
        let killed = std::process::Command::new("pkill").args(["-KILL", "-f", &profile]).status();
        if let Err(error) = killed {
            eprintln!("the browser may be left behind: {error}");
        }
    }
}

impl Chromium {
    pub(crate) async fn start() -> Self {
        let port = free_port().unwrap();
        let driver = Command::new("/usr/bin/chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut flags: Vec<String> = FLAGS.map(str::to_owned).into();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let mut capabilities = Capabilities::new();
        let options = json!({ "binary": "/usr/bin/chromium", "args": flags });
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
        let url = format!("http://127.0.0.1:{port}");
        let begun = Instant::now();
        let client = loop {
            let mut builder = ClientBuilder::rustls().unwrap();
            match builder.capabilities(capabilities.clone()).connect(&url).await {
                Ok(client) => break client,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "chromedriver: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        Self { client, _driver: driver, profile }
    }

    pub(crate) async fn close(self) {
        self.client.clone().close().await.unwrap();
    }

    pub(crate) async fn go(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// How wide the screen is, and whether it is light or dark.
    pub(crate) async fn look(&self, width: u32, scheme: &str) {
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.command("Emulation.setEmulatedMedia", features).await;
    }

    pub(crate) async fn without_script(&self) {
        self.command("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    }

    async fn command(&self, name: &'static str, parameters: Value) {
        self.client.issue_cmd(DevTools { name, parameters }).await.unwrap();
    }

    /// What axe finds, a line each.
    pub(crate) async fn axe(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(axe_core()).unwrap();
        self.client.execute(&axe, Vec::new()).await.unwrap();
        let run = format!(
            "const done = arguments[arguments.length - 1];\
             axe.run(document, {{ runOnly: {{ type: 'tag', values: {RULES} }} }})\
             .then((found) => done(found.violations.flatMap((one) => one.nodes.map((node) => \
             one.id + ': ' + node.html + ' ' + node.failureSummary))));"
        );
        let found = self.client.execute_async(&run, Vec::new()).await.unwrap();
        let found = found.as_array().unwrap();
        found.iter().map(|fault| fault.as_str().unwrap().to_owned()).collect()
    }

    /// Text that is cut off, or runs out of its cell or the page, a line each.
    pub(crate) async fn cut_off(&self) -> Vec<String> {
        let found = self.client.execute(include_str!("cut_off.js"), Vec::new()).await.unwrap();
        let found = found.as_array().unwrap();
        found.iter().map(|fault| fault.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn number(&self, expression: &str) -> f64 {
        let value = self.client.execute(&format!("return {expression}"), Vec::new()).await.unwrap();
        value.as_f64().unwrap()
    }

    pub(crate) async fn text_of(&self, expression: &str) -> String {
        let value = self.client.execute(&format!("return {expression}"), Vec::new()).await.unwrap();
        value.as_str().unwrap_or_default().to_owned()
    }

    /// The page as it is now. It is empty for a moment after a navigation without scripts.
    pub(crate) async fn source(&self) -> String {
        let begun = Instant::now();
        loop {
            let source = self.client.source().await.unwrap();
            if source.contains("</main>") || begun.elapsed() > Duration::from_secs(3) {
                return source;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What the element with the focus says, or else its id.
    pub(crate) async fn focused(&self) -> String {
        let text = self.text_of("document.activeElement.innerText || document.activeElement.id");
        text.await.trim().to_owned()
    }

    pub(crate) async fn has_no_focus(&self) -> bool {
        self.text_of("String(document.activeElement === document.body)").await == "true"
    }

    pub(crate) async fn press(&self, key: Key) {
        let value = match key {
            Key::Tab => '\u{e004}',
            Key::Enter => '\u{e007}',
        };
        self.keys(&[value]).await;
        if matches!(key, Key::Enter) {
            // Another page may come.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    pub(crate) async fn type_in(&self, text: &str) {
        self.keys(&text.chars().collect::<Vec<_>>()).await;
    }

    async fn keys(&self, keys: &[char]) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for value in keys {
            actions = actions.then(KeyAction::Down { value: *value });
            actions = actions.then(KeyAction::Up { value: *value });
        }
        self.client.perform_actions(actions).await.unwrap();
    }

    /// Presses Tab until what has the focus says this.
    pub(crate) async fn tab_to(&self, text: &str) {
        let mut seen = Vec::new();
        for _ in 0..80 {
            self.press(Key::Tab).await;
            let focused = self.focused().await;
            if focused == text {
                return;
            }
            seen.push(focused);
        }
        panic!("no {text:?} can be reached by Tab, only {seen:?}");
    }

    pub(crate) async fn click(&self, selector: &str) {
        let element = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(selector));
        element.await.unwrap().click().await.unwrap();
    }

    /// Waits until the page says this.
    pub(crate) async fn shows(&self, text: &str) -> Result<(), String> {
        self.shows_within(text, Duration::from_secs(3)).await
    }

    pub(crate) async fn shows_within(&self, text: &str, patience: Duration) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let all = match self.client.find(Locator::Css("body")).await {
                Ok(body) => body.text().await.unwrap_or_default(),
                Err(error) if error.is_no_such_element() => String::new(),
                Err(error) => panic!("{error}"),
            };
            if all.contains(text) {
                return Ok(());
            }
            if begun.elapsed() > patience {
                return Err(format!("no {text:?} in {all}"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What the browser's console holds.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        match self.client.issue_cmd(Complaints).await {
            Ok(Value::Array(all)) => all.iter().map(Value::to_string).collect(),
            Ok(other) => panic!("{other}"),
            Err(error) => panic!("{error}"),
        }
    }

    /// Keeps a picture of what is on the screen, when that is asked for.
    pub(crate) async fn keep_picture(&self, name: &str) {
        let Some(directory) = std::env::var_os("SCREENSHOTS") else { return };
        let picture = self.client.screenshot().await.unwrap();
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(PathBuf::from(directory).join(format!("{name}.png")), picture).unwrap();
    }
}

/// Where `cargo xtask setup` puts axe-core.
fn axe_core() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tools/axe-core/axe.min.js")
}

/// A command of the browser's own tools.
#[derive(Debug)]
struct DevTools {
    name: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let body = json!({ "cmd": self.name, "params": self.parameters });
        (http::Method::POST, Some(body.to_string()))
    }
}

/// What the console of the browser holds.
#[derive(Debug)]
struct Complaints;

impl WebDriverCompatibleCommand for Complaints {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

//! Chromium without a window, steered by its DevTools protocol.
//!
//! The protocol goes through a pair of pipes, so that there is no port and no WebSocket.
//! Invariants: one browser serves all rows; each row has a page of its own, which shares no
//! connection with another's; and a browser that a check fails with is not used again.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::Need;
use super::fixtures::Fixtures;
use crate::process::{Group, collect};

pub const NEED: Need = Need::Program("chromium");

/// Of one command, a script that waits for others included.
const LIMIT: Duration = Duration::from_secs(90);
/// Chromium takes the pipes as 3 and 4; the shell has them where every child has them.
const START: &str = r#"exec chromium "$@" 3<&0 4>&1 0</dev/null 1>&2"#;
const FLAGS: &[&str] = &[
    "--headless",
    "--remote-debugging-pipe",
    // Our servers make their certificates themselves.
    "--ignore-certificate-errors",
    // There is no other user that the sandbox would protect, and root cannot use it.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
];

/// The browser, on the page of one row.
pub struct Browser {
    group: Group,
    commands: ChildStdin,
    pieces: Receiver<Vec<u8>>,
    unread: Vec<u8>,
    last_id: u64,
    /// The page's session in commands; empty for commands to the browser itself.
    session: String,
    profile: PathBuf,
}

/// Runs a check on a page of its own.
pub fn on_page<T>(
    fixtures: &Fixtures,
    check: impl FnOnce(&mut Browser) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut browser = match fixtures.browser.take() {
        Some(browser) => browser,
        None => Browser::start(fixtures)?,
    };
    let context = browser.open_page()?;
    let checked = check(&mut browser)?;
    browser.close_page(&context)?;
    fixtures.browser.replace(Some(browser));
    Ok(checked)
}

impl Browser {
    fn start(fixtures: &Fixtures) -> anyhow::Result<Self> {
        let profile = fixtures.root().with_file_name("chromium");
        fs::create_dir_all(&profile)?;
        let mut command = Command::new("sh");
        command.args(["-c", START, "chromium"]).args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.display()));
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut group = Group::spawn_with_input(&mut command, Stdio::piped())?;
        let (commands, answers, _) = group.pipes();
        let commands = commands.context("a pipe was asked for")?;
        let pieces = collect(answers.context("a pipe was asked for")?);
        let (session, unread) = (String::new(), Vec::new());
        Ok(Self { group, commands, pieces, unread, last_id: 0, session, profile })
    }

    /// Opens an empty page in a context of its own, and runs the check on it.
    fn open_page(&mut self) -> anyhow::Result<Value> {
        let context = self.call("Target.createBrowserContext", &json!({}))?["browserContextId"].take();
        let create = json!({ "url": "about:blank", "browserContextId": context });
        let page = self.call("Target.createTarget", &create)?;
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", &attach)?;
        attached["sessionId"].as_str().context("the page has no session")?.clone_into(&mut self.session);
        Ok(context)
    }

    fn close_page(&mut self, context: &Value) -> anyhow::Result<()> {
        self.session.clear();
        self.call("Target.disposeBrowserContext", &json!({ "browserContextId": context })).map(drop)
    }

    /// Opens a URL, and waits until the page and its resources are loaded.
    pub fn open(&mut self, url: &str) -> anyhow::Result<()> {
        let opened = self.call("Page.navigate", &json!({ "url": url }))?;
        ensure!(opened.get("errorText").is_none(), "{url}: {}", opened["errorText"]);
        self.until(&format!("document.readyState == 'complete' && location.href.startsWith({})", json!(url)))
    }

    /// Runs a script of the page and returns its result, after its promise resolves.
    pub fn evaluate(&mut self, script: &str) -> anyhow::Result<Value> {
        let evaluate = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", &evaluate)?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            bail!("the page throws {}", thrown["exception"]["description"].as_str().unwrap_or("something"));
        }
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an expression is true of the page.
    pub fn until(&mut self, expression: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + LIMIT;
        while self.evaluate(&format!("Boolean({expression})"))? != Value::Bool(true) {
            if Instant::now() > deadline {
                let text = self.evaluate("document.body ? document.body.innerText : null")?;
                bail!("this does not become true: {expression}\nthe page: {text}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Sends a command of the protocol and returns its result.
    pub fn call(&mut self, method: &str, parameters: &Value) -> anyhow::Result<Value> {
        self.last_id += 1;
        let mut command = json!({ "id": self.last_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        let mut message = command.to_string().into_bytes();
        message.push(0);
        self.commands.write_all(&message).context("Chromium does not listen")?;
        let deadline = Instant::now() + LIMIT;
        loop {
            let mut message = self.next(deadline).with_context(|| method.to_owned())?;
            // Events come in between.
            if message["id"] == self.last_id {
                ensure!(message.get("error").is_none(), "{method}: {}", message["error"]);
                return Ok(message["result"].take());
            }
        }
    }

    /// Returns the next message, which ends with a zero.
    fn next(&mut self, deadline: Instant) -> anyhow::Result<Value> {
        loop {
            if let Some(len) = self.unread.iter().position(|byte| *byte == 0) {
                let message = serde_json::from_slice(&self.unread[..len]);
                self.unread.drain(..=len);
                return message.context("Chromium's message is not JSON");
            }
            match self.pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.unread.extend(piece),
                Err(RecvTimeoutError::Timeout) => bail!("Chromium does not answer"),
                Err(RecvTimeoutError::Disconnected) => bail!("Chromium has ended"),
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It writes its profile up to its end; the group ends one that does not end by itself.
        self.session.clear();
        let _ = self.call("Browser.close", &json!({}));
        let _ = self.group.wait(Duration::from_secs(5));
        self.group.end();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

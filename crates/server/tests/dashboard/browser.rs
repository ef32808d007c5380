//! A browser, driven by the protocol of its developer tools.

use std::path::{Path, PathBuf};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tollgate_test_programs::{DEADLINE, Program};

/// Counts what the policy of the page refuses. It runs before the page's own scripts.
const WATCH: &str = "window.refusals = []; document.addEventListener('securitypolicyviolation', \
    event => window.refusals.push(event.violatedDirective + ' ' + event.blockedURI));";

/// A browser with one page; killed when this is dropped.
pub(crate) struct Browser {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    calls: u64,
    /// The password for servers that ask for one.
    password: Option<String>,
    /// What the browser has complained of: errors of scripts, of the network, of policies.
    pub(crate) complaints: Vec<String>,
    _program: Program,
    _folder: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let profile = folder.path().join("profile");
        let argument = format!("--user-data-dir={}", profile.display());
        let arguments = [
            "--headless",
            // The sandbox does not work as root and in containers; the page is ours.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-proxy-server",
            "--hide-scrollbars",
            // Nothing is asked of its maker.
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--remote-debugging-port=0",
            &argument,
            "about:blank",
        ];
        let program = Program::start("chromium", &arguments, folder.path());
        let url = tools_of(&profile).await;
        let (socket, _) = connect_async(url).await.expect("the developer tools answer");
        let mut browser = Self {
            socket,
            session: None,
            calls: 0,
            password: None,
            complaints: Vec::new(),
            _program: program,
            _folder: folder,
        };
        browser.attach().await;
        browser
    }

    /// Answers servers that ask for a password, as a user does who is asked.
    pub(crate) async fn password(&mut self, password: &str) {
        self.password = Some(password.to_owned());
        self.call("Fetch.enable", json!({ "handleAuthRequests": true })).await;
    }

    /// Follows the first page.
    async fn attach(&mut self) {
        let targets = self.call("Target.getTargets", json!({})).await;
        let targets = targets["targetInfos"].as_array().expect("a list");
        let page = targets.iter().find(|target| target["type"] == "page").expect("a page");
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", attach).await;
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Audits"] {
            self.call(&format!("{domain}.enable"), json!({})).await;
        }
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await;
    }

    /// Opens a page, and waits until a condition in it is true.
    pub(crate) async fn open(&mut self, url: &str, condition: &str) {
        let opened = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(opened["errorText"].is_null(), "{url}: {}", opened["errorText"]);
        self.until(condition).await;
    }

    /// The value of an expression in the page.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", asked).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// The value of an expression, which is a text.
    pub(crate) async fn text(&mut self, expression: &str) -> String {
        let value = self.value(expression).await;
        value.as_str().unwrap_or_else(|| panic!("{expression} is {value}")).to_owned()
    }

    /// Waits until a condition in the page is true.
    pub(crate) async fn until(&mut self, condition: &str) {
        let wait = format!(
            "new Promise(done => {{ const look = () => \
             ({condition}) ? done(true) : setTimeout(look, 20); look(); }})"
        );
        let waited = timeout(DEADLINE, self.value(&wait)).await;
        assert!(waited.is_ok(), "it did not become true: {condition}: {:?}", self.complaints);
    }

    /// Presses a key of the keyboard, such as `Tab` or `Enter`.
    pub(crate) async fn press(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": key, "code": key, "text": text,
                "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// The size of the window, and whether the user prefers dark colours.
    pub(crate) async fn show(&mut self, width: u32, height: u32, is_dark: bool) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": width < 700 });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// A picture of the whole page, as PNG.
    pub(crate) async fn picture(&mut self) -> Vec<u8> {
        use base64::Engine as _;
        let asked = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.call("Page.captureScreenshot", asked).await;
        let data = picture["data"].as_str().expect("a picture");
        base64::engine::general_purpose::STANDARD.decode(data).expect("base64")
    }

    /// Calls a method of the protocol, and answers what the browser asks meanwhile.
    pub(crate) async fn call(&mut self, method: &str, parameters: Value) -> Value {
        let id = self.send(method, parameters).await;
        loop {
            let message = timeout(DEADLINE, self.socket.next()).await.expect("an answer in time");
            let message = message.expect("the browser lives").expect("a message");
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.heard(&message).await;
        }
    }

    async fn send(&mut self, method: &str, parameters: Value) -> u64 {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            call["sessionId"] = session.as_str().into();
        }
        self.socket.send(Message::text(call.to_string())).await.expect("the browser lives");
        self.calls
    }

    async fn heard(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Fetch.requestPaused" => {
                let go_on = json!({ "requestId": parameters["requestId"] });
                self.send("Fetch.continueRequest", go_on).await;
            }
            "Fetch.authRequired" => {
                let answer = match self.password.take() {
                    Some(password) => json!({ "response": "ProvideCredentials",
                        "username": "operator", "password": password }),
                    // It was wrong, or the browser should know it by now.
                    None => json!({ "response": "CancelAuth" }),
                };
                let answer = json!({ "requestId": parameters["requestId"],
                    "authChallengeResponse": answer });
                self.send("Fetch.continueWithAuth", answer).await;
            }
            "Log.entryAdded" => {
                self.complaints.push(parameters["entry"]["text"].to_string());
            }
            "Runtime.exceptionThrown" => {
                self.complaints.push(parameters["exceptionDetails"].to_string());
            }
            "Audits.issueAdded" => self.complaints.push(parameters["issue"].to_string()),
            _ => {}
        }
    }
}

/// The address of the developer tools, which the browser writes into its profile.
async fn tools_of(profile: &Path) -> String {
    let file: PathBuf = profile.join("DevToolsActivePort");
    let written = async {
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some((port, path)) = text.split_once('\n') {
                return format!("ws://127.0.0.1:{port}{path}");
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, written).await.expect("the browser starts")
}

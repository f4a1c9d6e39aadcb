//! A real browser: headless Chromium, driven over `WebDriver`.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{exchange, request};

/// A browser window, closed when this is dropped.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
}

impl Browser {
    pub(crate) fn open() -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder can be made");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("packaging/setup installs chromedriver");
        let lines = BufReader::new(driver.stdout.take().expect("it is piped")).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| line.trim_end_matches('.').rsplit_once("successfully on port ")?.1.parse().ok())
            .expect("it says its port");
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=400,800"];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": arguments},
        }}});
        let begun = browser.call("POST", "/session", &wanted);
        begun["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        browser
    }

    /// Opens an address.
    pub(crate) fn visit(&self, url: &str) {
        self.within("url", &json!({ "url": url }));
    }

    /// Returns the value of a JavaScript expression.
    pub(crate) fn ask(&self, script: &str) -> Value {
        self.within("execute/sync", &json!({ "script": format!("return {script}"), "args": [] }))
    }

    /// The page's heading.
    pub(crate) fn heading(&self) -> String {
        self.ask("document.querySelector('h1')?.textContent").as_str().unwrap_or_default().to_owned()
    }

    /// Clicks the first element that a selector finds.
    pub(crate) fn press(&self, selector: &str) {
        let found = self.within("element", &json!({ "using": "css selector", "value": selector }));
        let element = found.as_object().and_then(|found| found.values().next()?.as_str()).expect("it is on the page");
        self.within(&format!("element/{element}/click"), &json!({}));
    }

    fn within(&self, call: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}/{call}", self.session), body)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the driver listens");
        let bytes = request(method, path, &[("content-type", "application/json")], body.to_string().as_bytes());
        let text = String::from_utf8(bytes).expect("it is text").replace("linedown.test", "127.0.0.1");
        let answer = exchange(stream, text.as_bytes()).expect("the driver answers");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let end = request("DELETE", &format!("/session/{}", self.session), &[], b"");
            let _ = exchange(stream, String::from_utf8_lossy(&end).replace("linedown.test", "127.0.0.1").as_bytes());
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

//! From the alert back to a line that works: the gateway's word in the message, and the page with the QR code.

use std::time::Duration;

use linedown_standins::{Certificates, Instance, Odd, ZApi};

use crate::browser::Browser;
use crate::daemon::{Daemon, eventually};
use crate::http::request;
use crate::payload::{down, down_since, up_since};
use crate::sections::{CONSOLE, tell};

const TOKEN: &str = "0canary-token-of-A";

/// A daemon that knows a line, and the line's gateway, at which the line is down.
fn start() -> (ZApi, Daemon) {
    start_in("en")
}

fn start_in(language: &str) -> (ZApi, Daemon) {
    let certificates = Certificates::new();
    let gateway = ZApi::over_tls(&certificates);
    gateway.add("A", TOKEN);
    gateway.change("A", Instance::drop_session);
    let mut daemon = Daemon::prepare(&sections(&gateway, language, &format!("token = \"{TOKEN}\"\n")));
    daemon.trust(certificates);
    daemon.launch();
    (gateway, daemon)
}

fn sections(gateway: &ZApi, language: &str, token: &str) -> String {
    format!(
        "[server]\npublic_url = \"https://alerts.example.com\"\n[sources.z-api]\napi = \"{}\"\n\
         [instances.A]\nname = \"Loja <Centro>\"\n{token}{CONSOLE}language = \"{language}\"\n{}",
        gateway.url(),
        tell(&["console"])
    )
}

/// The path of a link in the first message.
fn path(daemon: &Daemon, key: &str) -> String {
    let told = daemon.wait_for_told(1);
    let link = told[0][key].as_str().unwrap_or_else(|| panic!("no {key} in {}", told[0])).to_owned();
    link.strip_prefix("https://alerts.example.com").expect("it leads to us").to_owned()
}

fn codes(gateway: &ZApi) -> Vec<std::time::Instant> {
    gateway.calls().iter().filter(|call| call.name == "qr-code/image").map(|call| call.at).collect()
}

#[test]
fn a_line_is_connected_again_from_its_alert() {
    let (gateway, daemon) = start();
    daemon.accept(&down("A"));
    let told = daemon.wait_for_told(1);
    assert_eq!(told[0]["standing"]["connected"], false);
    assert_eq!(told[0]["standing"]["said"], "You need to restore the session.");
    assert!(told[0]["text"].as_str().is_some_and(|text| text.contains("Connect this line again: https://")));

    let browser = Browser::open();
    let link = format!("http://{}{}", daemon.address(), path(&daemon, "reconnect_url"));
    browser.visit(&link);
    assert_eq!(browser.heading(), "Connect the line again");
    assert!(browser.ask("document.body.textContent").as_str().is_some_and(|text| text.contains("Loja <Centro>")));
    assert_eq!(codes(&gateway).len(), 0, "who only looks is shown no code");

    browser.press("button");
    eventually("the code", || (browser.heading() == "Read this code").then_some(()));
    assert_eq!(browser.ask("document.querySelector('img').naturalWidth"), 29, "the browser draws it");
    assert_eq!(browser.ask("document.documentElement.scrollWidth <= window.innerWidth"), true, "it fits a phone");
    for _ in 0..3 {
        daemon.get(&format!("{}?code=1", path(&daemon, "reconnect_url")));
    }
    gateway.change("A", Instance::log_in);
    eventually("the page to turn", || (browser.heading() == "Connected").then_some(()));
    let codes = codes(&gateway);
    assert!(codes.len() > 1, "the page asks again by itself");
    let apart = codes.windows(2).all(|two| two[1] - two[0] >= Duration::from_secs(10));
    assert!(apart, "however many look, it is asked no more often than the gateway allows: {codes:?}");
    assert!(!daemon.stores("iVBOR"), "nothing is stored");
}

#[test]
fn without_a_good_link_there_is_no_page() {
    let (gateway, daemon) = start();
    daemon.accept(&down("A"));
    let (reconnect, acknowledge) = (path(&daemon, "reconnect_url"), path(&daemon, "acknowledge_url"));
    for wrong in [format!("{reconnect}0"), acknowledge.replace("/ack/", "/reconnect/"), "/reconnect/x".to_owned()] {
        let answer = daemon.get(&format!("{wrong}?code=1"));
        assert!(answer.status == 404 && !answer.body.contains("Loja"), "{wrong}: {answer:?}");
    }
    assert_eq!(daemon.get(&reconnect.replace("/reconnect/", "/ack/")).status, 404);
    for odd in ["?code=0", "?code=x", "?x", ""] {
        let page = daemon.get(&format!("{reconnect}{odd}"));
        assert!(page.status == 200 && page.body.contains("Show the code"), "{odd}: {page:?}");
    }
    assert_eq!(codes(&gateway).len(), 0);
}

#[test]
fn links_of_an_outage_that_is_over_do_not_say_that_the_line_is_well() {
    let (gateway, daemon) = start();
    daemon.accept(&down_since("A", 30));
    let (reconnect, acknowledge) = (path(&daemon, "reconnect_url"), path(&daemon, "acknowledge_url"));
    let pages = || {
        let acknowledged = daemon.send(&request("POST", &acknowledge, &[], b""));
        [daemon.get(&format!("{reconnect}?code=1")), daemon.get(&acknowledge), acknowledged]
            .map(|page| (page.status, page.body))
    };
    daemon.accept(&up_since("A", 20));
    for (status, body) in pages() {
        assert!(status == 200 && body.contains("<h1 class=\"good\">It is over</h1>"), "{body}");
        assert!(!body.contains("is connected to WhatsApp"), "nobody has asked: {body}");
    }
    daemon.accept(&down("A"));
    for (status, body) in pages() {
        assert!(status == 200 && body.contains("<h1>There is a newer incident</h1>"), "{body}");
    }
    assert_eq!(codes(&gateway).len(), 0);
}

#[test]
fn a_gateway_that_does_not_answer_holds_no_alert_up() {
    let (gateway, daemon) = start();
    gateway.plan("A", Odd::Hang);
    gateway.plan("A", Odd::answer(500, "{}"));
    daemon.accept(&down("A"));
    let told = daemon.wait_for_told(1);
    assert!(told[0]["standing"].is_null(), "{}", told[0]);
    let page = daemon.get(&format!("{}?code=1", path(&daemon, "reconnect_url")));
    assert!(page.status == 502 && page.body.contains("The gateway gives no code for Loja &lt;Centro&gt;"), "{page:?}");
    assert!(page.body.contains("has a problem of its own"), "{page:?}");
}

#[test]
fn pages_are_in_the_language_of_the_message_that_led_to_them() {
    let (_gateway, daemon) = start_in("pt-BR");
    daemon.accept(&down("A"));
    let (reconnect, acknowledge) = (path(&daemon, "reconnect_url"), path(&daemon, "acknowledge_url"));
    for (path, words) in [
        (reconnect.clone(), "Reconectar a linha"),
        (format!("{reconnect}?code=1"), "Leia este código"),
        (format!("{reconnect}?code=4"), "Ainda sem conexão"),
        (acknowledge, "Você cuida disto?"),
    ] {
        let page = daemon.get(&path);
        let heading = format!("<h1>{words}</h1>");
        assert!(page.body.contains("<html lang=\"pt-BR\">") && page.body.contains(&heading), "{page:?}");
    }
}

#[test]
fn a_page_keeps_itself_to_itself() {
    let (_gateway, daemon) = start();
    daemon.accept(&down("A"));
    let page = daemon.get(&format!("{}?code=1", path(&daemon, "reconnect_url")));
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.header(name), Some(value), "{page:?}");
    }
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'; img-src data:;") && policy.contains("frame-ancestors 'none'"));
    for outside in ["http://", "https://", "<script", "<link", "url("] {
        assert!(!page.body.contains(outside), "{outside}: {}", page.body);
    }
}

#[test]
fn who_reads_the_last_code_in_time_sees_that_the_line_is_connected() {
    let (gateway, daemon) = start();
    daemon.accept(&down("A"));
    let link = format!("{}?code=4", path(&daemon, "reconnect_url"));
    assert!(daemon.get(&link).body.contains("<h1>Not connected yet</h1>"));
    gateway.change("A", Instance::log_in);
    eventually("the page to say so", || {
        daemon.get(&link).body.contains("<h1 class=\"good\">Connected</h1>").then_some(())
    });
    assert_eq!(codes(&gateway).len(), 0, "no code is asked for");
}

/// What could not be found out is not claimed.
#[test]
fn after_the_last_code_nobody_is_told_that_a_line_is_not_connected_which_could_not_be_asked() {
    for (language, heading, says, no_token) in [
        ("en", "Connected or not?", "does not say whether Loja &lt;Centro&gt; is connected now", "its token is not in"),
        ("pt-BR", "Conectou ou não?", "não diz se Loja &lt;Centro&gt; já está", "o token não está na"),
    ] {
        let (gateway, daemon) = start_in(language);
        daemon.accept(&down("A"));
        let link = format!("{}?code=4", path(&daemon, "reconnect_url"));
        gateway.plan("A", Odd::answer(500, "{}"));
        let page = daemon.get(&link);
        assert!(page.status == 200 && page.body.contains(&format!("<h1>{heading}</h1>")), "{page:?}");
        assert!(page.body.contains(says), "{page:?}");
        daemon.configure(&sections(&gateway, language, ""));
        daemon.reload();
        let page = daemon.get(&link);
        assert!(page.status == 404 && page.body.contains(no_token), "{page:?}");
    }
}

#[test]
fn however_many_look_after_the_last_code_the_gateway_is_asked_now_and_then() {
    let (gateway, daemon) = start();
    daemon.accept(&down("A"));
    let link = format!("{}?code=4", path(&daemon, "reconnect_url"));
    let asked = || gateway.calls().iter().filter(|call| call.name == "status").map(|call| call.at).collect::<Vec<_>>();
    let for_the_alert = asked().len();
    for _ in 0..100 {
        assert_eq!(daemon.get(&link).status, 200);
    }
    let asked = asked().split_off(for_the_alert);
    assert!(!asked.is_empty());
    let apart = asked.windows(2).all(|two| two[1] - two[0] >= Duration::from_secs(3));
    assert!(apart, "it is asked again only after a while: {asked:?}");
}

#[test]
fn a_link_is_in_no_log() {
    let (_gateway, mut daemon) = start();
    daemon.accept(&down("A"));
    let links = ["reconnect_url", "acknowledge_url"].map(|key| path(&daemon, key));
    for link in &links {
        assert_eq!(daemon.get(link).status, 200);
        assert_eq!(daemon.get(&format!("{link}/")).status, 200);
        assert_eq!(daemon.get(&format!("{link}/x")).status, 404);
    }
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    daemon.wait_for_log("stopped");
    for (link, record) in links.iter().flat_map(|link| daemon.logged("").into_iter().map(move |record| (link, record)))
    {
        let token = link.rsplit('/').next().expect("it has parts");
        assert!(!record.to_string().contains(token), "{record}");
    }
}

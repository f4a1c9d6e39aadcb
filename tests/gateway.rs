//! The client of the gateway's API, against a stand-in that enforces the gateway's documentation.

use std::sync::Arc;
use std::time::Duration;

use linedown::gateway::{Access, Audit, Client, Failure, FailureKind, LineAccess, QrCode, Standing, Webhook};
use linedown_standins::{Certificates, DEADLINE, Odd, ZApi};
use secrecy::{ExposeSecret, SecretString};

const TOKEN: &str = "0canary-instance";
const CLIENT_TOKEN: &str = "0canary-account";

fn client(api: &str, client_token: Option<&str>) -> Client {
    let line = |instance: &str| LineAccess { instance: instance.into(), token: TOKEN.into() };
    let access = Access {
        api: api.parse().expect("an address"),
        client_token: client_token.map(SecretString::from),
        partner_token: Some("0canary-partner".into()),
        lines: Arc::from([line("A"), line("B")]),
        watch: None,
        audit: Audit::default(),
    };
    Client::new(Arc::new(access), 4).expect("a client")
}

fn line(client: &Client, instance: &str) -> LineAccess {
    client.access().line(instance).expect("it is there").clone()
}

fn gateway() -> ZApi {
    let gateway = ZApi::new().with_client_token(CLIENT_TOKEN).with_partner_token("0canary-partner");
    gateway.add("A", TOKEN);
    gateway
}

#[tokio::test]
async fn every_call_is_as_documented() {
    let gateway = gateway();
    let client = client(&gateway.url(), Some(CLIENT_TOKEN));
    let line = line(&client, "A");
    assert_eq!(client.status(&line).await, Ok(Standing::Up));
    let profile = client.profile(&line).await.expect("a profile");
    assert_eq!((profile.registered(Webhook::Connected), profile.payment.as_deref()), (None, Some("PAID")));
    assert_eq!(profile.due.map(jiff::Timestamp::as_second), Some(4_102_444_800));
    for webhook in Webhook::ALL {
        let address = format!("https://alerts.example.com/{}", webhook.as_str());
        client.register(&line, webhook, &address.clone().into()).await.expect("it is taken");
        let profile = client.profile(&line).await.expect("a profile");
        assert_eq!(profile.registered(webhook), Some(address.as_str()));
    }
    assert_eq!(
        gateway.instance("A").received_url,
        "https://crm.example.com/messages",
        "people's messages are left alone"
    );
    assert_eq!(client.qr_code(&line).await, Ok(QrCode::Connected));
    gateway.change("A", linedown_standins::Instance::drop_session);
    assert!(matches!(client.qr_code(&line).await, Ok(QrCode::Png(_))));
    let error = Some("You need to restore the session.".to_owned());
    assert_eq!(client.status(&line).await, Ok(Standing::Down { error }));
    let page = client.page(1, 100).await.expect("a page");
    assert_eq!(
        (
            page.members[0].instance.as_str(),
            page.members[0].profile.disconnected.as_ref().map(ExposeSecret::expose_secret)
        ),
        ("A", Some("https://alerts.example.com/disconnected"))
    );
}

#[tokio::test]
async fn what_goes_wrong_is_told_in_words_without_a_secret() {
    use FailureKind as Kind;
    let gateway = gateway();
    let known = client(&gateway.url(), Some(CLIENT_TOKEN));
    let mut failures: Vec<(Failure, Kind)> = Vec::new();
    for (odd, kind) in [
        (Odd::answer(405, ""), Kind::WrongMethod),
        (Odd::answer(415, ""), Kind::WrongMediaType),
        (Odd::answer(429, ""), Kind::RateLimited),
        (Odd::answer(503, "<html>"), Kind::Busy),
        (Odd::answer(200, "<html>"), Kind::NotJson),
        (Odd::answer(200, "{}"), Kind::Unexpected),
        (Odd::answer(200, &"x".repeat(70_000)), Kind::TooLarge),
        (Odd::answer(400, r#"{"error":"[IP] not allowed"}"#), Kind::AddressNotAllowed),
        (Odd::answer(400, &format!(r#"{{"error":"/token/{TOKEN}/status {CLIENT_TOKEN}"}}"#)), Kind::Refused),
        (Odd::Cut, Kind::Broken),
    ] {
        gateway.plan("A", odd);
        failures.push((known.status(&line(&known, "A")).await.expect_err("odd"), kind));
    }
    failures.push((known.status(&line(&known, "B")).await.expect_err("unknown"), Kind::NotFound));
    let stranger = LineAccess { instance: "A".into(), token: "0canary-other".into() };
    failures.push((known.status(&stranger).await.expect_err("another token"), Kind::Unauthorised));
    for (token, kind) in [(None, Kind::ClientTokenMissing), (Some("0canary-wrong"), Kind::ClientTokenWrong)] {
        let client = client(&gateway.url(), token);
        failures.push((client.status(&line(&client, "A")).await.expect_err("refused"), kind));
    }
    let nowhere = client("http://127.0.0.1:1", None);
    failures.push((nowhere.status(&line(&nowhere, "A")).await.expect_err("nobody listens"), Kind::Unreachable));
    for (failure, kind) in failures {
        assert_eq!(failure.kind, kind, "{failure}");
        let said = format!("{failure} {failure:?} {}", failure.hint());
        assert!(!said.contains("0canary"), "{said}");
    }
}

#[tokio::test]
async fn words_of_an_answer_are_kept_without_the_secrets_that_it_repeats() {
    let gateway = gateway();
    let client = client(&gateway.url(), Some(CLIENT_TOKEN));
    let line = line(&client, "A");
    let said = format!("no session for /instances/A/token/{TOKEN}/status by {CLIENT_TOKEN} ({})", "x".repeat(300));
    for said in [said.clone(), said.replace('/', "\\/").replace("0canary", "\\u0030canary")] {
        gateway.plan("A", Odd::answer(200, &format!(r#"{{"connected":false,"error":"{said}"}}"#)));
        let standing = format!("{:?}", client.status(&line).await);
        assert!(standing.contains("/token/…/status by … (xxx") && !standing.contains("0canary"), "{standing}");
        gateway.plan("A", Odd::answer(200, &format!(r#"{{"id":"A","paymentStatus":"{said}"}}"#)));
        let payment = client.profile(&line).await.expect("a profile").payment.expect("how it stands");
        assert!(payment.contains("/token/…/status by … (xxx") && !payment.contains("0canary"), "{payment}");
    }
    // A registered address is kept whole, whatever it contains, since it is compared with linedown's own.
    let address = format!("https://alerts.example.com/{TOKEN}");
    client.register(&line, Webhook::Connected, &address.clone().into()).await.expect("it is taken");
    let profile = client.profile(&line).await.expect("a profile");
    assert_eq!(profile.registered(Webhook::Connected), Some(address.as_str()));
}

#[tokio::test]
async fn a_gateway_that_nobody_vouches_for_is_not_asked() {
    let gateway = ZApi::over_tls(&Certificates::new());
    let client = client(&gateway.url(), Some(CLIENT_TOKEN));
    let failure = client.status(&line(&client, "A")).await.expect_err("not trusted");
    assert_eq!((failure.kind, gateway.calls().len()), (FailureKind::NotTrusted, 0), "{failure}");
}

#[tokio::test]
async fn an_answer_is_not_waited_for_longer_than_eight_seconds() {
    let gateway = gateway();
    let client = client(&gateway.url(), Some(CLIENT_TOKEN));
    gateway.plan("A", Odd::Hang);
    let line = line(&client, "A");
    let asking = tokio::spawn(async move { client.status(&line).await });
    let asked = async {
        while gateway.most_at_once() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, asked).await.expect("it is asked");
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let failure = asking.await.expect("it ends").expect_err("it hangs");
    assert_eq!(failure.kind, FailureKind::TimedOut, "{failure}");
    assert!(begun.elapsed() <= Duration::from_secs(9), "{:?}", begun.elapsed());
}

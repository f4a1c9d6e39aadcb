//! Messages about troubles that are no outage, and about outages that linedown found by asking the gateway.

use super::super::reader::Language;
use super::super::samples;
use super::shown::{error, timely};
use super::texts;
use crate::{Item, Kind, Reason, Standing};

#[test]
fn what_is_no_outage_is_not_told_as_one() {
    use Kind::{Down, Reminder, Resolved};
    use Reason::{
        CertificateExpiring, DiskNearlyFull, Expiring, GatewayUnreachable, NotInInventory, SinkFailing, StoreDamaged,
        StoreNotWriting, WebhookDrift,
    };
    let english = texts(Language::English, "UTC");
    let portuguese = texts(Language::BrazilianPortuguese, "UTC");
    for (kind, reason, closed, en, pt) in [
        (
            Down,
            WebhookDrift,
            false,
            "🟠 Loja Centro: its disconnections would go unnoticed",
            "🟠 Loja Centro: uma queda não seria avisada",
        ),
        (
            Reminder,
            Expiring,
            false,
            "🟠 Loja Centro: its gateway payment is due or overdue, still after 7 min",
            "🟠 Loja Centro: o que foi pago ao gateway está acabando, há 7 min",
        ),
        (
            Down,
            GatewayUnreachable,
            false,
            "🟠 Loja Centro: the gateway does not answer",
            "🟠 Loja Centro: o gateway não responde",
        ),
        (
            Down,
            NotInInventory,
            false,
            "🟠 Loja Centro: missing from the inventory",
            "🟠 Loja Centro: falta no inventário",
        ),
        (
            Resolved,
            WebhookDrift,
            true,
            "🟢 Loja Centro has its webhooks registered again",
            "🟢 Loja Centro está com os webhooks cadastrados de novo",
        ),
        (
            Down,
            SinkFailing,
            false,
            "🟠 linedown's sink ops-slack: its messages do not arrive",
            "🟠 Canal ops-slack do linedown: as mensagens não chegam",
        ),
        (
            Resolved,
            SinkFailing,
            true,
            "🟢 linedown's sink ops-slack works again",
            "🟢 Canal ops-slack do linedown não falha mais",
        ),
        (
            Down,
            DiskNearlyFull,
            false,
            "🟠 linedown's disk: it is nearly full",
            "🟠 Disco do linedown: está quase cheio",
        ),
        (
            Down,
            StoreDamaged,
            false,
            "🟠 linedown's store: it was damaged, and saved as far as it could be read",
            "🟠 Banco de dados do linedown: foi danificado, e o que se pôde ler foi salvo",
        ),
        (
            Down,
            StoreNotWriting,
            false,
            "🟠 linedown's store: it cannot be written to, and webhooks are refused",
            "🟠 Banco de dados do linedown: não aceita gravações, e os webhooks são recusados",
        ),
        (
            Reminder,
            CertificateExpiring,
            false,
            "🟠 linedown's certificate for ops-slack: it expires soon, or has expired, still after 7 min",
            "🟠 Certificado do linedown para ops-slack: está para vencer, ou já venceu, há 7 min",
        ),
    ] {
        let notification = timely(kind, reason, closed);
        for (texts, expected) in [(&english, en), (&portuguese, pt)] {
            assert_eq!(texts.title(&notification), expected);
            let text = texts.text(&notification);
            for word in ["is down", "fora do ar", "disconnected from WhatsApp", "sem conexão"] {
                assert!(!text.contains(word), "{text}");
            }
            assert_eq!(text.contains(error(reason)), kind != Resolved, "{text}");
        }
    }
}

#[test]
fn a_trouble_of_its_own_says_what_to_do_at_night() {
    let mut notification = timely(Kind::Down, Reason::SinkFailing, false);
    notification.acknowledge_url = None;
    assert_eq!(
        texts(Language::English, "America/Sao_Paulo").text(&notification),
        "\
🟠 linedown's sink ops-slack: its messages do not arrive

linedown has not been able to deliver messages through ops-slack since 2026-11-23 11:02 -03. They are kept and retried until linedown gives them up.
Messages through other sinks are not affected.

Probable cause: the service behind it is in trouble, this machine is offline, or its password or address is no longer right.

In detail: “unreachable: Connection refused”

What to do
1. Test it, and read why it fails: linedown send-test ops-slack
2. If the test is refused, correct its password or address in the config, then: systemctl reload linedown; if it is a systemd credential: systemctl restart linedown
3. See what waits for it: linedown deliveries --state pending --sink ops-slack

About: linedown's sink ops-slack
Reported by: linedown
Since: 2026-11-23 11:02 -03
Incident: 7
Rule: gold customers
Message: 12"
    );
}

/// Each of its messages is given up at once.
#[test]
fn a_sink_that_rejects_our_login_keeps_nothing_waiting() {
    let mut notification = timely(Kind::Down, Reason::SinkFailing, false);
    notification.incident.error = Some("unauthorised: 404 no_service".to_owned());
    for (language, said) in Language::ALL.into_iter().zip([
        "\nops-slack has rejected linedown's password or address since 2026-11-23 14:02 UTC. Each message is given up at \
         once, and the sink's fallback is told if it has one.\n",
        "\nops-slack recusa a senha ou o endereço do linedown desde ",
    ]) {
        let text = texts(language, "UTC").text(&notification);
        assert!(text.contains(said) && text.contains(": linedown retry --dead --sink ops-slack\n"), "{text}");
        assert!(!text.contains("--state pending") && !text.contains("until linedown gives them up"), "{text}");
    }
}

#[test]
fn what_is_not_watched_any_more_is_not_called_right() {
    let english = texts(Language::English, "UTC");
    let portuguese = texts(Language::BrazilianPortuguese, "UTC");
    let mut left = timely(Kind::Resolved, Reason::SinkFailing, true);
    left.incident.unwatched = true;
    assert_eq!(english.title(&left), "⚪ linedown's sink ops-slack is no longer watched");
    assert_eq!(portuguese.title(&left), "⚪ Canal ops-slack do linedown não está mais sob acompanhamento");
    let text = english.text(&left);
    assert!(text.contains("When last checked, the problem was still there: its messages do not arrive."), "{text}");
    assert!(!text.contains("Nothing more needs to be done") && !text.contains("right again"), "{text}");

    let item = |unwatched: bool, name: &str| {
        let mut incident = timely(Kind::Resolved, Reason::WebhookDrift, true).incident;
        (incident.unwatched, incident.instance.id) = (unwatched, name.to_owned());
        Item { notification: 1, kind: Kind::Resolved, incident, flapping: None, undelivered: None }
    };
    for (items, en, pt) in [
        (
            [item(true, "A"), item(true, "B")],
            "⚪ 2 lines are no longer watched",
            "⚪ 2 linhas não mais sob acompanhamento",
        ),
        (
            [item(true, "A"), item(false, "B")],
            "🟢 2 lines are right again or no longer watched",
            "🟢 2 linhas de volta ao normal ou não mais sob acompanhamento",
        ),
        ([item(false, "A"), item(false, "B")], "🟢 2 lines are right again", "🟢 2 linhas voltaram ao normal"),
    ] {
        let mut digest = samples::digest(2);
        digest.incident = items[0].incident.clone();
        digest.items = items.into();
        assert_eq!((english.title(&digest).as_str(), portuguese.title(&digest).as_str()), (en, pt));
    }
}

#[test]
fn who_hears_of_an_outage_that_no_webhook_reported_is_told_so() {
    let mut found = timely(Kind::Down, Reason::SessionExpired, false);
    found.incident.found = true;
    let told = texts(Language::English, "UTC").text(&found);
    assert!(told.contains("\nFound by checking; no webhook came."), "{told}");
    assert!(texts(Language::BrazilianPortuguese, "UTC").text(&found).contains("nenhum webhook chegou"));
    found.incident.found = false;
    assert!(!texts(Language::English, "UTC").text(&found).contains("no webhook came"));
}

#[test]
fn a_line_that_the_gateway_calls_connected_gets_nobody_out_of_bed() {
    let standing = |connected| Some(Standing { connected, said: None });
    let mut down = timely(Kind::Down, Reason::Other, false);
    for (language, words) in [
        (Language::English, "But the gateway, asked just now, says that it is connected"),
        (Language::BrazilianPortuguese, "Mas o gateway, consultado agora, diz que está conectada"),
    ] {
        for connected in [true, false] {
            down.standing = standing(connected);
            let text = texts(language, "UTC").text(&down);
            assert_eq!(text.contains(words), connected, "{text}");
        }
    }
}

#[test]
fn a_digest_of_what_is_no_outage() {
    let lines = ("3 lines with", "3 linhas ");
    let own = ("3 linedown problems with", "3 problemas do próprio linedown com");
    for (reason, (english, portuguese)) in [
        (Reason::NotInInventory, lines),
        (Reason::Expiring, lines),
        (Reason::WebhookDrift, lines),
        (Reason::GatewayUnreachable, lines),
        (Reason::SinkFailing, ("3 sinks with", "3 canais com")),
        (Reason::DiskNearlyFull, own),
        (Reason::StoreDamaged, own),
        (Reason::StoreNotWriting, own),
        (Reason::CertificateExpiring, own),
    ] {
        let mut digest = samples::digest(3);
        for item in &mut digest.items {
            (item.incident.reason, item.incident.closed_at) = (reason, None);
        }
        digest.incident.reason = reason;
        let (en, pt) = (texts(Language::English, "UTC"), texts(Language::BrazilianPortuguese, "UTC"));
        assert!(en.title(&digest).starts_with(&format!("🟠 {english}")), "{}", en.title(&digest));
        assert!(pt.title(&digest).starts_with(&format!("🟠 {portuguese}")), "{}", pt.title(&digest));
        for text in [en.text(&digest), pt.text(&digest)] {
            assert!(!text.contains("are down") && !text.contains("fora do ar") && text.contains("\n1. "), "{text}");
            assert!(!text.contains("  ") && !text.contains("\n\n\n"), "{text}");
        }
    }
}

/// What else speaks of an incident, such as the page behind a link, calls it as its messages do.
#[test]
fn a_trouble_has_the_name_that_its_messages_have() {
    for reason in Reason::ALL {
        let told = samples::sample(Kind::Down, reason, true, false);
        for language in Language::ALL {
            let (name, title) = (crate::name_of(&told.incident, language), texts(language, "UTC").title(&told));
            assert!(title.contains(&name), "{name}: {title}");
            assert_eq!(name == told.incident.instance.title(), !reason.is_own(), "{name}");
        }
    }
}

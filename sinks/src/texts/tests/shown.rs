//! How the messages look: no message shows anything that readers must never see, and every title.

use jiff::SignedDuration;

use super::super::reader::Language;
use super::super::samples::{self, sample};
use super::texts;
use crate::{Kind, Notification, Reason};

/// The words that come with each reason: the gateway's, as documented, or linedown's own.
pub(super) fn error(reason: Reason) -> &'static str {
    match reason {
        Reason::NotInInventory => "not in the inventory",
        Reason::CertificateExpiring => "good until 2026-12-05 00:00 UTC",
        Reason::DiskNearlyFull => "4.1 GB of 100.0 GB are free",
        Reason::SinkFailing => "unreachable: Connection refused",
        Reason::StoreDamaged => "rows of event may be lost; the damaged store is linedown.db.damaged-20261124T133115Z",
        Reason::StoreNotWriting => "no space left for the store",
        Reason::Expiring => "paid until 2026-11-25 00:00 UTC",
        Reason::WebhookDrift => "disconnected webhook not registered",
        Reason::GatewayUnreachable => "the gateway's API did not answer in time",
        Reason::Other => "Something new",
        Reason::DeviceDisconnected => "Device has been disconnected",
        Reason::SessionExpired => "It was not possible to restore a session with the current token, please login again",
        Reason::NumberBlocked => "The number was disconnected by a possible whatsapp number blocking",
    }
}

/// A message sent in time: seven minutes into the outage, or at its end after twelve minutes.
pub(super) fn timely(kind: Kind, reason: Reason, closed: bool) -> Notification {
    let mut notification = sample(kind, reason, true, closed);
    notification.created_at = notification.at;
    notification.last_failure = None;
    notification.incident.error = Some(error(reason).to_owned());
    notification
}

#[test]
fn no_message_of_any_sort_shows_its_seams() {
    let mut samples = samples::all();
    for kind in Kind::ALL {
        for closed in [false, true] {
            let mut sample = sample(Kind::Undelivered, Reason::NumberBlocked, true, closed);
            sample.undelivered.as_mut().unwrap().kind = kind;
            samples.push(sample.clone());
            sample.undelivered = None;
            samples.push(sample);
        }
    }
    for language in Language::ALL {
        let texts = texts(language, "America/Sao_Paulo");
        for sample in &samples {
            let title = texts.title(sample);
            assert!(title.chars().count() <= 150 && !title.contains('\n') && title.contains(' '), "{title}");
            let (text, slack, html) = (texts.text(sample), texts.slack(sample), texts.html(sample));
            assert!(text.starts_with(&format!("{title}\n\n")), "{text}");
            for text in [&title, &text, &slack, &html] {
                for seam in
                    ["undefined", "none", "None", "  ", "\n\n\n", " .", " ,", " :", "..", "{{", "()", "5544999999999"]
                {
                    assert!(!text.contains(seam), "{seam:?} in {text}");
                }
            }
            if sample.kind != Kind::Test {
                let what_to_do = [text.contains("\n1. "), slack.contains("\n1. "), html.contains("<ol")];
                // A notice of a loss asks for what the lost message asked for.
                let lost = (sample.kind == Kind::Undelivered).then_some(sample.undelivered.as_ref()).flatten();
                let kind = lost.map_or(sample.kind, |lost| lost.kind);
                let handled = matches!(kind, Kind::Resolved | Kind::Acknowledged | Kind::Test);
                let is_down = sample.incident.closed_at.is_none() || kind == Kind::Flapping;
                let to_mend = is_down && !handled || sample.incident.first_news().is_some();
                assert_eq!(what_to_do, [to_mend; 3], "{text}");
            }
        }
    }
}

#[test]
fn titles_say_it_all() {
    use Kind::{Down, Resolved, Test, Undelivered, Worse};
    use Reason::{DeviceDisconnected, NumberBlocked, Other, SessionExpired};
    let english = texts(Language::English, "UTC");
    let portuguese = texts(Language::BrazilianPortuguese, "UTC");
    for (kind, reason, closed, en, pt) in [
        (
            Down,
            Other,
            false,
            "🔴 Loja Centro is down: reason unknown",
            "🔴 Loja Centro está fora do ar: motivo desconhecido",
        ),
        (
            Down,
            DeviceDisconnected,
            false,
            "🔴 Loja Centro is down: phone unlinked or offline",
            "🔴 Loja Centro está fora do ar: celular desconectado ou sem internet",
        ),
        (
            Down,
            SessionExpired,
            false,
            "🔴 Loja Centro is down: needs a new QR code",
            "🔴 Loja Centro está fora do ar: precisa de um novo QR Code",
        ),
        (
            Down,
            NumberBlocked,
            false,
            "🔴 Loja Centro is down: number probably blocked by WhatsApp",
            "🔴 Loja Centro está fora do ar: número provavelmente bloqueado pelo WhatsApp",
        ),
        (
            Down,
            Other,
            true,
            "🟠 Loja Centro was down for 12 min and is back",
            "🟠 Loja Centro ficou fora do ar por 12 min e já voltou",
        ),
        (
            Worse,
            NumberBlocked,
            false,
            "🔴 Loja Centro: now probably blocked",
            "🔴 Loja Centro: agora o número parece bloqueado",
        ),
        (Resolved, Other, true, "🟢 Loja Centro is back after 12 min", "🟢 Loja Centro voltou depois de 12 min"),
        (
            Undelivered,
            Other,
            false,
            "⚠ +55 44 9999 was not told: Loja Centro is down",
            "⚠ +55 44 9999 não recebeu o aviso: Loja Centro está fora do ar",
        ),
        (
            Test,
            Other,
            false,
            "🔵 linedown test: nobody needs to act",
            "🔵 Teste do linedown: ninguém precisa fazer nada",
        ),
    ] {
        let notification = sample(kind, reason, true, closed);
        assert_eq!((english.title(&notification).as_str(), portuguese.title(&notification).as_str()), (en, pt));
    }
}

#[test]
fn a_message_is_late_after_two_minutes() {
    let texts = texts(Language::English, "UTC");
    let mut notification = timely(Kind::Down, Reason::Other, false);
    for (seconds, late) in [(120, false), (121, true)] {
        notification.created_at = notification.at - SignedDuration::from_secs(seconds);
        assert_eq!(texts.text(&notification).contains("This message is late: "), late);
    }
}

#[test]
fn who_can_connect_the_line_again_is_told_how_and_what_the_gateway_says() {
    let notification = samples::asked(timely(Kind::Down, Reason::SessionExpired, false));
    let text = texts(Language::English, "America/Sao_Paulo").text(&notification);
    for said in [
        "\n\nConnect this line again: https://linedown.example/reconnect/7\n\n",
        "\n2. Open the link “Connect this line again” above on another screen, and read the code there with the phone.\n",
        "\nGateway asked just now: not connected: “You need to restore the session.”\n",
    ] {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    let portuguese = texts(Language::BrazilianPortuguese, "America/Sao_Paulo").text(&notification);
    assert!(portuguese.contains("Reconectar esta linha: https://linedown.example/reconnect/7"), "{portuguese}");
    assert!(portuguese.contains("Gateway consultado agora: não conectada"), "{portuguese}");
    let over = samples::asked(timely(Kind::Resolved, Reason::SessionExpired, true));
    assert!(!texts(Language::English, "UTC").text(&over).contains("reconnect/7"));
}

//! How the messages look: every sort against what must never be seen, and some of them in full.

use jiff::SignedDuration;

use super::super::reader::Language;
use super::super::samples::{self, sample};
use super::texts;
use crate::{Kind, Notification, Reason, Standing};

/// The gateway's documented words for each reason.
fn error(reason: Reason) -> &'static str {
    match reason {
        Reason::NotInInventory => "not in the inventory",
        Reason::CertificateExpiring => "good until 2026-12-05 00:00 UTC",
        Reason::DiskNearlyFull => "4.1 GB of 100.0 GB are free",
        Reason::SinkFailing => "unreachable: Connection refused",
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

/// A message sent in time, seven minutes into the outage, or after its twelve minutes.
fn timely(kind: Kind, reason: Reason, closed: bool) -> Notification {
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
                let about_a_line = sample.undelivered.as_ref().is_none_or(|other| other.kind != Kind::Test);
                let handled = matches!(sample.kind, Kind::Resolved | Kind::Acknowledged);
                let is_down = sample.incident.closed_at.is_none() || sample.kind == Kind::Flapping;
                let to_mend = is_down && !handled && about_a_line;
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
            "⚠ ops-slack was not told: Loja Centro is down",
            "⚠ ops-slack não recebeu o aviso: Loja Centro está fora do ar",
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

#[test]
fn down_in_english() {
    assert_eq!(
        texts(Language::English, "America/Sao_Paulo").text(&timely(Kind::Down, Reason::SessionExpired, false)),
        "\
🔴 Loja Centro is down: needs a new QR code

Loja Centro has been disconnected from WhatsApp since 2026-11-23 11:02 -03 (7 min so far).
Until it is connected again, it neither sends nor receives messages.

Probable cause: the gateway's session with WhatsApp has ended, so somebody must log in again with a QR code.

The gateway says: “It was not possible to restore a session with the current token, please login again”

I am on it: https://linedown.example/ack/7?by=dono&key=k3y

What to do
1. Take the phone of this line and open WhatsApp on it: Linked devices, Link a device.
2. Open this line's instance in the gateway's panel and ask for a QR code.
3. Read the code with the phone. A code is valid for about 20 seconds only; if it runs out, take the next one.

Line: Loja Centro
Phone: 5544*****9999
Instance: 39ECB202B157D11E37905AE607963117
Reported by: z-api
Went down: 2026-11-23 11:02 -03
Incident: 7
Rule: gold customers
Message: 12"
    );
}

#[test]
fn down_in_portuguese() {
    assert_eq!(
        texts(Language::BrazilianPortuguese, "America/Sao_Paulo").text(&timely(
            Kind::Down,
            Reason::NumberBlocked,
            false
        )),
        "\
🔴 Loja Centro está fora do ar: número provavelmente bloqueado pelo WhatsApp

Loja Centro está sem conexão com o WhatsApp desde 23/11/2026 11:02 -03 (há 7 min).
Enquanto a conexão não voltar, a linha não envia nem recebe mensagens.

Causa provável: o WhatsApp bloqueou (baniu) este número.

O gateway diz: “The number was disconnected by a possible whatsapp number blocking”

Deixa comigo: https://linedown.example/ack/7?by=dono&key=k3y

O que fazer
1. Não fique tentando entrar de novo várias vezes: isso pode piorar o bloqueio.
2. Abra o WhatsApp no celular da linha. Se aparecer um aviso de que o número foi banido, peça uma análise ali mesmo.
3. Enquanto isso, passe o atendimento desta linha para outra.

Linha: Loja Centro
Telefone: 5544*****9999
Instância: 39ECB202B157D11E37905AE607963117
Origem: z-api
Caiu em: 23/11/2026 11:02 -03
Incidente: 7
Regra: gold customers
Mensagem: 12"
    );
}

#[test]
fn told_late_that_it_was_down() {
    assert_eq!(
        texts(Language::English, "UTC").text(&sample(Kind::Down, Reason::DeviceDisconnected, true, true)),
        "\
🟠 Loja Centro was down for 12 min and is back

Loja Centro was disconnected from WhatsApp from 2026-11-23 14:02 UTC to 2026-11-23 14:14 UTC (12 min).
It is connected again: the line itself needs nothing now.

This message is late: it should have been sent at 2026-11-23 14:02 UTC, 12 min ago.
The previous attempt failed: unreachable: connection refused

Probable cause: somebody unlinked the gateway in WhatsApp, or the phone is off or has no internet.

The gateway says: “Something went wrong”

Line: Loja Centro
Phone: 5544*****9999
Instance: 39ECB202B157D11E37905AE607963117
Reported by: z-api
Went down: 2026-11-23 14:02 UTC
Came back: 2026-11-23 14:14 UTC
Incident: 7
Rule: gold customers
Message: 12"
    );
}

#[test]
fn back_in_portuguese() {
    assert_eq!(
        texts(Language::BrazilianPortuguese, "America/Sao_Paulo").text(&timely(Kind::Resolved, Reason::Other, true)),
        "\
🟢 Loja Centro voltou depois de 12 min

Loja Centro está com o WhatsApp conectado de novo desde 23/11/2026 11:14 -03.
Tinha caído em 23/11/2026 11:02 -03 e ficou 12 min fora do ar. Não é preciso fazer mais nada agora.

Linha: Loja Centro
Telefone: 5544*****9999
Instância: 39ECB202B157D11E37905AE607963117
Origem: z-api
Caiu em: 23/11/2026 11:02 -03
Voltou em: 23/11/2026 11:14 -03
Incidente: 7
Regra: gold customers
Mensagem: 12"
    );
}

#[test]
fn undelivered_in_slack() {
    assert_eq!(
        texts(Language::English, "UTC").slack(&timely(Kind::Undelivered, Reason::DeviceDisconnected, false)),
        "\
linedown could not deliver a message to ops-slack for +55 44 9999.
You may be the only one who hears of this: please pass it on.
linedown gave up after 9 attempts: unauthorised: 404 no_service
Once that is mended, this command sends the message again: linedown retry 11

Loja Centro has been disconnected from WhatsApp since 2026-11-23 14:02 UTC (7 min so far).
Until it is connected again, it neither sends nor receives messages.

Probable cause: somebody unlinked the gateway in WhatsApp, or the phone is off or has no internet.

The gateway says: `Device has been disconnected`

<https://linedown.example/ack/7?by=dono&amp;key=k3y|I am on it>

*What to do*
1. Take the phone of this line, see that it is on and online, and open WhatsApp on it.
2. In WhatsApp, open Linked devices and see whether the gateway is still listed.
3. If it is not, open this line's instance in the gateway's panel and read the new QR code with the phone.

*Line:* Loja Centro
*Phone:* 5544∗∗∗∗∗9999
*Instance:* 39ECB202B157D11E37905AE607963117
*Reported by:* z-api
*Went down:* 2026-11-23 14:02 UTC
*Incident:* 7
*Rule:* gold customers
*Message:* 12"
    );
}

#[test]
fn a_test_in_both_languages() {
    let test = timely(Kind::Test, Reason::Other, false);
    assert_eq!(
        texts(Language::English, "UTC").text(&test),
        "\
🔵 linedown test: nobody needs to act

This is a test message. No line is down, and nobody needs to act.
If you can read this, linedown's alerts reach you here.

Sent: 2026-11-23 14:09 UTC
Message: 12"
    );
    assert_eq!(
        texts(Language::BrazilianPortuguese, "UTC").text(&test),
        "\
🔵 Teste do linedown: ninguém precisa fazer nada

Esta é uma mensagem de teste. Nenhuma linha caiu e ninguém precisa fazer nada.
Se você está lendo isto, os avisos do linedown chegam até você por aqui.

Enviado em: 23/11/2026 14:09 UTC
Mensagem: 12"
    );
}

#[test]
fn back_as_html() {
    assert_eq!(
        texts(Language::English, "UTC").html(&timely(Kind::Resolved, Reason::Other, true)),
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>🟢 Loja Centro is back after 12 min
</title>
</head>
<body style="margin: 0; padding: 16px; font: 17px/1.5 -apple-system, 'Segoe UI', Roboto, sans-serif;">
<div style="max-width: 560px; margin: 0 auto; overflow-wrap: anywhere;">
<h1 style="margin: 0 0 16px; padding-left: 12px; border-left: 6px solid #22c55e; font-size: 22px; line-height: 1.3;">
🟢 Loja Centro is back after 12 min
</h1>
<p style="margin: 0 0 14px;">
Loja Centro has been connected to WhatsApp again since 2026-11-23 14:14 UTC.
It went down at 2026-11-23 14:02 UTC and stayed down for 12 min. Nothing more needs to be done now.
</p>
<p style="margin: 20px 0 0; padding-top: 12px; border-top: 1px solid #9ca3af; font-size: 15px;">
<b>Line:</b> Loja Centro<br>
<b>Phone:</b> 5544*****9999<br>
<b>Instance:</b> 39ECB202B157D11E37905AE607963117<br>
<b>Reported by:</b> z-api<br>
<b>Went down:</b> 2026-11-23 14:02 UTC<br>
<b>Came back:</b> 2026-11-23 14:14 UTC<br>
<b>Incident:</b> 7<br>
<b>Rule:</b> gold customers<br>
<b>Message:</b> 12<br>
</p>
</div>
</body>
</html>"#
    );
}

#[test]
fn what_to_do_as_html() {
    let html = texts(Language::BrazilianPortuguese, "UTC").html(&timely(Kind::Down, Reason::DeviceDisconnected, false));
    let (_, rest) = html.split_once("14px;\">\nCausa").unwrap();
    let (part, _) = rest.split_once("</ol>").unwrap();
    assert_eq!(
        part,
        r#" provável: alguém desconectou o gateway no WhatsApp, ou o celular está desligado ou sem internet.</p>
<p style="margin: 0 0 4px;">O gateway diz:</p>
<blockquote style="margin: 0 0 14px; padding-left: 12px; border-left: 3px solid #9ca3af; font-style: italic;">Device has been disconnected</blockquote>
<p style="margin: 20px 0;"><a href="https:&#x2f;&#x2f;linedown.example&#x2f;ack&#x2f;7?by=dono&amp;key=k3y" style="display: inline-block; padding: 12px 20px; border-radius: 8px; background: #2563eb; color: #ffffff; font-weight: 600;">Deixa comigo</a></p>
<h2 style="margin: 20px 0 8px; font-size: 18px;">O que fazer</h2>
<ol style="margin: 0 0 20px; padding-left: 28px;">
<li style="margin-bottom: 8px;">Pegue o celular da linha, veja se está ligado e com internet, e abra o WhatsApp nele.</li>
<li style="margin-bottom: 8px;">No WhatsApp, abra Dispositivos conectados e veja se o gateway ainda aparece na lista.</li>
<li style="margin-bottom: 8px;">Se não aparecer, abra a instância desta linha no painel do gateway e leia o novo QR Code com o celular.</li>
"#
    );
}

#[test]
fn what_is_no_outage_is_not_told_as_one() {
    use Kind::{Down, Reminder, Resolved};
    use Reason::{
        CertificateExpiring, DiskNearlyFull, Expiring, GatewayUnreachable, NotInInventory, SinkFailing,
        StoreNotWriting, WebhookDrift,
    };
    let english = texts(Language::English, "UTC");
    let portuguese = texts(Language::BrazilianPortuguese, "UTC");
    for (kind, reason, closed, en, pt) in [
        (
            Down,
            WebhookDrift,
            false,
            "🟠 Loja Centro: its disconnections would not be heard of",
            "🟠 Loja Centro: uma queda não seria avisada",
        ),
        (
            Reminder,
            Expiring,
            false,
            "🟠 Loja Centro: what was paid for at the gateway ends, still after 7 min",
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
            "🟢 linedown's sink ops-slack takes messages again",
            "🟢 Canal ops-slack do linedown voltou a receber mensagens",
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

linedown has not been able to deliver by ops-slack since 2026-11-23 11:02 -03. What waits for it is kept, and tried again until its time is over.
Who is told by another sink hears as ever.

Probable cause: the service behind it is in trouble, this machine is offline, or its password or address is not right any more.

In detail: “unreachable: Connection refused”

What to do
1. Try it, and read why it fails: linedown send-test ops-slack
2. If that is refused, set its password or address right in the config, then: systemctl reload linedown
3. See what waits for it: linedown deliveries --state pending --sink ops-slack

About: linedown's sink ops-slack
Reported by: linedown
Since: 2026-11-23 11:02 -03
Incident: 7
Rule: gold customers
Message: 12"
    );
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
    let lines = ("3 lines: all with", "3 linhas: todas");
    let own = ("3 troubles of linedown's own: all with", "3 problemas do próprio linedown: todos com");
    for (reason, (english, portuguese)) in [
        (Reason::NotInInventory, lines),
        (Reason::Expiring, lines),
        (Reason::WebhookDrift, lines),
        (Reason::GatewayUnreachable, lines),
        (Reason::SinkFailing, ("3 sinks: all with", "3 canais: todos com")),
        (Reason::DiskNearlyFull, own),
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

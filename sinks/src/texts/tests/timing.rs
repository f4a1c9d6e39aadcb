//! Messages after the first alert: reminders, escalations, acknowledgements and flapping.

use jiff::SignedDuration;

use super::super::reader::Language;
use super::super::samples::{held_back, sample};
use super::texts;
use crate::{Acknowledged, Kind, Notification, Reason};

/// A message sent in time, four hours into an outage that nobody has acknowledged.
fn after_four_hours(kind: Kind, reason: Reason) -> Notification {
    let mut notification = sample(kind, reason, true, false);
    notification.at = notification.incident.opened_at + SignedDuration::from_hours(4);
    notification.created_at = notification.at;
    notification.last_failure = None;
    notification.incident.acknowledged = None;
    notification
}

/// The same; Ana acknowledged it an hour ago.
fn taken(kind: Kind, reason: Reason) -> Notification {
    let mut notification = after_four_hours(kind, reason);
    let at = notification.at - SignedDuration::from_hours(1);
    notification.incident.acknowledged = Some(Acknowledged { by: "Ana".to_owned(), at });
    notification
}

#[test]
fn a_reminder_in_english() {
    assert_eq!(
        texts(Language::English, "UTC").text(&after_four_hours(Kind::Reminder, Reason::SessionExpired)),
        "\
🔴 Loja Centro is still down after 4 h: needs a new QR code

This is a reminder: the line was reported before, and it is still down.

Loja Centro has been disconnected from WhatsApp since 2026-11-23 14:02 UTC (4 h so far).
Until it is connected again, it neither sends nor receives messages.

Probable cause: the gateway's session with WhatsApp has ended, so somebody must log in again with a QR code.

The gateway says: “Something went wrong”

I am on it: https://linedown.example/ack/7?by=dono&key=k3y

What to do
1. Take the phone of this line and open WhatsApp on it: Linked devices, Link a device.
2. Open this line's instance in the gateway's panel and ask for a QR code.
3. Read the code with the phone. A code is valid for about 20 seconds only; if it runs out, take the next one.

Line: Loja Centro
Phone: 5544*****9999
Instance: 39ECB202B157D11E37905AE607963117
Reported by: z-api
Went down: 2026-11-23 14:02 UTC
Incident: 7
Rule: gold customers
Message: 12"
    );
}

#[test]
fn escalation_in_english() {
    assert_eq!(
        texts(Language::English, "UTC").text(&after_four_hours(Kind::Escalation, Reason::DeviceDisconnected)),
        "\
🔴 Loja Centro has been down for 4 h and nobody has taken it: phone unlinked or offline

You are getting this because nobody has acknowledged this outage.

Loja Centro has been disconnected from WhatsApp since 2026-11-23 14:02 UTC (4 h so far).
Until it is connected again, it neither sends nor receives messages.

Probable cause: somebody unlinked the gateway in WhatsApp, or the phone is off or has no internet.

The gateway says: “Something went wrong”

I am on it: https://linedown.example/ack/7?by=dono&key=k3y

What to do
1. Take the phone of this line, check that it is on and online, and open WhatsApp on it.
2. In WhatsApp, open Linked devices and see whether the gateway is still listed.
3. If it is not, open this line's instance in the gateway's panel and read the new QR code with the phone.

Line: Loja Centro
Phone: 5544*****9999
Instance: 39ECB202B157D11E37905AE607963117
Reported by: z-api
Went down: 2026-11-23 14:02 UTC
Incident: 7
Rule: gold customers
Message: 12"
    );
}

#[test]
fn acknowledged_in_english() {
    assert_eq!(
        texts(Language::English, "UTC").text(&taken(Kind::Acknowledged, Reason::Other)),
        "\
👋 Loja Centro: Ana has taken it

Ana has taken it, at 2026-11-23 17:02 UTC.
Nobody else needs to act. Reminders and escalation stop.

Loja Centro has been disconnected from WhatsApp since 2026-11-23 14:02 UTC (4 h so far).
Until it is connected again, it neither sends nor receives messages.

Line: Loja Centro
Phone: 5544*****9999
Instance: 39ECB202B157D11E37905AE607963117
Reported by: z-api
Went down: 2026-11-23 14:02 UTC
Incident: 7
Rule: gold customers
Message: 12"
    );
}

#[test]
fn a_reminder_in_portuguese() {
    assert_eq!(
        texts(Language::BrazilianPortuguese, "America/Sao_Paulo")
            .text(&after_four_hours(Kind::Reminder, Reason::SessionExpired)),
        "\
🔴 Loja Centro continua fora do ar, há 4 h: precisa de um novo QR Code

Isto é um lembrete: a queda já foi avisada antes, e a linha continua fora do ar.

Loja Centro está sem conexão com o WhatsApp desde 23/11/2026 11:02 -03 (há 4 h).
Enquanto a conexão não voltar, a linha não envia nem recebe mensagens.

Causa provável: a sessão do gateway com o WhatsApp foi encerrada, e alguém precisa entrar de novo com um QR Code.

O gateway diz: “Something went wrong”

Deixa comigo: https://linedown.example/ack/7?by=dono&key=k3y

O que fazer
1. Pegue o celular da linha e abra o WhatsApp nele: Dispositivos conectados, Conectar dispositivo.
2. Abra a instância desta linha no painel do gateway e peça um QR Code.
3. Leia o código com o celular. Cada código vale só uns 20 segundos; se vencer, use o próximo.

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
fn escalation_in_portuguese() {
    assert_eq!(
        texts(Language::BrazilianPortuguese, "America/Sao_Paulo")
            .text(&after_four_hours(Kind::Escalation, Reason::DeviceDisconnected)),
        "\
🔴 Loja Centro está fora do ar há 4 h e ninguém assumiu: celular desconectado ou sem internet

Você está recebendo este aviso porque ninguém assumiu o problema.

Loja Centro está sem conexão com o WhatsApp desde 23/11/2026 11:02 -03 (há 4 h).
Enquanto a conexão não voltar, a linha não envia nem recebe mensagens.

Causa provável: alguém desconectou o gateway no WhatsApp, ou o celular está desligado ou sem internet.

O gateway diz: “Something went wrong”

Deixa comigo: https://linedown.example/ack/7?by=dono&key=k3y

O que fazer
1. Pegue o celular da linha, veja se está ligado e com internet, e abra o WhatsApp nele.
2. No WhatsApp, abra Dispositivos conectados e veja se o gateway ainda aparece na lista.
3. Se não aparecer, abra a instância desta linha no painel do gateway e leia o novo QR Code com o celular.

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
fn acknowledged_in_portuguese() {
    assert_eq!(
        texts(Language::BrazilianPortuguese, "America/Sao_Paulo").text(&taken(Kind::Acknowledged, Reason::Other)),
        "\
👋 Loja Centro: Ana está cuidando

Ana está cuidando disto desde 23/11/2026 14:02 -03.
Ninguém mais precisa fazer nada. Não haverá mais lembretes nem avisos a outras pessoas.

Loja Centro está sem conexão com o WhatsApp desde 23/11/2026 11:02 -03 (há 4 h).
Enquanto a conexão não voltar, a linha não envia nem recebe mensagens.

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
fn who_has_it_is_said() {
    let (english, portuguese) = (texts(Language::English, "UTC"), texts(Language::BrazilianPortuguese, "UTC"));
    for kind in [Kind::Down, Kind::Worse, Kind::Reminder, Kind::Escalation, Kind::Undelivered] {
        let mut taken = taken(kind, Reason::Other);
        assert!(english.text(&taken).contains("\nAna has taken it, at 2026-11-23 17:02 UTC.\n"));
        assert!(portuguese.text(&taken).contains("\nAna está cuidando disto desde 23/11/2026 17:02 UTC.\n"));
        assert!(!english.text(&taken).contains("nobody has"), "{}", english.text(&taken));
        taken.incident.acknowledged.as_mut().unwrap().by = "\u{202e}".to_owned();
        assert!(english.text(&taken).contains("\nSomebody has taken it, at "));
        assert!(portuguese.text(&taken).contains("\nAlguém está cuidando disto desde "));
    }
}

#[test]
fn told_too_late_it_reads_like_a_late_down() {
    let texts = texts(Language::English, "UTC");
    let over = |kind| {
        let mut notification = after_four_hours(kind, Reason::Other);
        notification.incident.closed_at = Some(notification.at);
        texts.text(&notification)
    };
    for kind in [Kind::Reminder, Kind::Escalation, Kind::Acknowledged] {
        assert!(over(kind).starts_with("🟠 Loja Centro was down for 4 h and is back\n"));
    }
    assert_eq!(over(Kind::Escalation), over(Kind::Down));
    assert_eq!(over(Kind::Reminder), over(Kind::Down));
}

#[test]
fn the_link_to_acknowledge_is_there_while_it_is_of_use() {
    let texts = texts(Language::English, "UTC");
    for kind in Kind::ALL {
        let mut notification = after_four_hours(kind, Reason::Other);
        let asks = !matches!(kind, Kind::Resolved | Kind::Acknowledged | Kind::Digest | Kind::Test);
        let shown = |notification: &Notification| {
            let forms = [texts.text(notification), texts.html(notification), texts.slack(notification)];
            forms.map(|text| text.contains("I am on it"))
        };
        assert_eq!(shown(&notification), [asks; 3], "{kind:?}");
        notification.acknowledge_url = Some("javascript:alert(1)".to_owned());
        assert_eq!(shown(&notification), [false; 3], "{kind:?}");
        notification.acknowledge_url = Some("https://linedown.example/a".to_owned());
        notification.incident.closed_at = Some(notification.at);
        assert_eq!(shown(&notification), [false; 3], "{kind:?}");
    }
}

#[test]
fn what_held_a_message_back_is_said() {
    use crate::Holder::{Hold, QuietHours, Silence};
    for (by, english, portuguese) in [
        (
            Hold,
            "The rule holds alerts back for 5m, in case the problem ends by itself.",
            "A regra espera 5m antes de avisar, caso o problema acabe sozinho.",
        ),
        (
            Silence,
            "This message was held back by silence 3 until 2026-11-23 14:09 UTC.",
            "Esta mensagem foi retida pelo silêncio 3 até 23/11/2026 14:09 UTC.",
        ),
        (
            QuietHours,
            "This message was held back by quiet hours “night” until 2026-11-23 14:09 UTC.",
            "Esta mensagem foi retida pelo horário de silêncio “night” até 23/11/2026 14:09 UTC.",
        ),
    ] {
        for (language, said) in Language::ALL.into_iter().zip([english, portuguese]) {
            let text = texts(language, "UTC").text(&held_back(by));
            assert!(text.contains(&format!("\n\n{said}\n\n")), "{text}");
        }
    }
    let mut ended = held_back(Silence);
    ended.held_back.as_mut().unwrap().until = None;
    let text = texts(Language::English, "UTC").text(&ended);
    assert!(text.contains("\nThis message was held back by silence 3.\n"), "{text}");
}

#[test]
fn a_line_that_keeps_dropping_is_said_once_and_then_how_it_stands() {
    let (english, portuguese) = (texts(Language::English, "UTC"), texts(Language::BrazilianPortuguese, "UTC"));
    let mut sample = sample(Kind::Flapping, Reason::Other, true, false);
    assert_eq!(english.title(&sample), "🔴 Loja Centro keeps dropping: 5 outages in 25 min");
    assert_eq!(portuguese.title(&sample), "🔴 Loja Centro não para de cair: 5 quedas em 25 min");
    assert!(english.text(&sample).contains("unless one is worse. A summary follows once"));
    assert!(english.text(&sample).contains("has stayed up, or down, for 30 min.\n"));
    sample.kind = Kind::Steady;
    assert_eq!(english.title(&sample), "🔴 Loja Centro stays down after 5 outages: reason unknown");
    assert_eq!(portuguese.title(&sample), "🔴 Loja Centro continua fora do ar depois de 5 quedas: motivo desconhecido");
    sample.incident.closed_at = Some(sample.at);
    assert_eq!(english.title(&sample), "🟢 Loja Centro is steady again after 5 outages");
    assert_eq!(portuguese.title(&sample), "🟢 Loja Centro voltou a ficar estável depois de 5 quedas");
    assert!(english.text(&sample).contains("has gone down 5 times since 2026-11-23 13:44 UTC, for 8 min altogether"));
}

//! Some messages in full.

use super::super::reader::Language;
use super::super::samples::sample;
use super::shown::timely;
use super::texts;
use crate::{Kind, Reason};

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
linedown could not deliver a message to ops-slack for +55 44 9999. It could not tell bia@acme.example about that either.
You may be the only one who hears of this: please pass it on.
linedown gave up after 9 attempts: unauthorised: 404 no_service
Once that is fixed, this command sends the message again, to the same address: linedown retry 11

Loja Centro has been disconnected from WhatsApp since 2026-11-23 14:02 UTC (7 min so far).
Until it is connected again, it neither sends nor receives messages.

Probable cause: somebody unlinked the gateway in WhatsApp, or the phone is off or has no internet.

The gateway says: `Device has been disconnected`

<https://linedown.example/ack/7?by=dono&amp;key=k3y|I am on it>

*What to do*
1. Take the phone of this line, check that it is on and online, and open WhatsApp on it.
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
fn attempts_are_counted_in_words() {
    for (attempts, english, portuguese) in [
        (0, "linedown gave up without an attempt: ", "O linedown desistiu sem nenhuma tentativa: "),
        (1, "linedown gave up after 1 attempt: ", "O linedown desistiu depois de 1 tentativa: "),
        (2, "linedown gave up after 2 attempts: ", "O linedown desistiu depois de 2 tentativas: "),
    ] {
        let mut notification = timely(Kind::Undelivered, Reason::Other, false);
        notification.undelivered.as_mut().unwrap().attempts = attempts;
        for (language, said) in Language::ALL.into_iter().zip([english, portuguese]) {
            let text = texts(language, "UTC").text(&notification);
            assert!(text.contains(&format!("\n{said}unauthorised: 404 no_service\n")), "{text}");
        }
    }
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

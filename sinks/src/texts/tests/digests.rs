//! Digests: several incidents in one message.

use super::super::reader::Language;
use super::super::samples;
use super::texts;
use crate::{Acknowledged, Kind, Notification, Reason};

/// A digest of that many lines, sent in time.
fn digest(lines: usize) -> Notification {
    let digest = samples::digest(lines);
    Notification { created_at: digest.at, last_failure: None, ..digest }
}

/// A digest of one line for each element: down for that reason, or back.
pub(super) fn lines(reasons: &[Option<Reason>]) -> Notification {
    let mut digest = digest(reasons.len());
    for (item, reason) in digest.items.iter_mut().zip(reasons) {
        item.incident.closed_at = if reason.is_none() { Some(digest.at) } else { None };
        item.incident.reason = reason.unwrap_or(Reason::Other);
        item.incident.acknowledged = None;
        item.kind = if reason.is_none() { Kind::Resolved } else { Kind::Down };
    }
    digest
}

#[test]
fn twelve_lines_in_english() {
    assert_eq!(
        texts(Language::English, "UTC").text(&digest(12)),
        "\
🔴 10 lines are down: 3 probably blocked by WhatsApp; 2 are back

10 lines are disconnected from WhatsApp: 3 probably blocked by WhatsApp, 2 need a new QR code, 2 with the phone unlinked or offline, 3 for an unknown reason.
Until connected again, they neither send nor receive messages.
Somebody has taken 3 of them.
2 lines are connected again.
To take an incident: linedown ack NUMBER

Worst first
- Loja Centro 4 (5544*****9999): number probably blocked by WhatsApp, since 2026-11-23 14:02 UTC, incident 11, taken by Ana
- Loja Centro 8 (5544*****9999): number probably blocked by WhatsApp, since 2026-11-23 14:02 UTC, incident 15, taken by Ana
- i-12: number probably blocked by WhatsApp, since 2026-11-23 14:02 UTC, incident 19, taken by Ana
- Loja Centro 1 (5544*****9999): needs a new QR code, since 2026-11-23 14:02 UTC, incident 8
- i-9: needs a new QR code, since 2026-11-23 14:02 UTC, incident 16
- Loja Centro 2 (5544*****9999): phone unlinked or offline, since 2026-11-23 14:02 UTC, incident 9
- i-6: phone unlinked or offline, since 2026-11-23 14:02 UTC, incident 13
- i-3: reason unknown, since 2026-11-23 14:02 UTC, incident 10
- Loja Centro 7 (5544*****9999): reason unknown, since 2026-11-23 14:02 UTC, incident 14
- Loja Centro 11 (5544*****9999): reason unknown, since 2026-11-23 14:02 UTC, incident 18
- Loja Centro 5 (5544*****9999): back since 2026-11-23 14:07 UTC, after 5 min (needs a new QR code), incident 12
- Loja Centro 10 (5544*****9999): back since 2026-11-23 14:07 UTC, after 5 min (phone unlinked or offline), incident 17

What to do
1. Blocked: open WhatsApp on the phone of the line and ask for a review there. Do not log in again and again.
2. New QR code: open the instance in the gateway's panel and read the code with the phone of the line.
3. Unlinked or offline: check that the phone is on and online, and that its Linked devices still list the gateway.
4. Unknown: open the instance in the gateway's panel and look at its state.

Rule: gold customers
Message: 12"
    );
}

#[test]
fn twelve_lines_in_portuguese() {
    assert_eq!(
        texts(Language::BrazilianPortuguese, "America/Sao_Paulo").text(&digest(12)),
        "\
🔴 10 linhas estão fora do ar: 3 com o número provavelmente bloqueado pelo WhatsApp; 2 já voltaram

10 linhas estão sem conexão com o WhatsApp: 3 com o número provavelmente bloqueado pelo WhatsApp, 2 precisam de um novo QR Code, 2 com o celular desconectado ou sem internet, 3 por motivo desconhecido.
Enquanto a conexão não voltar, não enviam nem recebem mensagens.
Já há quem cuide de 3 linhas.
2 linhas já estão conectadas de novo.
Para assumir um incidente: linedown ack NÚMERO

As mais graves primeiro
- Loja Centro 4 (5544*****9999): número provavelmente bloqueado pelo WhatsApp, desde 23/11/2026 11:02 -03, incidente 11, com Ana
- Loja Centro 8 (5544*****9999): número provavelmente bloqueado pelo WhatsApp, desde 23/11/2026 11:02 -03, incidente 15, com Ana
- i-12: número provavelmente bloqueado pelo WhatsApp, desde 23/11/2026 11:02 -03, incidente 19, com Ana
- Loja Centro 1 (5544*****9999): precisa de um novo QR Code, desde 23/11/2026 11:02 -03, incidente 8
- i-9: precisa de um novo QR Code, desde 23/11/2026 11:02 -03, incidente 16
- Loja Centro 2 (5544*****9999): celular desconectado ou sem internet, desde 23/11/2026 11:02 -03, incidente 9
- i-6: celular desconectado ou sem internet, desde 23/11/2026 11:02 -03, incidente 13
- i-3: motivo desconhecido, desde 23/11/2026 11:02 -03, incidente 10
- Loja Centro 7 (5544*****9999): motivo desconhecido, desde 23/11/2026 11:02 -03, incidente 14
- Loja Centro 11 (5544*****9999): motivo desconhecido, desde 23/11/2026 11:02 -03, incidente 18
- Loja Centro 5 (5544*****9999): voltou em 23/11/2026 11:07 -03, depois de 5 min (precisa de um novo QR Code), incidente 12
- Loja Centro 10 (5544*****9999): voltou em 23/11/2026 11:07 -03, depois de 5 min (celular desconectado ou sem internet), incidente 17

O que fazer
1. Bloqueada: abra o WhatsApp no celular da linha e peça uma análise ali mesmo. Não fique tentando entrar de novo.
2. Novo QR Code: abra a instância no painel do gateway e leia o código com o celular da linha.
3. Desconectada ou sem internet: veja se o celular está ligado e com internet, e se o gateway ainda aparece em Dispositivos conectados.
4. Motivo desconhecido: abra a instância no painel do gateway e veja em que estado ela está.

Regra: gold customers
Mensagem: 12"
    );
}

#[test]
fn titles_count() {
    use Reason::{DeviceDisconnected as Phone, NumberBlocked as Blocked, Other, SessionExpired as Code};
    let english = texts(Language::English, "UTC");
    let portuguese = texts(Language::BrazilianPortuguese, "UTC");
    for (reasons, en, pt) in [
        (
            &[Some(Code), Some(Code), Some(Other)][..],
            "🔴 3 lines are down: 2 need a new QR code",
            "🔴 3 linhas estão fora do ar: 2 precisam de um novo QR Code",
        ),
        (
            &[Some(Code), Some(Phone)],
            "🔴 2 lines are down: 1 needs a new QR code",
            "🔴 2 linhas estão fora do ar: 1 precisa de um novo QR Code",
        ),
        (
            &[Some(Blocked), Some(Blocked)],
            "🔴 2 lines are down: all probably blocked by WhatsApp",
            "🔴 2 linhas estão fora do ar: todas com o número provavelmente bloqueado pelo WhatsApp",
        ),
        (
            &[Some(Phone), Some(Other), None],
            "🔴 2 lines are down: 1 with the phone unlinked or offline; 1 is back",
            "🔴 2 linhas estão fora do ar: 1 com o celular desconectado ou sem internet; 1 já voltou",
        ),
        (
            &[Some(Code), None, None],
            "🔴 1 line is down: needs a new QR code; 2 are back",
            "🔴 1 linha está fora do ar: precisa de um novo QR Code; 2 já voltaram",
        ),
        (&[None, None], "🟢 2 lines are back", "🟢 2 linhas voltaram"),
        (
            &[Some(Code)],
            "🔴 Loja Centro 1 is down: needs a new QR code",
            "🔴 Loja Centro 1 está fora do ar: precisa de um novo QR Code",
        ),
        (&[None], "🟢 Loja Centro 1 is back after 7 min", "🟢 Loja Centro 1 voltou depois de 7 min"),
    ] {
        let digest = lines(reasons);
        assert_eq!((english.title(&digest).as_str(), portuguese.title(&digest).as_str()), (en, pt));
    }
}

#[test]
fn nobody_is_alarmed_by_what_is_in_good_hands() {
    let mut digest = lines(&[Some(Reason::SessionExpired), Some(Reason::Other)]);
    let acknowledged = Some(Acknowledged { by: "Ana".to_owned(), at: digest.at });
    digest.items.iter_mut().for_each(|item| item.incident.acknowledged.clone_from(&acknowledged));
    let (english, portuguese) = (texts(Language::English, "UTC"), texts(Language::BrazilianPortuguese, "UTC"));
    assert_eq!(english.title(&digest), "👋 2 lines are down, all taken");
    assert_eq!(portuguese.title(&digest), "👋 2 linhas estão fora do ar, mas já há quem cuide");
    for (texts, words) in [
        (english, ["\nSomebody has taken all of them.\n", "\n\nIn good hands\n- "]),
        (portuguese, ["\nJá há quem cuide de todas.\n", "\n\nEm boas mãos\n- "]),
    ] {
        let text = texts.text(&digest);
        assert!(words.iter().all(|words| text.contains(words)), "{text}");
    }
    digest.items[1].incident.closed_at = Some(digest.at);
    let titles = Language::ALL.map(|language| texts(language, "UTC").title(&digest));
    let expected = [
        "👋 1 line is down and taken, 1 was down and is back",
        "👋 1 linha está fora do ar, mas já há quem cuide, 1 ficou fora do ar e já voltou",
    ];
    assert_eq!(titles, expected);
}

#[test]
fn a_line_counts_once_and_each_of_its_outages_is_told_once() {
    let mut digest = digest(2);
    let mut earlier = digest.items[0].clone();
    (earlier.incident.id, earlier.incident.reason) = (5, Reason::NumberBlocked);
    earlier.incident.closed_at = Some(digest.at);
    digest.items.insert(0, earlier);
    let mut again = digest.items[1].clone();
    again.kind = Kind::Worse;
    digest.items.push(again);
    let texts = texts(Language::English, "UTC");
    assert_eq!(texts.title(&digest), "🔴 2 lines are down: 1 needs a new QR code");
    let text = texts.text(&digest);
    let told: Vec<_> = text.lines().filter(|line| line.starts_with("- Loja Centro 1 ")).collect();
    assert_eq!(told.len(), 2, "{text}");
    assert!(told[0].contains("since 2026-11-23 14:02 UTC, incident 8"), "{text}");
    assert!(told[1].contains("after 7 min (number probably blocked by WhatsApp), incident 5"), "{text}");
}

#[test]
fn of_one_line_all_outages_are_told() {
    let mut digest = digest(1);
    let mut later = digest.items[0].clone();
    (later.incident.id, later.incident.reason) = (9, Reason::Other);
    digest.items[0].incident.closed_at = Some(digest.at);
    digest.items.push(later);
    for (language, title, list) in [
        (
            Language::English,
            "🔴 Loja Centro 1 is down: reason unknown",
            "\n\nWhat happened\n- Loja Centro 1 (5544*****9999): reason unknown, since 2026-11-23 14:02 UTC, incident 9\n\
             - Loja Centro 1 (5544*****9999): back since 2026-11-23 14:09 UTC, after 7 min (needs a new QR code), incident 8\n",
        ),
        (
            Language::BrazilianPortuguese,
            "🔴 Loja Centro 1 está fora do ar: motivo desconhecido",
            "\n\nO que aconteceu\n- Loja Centro 1 (5544*****9999): motivo desconhecido, desde 23/11/2026 14:02 UTC, incidente 9\n",
        ),
    ] {
        let text = texts(language, "UTC").text(&digest);
        assert!(text.starts_with(&format!("{title}\n\n")) && text.contains(list), "{text}");
    }
}

#[test]
fn a_digest_of_one_line_says_all_about_it() {
    let texts = texts(Language::English, "UTC");
    let digest = digest(1);
    let down = Notification { kind: Kind::Down, items: Vec::new(), acknowledge_url: None, ..digest.clone() };
    assert_eq!(texts.text(&digest), texts.text(&down));
}

#[test]
fn what_is_left_out_is_counted() {
    let digest = digest(10_000);
    for (language, more) in [(Language::English, "and 9900 more"), (Language::BrazilianPortuguese, "e mais 9900")] {
        let texts = texts(language, "UTC");
        let (text, html, slack) = (texts.text(&digest), texts.html(&digest), texts.slack(&digest));
        assert_eq!((text.matches("\n- ").count(), html.matches("\n<li>").count()), (100, 100));
        assert_eq!(slack.matches("\n• ").count(), 30);
        assert!(text.contains(&format!("\n{more}: linedown incidents\n")));
        assert!(html.contains(&format!(">{more}: linedown incidents</p>")));
        assert!(slack.contains(&format!("\n{}: linedown incidents\n", more.replace("9900", "9970"))));
    }
    let whole = texts(Language::English, "UTC").text(&self::digest(100));
    assert!(!whole.contains("linedown incidents"));
}

#[test]
fn hostile_names_stay_in_their_place() {
    let mut digest = digest(2);
    for item in &mut digest.items {
        item.incident.instance.name = Some("<!here>\n- *x* {{ 7 * 7 }}\u{202e}".to_owned());
        item.incident.acknowledged = Some(Acknowledged { by: "<b>\r\nAna".to_owned(), at: digest.at });
    }
    let texts = texts(Language::English, "UTC");
    let line = "\n- <!here> - *x* {{ 7 * 7 }} (5544*****9999): needs a new QR code, since 2026-11-23 14:02 UTC, \
                incident 8, taken by <b> Ana\n";
    assert!(texts.text(&digest).contains(line), "{}", texts.text(&digest));
    assert!(texts.html(&digest).contains("\n<li>&lt;!here&gt; - *x* {{ 7 * 7 }} (5544*****9999): "));
    assert!(texts.html(&digest).contains(", taken by &lt;b&gt; Ana</li>\n"));
    assert!(texts.slack(&digest).contains("\n• &lt;!here&gt; - ∗x∗ {{ 7 ∗ 7 }} (5544∗∗∗∗∗9999): "));
    assert!(texts.slack(&digest).contains(", taken by &lt;b&gt; Ana\n"));
}

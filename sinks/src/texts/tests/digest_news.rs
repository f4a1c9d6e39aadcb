//! The kinds of notifications in a digest (news, reminders, escalations), and what it asks its reader to do.

use super::super::reader::Language;
use super::digests::lines;
use super::texts;
use crate::{Acknowledged, Kind, Notification, Reason};

/// Like [`lines`], with the items of lines that are down of this kind.
fn all(kind: Kind, reasons: &[Option<Reason>]) -> Notification {
    let mut digest = lines(reasons);
    digest.items.iter_mut().filter(|item| item.incident.closed_at.is_none()).for_each(|item| item.kind = kind);
    digest
}

/// Asserts that the text begins with this title and this sentence, in English and in Portuguese.
fn says(digest: &Notification, title: [&str; 2], lead: [&str; 2]) {
    for ((language, title), lead) in Language::ALL.into_iter().zip(title).zip(lead) {
        let text = texts(language, "UTC").text(digest);
        assert!(text.starts_with(&format!("{title}\n\n{lead}\n")), "{text}");
    }
}

#[test]
fn escalations_in_english() {
    let digest = all(Kind::Escalation, &[Some(Reason::SessionExpired), Some(Reason::Other), None]);
    assert_eq!(
        texts(Language::English, "America/Sao_Paulo").text(&digest),
        "\
🔴 2 lines are down and nobody has taken them: 1 needs a new QR code; 1 is back

You are getting this because nobody has taken them.

2 lines are disconnected from WhatsApp: 1 needs a new QR code, 1 for an unknown reason.
Until connected again, they neither send nor receive messages.
1 line is connected again.
To take an incident: linedown ack NUMBER

Worst first
- Loja Centro 1 (5544*****9999): needs a new QR code, since 2026-11-23 11:02 -03, incident 8
- Loja Centro 2 (5544*****9999): reason unknown, since 2026-11-23 11:02 -03, incident 9
- i-3: back since 2026-11-23 11:09 -03, after 7 min, incident 10

What to do
1. New QR code: open the instance in the gateway's panel and read the code with the phone of the line.
2. Unknown: open the instance in the gateway's panel and look at its state.

Rule: gold customers
Message: 12"
    );
}

#[test]
fn reminders_in_portuguese() {
    let digest = all(Kind::Reminder, &[Some(Reason::NumberBlocked), Some(Reason::SessionExpired)]);
    assert_eq!(
        texts(Language::BrazilianPortuguese, "America/Sao_Paulo").text(&digest),
        "\
🔴 2 linhas continuam fora do ar: 1 com o número provavelmente bloqueado pelo WhatsApp

Isto é um lembrete: as quedas já foram avisadas antes, e as linhas continuam fora do ar.

2 linhas estão sem conexão com o WhatsApp: 1 com o número provavelmente bloqueado pelo WhatsApp, 1 precisa de um novo QR Code.
Enquanto a conexão não voltar, não enviam nem recebem mensagens.
Para assumir um incidente: linedown ack NÚMERO

As mais graves primeiro
- Loja Centro 1 (5544*****9999): número provavelmente bloqueado pelo WhatsApp, desde 23/11/2026 11:02 -03, incidente 8
- Loja Centro 2 (5544*****9999): precisa de um novo QR Code, desde 23/11/2026 11:02 -03, incidente 9

O que fazer
1. Bloqueada: abra o WhatsApp no celular da linha e peça uma análise ali mesmo. Não fique tentando entrar de novo.
2. Novo QR Code: abra a instância no painel do gateway e leia o código com o celular da linha.

Regra: gold customers
Mensagem: 12"
    );
}

#[test]
fn reminders_say_that_nothing_is_new() {
    use Reason::{Expiring, Other, SessionExpired as Code};
    for (reasons, title, lead) in [
        (
            &[Some(Code), Some(Code), Some(Other)][..],
            [
                "🔴 3 lines are still down: 2 need a new QR code",
                "🔴 3 linhas continuam fora do ar: 2 precisam de um novo QR Code",
            ],
            [
                "This is a reminder: the lines were reported before, and they are still down.",
                "Isto é um lembrete: as quedas já foram avisadas antes, e as linhas continuam fora do ar.",
            ],
        ),
        (
            &[Some(Code), None],
            [
                "🔴 1 line is still down: needs a new QR code; 1 is back",
                "🔴 1 linha continua fora do ar: precisa de um novo QR Code; 1 já voltou",
            ],
            [
                "This is a reminder: the line was reported before, and it is still down.",
                "Isto é um lembrete: a queda já foi avisada antes, e a linha continua fora do ar.",
            ],
        ),
        (
            &[Some(Expiring), Some(Expiring)],
            ["🟠 Still 2 lines with payment due or overdue", "🟠 Ainda 2 linhas com o pagamento acabando"],
            [
                "This is a reminder: it was reported before, and it is still so.",
                "Isto é um lembrete: já foi avisado antes e continua assim.",
            ],
        ),
    ] {
        says(&all(Kind::Reminder, reasons), title, lead);
    }
}

#[test]
fn escalations_say_that_nobody_has_taken_it() {
    use Reason::{Expiring, Other, SessionExpired as Code};
    for (reasons, title, lead) in [
        (
            &[Some(Code), Some(Code), Some(Other)][..],
            [
                "🔴 3 lines are down and nobody has taken them: 2 need a new QR code",
                "🔴 3 linhas estão fora do ar e ninguém assumiu: 2 precisam de um novo QR Code",
            ],
            [
                "You are getting this because nobody has taken them.",
                "Você está recebendo este aviso porque ninguém assumiu os problemas.",
            ],
        ),
        (
            &[Some(Code), None],
            [
                "🔴 1 line is down and nobody has taken it: needs a new QR code; 1 is back",
                "🔴 1 linha está fora do ar e ninguém assumiu: precisa de um novo QR Code; 1 já voltou",
            ],
            [
                "You are getting this because nobody has taken it.",
                "Você está recebendo este aviso porque ninguém assumiu o problema.",
            ],
        ),
        (
            &[Some(Expiring), Some(Expiring)],
            [
                "🟠 2 lines with payment due or overdue, taken by nobody",
                "🟠 2 linhas com o pagamento acabando, ninguém assumiu",
            ],
            [
                "You are getting this because nobody has taken them.",
                "Você está recebendo este aviso porque ninguém assumiu os problemas.",
            ],
        ),
    ] {
        says(&all(Kind::Escalation, reasons), title, lead);
    }
    let mut late = all(Kind::Escalation, &[Some(Code), Some(Other)]);
    late.items[0].incident.acknowledged = Some(Acknowledged { by: "Ana".to_owned(), at: late.at });
    let title =
        ["🔴 2 lines are down: 1 needs a new QR code", "🔴 2 linhas estão fora do ar: 1 precisa de um novo QR Code"];
    let lead = [
        "You are getting this because nobody had taken them in time.",
        "Você está recebendo este aviso porque ninguém assumiu os problemas a tempo.",
    ];
    says(&late, title, lead);
}

#[test]
fn news_among_reminders_and_escalations_is_told_as_news() {
    let mut digest = all(Kind::Reminder, &[Some(Reason::SessionExpired), Some(Reason::Other)]);
    for kind in [Kind::Down, Kind::Escalation] {
        digest.items[1].kind = kind;
        let text = texts(Language::English, "UTC").text(&digest);
        let title = "🔴 Loja Centro 2 is down: reason unknown; 1 other still is";
        assert!(text.starts_with(&format!("{title}\n\n2 lines are disconnected ")), "{text}");
    }
}

#[test]
fn good_news_is_not_the_worst() {
    let outages = lines(&[None, None]);
    let mut notices = outages.clone();
    notices.items.iter_mut().for_each(|item| item.incident.reason = Reason::Expiring);
    for (digest, [english, portuguese]) in [
        (
            outages,
            [
                "\n\nBack again\n- Loja Centro 1 (5544*****9999): back since 2026-11-23 14:09 UTC, after 7 min, incident 8\n",
                "\n\nDe volta\n- Loja Centro 1 (5544*****9999): voltou em 23/11/2026 14:09 UTC, depois de 7 min, incidente 8\n",
            ],
        ),
        (
            notices,
            [
                "\n\nRight again\n- Loja Centro 1 (5544*****9999): right again since 2026-11-23 14:09 UTC, after 7 min, incident 8\n",
                "\n\nDe volta ao normal\n- Loja Centro 1 (5544*****9999): normal de novo desde 23/11/2026 14:09 UTC, depois de 7 min, incidente 8\n",
            ],
        ),
    ] {
        let (en, pt) = (texts(Language::English, "UTC"), texts(Language::BrazilianPortuguese, "UTC"));
        assert!(en.text(&digest).contains(english), "{}", en.text(&digest));
        assert!(pt.text(&digest).contains(portuguese), "{}", pt.text(&digest));
    }
}

#[test]
fn only_who_is_asked_to_act_reads_how_to_take_it() {
    let texts = texts(Language::English, "UTC");
    let asks = |digest: &Notification| {
        let forms = [texts.text(digest), texts.html(digest), texts.slack(digest)];
        let asking = forms.iter().filter(|text| text.contains("\nTo take an incident: linedown ack NUMBER\n")).count();
        assert!(asking == 0 || asking == 3, "{forms:?}");
        asking == 3
    };
    let mut digest = lines(&[Some(Reason::SessionExpired), Some(Reason::Other), None]);
    assert!(asks(&digest));
    for item in &mut digest.items[..2] {
        item.incident.acknowledged = Some(Acknowledged { by: "Ana".to_owned(), at: digest.at });
    }
    assert!(!asks(&digest));
    assert!(!asks(&lines(&[None, None])));
    // Incidents that no store keeps have no number.
    let mut unnumbered = lines(&[Some(Reason::Other), Some(Reason::Other)]);
    unnumbered.items.iter_mut().for_each(|item| item.incident.id = 0);
    assert!(!asks(&unnumbered) && !texts.text(&unnumbered).contains("incident"));
}

/// An alert that nobody got in time is never resolved away.
#[test]
fn what_the_reader_missed_is_not_told_as_just_being_back() {
    let mut digest = lines(&[None, None, None]);
    let missed = |digest: &mut Notification, kinds: &[Kind]| {
        digest.items.iter_mut().zip(kinds).for_each(|(item, kind)| item.kind = *kind);
    };
    for (kinds, titles) in [
        ([Kind::Down; 3], ["🟠 3 lines were down and are back", "🟠 3 linhas ficaram fora do ar e já voltaram"]),
        (
            [Kind::Reminder, Kind::Resolved, Kind::Resolved],
            ["🟠 1 line was down and is back, 2 are back", "🟠 1 linha ficou fora do ar e já voltou, 2 já voltaram"],
        ),
        ([Kind::Resolved; 3], ["🟢 3 lines are back", "🟢 3 linhas voltaram"]),
    ] {
        missed(&mut digest, &kinds);
        assert_eq!(Language::ALL.map(|language| texts(language, "UTC").title(&digest)), titles);
    }
    missed(&mut digest, &[Kind::Down, Kind::Down, Kind::Resolved]);
    digest.last_failure = Some("unreachable: connection refused".to_owned());
    let text = texts(Language::English, "UTC").text(&digest);
    assert!(
        text.contains(
            "\n2 lines were disconnected from WhatsApp and are connected again.\n1 line is connected again.\n\n\
             This message is late: "
        ),
        "{text}"
    );
    assert!(text.contains("\nThe previous attempt failed: unreachable: connection refused\n"), "{text}");
    assert!(texts(Language::English, "UTC").html(&digest).contains("solid #f97316"));
    let text = texts(Language::BrazilianPortuguese, "UTC").text(&digest);
    assert!(
        text.contains(
            "\n2 linhas ficaram sem conexão com o WhatsApp e já estão conectadas de novo.\n1 linha já está conectada de \
             novo.\n"
        ),
        "{text}"
    );
    digest.items[2].incident.closed_at = None;
    let titles = [
        "🔴 1 line is down: reason unknown; 2 were down and are back",
        "🔴 1 linha está fora do ar: motivo desconhecido; 2 ficaram fora do ar e já voltaram",
    ];
    assert_eq!(Language::ALL.map(|language| texts(language, "UTC").title(&digest)), titles);
}

/// The first `new` items are news, the others reminders.
#[test]
fn what_is_new_is_named_in_the_title_and_first_in_the_list() {
    use Reason::{Other, SessionExpired as Code, WebhookDrift};
    for (reasons, new, titles) in [
        (
            &[Some(Code), Some(Other), Some(Other)][..],
            1,
            [
                "🔴 Loja Centro 1 is down: needs a new QR code; 2 others still are",
                "🔴 Loja Centro 1 está fora do ar: precisa de um novo QR Code; outras 2 continuam",
            ],
        ),
        (
            &[Some(Other), Some(Other), Some(Code), None],
            2,
            [
                "🔴 Loja Centro 4 and 1 more are now down; 1 other still is, 1 is back",
                "🔴 Loja Centro 4 e mais 1 estão agora fora do ar; outra continua, 1 já voltou",
            ],
        ),
        (
            &[Some(WebhookDrift), Some(WebhookDrift), Some(WebhookDrift), None],
            1,
            [
                "🟠 Loja Centro 4: webhook would not arrive; 2 others still so, 1 is right again",
                "🟠 Loja Centro 4: o webhook não chegaria; outras 2 continuam assim, 1 já voltou ao normal",
            ],
        ),
    ] {
        let mut digest = all(Kind::Reminder, reasons);
        digest.items.iter_mut().take(new).for_each(|item| item.kind = Kind::Down);
        if reasons.contains(&Some(WebhookDrift)) {
            digest.items.iter_mut().for_each(|item| item.incident.reason = WebhookDrift);
            digest.incident.reason = WebhookDrift;
        }
        for ((language, title), label) in Language::ALL.into_iter().zip(titles).zip(["New first", "As novas primeiro"])
        {
            let text = texts(language, "UTC").text(&digest);
            assert!(text.starts_with(&format!("{title}\n\n")), "{text}");
            assert!(text.contains(&format!("\n{label}\n- {} (", digest.items[0].incident.instance.title())), "{text}");
        }
    }
}

/// An outage that the reader knows already is not called new.
#[test]
fn what_became_worse_is_not_called_newly_down() {
    let mut digest = all(Kind::Reminder, &[Some(Reason::Other); 4]);
    (digest.items[0].kind, digest.items[1].kind) = (Kind::Worse, Kind::Down);
    for (language, title) in Language::ALL.into_iter().zip([
        "🔴 Loja Centro 4 and 1 more are now down or worse; 2 others still are",
        "🔴 Loja Centro 4 e mais 1 estão agora fora do ar ou pior; outras 2 continuam",
    ]) {
        assert_eq!(texts(language, "UTC").title(&digest), title);
    }
}

#[test]
fn a_digest_of_what_is_no_outage_says_what_is_amiss() {
    use Reason::{Expiring, GatewayUnreachable, SinkFailing};
    for (reason, rows, titles) in [
        (
            SinkFailing,
            &[true, false][..],
            [
                "🟠 1 sink with messages that do not arrive, 1 is right again",
                "🟠 1 canal com mensagens que não chegam, 1 já voltou ao normal",
            ],
        ),
        (Expiring, &[true, true], ["🟠 2 lines with payment due or overdue", "🟠 2 linhas com o pagamento acabando"]),
        (
            GatewayUnreachable,
            &[true, false, false],
            [
                "🟠 1 line with no answer from the gateway, 2 are right again",
                "🟠 1 linha sem resposta do gateway, 2 já voltaram ao normal",
            ],
        ),
    ] {
        let reasons: Vec<_> = rows.iter().map(|amiss| amiss.then_some(reason)).collect();
        let mut digest = lines(&reasons);
        digest.items.iter_mut().for_each(|item| item.incident.reason = reason);
        digest.incident = digest.items[0].incident.clone();
        for (language, title) in Language::ALL.into_iter().zip(titles) {
            assert_eq!(texts(language, "UTC").title(&digest), title);
        }
    }
}

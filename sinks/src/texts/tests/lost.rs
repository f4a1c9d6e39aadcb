//! What another sink gave up, alone and in digests.

use super::super::reader::Language;
use super::super::samples::{self, sample};
use super::texts;
use crate::{Kind, Notification, Reason};

/// A notice that a message of this kind was lost, about a line that is down or back.
fn lost(kind: Kind, reason: Reason, closed: bool) -> Notification {
    let mut notice = sample(Kind::Undelivered, reason, true, closed);
    notice.flapping = sample(Kind::Flapping, reason, true, closed).flapping;
    let lost = notice.undelivered.as_mut().unwrap();
    (lost.kind, lost.recipient) = (kind, String::new());
    notice
}

fn titles(of: &Notification) -> [String; 2] {
    Language::ALL.map(|language| texts(language, "UTC").title(of))
}

/// Whoever stands in for others must learn what they were to learn.
#[test]
fn a_notice_of_a_loss_tells_what_was_lost() {
    use Kind::{Acknowledged, Down, Escalation, Flapping, Reminder, Resolved, Steady, Test, Worse};
    use Reason::{DeviceDisconnected, Expiring, NumberBlocked, Other};
    for (kind, reason, closed, english, portuguese) in [
        (Down, Other, false, "told: Loja Centro is down", "aviso: Loja Centro está fora do ar"),
        (
            Down,
            Other,
            true,
            "told: Loja Centro was down for 12 min and is back",
            "aviso: Loja Centro ficou fora do ar por 12 min e já voltou",
        ),
        (
            Reminder,
            Other,
            false,
            "reminded: Loja Centro is still down after 7 min",
            "lembrete: Loja Centro continua fora do ar, há 7 min",
        ),
        (
            Escalation,
            Other,
            false,
            "told: Loja Centro has been down for 7 min and nobody has taken it",
            "aviso: Loja Centro está fora do ar há 7 min e ninguém assumiu",
        ),
        (
            Worse,
            NumberBlocked,
            false,
            "told: Loja Centro is now probably blocked",
            "aviso: Loja Centro, agora o número parece bloqueado",
        ),
        (
            Worse,
            DeviceDisconnected,
            false,
            "told: Loja Centro now has its phone unlinked or offline",
            "aviso: Loja Centro, agora o celular está desconectado ou sem internet",
        ),
        (
            Flapping,
            Other,
            false,
            "told: Loja Centro keeps dropping: 5 outages in 25 min",
            "aviso: Loja Centro não para de cair: 5 quedas em 25 min",
        ),
        (
            Steady,
            Other,
            true,
            "told: Loja Centro is steady again after 5 outages",
            "aviso: Loja Centro voltou a ficar estável depois de 5 quedas",
        ),
        (Resolved, Other, true, "told: Loja Centro is back after 12 min", "aviso: Loja Centro voltou depois de 12 min"),
        (
            Down,
            Expiring,
            false,
            "told: Loja Centro, its gateway payment is due or overdue",
            "aviso: Loja Centro, o que foi pago ao gateway está acabando",
        ),
        (Test, Other, false, "told: a test message", "aviso: mensagem de teste"),
    ] {
        let expected = [format!("⚠ ops-slack was not {english}"), format!("⚠ ops-slack não recebeu o {portuguese}")];
        assert_eq!(titles(&lost(kind, reason, closed)), expected);
    }
    let mut taken = lost(Acknowledged, Other, false);
    taken.incident.acknowledged = sample(Acknowledged, Other, true, false).incident.acknowledged;
    let expected = [
        "⚠ ops-slack was not told: Ana has taken Loja Centro",
        "⚠ ops-slack não recebeu o aviso: Ana está cuidando de Loja Centro",
    ];
    assert_eq!(titles(&taken), expected);
}

#[test]
fn the_words_below_the_title_fit_what_was_lost() {
    let text = |kind, closed| texts(Language::English, "UTC").text(&lost(kind, Reason::NumberBlocked, closed));
    let worse = text(Kind::Worse, false);
    assert!(worse.contains("\nThis line was already down, and it is worse than it seemed.\n"), "{worse}");
    let flapping = text(Kind::Flapping, false);
    assert!(flapping.contains("Loja Centro has gone down 5 times since "), "{flapping}");
    assert!(flapping.contains("two gateways on one number push each other out"), "{flapping}");
    let resolved = text(Kind::Resolved, true);
    assert!(
        resolved.contains("Nothing more needs to be done now.") && !resolved.contains("Probable cause"),
        "{resolved}"
    );
    let reminder = text(Kind::Reminder, false);
    assert!(!reminder.contains("This is a reminder"), "the reader was not told before: {reminder}");
}

#[test]
fn the_title_names_the_address_and_the_words_how_many_others_know() {
    let mut notice = lost(Kind::Down, Reason::Other, false);
    "ana@acme.example".clone_into(&mut notice.undelivered.as_mut().unwrap().recipient);
    let expected = [
        "⚠ ana@acme.example was not told: Loja Centro is down",
        "⚠ ana@acme.example não recebeu o aviso: Loja Centro está fora do ar",
    ];
    assert_eq!(titles(&notice), expected);
    for (others, english, portuguese) in [
        (
            0,
            "You may be the only one who hears of this: please pass it on.",
            "Talvez só você esteja sabendo disto: por favor, avise quem precisa saber.",
        ),
        (1, "1 other recipient has been told of it.", "Mais 1 destinatário já foi avisado disto."),
        (50, "50 other recipients have been told of it.", "Mais 50 destinatários já foram avisados disto."),
    ] {
        notice.undelivered.as_mut().unwrap().others_told = others;
        for (language, said) in Language::ALL.into_iter().zip([english, portuguese]) {
            let text = texts(language, "UTC").text(&notice);
            assert!(text.contains(&format!("\n{said}\n")), "{text}");
            assert_eq!(text.contains("only one") || text.contains("só você"), others == 0, "{text}");
        }
    }
}

/// Others are told at the same moment, or somebody has taken it already: the reader need not pass it on.
#[test]
fn who_is_not_the_only_one_is_not_asked_to_pass_it_on() {
    let mut notice = lost(Kind::Down, Reason::Other, false);
    let said = |notice: &Notification| Language::ALL.map(|language| texts(language, "UTC").text(notice));
    notice.undelivered.as_mut().unwrap().others_being_told = 2;
    let [english, portuguese] = said(&notice);
    assert!(english.contains("\n2 other recipients are being told of it now.\n"), "{english}");
    assert!(portuguese.contains("\nMais 2 destinatários estão sendo avisados disto agora.\n"), "{portuguese}");
    let mut taken = lost(Kind::Down, Reason::Other, false);
    taken.incident.acknowledged = sample(Kind::Acknowledged, Reason::Other, true, false).incident.acknowledged;
    let mut digest = samples::digest_lost(2);
    digest.items.iter_mut().for_each(|item| item.incident.acknowledged = taken.incident.acknowledged.clone());
    for text in [said(&notice), said(&taken), said(&digest)].concat() {
        assert!(!text.contains("only one") && !text.contains("só você"), "{text}");
    }
    for text in said(&digest) {
        assert!(!text.contains("\nRule: ") && !text.contains("\nRegra: "), "several rules may owe it: {text}");
    }
}

/// Thirty notices about one line are one message that says all that one of them would have said.
#[test]
fn a_digest_of_losses_about_one_line_names_the_line_the_sink_and_the_reason() {
    let mut digest = samples::digest_lost(1);
    let expected = [
        "⚠ ops-slack was not told (2 people): Loja Centro 1 is down",
        "⚠ ops-slack não recebeu o aviso (2 pessoas): Loja Centro 1 está fora do ar",
    ];
    assert_eq!(titles(&digest), expected);
    let [english, portuguese] = Language::ALL.map(|language| texts(language, "UTC").text(&digest));
    assert!(
        english.contains(
            "\n\nlinedown could not deliver 2 messages to ops-slack for 2 people. It could not tell \
             bia@acme.example about that either.\nYou may be the only one who hears of this: please pass it on.\nlinedown gave up: unauthorised: 404 \
             no_service\nThis command lists what was given up and why: linedown deliveries --state dead --sink ops-slack\n\
             Once that is fixed, this command sends the messages again: linedown retry --dead --sink ops-slack\n\n\
             Loja Centro 1 has been disconnected"
        ),
        "{english}"
    );
    assert!(
        portuguese.contains(
            "\n\nO linedown não conseguiu entregar 2 mensagens em ops-slack para 2 pessoas. Também não conseguiu avisar \
             bia@acme.example disso.\nTalvez só você esteja sabendo disto: por favor, avise quem precisa saber.\nO linedown \
             desistiu: unauthorised: 404 no_service\nEste comando mostra o que não foi entregue e por quê: linedown \
             deliveries --state dead --sink ops-slack\nQuando isso estiver resolvido, este comando envia as mensagens de \
             novo: linedown retry --dead --sink ops-slack\n\nLoja Centro 1 está sem conexão"
        ),
        "{portuguese}"
    );
    // The same reason, although the answers name the recipients and one was tried for longer.
    for (item, ended) in
        digest.items.iter_mut().zip([" (given up: undelivered for longer than retry.give_up_after)", ""])
    {
        let lost = item.undelivered.as_mut().unwrap();
        lost.why = format!("refused: {} is refused: 550 no{ended}", lost.recipient);
    }
    let alike = texts(Language::English, "UTC").text(&digest);
    assert!(alike.contains("\nlinedown gave up: refused: +55 44 9999 is refused: 550 no (given up: "), "{alike}");
    // Nor if the answer about one of them is why the sink failed for all.
    for item in &mut digest.items {
        "busy: no mail for bia@acme.example now".clone_into(&mut item.undelivered.as_mut().unwrap().why);
    }
    let alike = texts(Language::English, "UTC").text(&digest);
    assert!(alike.contains("\nlinedown gave up: busy: no mail for bia@acme.example now\n"), "{alike}");
    "unauthorised: 404 no_service".clone_into(&mut digest.items[0].undelivered.as_mut().unwrap().why);
    "refused: no such user".clone_into(&mut digest.items[1].undelivered.as_mut().unwrap().why);
    let several = texts(Language::English, "UTC").text(&digest);
    assert!(several.contains("\nlinedown gave up for several reasons, such as: unauthorised: "), "{several}");
    digest.items.iter_mut().for_each(|item| item.undelivered.as_mut().unwrap().kind = Kind::Reminder);
    assert_eq!(titles(&digest)[0], "⚠ ops-slack was not reminded (2 people): Loja Centro 1 is still down after 7 min");
    digest.items.truncate(1);
    assert_eq!(titles(&digest)[0], "⚠ +55 44 9999 was not reminded: Loja Centro 1 is still down after 7 min");
    assert!(texts(Language::English, "UTC").text(&digest).contains(": linedown retry 11\n"));
}

#[test]
fn a_digest_of_losses_about_several_lines() {
    let mut digest = samples::digest_lost(3);
    let expected = [
        "⚠ ops-slack was not told (2 people): 3 lines are down",
        "⚠ ops-slack não recebeu o aviso (2 pessoas): 3 linhas estão fora do ar",
    ];
    assert_eq!(titles(&digest), expected);
    digest.items.iter_mut().for_each(|item| item.undelivered.as_mut().unwrap().others_told = 7);
    let text = texts(Language::English, "UTC").text(&digest);
    assert!(text.contains("\nAt least 7 other recipients have been told of it.\n"), "{text}");
    "chat".clone_into(&mut digest.items[0].undelivered.as_mut().unwrap().sink);
    let expected = [
        "⚠ 6 messages to other sinks were given up: 3 lines are down",
        "⚠ 6 avisos por outros canais não foram entregues: 3 linhas estão fora do ar",
    ];
    let mixed = titles(&digest);
    assert!(mixed[0].starts_with(expected[0].split(':').next().unwrap()), "{mixed:?}");
    // Of notices by versions before this one, it is not known what they are about.
    digest.items.iter_mut().for_each(|item| item.undelivered = None);
    digest.items.truncate(3);
    assert_eq!(titles(&digest)[0], "⚠ 3 messages to other sinks were given up: 3 lines are down");
}

#[test]
fn a_loss_among_other_news_is_said_below_that() {
    let mut digest = samples::digest_lost(3);
    digest.items.truncate(3);
    (digest.items[0].kind, digest.items[0].undelivered) = (Kind::Down, None);
    for (language, title, lead) in [
        (
            Language::English,
            "🔴 3 lines are down: 1 needs a new QR code",
            "\n2 messages to other sinks were given up. ",
        ),
        (
            Language::BrazilianPortuguese,
            "🔴 3 linhas estão fora do ar: 1 precisa de um novo QR Code",
            "\n2 avisos por outros canais não foram entregues. ",
        ),
    ] {
        let text = texts(language, "UTC").text(&digest);
        assert!(text.starts_with(&format!("{title}\n")) && text.contains(lead), "{text}");
    }
}

//! Messages about an outage that is over while the line is down again, and about several outages of one line.

use jiff::SignedDuration;

use super::super::reader::Language;
use super::super::samples::{self, sample};
use super::texts;
use crate::Besides::{self, GivenUp, Nothing, Told};
use crate::{Item, Kind, Notification, Reason};

fn titles(of: &Notification) -> [String; 2] {
    Language::ALL.map(|language| texts(language, "UTC").title(of))
}

fn bodies(of: &Notification) -> [String; 2] {
    Language::ALL.map(|language| texts(language, "UTC").text(of))
}

/// A message of this kind about an outage of twelve minutes whose line has been down again for three seconds.
fn about(kind: Kind, besides: Besides) -> Notification {
    samples::again(sample(kind, Reason::Other, true, true), besides)
}

/// A digest of that many outages that are over, each of its own line.
fn over(outages: usize) -> Notification {
    let mut digest = samples::digest(outages);
    for item in &mut digest.items {
        (item.incident.closed_at, item.incident.acknowledged) = (Some(digest.at), None);
        item.kind = Kind::Down;
    }
    digest.incident = digest.items[0].incident.clone();
    digest
}

/// Makes the items outages of one line, each beginning a minute and being over two minutes after the former.
fn of_one_line(digest: &mut Notification) {
    let instance = digest.incident.instance.clone();
    for (minute, item) in (0..).zip(&mut digest.items) {
        let opened_at = digest.incident.opened_at + SignedDuration::from_mins(minute);
        item.incident.instance = instance.clone();
        (item.incident.id, item.incident.opened_at) = (8 + minute, opened_at);
        item.incident.closed_at = Some(opened_at + SignedDuration::from_secs(10 * (minute + 1)));
    }
    digest.incident = digest.items[0].incident.clone();
}

fn flaps(item: &mut Item) {
    (item.kind, item.flapping) = (Kind::Flapping, sample(Kind::Flapping, Reason::Other, true, true).flapping);
}

#[test]
fn no_message_calls_a_line_connected_that_is_down_again() {
    for kind in
        [Kind::Down, Kind::Worse, Kind::Resolved, Kind::Escalation, Kind::Steady, Kind::Flapping, Kind::Acknowledged]
    {
        for (besides, lost) in
            [Told, GivenUp, Nothing].into_iter().flat_map(|besides| [(besides, false), (besides, true)])
        {
            let mut told = about(kind, besides);
            if lost {
                let mut notice = sample(Kind::Undelivered, Reason::Other, true, true);
                notice.undelivered.iter_mut().for_each(|undelivered| undelivered.kind = kind);
                told = Notification { incident: told.incident, flapping: told.flapping, ..notice };
            }
            let [english, portuguese] = bodies(&told);
            for (text, well) in [
                (
                    &english,
                    &[
                        "is back",
                        "It is connected",
                        "connected to",
                        "has been connected",
                        "is steady",
                        "needs nothing",
                        "Nothing more",
                    ][..],
                ),
                (
                    &portuguese,
                    &[
                        "já voltou",
                        "está conectad",
                        "está com o WhatsApp",
                        "estável d",
                        "não precisa de mais",
                        "mais nada",
                    ],
                ),
            ] {
                assert!(well.iter().all(|well| !text.contains(well)), "{kind:?} {besides:?}: {text}");
            }
            assert!(english.contains("2026-11-23 14:13 UTC") && english.contains("incident 40"), "{kind:?}: {english}");
            assert!(portuguese.contains("23/11/2026 14:13 UTC") && portuguese.contains("incidente 40"), "{portuguese}");
        }
    }
}

/// The present outage has a message of its own, or none that the reader need be alarmed by yet.
#[test]
fn late_news_of_the_outage_before_is_no_second_alarm() {
    for (besides, said) in [
        (Told, ["That outage has a message of its own.", "Essa nova queda tem um aviso próprio."]),
        (
            Nothing,
            [
                "You may hear no more of that. This command shows how it stands: linedown incident 40",
                "Talvez você não receba mais avisos sobre essa nova queda. Este comando mostra como ela está: linedown \
                 incident 40",
            ],
        ),
    ] {
        let told = about(Kind::Resolved, besides);
        let expected = [
            "🟠 Loja Centro was back after 12 min, and has been down again for 3 s",
            "🟠 Loja Centro voltou depois de 12 min, mas está fora do ar de novo há 3 s",
        ];
        assert_eq!(titles(&told), expected);
        for (text, said) in bodies(&told).into_iter().zip(said) {
            assert!(text.contains(&format!("\n{said}\n")) && !text.contains("/ack/"), "{text}");
        }
        assert!(texts(Language::English, "UTC").html(&told).contains("#f97316"));
    }
}

#[test]
fn first_news_of_the_present_outage_says_what_to_do_about_it() {
    let told = about(Kind::Resolved, GivenUp);
    let expected = [
        "🔴 Loja Centro was back after 12 min, and is down again: needs a new QR code",
        "🔴 Loja Centro voltou depois de 12 min, mas caiu de novo: precisa de um novo QR Code",
    ];
    assert_eq!(titles(&told), expected);
    let [english, _] = bodies(&told);
    for said in [
        "\nLoja Centro was disconnected from WhatsApp from 2026-11-23 14:02 UTC to 2026-11-23 14:14 UTC (12 min), and \
         has been disconnected again since 2026-11-23 14:13 UTC: incident 40.\n",
        "\nProbable cause: the gateway's session with WhatsApp has ended",
        "\nI am on it: https://linedown.example/ack/7",
        "\n2. Open this line's instance in the gateway's panel and ask for a QR code.\n",
    ] {
        assert!(english.contains(said), "{said}: {english}");
    }
    assert!(!english.contains("The gateway says"), "its words are about the outage before: {english}");
    assert!(texts(Language::English, "UTC").html(&told).contains("#ef4444"));
}

#[test]
fn a_digest_counts_lines_that_are_down_again() {
    let first = |besides| {
        let mut digest = over(3);
        digest.items.iter_mut().skip(2).for_each(|item| item.kind = Kind::Resolved);
        let incident = &mut digest.items[0].incident;
        incident.again = samples::again(sample(Kind::Down, Reason::Other, true, true), besides).incident.again;
        digest.incident = incident.clone();
        digest
    };
    for besides in [Told, Nothing] {
        let digest = first(besides);
        let expected = [
            "🟠 1 line was back and is down again, 1 was down and is back, 1 is back",
            "🟠 1 linha voltou e caiu de novo, 1 ficou fora do ar e já voltou, 1 já voltou",
        ];
        assert_eq!(titles(&digest), expected);
        let [english, portuguese] = bodies(&digest);
        assert!(english.contains("\n1 line was connected again for a while and is not any more.\n"), "{english}");
        assert!(
            portuguese.contains("\n1 linha tinha se conectado de novo, mas já não está conectada.\n"),
            "{portuguese}"
        );
        assert!(english.contains(", down again since 2026-11-23 14:13 UTC, incident 40\n"), "{english}");
        assert!(texts(Language::English, "UTC").html(&digest).contains("#f97316"));
    }
    let expected = [
        "🔴 1 line is down: needs a new QR code; 1 was down and is back, 1 is back",
        "🔴 1 linha está fora do ar: precisa de um novo QR Code; 1 ficou fora do ar e já voltou, 1 já voltou",
    ];
    assert_eq!(titles(&first(GivenUp)), expected);
}

#[test]
fn a_digest_of_one_line_tells_all_its_outages() {
    let mut digest = over(3);
    of_one_line(&mut digest);
    assert_eq!(
        titles(&digest),
        ["🟠 Loja Centro 1 was down 3 times and is back", "🟠 Loja Centro 1 caiu 3 vezes e já voltou"]
    );
    let [english, portuguese] = bodies(&digest);
    let said =
        "disconnected from WhatsApp 3 times, the last time from 2026-11-23 14:04 UTC to 2026-11-23 14:04 UTC (30 s).";
    assert!(english.contains(said) && english.matches("\n- Loja Centro 1").count() == 3, "{english}");
    assert!(
        portuguese.contains("sem conexão com o WhatsApp 3 vezes, a última de 23/11/2026 14:04 UTC até"),
        "{portuguese}"
    );
}

/// Nobody learns otherwise that its outages are no longer reported one by one.
#[test]
fn that_a_line_comes_and_goes_is_lost_in_no_digest() {
    let mut digest = over(3);
    of_one_line(&mut digest);
    flaps(&mut digest.items[1]);
    let expected = [
        "🔴 Loja Centro 1 keeps dropping: 5 outages in 25 min",
        "🔴 Loja Centro 1 não para de cair: 5 quedas em 25 min",
    ];
    assert_eq!(titles(&digest), expected);
    assert!(bodies(&digest)[0].contains("\nIts outages are no longer reported one by one, unless one is worse."));
    digest.items[2].incident.closed_at = None;
    assert_eq!(titles(&digest), expected, "also while it is down");

    let mut digest = over(3);
    flaps(&mut digest.items[1]);
    let expected = [
        "🟠 1 line keeps dropping, 2 were down and are back",
        "🟠 1 linha não para de cair, 2 ficaram fora do ar e já voltaram",
    ];
    assert_eq!(titles(&digest), expected);
    let said = [
        "1 line keeps dropping: its outages are no longer reported one by one, unless one is worse, until it is steady again.",
        "1 linha não para de cair: as quedas dela não serão mais avisadas uma a uma, a não ser que uma seja mais grave, até \
         ficar estável de novo.",
    ];
    for (text, said) in bodies(&digest).into_iter().zip(said) {
        assert!(text.contains(&format!("\n{said}\n")), "{text}");
    }
}

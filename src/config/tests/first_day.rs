//! What people write on their first day, and the hint that leads on.

use super::*;

/// The config, the problem with its line and column, and the beginning of the hint.
const SLIPS: &[(&str, &str, &str)] = &[
    (
        "[server]\npublic_url = 'https://a.example/hooks/z-api/hunter2'",
        "2:14 linedown appends /hooks/ by itself, so nothing would ever arrive",
        "write only what comes before it",
    ),
    (
        "[server]\npublic_url = 'https://a.example/linedown/'",
        "warning 2:14 it has a path, but linedown itself answers at /hooks/, /ack/ and /reconnect/ only",
        "leave the path out, or let a proxy take it off each request",
    ),
    (
        "[server]\npublic_url = 'a.example'",
        "2:14 not an address: relative URL without a base",
        "begin it with `https://`",
    ),
    (
        "[server]\ntrusted_proxies = ['10.0.0.0/8', '0.0.0.0/0']",
        "warning 2:34 everybody is trusted to say which address they come from, so guesses at the secret are not limited",
        "name only the addresses that your proxy connects from",
    ),
    (
        "[instances.A]\nlabels = { tier = gold }",
        "2:19 string values must be quoted",
        "write `labels = { tier = \"gold\" }`",
    ),
    (
        "[[rules]]\nnotify = ['console']\nmatch = { labels.tier = gold, name = 'A' }",
        "3:25 string values must be quoted",
        "write `match = { labels.tier = \"gold\", name = 'A' }`",
    ),
    (
        "[[rules]]\nnotify = ['console']\nescalate = { after = '15m', notify = ['console'] }",
        "3:12 wrong type: table",
        "write a list, also of one: [{ … }]",
    ),
    ("[messages]\ntime_zone = 'GMT-3'", "2:13 there is no time zone `GMT-3`", "did you mean `Etc/GMT+3`?"),
    ("[messages]\ntime_zone = 'UTC+2'", "2:13 there is no time zone `UTC+2`", "did you mean `Etc/GMT-2`?"),
    (
        "[[quiet]]\ndays = ['sat', 'sun']\nfrom = '00:00'\nto = '00:00'",
        "4:6 the window ends when it begins",
        "for whole days: from = \"00:00\" and to = \"24:00\"",
    ),
    ("[[quiet]]\nfrom = '24:00'\nto = '07:00'", "2:8 this is not a time of day", ""),
    (
        "[sinks.mail]\ntype = 'email'\nserver = 'smtps://relay.example.com'\nfrom = 'a@x.example'\nfallback = 'console'\n\
         to = 'a@x.example, \"B, C\" <b@x.example>'",
        "6:6 not an email address",
        "write a list: \"a@x.example\", \"\\\"B, C\\\" <b@x.example>\"",
    ),
];

#[test]
fn each_slip_has_a_hint_that_helps() {
    for (text, what, hint) in SLIPS {
        let problems = Folder::with(text).of_kinds(linedown_sinks::KINDS).problems();
        let is_it = |(found, found_hint): &(String, String)| found == what && found_hint.starts_with(hint);
        assert!(problems.iter().any(is_it), "{text}\n  wanted {what:?} {hint:?}\n  found {problems:#?}");
        assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
    }
}

#[test]
fn quiet_hours_may_last_whole_days() {
    let text = "[[quiet]]\ndays = ['sat', 'sun']\nfrom = '00:00'\nto = '24:00'\ntime_zone = 'America/Sao_Paulo'";
    let folder = Folder::with(text);
    assert_eq!(folder.problems(), []);
    let config = folder.config();
    let ends = |now: &str| config.routing.quiet[0].ends(now.parse().unwrap()).map(|end| end.to_string());
    // 2026-11-28 is a Saturday.
    assert_eq!(ends("2026-11-28T02:59:59Z"), None);
    assert_eq!(ends("2026-11-28T03:00:00Z").as_deref(), Some("2026-11-29T03:00:00Z"));
    assert_eq!(ends("2026-11-30T02:59:59Z").as_deref(), Some("2026-11-30T03:00:00Z"));
    assert_eq!(ends("2026-11-30T03:00:00Z"), None);
}

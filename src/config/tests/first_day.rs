//! What people write on their first day, and the hint that leads on.

use secrecy::ExposeSecret;

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
        "[[rules]]\nnotify = ['console']\nreason = 'number-blocked'",
        "3:1 unknown key `reason`",
        "write `match = { reason = … }`",
    ),
    (
        "[[rules]]\nnotify = ['console']\nlabels.tier = 'gold'",
        "3:1 unknown key `labels`",
        "write `match = { labels = … }`",
    ),
    (
        "[[quiet]]\nfrom = '00:00'\nto = '24:00'",
        "warning 1:1 these quiet hours never end: there is no gap before the next",
        "only critical",
    ),
    (
        "[[quiet]]\nfrom = '22:00'\nto = '07:00'\n[[quiet]]\nfrom = '07:00'\nto = '22:00'",
        "warning 1:1 these quiet hours never end: there is no gap before the next",
        "only critical",
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
        "for whole days: from = \"00:00\", to = \"24:00\" and `days`",
    ),
    ("[[quiet]]\nfrom = '24:00'\nto = '07:00'", "2:8 this is not a time of day", ""),
    (
        "[sinks.mail]\ntype = 'email'\nserver = 'smtps://relay.example.com'\nfrom = 'a@x.example'\nfallback = 'console'\n\
         to = 'a@x.example, \"B, C\" <b@x.example>'",
        "6:6 not an email address",
        "write a list: [\"a@x.example\", \"\\\"B, C\\\" <b@x.example>\"]",
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
fn customers_are_not_told_why_a_sink_fails() {
    let mail = "type = 'email'\nserver = 'smtps://relay.example.com'\nfrom = 'a@x.example'\n";
    let text = |fallback: &str| {
        format!(
            "[sinks.chat]\ntype = 'slack'\nwebhook_url = 'https://hooks.slack.com/services/x'\nfallback = '{fallback}'\n\
             [sinks.mail]\n{mail}to = ['ops@x.example', '{{{{ instance.labels.owner }}}}']\nfallback = 'ops'\n\
             [sinks.ops]\n{mail}to = 'ops@x.example'\nfallback = 'console'\n[instances.A]\nlabels.owner = 'b@x.example'\n\
             [[rules]]\ncontinue = true\nnotify = ['chat', 'mail']"
        )
    };
    let found =
        |fallback: &str| Folder::with(&text(fallback)).of_kinds(linedown_sinks::KINDS).mode("l.toml", 0o600).problems();
    let what = "warning 4:12 `mail` also sends to the label `owner`: they would be told of chat's failures";
    let hint = "name a sink with fixed recipients only, such as a second one of type `email` for operators";
    assert_eq!(found("mail"), [(what.to_owned(), hint.to_owned())]);
    assert_eq!(found("ops"), []);
}

#[test]
fn a_secret_may_be_one_of_several() {
    let (old, new) = ("0123456789abcdef0123", "abcdef0123456789abcd");
    let secrets = |list: &str| format!("[sources.w]\ntype = 'waha'\nsecret = {list}");
    let config = Folder::with(&secrets(&format!("['{new}', {{ env = 'HOME' }}, '{old}']"))).load().config;
    let exposed: Vec<String> =
        config.unwrap().sources["w"].secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect();
    assert_eq!((exposed.len(), &*exposed[0], &*exposed[2]), (3, new, old));
    for (list, what) in [
        ("[]", "3:10 an empty list: no webhook could come in"),
        ("['a', 'b', 'c', 'd', 'e']", "3:10 5 secrets"),
        (&format!("['{new}', 7]"), "3:35 wrong type: integer"),
        (&format!("['{new}', {{ flie = 'x' }}]"), "3:37 unknown key `flie`"),
        (
            &format!("['{new}', 'short']"),
            "warning 3:35 5 characters can be guessed; whoever guesses them can raise false alarms",
        ),
    ] {
        let problems = Folder::with(&secrets(list)).problems();
        assert!(problems.len() == 1 && problems[0].0 == what, "{list}: {problems:?}");
    }
    let open = Folder::with(&secrets(&format!("[{{ env = 'HOME' }}, '{old}']"))).mode("l.toml", 0o644).problems();
    let what = "warning 3:29 there is a secret here, and every user of this machine can read l.toml";
    assert!(open.iter().any(|(found, _)| found == what), "{open:?}");
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

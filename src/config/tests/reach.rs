//! Sinks and silences, checked against the rules and the inventory.

use super::*;

const MAIL: &str = "[sinks.mail]\ntype = 'email'\nserver = 'smtps://relay.example.com'\nfrom = 'a@x.example'\n\
                    fallback = 'console'\n";

/// The labels that a sink takes recipients from are checked like those in a rule's `match`.
#[test]
fn a_label_that_a_sink_sends_to_and_no_line_has() {
    let rule = "[[rules]]\ncontinue = true\nnotify = ['mail']\n";
    let to = "to = ['ops@x.example', '{{ instance.labels.onwer }}']\n";
    let text = format!("{rule}{MAIL}{to}[instances.A]\nlabels.owner = 'dono@x.example'");
    let what = "warning 9:24 no instance of the inventory has the label `onwer`".to_owned();
    let found = Folder::with(&text).of_kinds(linedown_sinks::KINDS).problems();
    assert_eq!(found, [(what, "did you mean `owner`?".to_owned())]);
}

/// Lines whose incidents a rule sends to a sink, and whose labels name no recipient.
#[test]
fn lines_of_which_a_sink_tells_nobody() {
    let lines = "[instances.A]\nlabels = { owner = 'a@x.example' }\n[instances.B]\nlabels = { owner = '', tier = 'gold' }\n\
                 [instances.C]\nname = 'C'\n[instances.D]\nlabels = { boss = 'd@x.example' }\n";
    let found = |to: &str, rules: &str| {
        let folder = Folder::with(&format!("{MAIL}to = {to}\n{lines}{rules}")).of_kinds(linedown_sinks::KINDS);
        folder.problems().into_iter().map(|(what, _)| what).collect::<Vec<_>>()
    };
    let all = "[[rules]]\ncontinue = true\nnotify = ['mail']";
    let owner = "'{{ instance.labels.owner }}'";
    let at = |what: &str| vec![format!("warning 6:6 this has no recipient for instance {what}")];
    assert_eq!(found(owner, all), at("B and 2 more"));
    let in_list = format!("[{owner}, '{{{{ instance.labels.boss }}}}']");
    let first = at("B and 1 more").concat().replace(":6 this", ":7 this");
    assert_eq!(found(&in_list, all), [first]);
    assert_eq!(found(&format!("[{owner}, 'ops@x.example']"), all), [""; 0]);
    assert_eq!(found("'{{ instance.labels.owner or \"ops@x.example\" }}'", all), [""; 0]);
    // A rule that does not match them, and a rule that comes before.
    for (rules, expected) in [
        ("match.labels.owner.not = ''", Vec::new()),
        ("match = { labels.tier = 'gold', reason = 'other' }", at("B")),
        ("match.source = 'linedown'", Vec::new()),
        ("match.instance = ['C', 'D']", at("C and 1 more")),
    ] {
        let rules = format!("[[rules]]\ncontinue = true\nnotify = ['mail']\n{rules}");
        assert_eq!(found(owner, &rules), expected, "{rules}");
    }
    let before = "[[rules]]\nname = 'ours'\nnotify = ['console']\nmatch = { labels.owner = '' REASON }\n";
    let taken = before.replace("REASON", "") + all;
    assert_eq!(found(owner, &taken), [""; 0]);
    let in_part = before.replace("REASON", ", reason = 'number-blocked'") + all;
    assert_eq!(found(owner, &in_part), at("B and 2 more"));
}

/// A sink that only hears what another one gives up on.
#[test]
fn lines_of_which_a_fallback_tells_nobody() {
    let mail = format!("{MAIL}to = '{{{{ instance.labels.owner }}}}'\n[instances.A]\nname = 'A'\n");
    let other = MAIL.replace("sinks.mail", "sinks.other").replace("console", "mail");
    let found = |rule: &str| {
        let text = format!("{mail}{other}to = 'ops@x.example'\n[[rules]]\ncontinue = true\nnotify = ['{rule}']\n");
        let problems = Folder::with(&text).of_kinds(linedown_sinks::KINDS).problems();
        problems.into_iter().map(|(what, _)| what).filter(|what| what.contains("no recipient")).collect::<Vec<_>>()
    };
    assert_eq!(found("other"), ["warning 6:6 this has no recipient for instance A"]);
    assert_eq!(found("console"), [""; 0]);
}

/// A rule for the lines of one source sends nothing about lines of another.
#[test]
fn lines_of_another_source_than_a_rule_is_for() {
    let found = |rules: &str| {
        let lines = "[sources.z2]\ntype = 'z-api'\nsecret = '0123456789abcdef0123'\n[instances.A]\nsource = 'z-api'\n\
                     [instances.B]\nsource = 'z2'\n[instances.C]\n[instances.D]\nlabels.owner = 'd@x.example'\n";
        let text = format!("{MAIL}to = '{{{{ instance.labels.owner }}}}'\n{lines}{rules}");
        let problems = Folder::with(&text).of_kinds(linedown_sinks::KINDS).problems();
        let of_people =
            problems.into_iter().filter_map(|(what, _)| what.strip_prefix("warning 6:6 ").map(str::to_owned));
        of_people.collect::<Vec<_>>()
    };
    let tell = |source: &str| format!("[[rules]]\ncontinue = true\nnotify = ['mail']\nmatch.source = {source}\n");
    let at = |what: &str| vec![format!("this has no recipient for instance {what}")];
    assert_eq!(found(&tell("'z2'")), at("B and 1 more"));
    assert_eq!(found(&tell("'z-api'")), at("A and 1 more"));
    assert_eq!(found(&tell("{ not = 'z2' }")), at("A and 1 more"));
    assert_eq!(found(&tell("['z2', 'z-api']")), at("A and 2 more"));
    // Lines whose incidents all go to an earlier rule.
    let before = "[[rules]]\nname = 'ours'\nnotify = ['console']\nmatch.source = 'z-api'\n";
    assert_eq!(found(&format!("{before}{}", tell("'*'"))), at("B and 1 more"));
}

/// A line of another source does not count as one that can be silenced.
#[test]
fn lines_of_another_source_than_is_to_be_silenced() {
    let text = "[sources.z2]\ntype = 'z-api'\nsecret = '0123456789abcdef0123'\n\
                [instances.A]\nsource = 'z-api'\nname = 'Centro'\n[instances.B]\nname = 'Norte'\n";
    let config = Folder::with(text).config();
    for (source, name, there) in
        [("z-api", "Centro", true), ("z2", "Centro", false), ("z*", "Centro", true), ("z2", "Norte", true)]
    {
        let amiss = config.amiss_with(&serde_json::json!({ "source": source, "name": name }));
        assert_eq!(amiss.is_empty(), there, "{source} {name}: {amiss:?}");
    }
}

#[test]
fn sinks_that_nobody_hears_of() {
    let text = "sinks.a.type = 'email'\nsinks.b = { type = 'slack', fallback = 'a' }\nsinks.c.type = 'toy'\n\
                sinks.d.type = 'toy'\n[[rules]]\ncontinue = true\nnotify = ['b', 'c']";
    assert_eq!(
        Folder::with(text).problems(),
        [
            (
                "warning 3:7 a notification that this sink gives up on is only logged".to_owned(),
                "name a `fallback`: a sink that tells somebody".to_owned()
            ),
            (
                "warning 4:7 nothing is ever sent to d".to_owned(),
                "name it in a rule's `notify`, or as another sink's `fallback`".to_owned()
            ),
        ]
    );
}

#[test]
fn whom_a_mistaken_sink_falls_back_on_is_sent_to() {
    let text = "sinks.a = { type = 'slakc', fallback = 'b' }\nsinks.b.type = 'toy'\n[[rules]]\ncontinue = true\n\
                notify = ['a']";
    let found: Vec<String> = Folder::with(text).problems().into_iter().map(|(what, _)| what).collect();
    assert_eq!(found, ["1:20 unknown type of sink `slakc`"]);
}

/// Whoever is in two sinks that are told at the same time gets each message twice.
#[test]
fn an_address_in_two_sinks_of_one_rule() {
    let found = |to: [&str; 2], rest: &str| {
        let sink =
            |name: &str, to: &str| format!("{}to = {to}\n", MAIL.replace("sinks.mail", &format!("sinks.{name}")));
        let rule = format!("[[rules]]\ncontinue = true\n{rest}\n");
        let lines = "[instances.A]\nlabels = { owner = 'a@x.example', boss = 'b@x.example' }\n";
        let text = format!("{rule}{}{}{lines}", sink("one", to[0]), sink("two", to[1]));
        let problems = Folder::with(&text).of_kinds(linedown_sinks::KINDS).problems();
        problems.into_iter().map(|(what, _)| what).filter(|what| what.contains("twice")).collect::<Vec<_>>()
    };
    let (ops, owner) = ("['a@x.example', 'ops@x.example']", "'{{ instance.labels.owner }}'");
    let both = "notify = ['one', 'two']";
    for (to, rest, expected) in [
        ([ops, "'Ops <ops@x.example>'"], both, Some("3:10 `two` sends to ops@x.example, as `one` does")),
        ([owner, owner], both, Some("3:10 `two` sends to {{ instance.labels.owner }}, as `one` does")),
        ([ops, "'b@x.example'"], both, None),
        ([owner, "'{{ instance.labels.boss }}'"], both, None),
        ([ops, "'ops@x.example'"], "notify = ['one']\nescalate = [{ after = '15m', notify = ['two'] }]", None),
        (
            [ops, "'ops@x.example'"],
            "notify = ['console']\nescalate = [{ after = '15m', notify = ['one', 'two'] }]",
            Some("4:39 `two` sends to ops@x.example, as `one` does"),
        ),
    ] {
        let expected: Vec<String> =
            expected.iter().map(|what| format!("warning {what}: whoever that is gets each message twice")).collect();
        assert_eq!(found(to, rest), expected, "{to:?} {rest}");
    }
}

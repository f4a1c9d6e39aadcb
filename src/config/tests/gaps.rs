//! Files that cannot be read or parsed: the others are checked all the same, and nothing that may be in such a file is
//! reported as missing.

use super::*;

/// The files' names and texts, and all problems that must be found.
type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);

const CASES: &[Case] = &[
    // The mistakes of each file, and a name that no file has.
    (
        &[
            ("l.toml", ""),
            ("conf.d/a.toml", "[server"),
            ("conf.d/b.toml", "[server]\nlisten = 'x'"),
            ("conf.d/z.toml", "[[rules]]\ncontinue = true\nnotify = ['nobody']"),
        ],
        &[
            "conf.d/a.toml:1:8 unclosed table",
            "conf.d/b.toml:2:10 \"x\" is not an address to listen on",
            "conf.d/z.toml:3:11 there is no sink `nobody`",
        ],
    ),
    // The main file is one of the broken ones.
    (
        &[("l.toml", "[server"), ("conf.d/z.toml", "[server]\nlisten = 'y'")],
        &["1:8 unclosed table", "conf.d/z.toml:2:10 \"y\" is not an address to listen on"],
    ),
    (
        &[("l.toml", "# \u{e3}"), ("conf.d/a.toml", "a = [\n"), ("conf.d/z.toml", "x = 1")],
        &["conf.d/a.toml:1:6 unclosed array", "conf.d/z.toml:1:1 unknown key `x`"],
    ),
    // What may be in a broken file is not reported as missing.
    (
        &[
            ("l.toml", "[sinks.ops]\ntype = 'toy'\n[sources.w]\ntype = 'waha'\n[server"),
            ("conf.d/z.toml", "[[rules]]\ncontinue = true\nnotify = ['ops', 'nobody']\nmatch = { source = 'w' }"),
        ],
        &["3:1 `secret` is missing", "5:8 unclosed table", "conf.d/z.toml:3:18 there is no sink `nobody`"],
    ),
    (
        &[
            ("l.toml", "[sinks.t\ntype = 'toy'\n[instances.A\nsource = 'w'\nlabels.tier = 'gold'\n[sources.w"),
            ("conf.d/z.toml", "[sinks.t]\nfallback = 't2'\n[sinks.u]\n[instances.B]\ntoken = 'x'\nsource = 'w'"),
            ("conf.d/zz.toml", "[[quiet]]\nfrom = '22:00'\nmatch.labels = { tier = 'gold', teir = 'x' }"),
        ],
        &[
            "1:9 unclosed table",
            "3:13 unclosed table",
            "6:11 unclosed table",
            "conf.d/z.toml:2:12 there is no sink `t2`",
            "conf.d/zz.toml:1:1 `to` is missing",
        ],
    ),
    // A mistake in the syntax hides nothing else in its file.
    (
        &[(
            "l.toml",
            "[server]\nlisten = 127.0.0.1:8080\nfoo = 1\n[sinks.a]\ntype = 'stdou'\n[[rules]]\ncontinue = true\nnotify = ['zz']",
        )],
        &[
            "2:10 string values must be quoted",
            "3:1 unknown key `foo`",
            "5:8 unknown type of sink `stdou`",
            "8:11 there is no sink `zz`",
        ],
    ),
    (
        &[("l.toml", "; a\n[server]\nlisten = 'x'\n// b\nfoo\n[store]\nkeep = 3\nkeep = 4\n[server]\nfoo = 1")],
        &[
            "1:1 a comment begins with `#`",
            "3:10 \"x\" is not an address to listen on",
            "4:1 a comment begins with `#`",
            "5:4 key with no value",
            "7:8 a duration without a unit",
            "8:1 duplicate key",
            "9:2 duplicate key",
        ],
    ),
    // What it hides is not reported as missing, and neither is what follows from that.
    (
        &[(
            "l.toml",
            "[sinks.a]\ntype = toy\nurl = 7\n[sinks.b]\ntype = 'toy'\nfallback = a\n[sinks.c]\ntype = 'toy'\nfallback = 'd'\n\
             [sinks.d\ntype = 'toy'\nfallback = 'console'\n\
             [[rules]]\nnotify = [a, b]\nmatch = { source = zapi }\nhold = 1\n\
             [[rules]]\ncontinue = true\nnotify = ['console']\nescalate = [{ after = '1m' }]\n\
             [[quiet]]\nfrom = 22h\nto = '07:00'\ndays = ['x']\n\
             [[rules]\nnotify = ['nobody']\n[rules.match]\nsource = 'nothing'\n\
             [server]\nlisten = '0.0.0.0:80'\ntls = no\nproxy_protocol = true\ntrusted_proxies = [10.0.0.1]",
        )],
        &[
            "2:8 string values must be quoted",
            "6:12 string values must be quoted",
            "10:9 unclosed table",
            "14:11 string values must be quoted",
            "15:20 string values must be quoted",
            "16:8 a duration without a unit",
            "22:8 string values must be quoted",
            "24:9 `x` is not a day of the week",
            "25:9 unclosed array table",
            "31:7 this is no value in TOML",
            "33:20 string values must be quoted",
        ],
    ),
    // Nothing is known about what follows an open bracket or quotation mark.
    (
        &[(
            "l.toml",
            "[server]\nfoo = 1\n[[rules]]\ncontinue = true\nnotify = ['console'\nx = 1\n[sinks.a]\ntype = 'no'",
        )],
        &["2:1 unknown key `foo`", "6:1 missing comma between array elements"],
    ),
    // A list in two forms is not told about twice.
    (
        &[("l.toml", "[rules]\nnotify = 'x'\n[server]\nfoo = 1\n[[rules]]\nnotify = ['nobody']\n[[rules]]\nfoo = 1")],
        &["4:1 unknown key `foo`", "5:3 duplicate key"],
    ),
    // A value that cannot be read leaves out only itself.
    (
        &[("l.toml", "[[rules]]\nnotify = ['nope']\nmatch = { source = 99999999999999999999 }")],
        &["2:11 there is no sink `nope`", "3:20 this number is too big"],
    ),
    (
        &[("l.toml", "[server]\nlisten = 'x'\nmax_body = 99999999999999999999\n[store]\nkeep = 3")],
        &["2:10 \"x\" is not an address to listen on", "3:12 this number is too big", "5:8 a duration without a unit"],
    ),
    (
        &[("l.toml", "[sinks.a]\ntype = 'toy'\nfallback = 'console'\nto = ['a', 99999999999999999999]\nport = 0")],
        &["4:12 this number is too big", "5:8 no port"],
    ),
    (
        &[(
            "l.toml",
            "[instances.A]\nlabels.x = nan\nnmae = 1\n[instances.B]\ntoken = 'x'\nsource = 99999999999999999999",
        )],
        &["2:12 this is not a finite number", "3:1 unknown key `nmae`", "6:10 this number is too big"],
    ),
    // A sink's own mistakes do not hide its fallback.
    (
        &[(
            "l.toml",
            "[sinks.a]\ntype = 'toy'\nport = 0\nfallback = 'nope'\n[sinks.b]\ntype = 'tyo'\nfallback = 'consol'\n\
           [sinks.c]\nfallback = 'c'",
        )],
        &[
            "3:8 no port",
            "4:12 there is no sink `nope`",
            "6:8 unknown type of sink `tyo`",
            "7:12 there is no sink `consol`",
            "8:1 `type` is missing",
            "9:12 a sink cannot be its own fallback",
            "warning 1:1 nothing is ever sent to a",
        ],
    ),
];

#[test]
fn one_file_hides_no_other() {
    let mut wrong = Vec::new();
    for (files, expected) in CASES {
        let folder = files.iter().fold(Folder::with(""), |folder, (name, text)| folder.write(name, text));
        let mut found: Vec<String> = folder.problems().into_iter().map(|(what, _)| what).collect();
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort_unstable();
        if found != expected {
            wrong.push(format!("{files:?}\n  wanted {expected:#?}\n  found {found:#?}"));
        }
        assert!(folder.load().config.is_none());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A file that cannot be read at all may contain anything.
#[test]
fn an_unreadable_file_may_hold_everything() {
    let text = "[server]\nlisten = 'x'\n[[rules]]\nnotify = ['ops']\nmatch.source = 'w'\n[sinks.a]\nfallback = 'b'";
    let folder = Folder::empty().write("l.toml", text).write("conf.d/b.toml", "x = 1");
    std::os::unix::fs::symlink("/nowhere", folder.path("conf.d/a.toml")).unwrap();
    let found: Vec<String> = folder.problems().into_iter().map(|(what, _)| what).collect();
    let expected = [
        "2:10 \"x\" is not an address to listen on",
        "conf.d/a.toml: there is no such file",
        "conf.d/b.toml:1:1 unknown key `x`",
    ];
    assert_eq!(found, expected);
    let folder = Folder::empty().write("conf.d/b.toml", "[server]\nlisten = 'x'\nlisen = 'y'");
    let found: Vec<String> = folder.problems().into_iter().map(|(what, _)| what).collect();
    let expected = [
        " there is no such file",
        "conf.d/b.toml:2:10 \"x\" is not an address to listen on",
        "conf.d/b.toml:3:1 unknown key `lisen`",
    ];
    assert_eq!(found, expected);
}

/// If a file has the wrong encoding, the names in its text are still known.
#[test]
fn a_file_in_another_encoding_is_looked_through() {
    let latin = b"# loja de informa\xe7\xe3o\n[sinks.ops]\ntype = 'toy'\n";
    let folder = Folder::with("[[rules]]\ncontinue = true\nnotify = ['ops', 'nobody']").write("conf.d/s.toml", latin);
    let found: Vec<String> = folder.problems().into_iter().map(|(what, _)| what).collect();
    assert_eq!(found, ["3:18 there is no sink `nobody`", "conf.d/s.toml:1:18 not valid UTF-8"]);
}

/// Whatever is mistaken in the syntax of a config that is right, nothing else is reported.
#[test]
fn nothing_follows_from_a_mistake_in_the_syntax() {
    let found = |lines: &[&str]| {
        let folder = Folder::empty().write("l.toml", lines.join("\n")).of_kinds(linedown_sinks::KINDS);
        let rows = folder.load().report;
        rows.rows().iter().map(|row| (row.line, row.what.clone())).collect::<std::collections::BTreeSet<_>>()
    };
    let lines: Vec<&str> = whole::EXAMPLE.lines().filter(|line| !line.starts_with("tls")).collect();
    // That there are no credentials here.
    let known = found(&lines);
    let broken = |line: &str| match line.split_once(" = ") {
        Some((key, value)) if !line.starts_with('[') => {
            vec![format!("{key} = not in quotes"), format!("{key} ="), format!("{key} {value}"), format!("; {line}")]
        }
        _ if line.starts_with('[') => vec![line.replacen(']', "", 1), line.replacen('[', "", 1)],
        _ => vec!["// comment".to_owned()],
    };
    let mut wrong = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        for broken in broken(line) {
            let mut text = lines.clone();
            text[number] = &broken;
            let found = found(&text);
            let new: Vec<_> = found.difference(&known).collect();
            if new.len() != 1 || new[0].0 != Some(number + 1) {
                wrong.push(format!("{broken}: {new:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

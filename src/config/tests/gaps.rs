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
        &["5:8 unclosed table", "conf.d/z.toml:3:18 there is no sink `nobody`"],
    ),
    (
        &[
            ("l.toml", "a = \n[sinks.t]\ntype = 'toy'\n[instances.A]\nsource = 'w'\nlabels.tier = 'gold'\n[sources.w]"),
            ("conf.d/z.toml", "[sinks.t]\nfallback = 't2'\n[sinks.u]\n[instances.B]\ntoken = 'x'\nsource = 'w'"),
            ("conf.d/zz.toml", "[[quiet]]\nfrom = '22:00'\nmatch.labels = { tier = 'gold', teir = 'x' }"),
        ],
        &[
            "1:5 string values must be quoted",
            "conf.d/z.toml:2:12 there is no sink `t2`",
            "conf.d/zz.toml:1:1 `to` is missing",
            "warning conf.d/zz.toml:3:40 no instance of the inventory has the label `teir`",
        ],
    ),
    // A value that cannot be read leaves out only itself.
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
    for (files, expected) in CASES {
        let folder = files.iter().fold(Folder::with(""), |folder, (name, text)| folder.write(name, text));
        let mut found: Vec<String> = folder.problems().into_iter().map(|(what, _)| what).collect();
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{files:?}");
        assert!(folder.load().config.is_none());
    }
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

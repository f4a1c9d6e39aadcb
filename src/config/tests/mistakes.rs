//! Every mistake is reported at its place, with what to do.

mod inventory;
mod own;
mod rules;
mod server;
mod sinks;
mod sources;
mod syntax;

use super::*;

/// One mistake: the config, the problem with its line and column, and (the beginning of) the hint.
type Mistake = (&'static str, &'static str, &'static str);

const MISTAKES: [&[Mistake]; 7] = [
    syntax::MISTAKES,
    server::MISTAKES,
    own::MISTAKES,
    sources::MISTAKES,
    inventory::MISTAKES,
    sinks::MISTAKES,
    rules::MISTAKES,
];

#[test]
fn each_mistake_at_its_place() {
    let wrong: Vec<_> = MISTAKES
        .iter()
        .copied()
        .flatten()
        .filter_map(|(text, what, hint)| {
            let problems = Folder::with(text).problems();
            let is_it = |(found, found_hint): &(String, String)| found == what && found_hint.starts_with(hint);
            // Adding a sink, or a rule before the others, causes this warning by its nature; nothing else may be
            // reported.
            let noise = |(found, _): &&(String, String)| found.contains("nothing is ever sent");
            let others = problems.iter().filter(|problem| !noise(problem)).count();
            (others > 1 || !problems.iter().any(is_it))
                .then(|| format!("{text}\n  wanted {what:?} {hint:?}\n  found {problems:#?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every mistake that can be known is reported, whatever else is wrong.
#[test]
fn no_mistake_hides_another() {
    let found = |text: &str| Folder::with(text).problems().into_iter().map(|(what, _)| what).collect::<Vec<_>>();
    let rules = |notify: &str| {
        let first = "[[rules]]\nname = 'all'\ncontinue = true\nnotify = ['console']";
        found(&format!("{first}\n[[rules]]\nname = 'all'\nnotify = {notify}"))
    };
    let twice = "warning 6:8 another rule is called \"all\" as well";
    assert_eq!(rules("['nope']"), [twice, "7:11 there is no sink `nope`"]);
    assert_eq!(rules("'console'"), [twice, "7:10 wrong type: string"]);
    let sink = |retry: &str| found(&format!("[sinks.a]\ntype = 'toy'\nfallback = 'console'\n[sinks.a.retry]\n{retry}"));
    let unused = "warning 1:1 nothing is ever sent to a";
    let out = ["5:9 0s is out of bounds", "6:7 0s is out of bounds", "7:17 0s is out of bounds"];
    assert_eq!(sink("first = '0s'\nmax = '0s'\ngive_up_after = '0s'"), [&[unused][..], &out].concat());
    let late = "7:17 it gives up after 1d, before a pause of 2d ends";
    assert_eq!(sink("first = '0s'\nmax = '2d'\ngive_up_after = '1d'"), [unused, out[0], late]);
    // Each step is reported at its own place, even behind a mistaken one.
    let steps = "[[rules]]\ncontinue = true\nnotify = ['console']\nhold = '20m'\nescalate = [{ notify = ['console'] },\n\
                 { after = '15m', notify = ['console'] }]";
    let hasty = "warning 6:11 this step is not later than `notify`";
    assert_eq!(found(steps), ["5:13 `after` is missing", hasty]);
    let line = found("[instances.x]\nsource = 'q'\ntoken = ''");
    assert_eq!(line, ["2:10 there is no source `q`", "3:9 it is empty"]);
}

/// What is possible, or written on purpose, is not warned about.
#[test]
fn what_is_no_mistake() {
    let rule = "[[rules]]\nname = 'x'\ncontinue = true\nnotify = ['console']\n";
    let line = "\n[instances.A]\nname = 'Loja'\nlabels.tier = 'gold'";
    for text in [
        "hold = '0s'\ngroup_interval = '0s'",
        "remind = ['4h', '1h']",
        "remind = ['1h', '1h']",
        "hold = '1h'\nremind = ['90m', '30m']",
        "hold = '1m'\nescalate = [{ after = '61s', notify = ['console'] }]",
        "match = { source = ['linedown', 'z-api'], reason = 'number-blocked' }",
        "match = { source = 'linedown', reason = 'sink-*', instance = 'console', labels.tier = '' }",
        "match = { reason = { not = 'number-blocked' }, labels.tier = 'gold', name = 'Loja' }",
        "match = { name = ['', 'Loja'], source = { not = 'linedown' } }",
        "match = { name = { not = 'nobody' } }",
    ] {
        assert_eq!(Folder::with(&format!("{rule}{text}{line}")).problems(), [], "{text}");
    }
    for text in ["disk_free_below = 0", "disk_free_below = '83%'", "disk_free_below = 1_048_576"] {
        assert_eq!(Folder::with(&format!("[troubles]\n{text}")).problems(), [], "{text}");
    }
}

#[test]
fn all_mistakes_at_once() {
    let text = r#"
[server]
listen = "localhost:80"
pubic_url = "https://a.example"
[store]
keep = 3
[sinks.a]
type = "toy"
port = "many"
fallback = "b"
[sinks.c]
type = "tou"
retry.first = 2
[[rules]]
match = { labels.tier = 3, nmae = "x" }
notify = ["a", "d", 7]
escalate = [{ notify = ["e"] }, { after = "soon", notify = [] }]
remind = ["1h", "x", 3]
"#;
    let found: Vec<String> = Folder::with(text).problems().into_iter().map(|(what, _)| what).collect();
    let expected = [
        "3:10 \"localhost:80\" is not an address to listen on",
        "4:1 unknown key `pubic_url`",
        "6:8 a duration without a unit",
        "9:8 wrong type: string",
        "10:12 there is no sink `b`",
        "12:8 unknown type of sink `tou`",
        "13:15 a duration without a unit",
        "warning 15:25 no instance of the inventory has the label `tier`",
        "15:25 wrong type: integer",
        "15:28 unknown key `nmae`",
        "16:16 there is no sink `d`",
        "16:21 wrong type: integer",
        "17:13 `after` is missing",
        "17:25 there is no sink `e`",
        "17:43 \"soon\" is not a duration",
        "17:60 an empty list: nobody would be told",
        "18:17 \"x\" is not a duration",
        "18:22 a duration without a unit",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_config_that_tells_nobody_is_refused() {
    let found = Folder::empty().write("l.toml", "").problems();
    let what: Vec<&str> = found.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(
        what,
        [
            "1:1 there is no rule: nobody would be told",
            "1:1 there is no sink: nobody would be told",
            "1:1 there is no source: no webhook could ever come in",
        ]
    );
}

#[test]
fn files_that_cannot_be_read() {
    let folder = Folder::empty();
    let hint = "name the config with --config FILE or in the variable LINEDOWN_CONFIG";
    assert_eq!(folder.problems(), [(" there is no such file".to_owned(), hint.to_owned())]);
    let big = Folder::empty().write("l.toml", vec![b'#'; 16 * 1024 * 1024 + 1]);
    assert!(big.problems()[0].0.starts_with(" larger than 16 MiB"));
    for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let text = "\u{feff}[[rules]]\n[sinks]\n[sources]\n";
        let wide = Folder::empty().write("l.toml", text.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>());
        let hint = "it is UTF-16, it seems: save the file as UTF-8";
        assert_eq!(wide.problems(), [("1:1 not valid UTF-8".to_owned(), hint.to_owned())]);
    }
    let latin = Folder::empty().write("l.toml", b"# \xe3\n");
    assert_eq!(latin.problems()[0], ("1:3 not valid UTF-8".to_owned(), "save the file as UTF-8".to_owned()));
    let folder = Folder::empty();
    std::fs::create_dir(folder.path("l.toml")).unwrap();
    assert!(folder.problems()[0].0.contains("cannot be read: Is a directory"), "{:?}", folder.problems());
}

#[test]
fn bounds_are_said() {
    let rules = "[[rules]]\ncontinue = true\nnotify = ['console']\n".repeat(1_000);
    assert!(Folder::with(&rules).problems()[0].0.contains("1001 rules; at most 1000 are allowed"));
    let sinks: String = (0..1_000).fold(String::new(), |text, n| text + &format!("sinks.s{n}.type = 'toy'\n"));
    assert!(Folder::with(&sinks).problems()[0].0.contains("1001 sinks; at most 1000 are allowed"));
    let labels: String = (0..33).fold(String::new(), |text, n| text + &format!("instances.a.labels.l{n} = 'x'\n"));
    assert!(Folder::with(&labels).problems()[0].0.contains("33 labels; an instance has at most 32"));
    for (text, what) in [
        (format!("instances.{}.name = 'a'", "x".repeat(129)), "longer than 128 characters"),
        (format!("instances.a.name = '{}'", "x".repeat(101)), "longer than 100 characters"),
        (format!("instances.a.labels.k = '{}'", "ã".repeat(201)), "longer than 200 characters"),
        (format!("instances.a.labels.{} = ''", "k".repeat(65)), "a label's key of more than 64 characters"),
    ] {
        assert!(Folder::with(&text).problems()[0].0.contains(what));
    }
    assert_eq!(Folder::with(&format!("instances.a.name = '{}'", "ã".repeat(100))).problems(), []);
}

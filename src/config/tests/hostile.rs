//! Files that are no configs: neither they nor their size may make the reader panic.

use super::*;

/// A file that is no config is not repeated line by line.
#[test]
fn mistakes_in_the_syntax_are_bounded() {
    let found = Folder::with(&"what is this\n".repeat(5_000)).problems();
    assert_eq!(found.len(), 1_001);
    assert_eq!(found[1_000].0, "1001:6 there are more problems than these 1,000");
}

#[test]
fn nothing_hostile_panics() {
    let deep = |open: &str, close: &str, count: usize| format!("a = {}{}", open.repeat(count), close.repeat(count));
    let huge_key = "k".repeat(1_000_000);
    for text in [
        deep("[", "]", 100_000),
        deep("{a=", "}", 100_000),
        format!("{}x = 1", "a.".repeat(100_000)),
        format!("[{}x]", "a.".repeat(100_000)),
        format!("[{}x]", "a.".repeat(70)),
        format!("[[rules]]\nnotify=['console']\nmatch.name = {}'x'{}", "{not=".repeat(70), "}".repeat(70)),
        format!("{huge_key} = 1\n[sinks.{huge_key}]\n[instances.{huge_key}]\nx = 1"),
        "\"x[99999999999]\" = 1\n\"a.b\" = 2\n\"\" = 3".into(),
        "\0".into(),
        "\u{feff}".into(),
        "\r\n\r\n[server]\r\nlisten = 1\r\n".into(),
        "server = [[[]]]\nsinks = [{}]\nrules = {}\ninstances = 1\nsources = ''\nmessages = []".into(),
        "sinks.'' = {}\nsources.'' = {}\ninstances.'' = {}".into(),
        "\"\u{1b}[2J\" = 1".into(),
    ] {
        let report = Folder::with(&text).load().report;
        assert!(report.render(false).len() < 100_000);
        assert!(!report.render(false).contains('\u{1b}'));
    }
    let crlf = Folder::with("\u{feff}# ã\r\n[server]\r\nlisten = 1\r\n").problems();
    assert_eq!(crlf[0].0, "3:10 wrong type: integer");
    let bom = Folder::with("\u{feff}x = 1").problems();
    assert_eq!(bom[0].0, "1:1 unknown key `x`");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, ..Default::default() })]
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        Folder::empty().write("l.toml", bytes).load();
    }

    #[test]
    fn no_broken_config_panics(cut in 0_usize..2_000, with in "[\\[\\]{}=.\"'a0,\n]{0,5}") {
        let text = whole::EXAMPLE;
        let cut = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        Folder::empty().write("l.toml", format!("{}{with}{}", &text[..cut], &text[cut..])).load();
    }
}

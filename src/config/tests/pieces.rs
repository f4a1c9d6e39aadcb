//! Cutting files into pieces.

use proptest::prelude::*;

use super::super::fuzz;
use super::super::pieces::{Piece, cut};

/// The texts of the file's smallest possible pieces.
fn texts(file: &str) -> Vec<String> {
    cut(file, 1).iter().map(|piece| piece.text(file).into_owned()).collect()
}

#[test]
fn each_line_is_in_one_piece_with_all_that_is_its_own() {
    let rest = "a = 1\n[b]\n";
    let one = "[instances.A]\nname = '''\n[instances.no]\n'''\n";
    let two = "[instances.\"B\"]\n[instances.\"B\".labels]\nc = [\n[1],\n]\n";
    assert_eq!(texts(&[rest, one, two].concat()), [rest, one, two]);
    let more = "[c] # [instances.D]\nd = {}\n";
    assert_eq!(texts(&[two, "[b]\n", one, more].concat()), [&["[b]\n", more].concat(), two, one]);
    let (header, a, b, c) = ("[instances]\n", "A = {}\n", "B.name = 'b'\nB.source = 'c'\n# C\n", "C = {}\n");
    let keys = [a, b, c].map(|line| header.to_owned() + line);
    assert_eq!(texts(&[header, a, b, c].concat()), ["", header, &keys[0], &keys[1], &keys[2]]);
    let (a, b) = ("instances.A = { name = [\n[],\n] }\n", "instances . B.name = 'b'\ninstances.B.source = 'c'\n");
    assert_eq!(texts(&[a, "c = 1\n", b, one].concat()), ["c = 1\n", a, b, one]);
}

#[test]
fn what_cannot_be_cut_is_whole() {
    for file in [
        "a = 1",
        "[instances]\n[instances]\n",
        "[[instances]]\n[instances.A]\n",
        "[[instances.A]]\nb = 1",
        "instances.A.name = 'a'\n[instances]\n",
    ] {
        assert_eq!(texts(file), [file]);
    }
}

#[test]
fn each_place_in_a_piece_is_one_in_the_file() {
    let file = "a = 1\n[instances]\nAA = {}\nBB = {}\n[b]\nCC = {}\n[instances.DD]\n";
    for piece in cut(file, 1) {
        let text = piece.text(file);
        for name in ["a =", "[instances]", "AA", "BB", "[b]", "CC", "[instances.DD]"] {
            if let Some(at) = text.find(name) {
                assert!(file[piece.place(at)..].starts_with(name), "{name} in {text}");
            }
        }
    }
    assert_eq!(Piece::default().place(0), 0);
}

/// Files of all sorts of expressions, some of which do not go together.
fn file() -> impl Strategy<Value = String> {
    let one_of = |texts: &[&'static str]| prop::sample::select(texts.to_vec()).prop_map(|text| format!("{text}\n"));
    let id = || prop::sample::select(vec!["A", "B", "\"A\"", "C.labels", "'C'", "D"]);
    let others = ["[b]", "[[rules]]", "[[instances]]", "[\"instances\".A]", "[[instances.A]]"];
    let header = prop_oneof![
        6 => id().prop_map(|id| format!("[instances.{id}]\n")),
        2 => Just("[instances]\n".to_owned()),
        1 => one_of(&others),
    ];
    let keys = [
        "name = 'x'",
        "labels = { a = '[instances.B]' }",
        "labels.b = \"\"\"\n[instances.B]\n\"\"\"",
        "a = [\n[1], #]\n]",
        "# [b]",
        "",
    ];
    let broken = ["a = [", "a = }", "instances = 1", "instances.A.name = 'y'", "]", "a = \"\"\"", "[instances.A"];
    let line = (prop::bool::ANY, id(), one_of(&[" = {}", ".name = 'z'"]));
    let key = prop_oneof![
        12 => one_of(&keys),
        6 => line.prop_map(|(root, id, value)| format!("{}{id}{value}", if root { "instances." } else { "" })),
        1 => one_of(&broken),
    ];
    let section = (prop::option::weighted(0.8, header), prop::collection::vec(key, 0..3));
    let section = section.prop_map(|(header, keys)| header.unwrap_or_default() + &keys.concat());
    prop::collection::vec(section, 0..6).prop_map(|sections| sections.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn pieces_say_what_the_file_says(file in file()) {
        fuzz::pieces(file.as_bytes());
    }
}

//! What people get to read.

use super::samples::{self, sample};
use super::*;
use crate::{Kind, Reason};

fn texts(language: Language, zone: &str) -> Texts {
    Texts::built_in(&Reader { language, zone: TimeZone::get(zone).unwrap() })
}

#[test]
fn show() {
    for language in Language::ALL {
        let texts = texts(language, "America/Sao_Paulo");
        for n in samples::all() {
            println!("{}", texts.title(&n));
        }
        for kind in Kind::ALL {
            for c in [false, true] {
                println!("=====\n{}\n", texts.text(&sample(kind, Reason::Other, true, c)));
            }
        }
        println!("=====\n{}\n", texts.slack(&sample(Kind::Undelivered, Reason::Other, true, false)));
        println!("=====\n{}\n", texts.html(&sample(Kind::Down, Reason::Other, true, false)));
    }
}

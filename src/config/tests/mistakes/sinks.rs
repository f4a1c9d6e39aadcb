//! Mistakes in `[sinks]`.

use super::Mistake;

pub(super) const MISTAKES: &[Mistake] = &[
    ("[sinks.a]\nport = 1", "1:1 `type` is missing", "the type says"),
    ("[sinks.a]\nType = 'toy'", "2:1 unknown key `Type`", "did you mean `type`?"),
    (
        "[sinks.a]\ntype = 'toy'\nfallback = 'console'\npassword = { credentials = 'x' }",
        "4:14 unknown key `credentials`",
        "did you mean `credential`?",
    ),
    ("[sinks.a]\ntype = 'emial'", "2:8 unknown type of sink `emial`", "did you mean `email`?"),
    ("[sinks.a]\ntype = 'toy'\nurll = 'x'\nfallback = 'console'", "3:1 unknown key `urll`", "did you mean `url`?"),
    ("[sinks.a]\ntype = 'toy'\nretyr.first = '1s'", "3:1 unknown key `retyr`", "did you mean `retry`?"),
    ("[sinks.a]\ntype = 'toy'\nto = ['x', 7]", "3:12 wrong type: integer", ""),
    ("[sinks.a]\ntype = 'toy'\nport = 0", "3:8 no port", ""),
    (
        "[sinks.a]\ntype = 'toy'\nfallback = 'a'",
        "3:12 a sink cannot be its own fallback",
        "name a sink that goes another way",
    ),
    ("[sinks.a]\ntype = 'toy'\nfallback = 'consol'", "3:12 there is no sink `consol`", "did you mean `console`?"),
    (
        "[sinks.a]\ntype = 'toy'\nretry = { first = '1h', max = '1m' }",
        "3:31 the longest pause, 1m, is shorter than the first, 1h",
        "",
    ),
    ("[sinks.a.retry]\nfirst = '0s'\n[sinks.a]\ntype = 'toy'", "2:9 0s is out of bounds", ""),
    ("[sinks.a]\ntype = 'toy'\nretry.first = '2ms'", "warning 3:15 2ms is short for this", "did you mean `2m`?"),
    ("[sinks.a]\ntype = 'toy'\nretry.max = '10ms'", "warning 3:13 10ms is short for this", "did you mean `10m`?"),
    (
        "[sinks.a]\ntype = 'toy'\nretry.give_up_after = '30ms'",
        "warning 3:23 30ms is short for this",
        "did you mean `30m`?",
    ),
    (
        "[sinks.a]\ntype = 'toy'\nretry = { max = '2d', give_up_after = '1d' }",
        "3:39 it gives up after 1d, before a pause of 2d ends",
        "",
    ),
    (
        "[sinks.a]\ntype = 'toy'\nretry = { first = '5s', give_up_after = '1s' }",
        "3:41 it gives up after 1s, before the first pause of 5s ends",
        "",
    ),
    ("[sinks.a]\ntype = 'toy'\nlimits.in_fligth = 8", "3:8 unknown key `in_fligth`", "did you mean `in_flight`?"),
    ("[sinks.a]\ntype = 'toy'\nlimits = { in_flight = 0 }", "3:24 0 is out of bounds", ""),
    ("[sinks.a]\ntype = 'toy'\nlimits = { in_flight = 65 }", "3:24 65 is out of bounds", ""),
    ("[sinks.a]\ntype = 'toy'\nlimits.interval = '31s'", "3:19 31s is out of bounds", ""),
    ("[messages]\nlangauge = 'en'", "2:1 unknown key `langauge`", "did you mean `language`?"),
];

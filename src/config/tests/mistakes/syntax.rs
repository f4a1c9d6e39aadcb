//! Mistakes in the syntax and the names of tables.

use super::Mistake;

pub(super) const MISTAKES: &[Mistake] = &[
    // The whole.
    ("sever = 1", "1:1 unknown key `sever`", "did you mean `server`?"),
    ("[sinkz.a]\ntype = 'toy'", "1:2 unknown key `sinkz`", "did you mean `sinks`?"),
    ("server = 7", "1:10 wrong type: integer", "write `[server]`"),
    ("[[server]]\nlisten = 'x'", "1:1 wrong type: list", "write `[server]`"),
    // Syntax.
    ("[store]\nkeep = '2d'\nkeep = '3d'", "3:1 duplicate key", "it is already set above"),
    ("[server]\n[server]", "2:2 duplicate key", "it is already set above"),
    ("[server\n", "1:8 unclosed table", ""),
    ("[rules]\nnotify = ['console']\n[rules]\nnotify = ['console']", "3:2 duplicate key", "write [[rules]], in double"),
    (
        "[[rules]]\nnotify = ['console']\n[rules]\nnotify = ['console']",
        "3:2 duplicate key",
        "write [[rules]], in double",
    ),
    (
        "[rules]\nnotify = ['console']\n[[rules]]\nnotify = ['console']",
        "3:3 duplicate key",
        "write [[rules]], in double",
    ),
    ("[quiet]\nfrom = '22:00'\n[quiet]\nto = '7:00'", "3:2 duplicate key", "write [[quiet]], in double"),
    (
        "[[rules]]\ncontinue = true\nnotify = ['console']\n[sinks.my slack]\ntype = 'slack'",
        "4:10 unclosed table",
        "names with spaces or dots go in quotes: [sinks.\"my slack\"]",
    ),
    (
        "[messages]\nlanguage = \u{201c}en\u{201d}",
        "2:12 string values must be quoted",
        "\u{201c} is a typographic quotation mark",
    ),
    ("[messages]\nlanguage = \"en\u{201d}", "2:16 invalid basic string", "\u{201d} is a typographic quotation mark"),
    ("[messages]\nlanguage\u{a0}= 'en'", "2:9 invalid unquoted key", "there is an invisible character here (U+00A0)"),
    (
        "[messages]\nlanguage =\u{200b}'en'",
        "2:11 missing opening quote",
        "there is an invisible character here (U+200B)",
    ),
    ("[server]\nlisten = 127.0.0.1:8080", "2:10 string values must be quoted", "write `listen = \"127.0.0.1:8080\"`"),
    ("[store]\nkeep = 400d # a year", "2:8 string values must be quoted", "write `keep = \"400d\"`"),
    (
        "[[rules]]\ncontinue = true\nnotify = ['console', ops]",
        "3:22 string values must be quoted",
        "write `notify = ['console', \"ops\"]`",
    ),
    ("[troubles]\non = yes", "2:6 this is no value in TOML", "write `on = true`"),
    ("[troubles]\non = False", "2:6 this is no value in TOML", "write `on = false`"),
    ("[server]\nlisten =", "2:9 there is no value after `=`", "write the value, or take out the line"),
    ("[server]\nlisten =   # later", "2:12 there is no value after `=`", "write the value, or take out the line"),
    ("; comment", "1:1 a comment begins with `#`", "write `# comment` in place of `; comment`"),
    ("[server]\n// comment", "2:1 a comment begins with `#`", "write `# comment` in place of `// comment`"),
    ("[store]\nkeep = '1d' // a day", "2:13 a comment begins with `#`", "write `# comment` in place of `// comment`"),
    (
        "[sinks.a]\ntype = 'toy'\nfallback = 'console'\nfrom = linedown <a@b>",
        "4:8 string values must be quoted",
        "write `from = \"linedown <a@b>\"`",
    ),
    (
        "[sinks.a]\ntype = 'toy'\nfallback = 'console'\nretry = { first = 2s, max = '10m' }",
        "4:19 string values must be quoted",
        "write `retry = { first = \"2s\", max = '10m' }`",
    ),
    ("[server]\nlisten: 'x'", "2:7 invalid unquoted key", ""),
    ("[server]\nlisten = 'x", "2:12 invalid literal string", ""),
    ("[store]\nkeep = 1d, 2d", "2:8 string values must be quoted", ""),
    ("x = \"a\0\"", "1:7 invalid basic string", ""),
    ("x = 99999999999999999999", "1:5 this number is too big", ""),
    ("x = nan", "1:5 this is not a finite number", ""),
];

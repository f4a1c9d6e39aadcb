use super::*;

#[test]
fn later_layers_win() {
    let folder = Folder::with(
        "[server]\nlisten = '127.0.0.1:1'\nmax_body = 2000\napi = '/a'\n[sinks.t]\ntype = 'toy'\nto = ['a', 'b']",
    )
    .write("conf.d/20.toml", "[server]\nlisten = '127.0.0.1:3'")
    .write("conf.d/10.toml", "[server]\nlisten = '127.0.0.1:2'\nmax_body = 3000")
    .write("conf.d/ignored.txt", "x")
    .write("conf.d/.hidden.toml", "x")
    .variable("LINEDOWN__SERVER__MAX_CONNECTIONS", "7")
    .variable("LINEDOWN_CONFIG", "/elsewhere")
    .variable("SERVER__MAX_BODY", "1");
    let server = folder.config().server;
    assert_eq!(server.listen.port(), 3);
    assert_eq!((server.max_body, server.max_connections), (3000, 7));
    assert_eq!(server.api.as_deref(), Some(FilePath::new("/a")));
}

/// A value that can have several forms is taken from one layer alone.
#[test]
fn a_later_layer_has_a_secret_or_tls_in_another_form() {
    let text = "[sources.w]\ntype = 'waha'\nsecret = { credential = 'w' }\n[sinks.file]\ntype = 'toy'\n\
                password = { env = 'NO_SUCH' }\n[instances.A]\ntoken = { env = 'NO_SUCH' }\nlabels = { env = 'prod' }\n\
                [server.tls.acme]\nnames = ['a.example']\nagree_to_terms = true\n[[rules]]\ncontinue = true\n\
                notify = ['file']\n";
    let folder = Folder::with(&text.replace("[sinks.file]", "[sinks.file]\nfallback = 'console'"));
    let secret = folder.path("secret").display().to_string();
    let place = format!("{{ file = '{secret}' }}");
    let folder = folder
        .write("conf.d/10.toml", "sources.w.secret = { env = 'NO_SUCH' }")
        .write(
            "conf.d/20.toml",
            format!(
                "sources.w.secret = {place}\nsinks.file.password = {place}\ninstances.A.token = {place}\n\
                 instances.A.labels.file = 'x'\nsinks.env = {{ type = 'toy', fallback = 'file' }}\n"
            ),
        )
        .variable("LINEDOWN__SERVER__TLS__CERTIFICATE", "/nowhere/c.pem")
        .variable("LINEDOWN__SERVER__TLS__KEY__FILE", "/nowhere/k.pem");
    let what: Vec<String> = folder.problems().into_iter().map(|(what, _)| what).collect();
    let unread = "No such file or directory (os error 2)";
    assert_eq!(
        what,
        [
            "warning conf.d/20.toml:5:13 nothing is ever sent to env".to_owned(),
            format!("environment variable LINEDOWN__SERVER__TLS__CERTIFICATE: cannot read /nowhere/c.pem: {unread}"),
            format!("environment variable LINEDOWN__SERVER__TLS__KEY__FILE: cannot read /nowhere/k.pem: {unread}"),
        ]
    );
    let mut folder = folder;
    folder.variables.clear();
    let folder = folder
        .variable("LINEDOWN__SOURCES__W__SECRET", &place)
        .variable("LINEDOWN__INSTANCES__A__TOKEN__FILE", &secret);
    let config = folder.config();
    assert_eq!(secrecy::ExposeSecret::expose_secret(&config.sources["w"].secrets[0]), "0123456789abcdef0123");
    let entry = config.routing.inventory.get("z-api", "A").unwrap();
    assert_eq!(entry.labels().collect::<Vec<_>>(), [("env", "prod"), ("file", "x")]);
    assert!(matches!(config.server.tls, Some(Tls::Acme(_))));
    let folder = folder.variable("LINEDOWN__SINKS__FILE__PASSWORD__CREDENTIAL", "p");
    let what: Vec<String> = folder.problems().into_iter().map(|(what, _)| what).collect();
    let expected = "environment variable LINEDOWN__SINKS__FILE__PASSWORD__CREDENTIAL: credential p is available only when systemd starts linedown";
    assert!(what.iter().any(|what| what.contains(expected)), "{what:?}");
}

/// What was once replaced does not come back.
#[test]
fn a_form_that_was_replaced_is_gone_for_later_layers_too() {
    let folder = Folder::with("[server]\ntls = { certificate = '/nowhere/c.pem', key = '/nowhere/k.pem' }")
        .write("conf.d/10.toml", "[server]\ntls.acme = { names = ['a.example'], agree_to_terms = true }")
        .write("conf.d/20.toml", "[server]\ntls.certificate = '/nowhere/d.pem'");
    let what: Vec<String> = folder.problems().into_iter().map(|(what, _)| what).collect();
    let unread = "conf.d/20.toml:2:19 cannot read /nowhere/d.pem: No such file or directory (os error 2)";
    assert_eq!(what, ["conf.d/20.toml:2:1 `key` is missing", unread]);
}

/// A key is wrong because of a `type` in another file, where nobody would look for it.
#[test]
fn a_type_that_a_later_layer_changes_is_named_with_its_place() {
    let sink = "[sinks.t]\ntype = 'toy'\nurl = 'x'\nfallback = 'console'\n";
    let source = "[sources.w]\ntype = 'z-api'\nsecret = '0123456789abcdef'\nclient_token = 'x'\n";
    let folder = Folder::with(&format!("{sink}{source}[[rules]]\ncontinue = true\nnotify = ['t']"));
    assert_eq!(folder.problems(), []);
    let folder = folder.of_kinds(&[linedown_sinks::KINDS, &TOYS[3..]].concat());
    let found = |folder: &Folder| folder.problems().into_iter().map(|(what, _)| what).collect::<Vec<_>>();
    let folder = folder.write("conf.d/z.toml", "\n[sinks.t]\ntype = 'email'\n[sources.w]\ntype = 'waha'");
    let by = "by conf.d/z.toml:3:8";
    assert_eq!(
        found(&folder),
        [
            format!("1:1 `from` is missing: `type` is `email` {by}"),
            format!("1:1 `server` is missing: `type` is `email` {by}"),
            format!("1:1 `to` is missing: `type` is `email` {by}"),
            format!("3:1 unknown key `url`: `type` is `email` {by}"),
            "8:16 only sources of type `z-api` have this key: `type` is `waha` by conf.d/z.toml:5:8".to_owned(),
        ]
    );
    let folder = folder.write("conf.d/z.toml", "").variable("LINEDOWN__SINKS__T__TYPE", "stdout");
    let by = "by environment variable LINEDOWN__SINKS__T__TYPE";
    assert_eq!(found(&folder), [format!("3:1 unknown key `url`: `type` is `stdout` {by}")]);
    // In the same file, the `type` is in sight.
    let folder = folder.write("l.toml", "sinks.t = { type = 'stdout', url = 'x' }");
    let folder = Folder { variables: Vec::new(), ..folder };
    assert_eq!(found(&folder), ["warning 1:11 nothing is ever sent to t", "1:30 unknown key `url`"]);
}

/// The order is the same whatever order the merge leaves the keys in.
#[test]
fn what_was_expected_is_told_in_one_order() {
    let sinks = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| format!("sinks.{name}.type = 'stdout'\n")).concat();
    let report = Folder::with(&format!("{sinks}[[rules]]\nnotify = ['nobody']")).load().report;
    let expected = "one of `a`, `b`, `c`, `console`, `d`, `e`, `f`, `g`, `h`";
    assert!(report.rows().iter().any(|row| row.expected.as_deref() == Some(expected)), "{}", report.render(false));
}

#[test]
fn quiet_hours_are_appended() {
    let folder = Folder::with("[[quiet]]\nname = 'night'\nfrom = '22:00'\nto = '07:00'")
        .write("conf.d/a.toml", "[[quiet]]\nname = 'siesta'\nfrom = '13:00'\nto = '15:00'");
    let names: Vec<String> = folder.config().routing.quiet.iter().map(|quiet| quiet.name.clone()).collect();
    assert_eq!(names, ["night", "siesta"]);
    let folder =
        folder.write("conf.d/b.toml", "[[quiet]]\nfrom = '22:00'\nto = '22:61'").variable("LINEDOWN__QUIET", "[]");
    let what: Vec<String> = folder.problems().into_iter().map(|(what, _)| what).collect();
    let expected = [
        "conf.d/b.toml:3:6 this is not a time of day",
        "environment variable LINEDOWN__QUIET: `quiet` is read from files only",
    ];
    assert_eq!(what, expected);
}

#[test]
fn rules_are_appended() {
    let folder = Folder::with("[[rules]]\nname = 'main'\ncontinue = true\nnotify = ['console']")
        .write("conf.d/a.toml", "[[rules]]\nname = 'a1'\ncontinue = true\nnotify = ['console']\n[[rules]]\nname = 'a2'\ncontinue = true\nnotify = ['console']");
    let names: Vec<String> = folder.config().routing.rules.iter().map(|rule| rule.name.clone()).collect();
    assert_eq!(names, ["main", "a1", "a2", "base"]);
    let folder = folder.write("conf.d/b.toml", "[[rules]]\nnotify = ['console']\nnmae = 1\n[[rules]]\nnotify = ['x']");
    let what: Vec<String> = folder.problems().into_iter().map(|(what, _)| what).collect();
    assert_eq!(what, ["conf.d/b.toml:3:1 unknown key `nmae`", "conf.d/b.toml:5:11 there is no sink `x`"]);
}

#[test]
fn each_problem_is_in_the_file_its_value_came_from() {
    let folder = Folder::with("[server]\nlisten = 'x'\n[store]\nkeep = 3\n[sinks.t]\ntype = 'toy'")
        .write("conf.d/z.toml", "\n[server]\nlisten = 'y'\n[sinks.t]\nfallback = 'u'");
    let what: Vec<String> = folder.problems().into_iter().map(|(what, _)| what).collect();
    assert_eq!(
        what,
        [
            "4:8 a duration without a unit",
            "warning 5:1 nothing is ever sent to t",
            "conf.d/z.toml:3:10 \"y\" is not an address to listen on",
            "conf.d/z.toml:5:12 there is no sink `u`",
        ]
    );
}

#[test]
fn syntax_errors_of_all_files() {
    let folder = Folder::with("a = \n").write("conf.d/z.toml", "b = \n");
    let files: Vec<String> = folder.load().report.rows().iter().map(|row| row.file.clone()).collect();
    assert_eq!(files, [folder.path("l.toml"), folder.path("conf.d/z.toml")].map(|path| path.display().to_string()));
}

#[test]
fn keys_keep_their_case() {
    let folder = Folder::with(
        "[instances.39ECB]\nname = 'A'\n[instances.\"instance.id\"]\nname = 'B'\n[instances.39ecb]\nname = 'C'",
    );
    let config = folder.config();
    let name = |id: &str| config.routing.inventory.get("z-api", id).unwrap().name.unwrap();
    assert_eq!([name("39ECB"), name("instance.id"), name("39ecb")], ["A", "B", "C"]);
}

/// An inventory of this many lines, more than are parsed at a time.
fn fleet(lines: usize) -> String {
    (0..lines).fold(String::new(), |mut text, n| {
        use std::fmt::Write;
        let _ = write!(
            text,
            "[instances.39ECB{n:08}]\nname = \"Loja {n}\"\nlabels = {{ customer = \"acme{}\" }}\n",
            n / 10
        );
        text
    })
}

/// A large inventory is read one line at a time: a single mistake among many lines is found, and so are many.
#[test]
fn a_large_inventory() {
    let text = fleet(5_000);
    let folder = Folder::with(&text);
    let loaded = folder.load();
    assert_eq!(loaded.report.rows(), []);
    assert_eq!(loaded.config.unwrap().routing.inventory.len(), 5_000);
    let doubtful = Folder::with(&text.replace("customer", "owner")).load();
    assert_eq!((doubtful.report.errors(), doubtful.report.warnings()), (0, 1_001), "warnings refuse nothing");
    assert!(doubtful.config.is_some());
    let broken = folder.write("conf.d/z.toml", "[instances.39ECB00004999]\nnmae = 1");
    assert_eq!(broken.problems()[0].0, "conf.d/z.toml:2:1 unknown key `nmae`");
    let all_broken = broken.write("l.toml", text.replace("name", "nmae"));
    let report = all_broken.load().report;
    assert!(report.errors() == 1_001 && report.rows()[0].what.contains("more problems"), "{}", report.count());
}

/// It is parsed piece by piece; where the pieces end must not change what it says.
#[test]
fn a_large_inventory_says_what_is_written_wherever_that_stands() {
    let first = "[instances.39ECB00000000";
    let folder = Folder::with(&fleet(5_000)).write("conf.d/z.toml", format!("{}{first}.more]", fleet(5_000)));
    assert_eq!(folder.problems()[0].0, "conf.d/z.toml:15001:26 unknown key `more`");
    let folder = folder.write("conf.d/z.toml", fleet(5_000) + first + "]");
    assert_eq!(folder.problems()[0].0, "conf.d/z.toml:15001:12 duplicate key");
    let folder = folder.write("conf.d/z.toml", format!("{}[instances.A]\nlabels.x = 'ä'\nnmae = 1", fleet(5_000)));
    assert_eq!(folder.problems()[0].0, "conf.d/z.toml:15003:1 unknown key `nmae`");
    let folder = folder.write("conf.d/z.toml", format!("instances.A.labels.x = 'y'\n[instances]\n{}", "A.name = 'A'"));
    assert_eq!(folder.problems()[0].0, "conf.d/z.toml:2:2 duplicate key");

    let more = format!("{first}.labels]\ntier = 'gold'\n[server]\nlisten = '[::1]:1'\n");
    let apart = format!("[instances.A]\nname = 'A'\n{}[instances.A.labels]\nx = 'y'\n", fleet(5_000));
    let config = Folder::with(&apart).write("conf.d/z.toml", more).config();
    let inventory = &config.routing.inventory;
    let labels = |id: &str| inventory.get("z-api", id).unwrap().labels().collect::<Vec<_>>();
    assert_eq!(labels("39ECB00000000"), [("customer", "acme0"), ("tier", "gold")]);
    assert_eq!(labels("39ECB00004999"), [("customer", "acme499")]);
    assert_eq!((labels("A"), inventory.len()), (vec![("x", "y")], 5_001));
}

#[test]
fn tokens_of_a_large_inventory() {
    let text = (0..5_000).fold(String::new(), |text, n| {
        text + &format!("[instances.39ECB{n:08}]\ntoken = {{ credential = \"z-api-{n}\" }}\n")
    });
    let loaded = Folder::with(&text).load();
    let told: Vec<&str> = loaded.report.rows().iter().map(|row| row.what.as_str()).collect();
    assert_eq!(told, ["credential z-api-0 is available only when systemd starts linedown"], "once, not 5,000 times");
    let config = loaded.config.unwrap();
    assert!(config.lacks_credentials);
    let gateway = config.sources["z-api"].gateway.as_ref().unwrap();
    assert_eq!(gateway.lines.len(), 5_000);
    assert!(gateway.line("39ECB00004999").is_some() && gateway.line("39ECB5000").is_none());

    let text =
        "[instances.B]\ntoken = { file = \"TOKEN\" }\n[instances.A]\ntoken = { file = \"TOKEN\" }\n[instances.C]\n";
    let folder = Folder::empty().write("token", "F00D\n").mode("token", 0o644);
    let token = folder.path("token").display().to_string();
    let with_tokens = Folder::with(&text.replace("TOKEN", &token));
    let problems = with_tokens.problems();
    assert_eq!(problems.len(), 1, "one stands for all: {problems:?}");
    assert!(
        problems[0].0.starts_with("warning 4:") && problems[0].0.contains("every user of this machine"),
        "{problems:?}"
    );
    let config = with_tokens.config();
    let lines = &config.sources["z-api"].gateway.as_ref().unwrap().lines;
    assert_eq!(lines.iter().map(|line| &*line.instance).collect::<Vec<_>>(), ["A", "B"]);
    assert_eq!(secrecy::ExposeSecret::expose_secret(&lines[0].token), "F00D");
    assert!(!format!("{:?}", config.sources).contains("F00D"));
}

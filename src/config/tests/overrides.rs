//! What environment variables set.

use super::*;

#[test]
fn the_environment_wins_with_texts_numbers_truth_values_and_lists() {
    let folder = Folder::with("[sinks.my-toy]\ntype = 'toy'\nurl = 'x'\nport = 1\n[instances.39ECB]\nname = 'x'")
        .variable("LINEDOWN__STORE__KEEP", "3d")
        .variable("LINEDOWN__SINKS__MY_TOY__PORT", "25")
        .variable("LINEDOWN__SINKS__MY_TOY__LOUD", "true")
        .variable("LINEDOWN__SINKS__MY_TOY__TO", r#"["a", "b"]"#)
        .variable("LINEDOWN__INSTANCES__39ECB__LABELS__TIER", "gold");
    let config = folder.config();
    assert_eq!(config.store.keep.as_secs(), 3 * 24 * 60 * 60);
    let entry = config.routing.inventory.get("z-api", "39ECB").unwrap();
    assert_eq!((entry.name, entry.labels().collect::<Vec<_>>()), (Some("x"), vec![("tier", "gold")]));
    assert!(config.routing.sinks.contains_key("my-toy") && config.routing.sinks.len() == 2);
}

/// A table counts as a variable for each of its keys.
#[test]
fn a_variable_holds_the_table_of_a_section() {
    let folder =
        Folder::with("[sinks.my-toy]\ntype = 'toy'\nport = 1\nretry.max = '1m'\n[instances.39ECb]\nname = 'x'")
            .variable("LINEDOWN__SINKS__MY_MAIL", r#"{type="stdout"}"#)
            .variable("LINEDOWN__SINKS__MY_TOY", r#"{"port": 25, "loud": true, "to": ["a"], "retry": {"first": "7s"}}"#)
            .variable("LINEDOWN__SINKS__MY_TOY__PORT", "26")
            .variable("LINEDOWN__INSTANCES__39ECb", r#"{ labels = { tier = "gold" } }"#)
            .variable("LINEDOWN__INSTANCES", r#"{ "D.e" = { name = "d" } }"#)
            .variable("LINEDOWN__SOURCES__Z_API", "{ watch = {}, audit.on = false, partner_token = 'F00D' }")
            .variable("LINEDOWN__STORE", "{ keep = '3d' }")
            .variable("LINEDOWN__SERVER", "{ max_connections = 7, listen = '127.0.0.1:9' }")
            .variable("LINEDOWN__TROUBLES", "{ on = false }")
            .variable("LINEDOWN__HEARTBEAT", "{ url = 'https://beats.example/x' }")
            .variable("LINEDOWN__MESSAGES", "{ language = 'pt-BR' }");
    let config = folder.config();
    let sinks: Vec<&str> = config.routing.sinks.keys().map(String::as_str).collect();
    assert_eq!(sinks, ["console", "my-toy", "my_mail"]);
    let retry = config.routing.sinks["my-toy"].retry;
    assert_eq!((retry.first.as_secs(), retry.max.as_secs()), (7, 60));
    let entry = config.routing.inventory.get("z-api", "39ECb").unwrap();
    assert_eq!((entry.name, entry.labels().collect::<Vec<_>>()), (Some("x"), vec![("tier", "gold")]));
    assert_eq!(config.routing.inventory.get("z-api", "D.e").unwrap().name, Some("d"));
    let gateway = config.sources["z-api"].gateway.as_ref().unwrap();
    assert!(gateway.watch.is_some() && gateway.audit.every.is_none() && gateway.partner_token.is_some());
    assert_eq!((config.store.keep.as_secs(), config.server.max_connections), (3 * 24 * 60 * 60, 7));
    assert!(config.troubles.is_none() && config.heartbeat.is_some());
    assert_eq!(config.messages.language.as_deref(), Some("pt-BR"));
}

/// The more exact variable wins, whatever the other one sets.
#[test]
fn a_variable_for_a_key_wins_over_one_for_its_table() {
    let folder = Folder::with("")
        .variable("LINEDOWN__SINKS__A", "{ type = 'toy', password = { env = 'NO_SUCH' }, retry = { first = '3s' } }")
        .variable("LINEDOWN__SINKS__A__PASSWORD", "hunter2")
        .variable("LINEDOWN__SINKS__A__RETRY", "{ max = '1m' }");
    let retry = folder.config().routing.sinks["a"].retry;
    assert_eq!((retry.first.as_secs(), retry.max.as_secs()), (2, 60));
}

/// An instance's identifier keeps its case, even if no file has it.
#[test]
fn an_instance_that_only_a_variable_names_keeps_its_case() {
    let folder = Folder::with("[instances.aB]\nname = 'x'")
        .variable("LINEDOWN__INSTANCES__39ECb__NAME", "Zed")
        .variable("LINEDOWN__INSTANCES__39ECb__LABELS__TIER", "gold")
        .variable("LINEDOWN__INSTANCES__AB__NAME", "y");
    let config = folder.config();
    let entry = config.routing.inventory.get("z-api", "39ECb").unwrap();
    assert_eq!((entry.name, entry.labels().collect::<Vec<_>>()), (Some("Zed"), vec![("tier", "gold")]));
    assert_eq!(
        (config.routing.inventory.get("z-api", "aB").unwrap().name, config.routing.inventory.len()),
        (Some("y"), 2)
    );
}

/// Only if no key is written as in the variable, one that differs in case is meant.
#[test]
fn a_variable_sets_the_key_that_is_written_the_same_way() {
    let config = Folder::with("[instances.AbC]\nname = 'x'\n[instances.aBc]\nname = 'y'")
        .variable("LINEDOWN__INSTANCES__aBc__NAME", "z")
        .variable("LINEDOWN__TROUBLES__DISK_FREE_BELOW", "1048576")
        .config();
    let name = |id: &str| config.routing.inventory.get("z-api", id).unwrap().name;
    assert_eq!((name("AbC"), name("aBc")), (Some("x"), Some("z")));
    assert_eq!(config.troubles.unwrap().disk_free_below, trouble::Free::Bytes(1_048_576));
}

#[test]
fn mistakes_of_the_environment_name_the_variable() {
    for (name, value, what) in [
        (
            "LINEDOWN__SERVER__LISTEN",
            "x",
            "environment variable LINEDOWN__SERVER__LISTEN: \"x\" is not an address to listen on",
        ),
        ("LINEDOWN__SEVER__LISTEN", "x", "environment variable LINEDOWN__SEVER__LISTEN: unknown key `sever`"),
        ("LINEDOWN__SERVER__MAX_BODY", "much", "environment variable LINEDOWN__SERVER__MAX_BODY: wrong type: string"),
        ("LINEDOWN__RULES", "[]", "environment variable LINEDOWN__RULES: `rules` is read from files only"),
        (
            "LINEDOWN__RULES__0__NOTIFY",
            "x",
            "environment variable LINEDOWN__RULES__0__NOTIFY: `rules` is read from files only",
        ),
        ("LINEDOWN__", "x", "environment variable LINEDOWN__: this variable names no key"),
        ("LINEDOWN__STORE____KEEP", "x", "environment variable LINEDOWN__STORE____KEEP: this variable names no key"),
        ("LINEDOWN__SERVER", "x", "environment variable LINEDOWN__SERVER: wrong type: string"),
        (
            "LINEDOWN__SINKS__MY_MAIL",
            "{type=\"stdout\"",
            "environment variable LINEDOWN__SINKS__MY_MAIL: wrong type: string",
        ),
        (
            "LINEDOWN__SINKS__A",
            "{ type = 'tyo' }",
            "environment variable LINEDOWN__SINKS__A: unknown type of sink `tyo`",
        ),
        ("LINEDOWN__SERVER", "{ max_body = 3 }", "environment variable LINEDOWN__SERVER: 3 is out of bounds"),
        (
            "LINEDOWN__SERVER",
            "{ listen = 'x' }",
            "environment variable LINEDOWN__SERVER: \"x\" is not an address to listen on",
        ),
        (
            "LINEDOWN__SERVER",
            "{ \"max_body\": 18446744073709551615 }",
            "environment variable LINEDOWN__SERVER: 18446744073709551615 is out of bounds",
        ),
        ("LINEDOWN__SOURCES__W", "{ type = 'waha' }", "environment variable LINEDOWN__SOURCES__W: `secret` is missing"),
        ("LINEDOWN__SOURCES__W__TYPE", "waha", "environment variable LINEDOWN__SOURCES__W__TYPE: `secret` is missing"),
    ] {
        let problems = Folder::with("[server]\nlisten = '127.0.0.1:1'").variable(name, value).problems();
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        assert_eq!(problems[0].0, what);
    }
    let (_, hint) = &Folder::with("").variable("LINEDOWN__STORE", "3d").problems()[0];
    assert_eq!(hint, "write `{ key = \"…\" }`, or set a variable for each key: …__KEY=…");
}

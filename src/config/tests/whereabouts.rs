//! Where the daemon of a config with mistakes is looked for.

use super::*;

impl Folder {
    fn whereabouts(&self) -> Whereabouts {
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        let process = Process { variables: self.variables.clone(), secrets: Secrets { credentials: None }, now };
        whereabouts(&self.path("l.toml"), &process).unwrap_or_else(|report| panic!("{}", report.render(false)))
    }
}

#[test]
fn only_what_may_say_where_it_is_makes_that_doubtful() {
    for (text, doubtful) in [
        ("server.api = /run/a.sock\n[sinks", true),
        ("[server]\napi = '/run/a.sock\n", true),
        ("[store]\nurl = 'sqlite:///a.db\n", true),
        ("[sinks", false),
        // As in the config of the package.
        ("[server]\n#api = '/run/a.sock'\n[store]\n  # url = 'sqlite:///a.db'\n[sinks", false),
        // `url` and `api` of other sections.
        (
            "[heartbeat]\nurl = 'https://watcher.example'\n[sources.z-api]\napi = 'https://gateway.example'\n[sinks",
            false,
        ),
        ("apis = 1\nwebhook_url = 'x\n", false),
        // The rest of the file can be read.
        ("server = { api = '/run/a.sock' }\nstore.url = 'sqlite:///a.db'\n[sinks", false),
        ("server = { api = '/run/a.sock', max_body = 99999999999999999999 }", false),
        // What says where it is cannot be used.
        ("server = { api = 7 }", true),
        ("store = { url = 'postgres://a' }", true),
        ("server = { api = '/run/a.sock' }\nstore = { url = 7 }", false),
    ] {
        let doubt = Folder::with(text).whereabouts().doubt;
        assert_eq!(doubt.is_some(), doubtful, "{text}: {doubt:?}");
    }
}

#[test]
fn what_a_variable_says_is_not_in_doubt() {
    let text = "[server]\napi = '/run/a.sock\n[store]\nurl = 'sqlite:///a.db";
    let found = |name: &str, value: &str| Folder::with(text).variable(name, value).whereabouts();
    for (name, value) in [("LINEDOWN__SERVER__API", "/run/b.sock"), ("LINEDOWN__SERVER", "{ api = \"/run/b.sock\" }")] {
        let found = found(name, value);
        assert_eq!((found.api.as_deref(), found.doubt), (Some(FilePath::new("/run/b.sock")), None), "{name}");
    }
    assert!(found("LINEDOWN__STORE__URL", "sqlite:///b.db").doubt.is_some(), "the socket may be named");
    let of_the_store = Folder::with("[store]\nurl = 'sqlite:///a.db");
    let found = of_the_store.variable("LINEDOWN__STORE__URL", "sqlite:///b.db").whereabouts();
    assert_eq!((found.store.as_path(), found.doubt), (FilePath::new("/b.db"), None));
}

#[test]
fn a_variable_makes_no_config_of_none() {
    let folder = Folder::empty().variable("LINEDOWN__SERVER__API", "/run/b.sock");
    let process = Process {
        variables: folder.variables.clone(),
        secrets: Secrets { credentials: None },
        now: "2026-06-01T00:00:00Z".parse().unwrap(),
    };
    let report = whereabouts(&folder.path("l.toml"), &process).err().unwrap();
    assert!(report.render(false).contains("there is no such file"), "{report:?}");
}

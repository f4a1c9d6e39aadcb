use super::*;

/// One mistake each: the config, the problem with its line and column, and (the beginning of) the hint.
const MISTAKES: &[(&str, &str, &str)] = &[
    // The whole.
    ("sever = 1", "1:1 unknown key `sever`", "did you mean `server`?"),
    ("[sinkz.a]\ntype = 'toy'", "1:2 unknown key `sinkz`", "did you mean `sinks`?"),
    ("server = 7", "1:10 wrong type: number", "write `[server]`"),
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
    // Server.
    (
        "[server]\nlisten = 'localhost:80'",
        "2:10 \"localhost:80\" is not an address to listen on",
        "write \"127.0.0.1:80\"",
    ),
    (
        "[server]\nlisten = ':80'",
        "2:10 \":80\" is not an address to listen on",
        "write \"0.0.0.0:80\" to listen on every address",
    ),
    ("[server]\nlisten = '::1'", "2:10 \"::1\" is not an address to listen on", "the port is missing"),
    ("[server]\nlisten = 80", "2:10 wrong type: integer", "write `listen = \"127.0.0.1:80\"`"),
    ("[server]\nlisten = '80'", "2:10 \"80\" is not an address to listen on", "write \"127.0.0.1:80\""),
    ("[server]\nlisten = 99999", "2:10 wrong type: integer", ""),
    (
        "[server]\nlisten = '0.0.0.0:80'",
        "warning 2:10 0.0.0.0:80 is open to the network without TLS: others can read the secrets in transit",
        "set `tls`",
    ),
    ("[server]\npublic_url = 'http://a.example'", "2:14 gateways post to https:// addresses only", ""),
    ("[server]\nlisen = 'x'", "2:1 unknown key `lisen`", "did you mean `listen`?"),
    ("[server]\napi = ''", "2:7 not the path of a socket: it is not absolute", ""),
    ("[server]\napi = 'api.sock'", "2:7 not the path of a socket: it is not absolute", ""),
    ("[server]\napi = '/run/linedown/'", "2:7 this is a folder, not a socket", ""),
    (
        "[server]\napi = '/run/linedown/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123'",
        "2:7 a path of 108 bytes; a socket's has at most 107",
        "",
    ),
    ("[server]\nmax_body = 3", "2:12 3 is out of bounds", ""),
    ("[server]\nproxy_protocol = true", "2:18 no proxy is trusted: `trusted_proxies` is missing", ""),
    ("[server]\ntrusted_proxies = ['lb']", "2:20 \"lb\" is neither an address nor a network", ""),
    ("[server]\nmetrics_for = ['prometheus']", "2:16 \"prometheus\" is neither an address nor a network", ""),
    ("[server]\nmax_connections = -1", "2:19 invalid value: integer `-1`", ""),
    ("server.tls = 'x'", "1:14 wrong type: string", "write `tls = {"),
    ("server.tls.acme = { names = ['a.example'] }", "1:19 `agree_to_terms` is missing", "read its terms"),
    (
        "server.tls.acme = { names = ['a.example'], agree_to_terms = false }",
        "1:61 an authority asks you to agree to its terms",
        "read its terms",
    ),
    ("server.tls.acme = true", "1:19 wrong type: boolean", "write `tls = { acme = {"),
    (
        "server.tls = { acme = { names = ['a.example'], agree_to_terms = true }, key = '/k.pem' }",
        "1:79 `key` cannot be combined with `acme`",
        "leave out one",
    ),
    ("[server.tls.acme]\nagree_to_terms = true", "1:1 `names` is missing", "list the names that gateways post to"),
    (
        "[server]\npublic_url = 'https://127.0.0.1'\ntls.acme.agree_to_terms = true",
        "3:5 `names` is missing",
        "list the names that gateways post to, or set `server.public_url`",
    ),
    (
        "[server.tls.acme]\nagree_to_terms = true\nnames = ['a.example']\nemail = 'ops@example.com'",
        "4:1 unknown key `email`",
        "",
    ),
    ("[server.tls.acme]\nagree_to_terms = true\nnames = []", "3:9 0 names; a certificate is for 1 to 100", ""),
    (
        "[server.tls.acme]\nagree_to_terms = true\nnames = ['a.example', '*.example.com']",
        "3:23 \"*.example.com\" is a wildcard",
        "list each name",
    ),
    (
        "[server.tls.acme]\nagree_to_terms = true\nnames = ['192.0.2.7']",
        "3:10 \"192.0.2.7\" is an IP address",
        "a certificate is for names",
    ),
    (
        "[server.tls.acme]\nagree_to_terms = true\nnames = ['ação.example']",
        "3:10 \"ação.example\" has non-ASCII letters",
        "write",
    ),
    ("[server.tls.acme]\nagree_to_terms = true\nnames = ['a b']", "3:10 \"a b\" is not a host name", ""),
    (
        "[server.tls.acme]\nagree_to_terms = true\nnames = ['alerts']",
        "3:10 \"alerts\" is not a public name",
        "for an authority of your own",
    ),
    (
        "[server.tls.acme]\nagree_to_terms = true\nnames = ['a.example']\ncontact = 'ops@example.com'",
        "4:11 not an address to write to",
        "",
    ),
    (
        "[server.tls.acme]\nagree_to_terms = true\nnames = ['a.example']\ndirectory = 'http://ca.example'",
        "4:13 not an address of an authority",
        "",
    ),
    // linedown's own troubles.
    (
        "[sources.linedown]\ntype = 'waha'\nsecret = '0123456789abcdef'",
        "1:1 \"linedown\" cannot be the name of a source",
        "it is the source of linedown's own troubles",
    ),
    ("[troubles]\nsink_failing_after = '0s'", "2:22 0s is out of bounds", ""),
    ("[troubles]\nstore_not_writing_after = '2d'", "2:27 2d is out of bounds", ""),
    ("[troubles]\ncertificate_expires_within = 14", "2:30 a duration without a unit", "add one of"),
    ("[troubles]\ncertificate_expires_within = '400d'", "2:30 400d is out of bounds", ""),
    ("[troubles]\ndisk_free_below = '101%'", "2:19 101% is more than the whole disk", ""),
    ("[troubles]\ndisk_free_below = '100%'", "warning 2:19 at 100% it would always be reported, and never be over", ""),
    (
        "[troubles]\ndisk_free_below = 5",
        "warning 2:19 a disk with no more than 5 bytes free is full already",
        "did you mean \"5%\"?",
    ),
    (
        "[troubles]\ndisk_free_below = 1_048_575",
        "warning 2:19 a disk with no more than 1048575 bytes free is full already",
        "",
    ),
    ("[troubles]\ndisk_free_below = '5 GB'", "2:19 \"5 GB\" is not an amount of disk space", ""),
    ("[troubles]\ndisk_free_below = -1", "2:19 wrong type: integer", ""),
    ("[troubles]\non = 'no'", "2:6 wrong type: string", ""),
    ("[troubles]\nsink_failing = '5m'", "2:1 unknown key `sink_failing`", "did you mean `sink_failing_after`?"),
    // Store.
    ("[heartbeat]\nevery = '1m'", "1:1 `url` is missing", "the address that a watcher"),
    (
        "[heartbeat]\nurl = 'http://hc.example/hunter2'",
        "2:7 http:// would expose the address, and anyone who has it can report that all is well",
        "use https://",
    ),
    ("[heartbeat]\nurl = 'https://hc.example/x'\nevery = '0s'", "3:9 0s is out of bounds", ""),
    ("[heartbeat]\nurl = 'nonsense'", "2:7 not an address", ""),
    ("[store]\nkeep = 400", "2:8 a duration without a unit", "add one of `ms`"),
    ("[store]\nkeep = '400'", "2:8 a duration without a unit", "add one of `ms`"),
    ("[store]\nkeep = '4 weeks'", "2:8 \"4 weeks\" is not a duration", ""),
    ("[store]\nkeep = '1s'", "2:8 1s is out of bounds", ""),
    (
        "[store]\nurl = 'postgres://u:hunter2@h/d'",
        "2:7 PostgreSQL is not available in this version",
        "the embedded store",
    ),
    ("[store]\nurl = 'sqlite:x.db'", "warning 2:7 where this is depends on the folder that linedown is started in", ""),
    ("[store]\nurl = '/x.db'", "2:7 not the address of a store", "begin it with `sqlite://`"),
    // Sources.
    (
        "[sources.Wa]\ntype = 'waha'\nsecret = '0123456789abcdef'",
        "1:1 \"Wa\" cannot be the name of a source",
        "the name is part of the webhook's address",
    ),
    ("[sources.w]\nsecret = '0123456789abcdef'", "1:1 `type` is missing", "write `type = \"z-api\"`"),
    (
        "[sources.w]\ntype = 'wahah'\nsecret = '0123456789abcdef'",
        "2:8 unknown type of source `wahah`",
        "did you mean `waha`?",
    ),
    ("[sources.w]\ntype = 'waha'", "1:1 `secret` is missing", "make one: openssl rand -hex 24"),
    ("[sources.w]\ntype = 'waha'\nsecret = ''", "3:10 it is empty", ""),
    (
        "[sources.w]\ntype = 'waha'\nsecret = 'short'",
        "warning 3:10 5 characters can be guessed; whoever guesses them can raise false alarms",
        "make one",
    ),
    (
        "[sources.w]\ntype = 'waha'\nsecret = '0123456789abcde/'",
        "warning 3:10 some of its characters must be escaped in an address",
        "make one",
    ),
    ("[sources.w]\ntype = 'waha'\nsecret = 7", "3:10 wrong type: integer", ""),
    ("[sources.w]\ntype = 'waha'\nsecret = { file = '/x', env = 'X' }", "3:10 more than one place for one secret", ""),
    ("[sources.w]\ntype = ['waha']\nsecret = '0123456789abcdef'", "2:8 wrong type: list", ""),
    (
        "[sources.w]\ntype = 'waha'\nsecret = { file = '/etc/passwd/secret' }",
        "3:10 cannot read /etc/passwd/secret: Not a directory (os error 20)",
        "a part of the path is a file",
    ),
    ("[sources.w]\ntype = 'waha'\nsecret = { flie = 'x' }", "3:12 unknown key `flie`", "did you mean `file`?"),
    // The gateway's API.
    ("[sources.z-api]\napi = 'http://api.z-api.io'", "2:7 http:// would expose every token", ""),
    (
        "[sources.z-api]\nclient_token = 'a b'",
        "2:16 this cannot be a token: a token has no spaces and no special characters",
        "copy it again",
    ),
    ("[sources.z-api]\nclient_token = 7", "2:16 wrong type: integer", ""),
    ("[sources.z-api]\npartner_token = ''", "2:17 it is empty", ""),
    ("[sources.z-api]\nclient_tokn = 'x'", "2:1 unknown key `client_tokn`", "did you mean `client_token`?"),
    (
        "[sources.w]\ntype = 'waha'\nsecret = '0123456789abcdef'\nclient_token = 'x'",
        "4:16 only sources of type `z-api` have this key",
        "",
    ),
    (
        "[instances.A]\ntoken = 'x'\n[sources.z-api.watch]\nevry = '1m'",
        "4:1 unknown key `evry`",
        "did you mean `every`?",
    ),
    (
        "[instances.A]\ntoken = 'x'\n[sources.z-api.watch]\nevery = '10ms'",
        "4:9 10ms is out of bounds",
        "did you mean `10m`?",
    ),
    ("[sources.z-api.audit]\nevery = '60d'", "2:9 60d is out of bounds", ""),
    ("[sources.z-api.audit]\non = 'no'", "2:6 wrong type: string", ""),
    ("[instances.A]\ntoken = 'x'\n[sources.z-api.watch]\nunknown_after = '25h'", "4:17 1d1h is out of bounds", ""),
    ("[instances.A]\ntoken = 'x'\n[sources.z-api.watch]\nevery = 60", "4:9 a duration without a unit", "add one of"),
    (
        "[sources.z-api.watch]",
        "warning 1:1 nothing is watched: no instance has a token",
        "add `token` to [instances.ID]",
    ),
    ("[instances.A]\ntoken = 7", "2:9 wrong type: integer", ""),
    (
        "[instances.A]\ntoken = 'a b'",
        "2:9 this cannot be a token: a token has no spaces and no special characters",
        "copy it from the instance's page",
    ),
    (
        "[instances.A]\ntoken = { file = '/nowhere/x' }",
        "2:9 cannot read /nowhere/x: No such file or directory (os error 2)",
        "",
    ),
    ("[instances.A]\ntokn = 'x'", "2:1 unknown key `tokn`", "did you mean `token`?"),
    (
        "[instances.A]\ntoken = 'x'\nsource = 'z-apo'",
        "3:10 there is no source `z-apo` of type `z-api`",
        "did you mean `z-api`?",
    ),
    (
        "[sources.other]\ntype = 'z-api'\nsecret = '0123456789abcdef'\n[instances.A]\ntoken = 'x'",
        "4:1 it has a token, but it is not clear for which source",
        "write `source = \"other\"`",
    ),
    ("[instances.A]\nsource = 'z-apo'", "2:10 there is no source `z-apo`", "did you mean `z-api`?"),
    ("[instances.A]\nlabel = { tier = 'gold' }", "2:1 unknown key `label`", "did you mean `labels`?"),
    ("[instances.A]\ntoken = { file = '' }", "2:9 no file is named", "write the full path"),
    (
        "[instances.A]\ntoken = { env = 'NO_SUCH' }",
        "2:9 the environment variable NO_SUCH is not set",
        "for the service",
    ),
    // Inventory.
    (
        "[instances.A]\nlabels.tier = 'gold'\nlabels.owner = 'dono'",
        "warning 3:16 console uses this as a recipient, but cannot send to it",
        "",
    ),
    ("instances.A.labels.tier = 1", "1:27 wrong type: integer", ""),
    ("[instances.A]\nnmae = 'x'", "2:1 unknown key `nmae`", "did you mean `name`?"),
    (
        "[instances.instance.id]\nname = 'x'",
        "1:21 unknown key `id`",
        "an identifier with a dot needs quotes: [instances.\"instance.id\"]",
    ),
    (
        "[instances.A]\nname = 'x'\n[instances.B]\nname = 'x'",
        "warning 4:8 instance A has the name \"x\" as well",
        "messages show the name",
    ),
    ("[instances.\"\"]\nname = 'x'", "1:1 this cannot be the identifier of an instance", ""),
    ("instances.A = 'Loja'", "1:15 wrong type: string", "write `[instances.ID]`"),
    // Sinks.
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
    // Rules.
    ("[rules]\nnotify = ['console']", "1:1 `rules` must be a list", "write [[rules]], in double brackets"),
    ("rules = ['x']", "1:10 wrong type: string", "write `[[rules]]`"),
    ("[[rules]]\nname = 'x'", "1:1 `notify` is missing", "name the sinks to notify"),
    ("[[rules]]\nnotify = []\n", "2:10 an empty list: nobody would be told", "to leave lines out on purpose"),
    ("[[rules]]\nnotify = 'console'", "2:10 wrong type: string", "write a list, also of one: [\"…\"]"),
    ("[[rules]]\nnotify = ['consol']", "2:11 there is no sink `consol`", "did you mean `console`?"),
    (
        "[[rules]]\ncontinue = true\nnotify = ['console', 'console']",
        "warning 3:22 `console` is named twice, but is notified once",
        "",
    ),
    ("[[rules]]\nnotify = ['console']\ncontinue = 'yes'", "3:12 wrong type: string", ""),
    (
        "[[rules]]\nnotify = ['console']\nmatch = { raeson = 'other' }",
        "3:11 unknown key `raeson`",
        "did you mean `reason`?",
    ),
    (
        "[[rules]]\nnotify = ['console']\nmatch = { reason = ['other', 'othr'] }",
        "3:30 unknown reason `othr`",
        "did you mean `other`?",
    ),
    (
        "[[rules]]\nnotify = ['console']\nmatch = { not = { reason = 'other' } }",
        "3:11 unknown key `not`",
        "`not` goes inside a field",
    ),
    ("[[rules]]\nnotify = ['console']\nmatch.reason = 'block*'", "3:16 no reason matches `block*`", ""),
    ("[[rules]]\nnotify = ['console']\nmatch.reason.not = ['block*']", "3:21 no reason matches `block*`", ""),
    (
        "[[rules]]\nnotify = ['console']\nmatch.phone = '+5544*'",
        "warning 3:15 no phone number matches this: gateways send digits only",
        "write country code",
    ),
    (
        "[[rules]]\nnotify = ['console']\nmatch.labels.tier = ['gold', 'platinum']\n[instances.A]\nlabels.tier = 'gold'",
        "warning 3:21 no instance of the inventory has the label `tier` with the value `platinum`",
        "labels are set in",
    ),
    (
        "[[rules]]\nnotify = ['console']\nmatch.labels.tier = ['', 'godl']\n[instances.A]\nlabels.tier = 'gold'",
        "warning 3:21 no instance of the inventory has the label `tier` with the value `godl`",
        "did you mean `gold`?",
    ),
    (
        "[[rules]]\nnotify = ['console']\ncontinue = true\ngroup_by = ['labels.custmer']\n[instances.A]\nlabels.customer = 'x'",
        "warning 4:13 no instance of the inventory has the label `custmer`",
        "did you mean `customer`?",
    ),
    (
        "[[rules]]\nnotify = ['console']\ncontinue = true\nmatch.name = 'Loja centro'\n[instances.A]\nname = 'Loja Centro'",
        "warning 4:14 no instance of the inventory has the name `Loja centro`",
        "did you mean `Loja Centro`?",
    ),
    (
        "[[rules]]\nnotify = ['console']\nmatch.name = 'Loja Centro'",
        "warning 3:14 no instance of the inventory has the name `Loja Centro`",
        "names are set in [instances.ID]",
    ),
    (
        "[[rules]]\nnotify = ['console']\nmatch = { source = 'linedown', reason = 'number-blocked' }",
        "warning 3:41 no incident can match all of this",
        "the source `linedown` has only the reasons certificate-expiring, disk-nearly-full, sink-failing, store-not-writing, and no name",
    ),
    (
        "[[rules]]\nnotify = ['console']\nmatch = { source = 'z-*', reason = ['sink-failing', 'disk-*'] }",
        "warning 3:36 no incident can match all of this",
        "the source `linedown` has only",
    ),
    (
        "[[rules]]\nnotify = ['console']\nmatch = { source = 'linedown', labels.tier = 'gold' }\n[instances.A]\nlabels.tier = 'gold'",
        "warning 3:20 no incident can match all of this",
        "the source `linedown` has only",
    ),
    (
        "[[quiet]]\nfrom = '22:00'\nto = '07:00'\nmatch.source = 'zapi*'",
        "warning 4:16 no incident can match all of this",
        "the source `linedown` has only",
    ),
    ("[[rules]]\nnotify = ['console']\nmatch.name.regex = '('", "3:20 this regex cannot be read: unclosed group", ""),
    (
        "[[rules]]\nnotify = ['console']\nmatch = { source = 'zapi' }",
        "3:20 there is no source `zapi`",
        "did you mean `z-api`?",
    ),
    (
        "[[rules]]\nnotify = ['console']\nmatch = { labels.tier = 'x' }",
        "warning 3:25 no instance of the inventory has the label `tier`",
        "",
    ),
    (
        "[[rules]]\nnotify = ['console']",
        "warning conf.d/base.toml:4:1 never reached: \"rule 1\" above it matches every incident",
        "move it up",
    ),
    (
        "[[rules]]\nname = 'base'\ncontinue = true\nnotify = ['console']",
        "warning conf.d/base.toml:5:8 another rule is called \"base\" as well",
        "",
    ),
    (
        "[[rules]]\nnotify = ['console']\nseverity = 'criticl'",
        "3:12 unknown variant `criticl`",
        "did you mean `critical`?",
    ),
    ("[[rules]]\nnotify = ['console']\ngroup_by = ['reason', 'town']", "3:23 there is no field `town`", ""),
    (
        "[[rules]]\nnotify = ['console']\nflapping = { count = 0 }",
        "3:22 0 is not a possible number of outages",
        "to report every outage: flapping = false",
    ),
    ("[[rules]]\nnotify = ['console']\nflapping = { within = '0s' }", "3:23 0s is out of bounds", ""),
    ("[[rules]]\nnotify = ['console']\nflapping.within = '30ms'", "3:19 30ms is out of bounds", "did you mean `30m`?"),
    ("[[rules]]\nnotify = ['console']\nflapping = { within = 30 }", "3:23 a duration without a unit", "add one of"),
    ("[[rules]]\nnotify = ['console']\nflapping = { times = 3 }", "3:14 unknown key `times`", ""),
    ("[[rules]]\nnotify = ['console']\nflapping = 3", "3:12 wrong type: number", "write `flapping = {"),
    ("[[quiet]]\nfrom = '22:00'", "1:1 `to` is missing", "when it ends"),
    ("[[quiet]]\nfrom = '22'\nto = '07:00'", "2:8 this is not a time of day", ""),
    ("[[quiet]]\nfrom = '22:00'\nto = '25:00'", "3:6 this is not a time of day", ""),
    ("[[quiet]]\nfrom = '22:00'\nto = '22:00'", "3:6 the window ends when it begins", ""),
    ("[[quiet]]\nfrom = '22:00'\nto = '07:00'\ntime_zone = 'Brasil'", "4:13 there is no time zone `Brasil`", ""),
    (
        "[[quiet]]\nfrom = '22:00'\nto = '07:00'\ntime_zone = 'America/Sao_Paolo'",
        "4:13 there is no time zone `America/Sao_Paolo`",
        "did you mean `America/Sao_Paulo`?",
    ),
    ("[[quiet]]\nfrom = 22\nto = '07:00'", "2:8 wrong type: integer", ""),
    ("[[quiet]]\nfrom = '22:00'\nto = '07:00'\ndays = ['mon', 'dom']", "4:16 `dom` is not a day of the week", ""),
    ("[quiet]\nfrom = '22:00'", "1:1 `quiet` must be a list", "write [[quiet]]"),
    ("[[rules]]\nnotify = ['console']\nhold = 60", "3:8 a duration without a unit", "add one of"),
    (
        "[[rules]]\nnotify = ['console']\nhold = '20m'\ncontinue = true\nescalate = [{ after = '15m', notify = ['console'] }]",
        "warning 5:23 this step is not later than `notify`",
        "both count from when the line went down: make `after` longer than `hold`, 20m",
    ),
    (
        "[[rules]]\nnotify = ['console']\ncontinue = true\nescalate = [{ after = '0s', notify = ['console'] }]",
        "warning 4:23 this step is not later than `notify`",
        "both count from when the line went down: make `after` longer than `hold`, 0s",
    ),
    (
        "[[rules]]\nnotify = ['console']\ncontinue = true\nescalate = [{ after = '15ms', notify = ['console'] }]",
        "warning 4:23 15ms is short for this",
        "did you mean `15m`?",
    ),
    (
        "[[rules]]\nnotify = ['console']\ncontinue = true\nhold = '60ms'",
        "warning 4:8 60ms is short for this",
        "did you mean `60m`?",
    ),
    (
        "[[rules]]\nnotify = ['console']\ncontinue = true\ngroup_interval = '5ms'",
        "warning 4:18 5ms is short for this",
        "did you mean `5m`?",
    ),
    ("[[rules]]\nnotify = ['console']\nremind = ['0s']", "3:11 0s is out of bounds", ""),
    ("[[rules]]\nnotify = ['console']\nremind = ['1h', '30ms']", "3:17 30ms is out of bounds", "did you mean `30m`?"),
    (
        "[[rules]]\nnotify = ['console']\ncontinue = true\nremind = ['30s', '1h']",
        "warning 4:11 30s is short for this",
        "did you mean `30m`?",
    ),
    (
        "[[rules]]\nnotify = ['console']\ncontinue = true\nremind = ['1h', '4h', '2h', '24h']",
        "warning 4:23 it never comes: 4h is listed before it",
        "each counts from when the line went down",
    ),
    (
        "[[rules]]\nnotify = ['console']\ncontinue = true\nhold = '1h'\nremind = ['30m']",
        "warning 5:11 this reminder is not later than `notify`",
        "both count from when the line went down: make it longer than `hold`, 1h",
    ),
    ("[[rules]]\nnotify = ['console']\nremind = ['999ms']", "3:11 999ms is out of bounds", ""),
];

#[test]
fn each_mistake_at_its_place() {
    let wrong: Vec<_> = MISTAKES
        .iter()
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
        (format!("instances.a.name = '{}'", "x".repeat(101)), "longer than 100 characters"),
        (format!("instances.a.labels.k = '{}'", "ã".repeat(201)), "longer than 200 characters"),
        (format!("instances.a.labels.{} = ''", "k".repeat(65)), "a label's key of more than 64 characters"),
    ] {
        assert!(Folder::with(&text).problems()[0].0.contains(what));
    }
    assert_eq!(Folder::with(&format!("instances.a.name = '{}'", "ã".repeat(100))).problems(), []);
}

#[test]
fn secrets_are_not_shown() {
    let text = r#"
sinks.a = { type = "toy", pasword = "hunter2", password = ["hunter2"], port = "hunter2", url = { x = "hunter2" } }
sources.w = { type = "waha", secret = ["hunter2"] }
store.url = "postgres://me:hunter2@db"
server.public_url = "https://me:hunter2@a.example"
server.tls = { certificate = "-----BEGIN hunter2", key = "-----BEGIN hunter2" }
"#;
    let report = Folder::with(text).load().report;
    assert!(report.errors() >= 8, "{}", report.render(false));
    assert!(!report.render(false).contains("hunter2"), "{}", report.render(false));
    assert!(!serde_json::to_string(&report).unwrap().contains("hunter2"));
}

/// A hint repeats what is written only where it cannot be a secret.
#[test]
fn what_lacks_its_quotes_may_be_a_secret() {
    for (line, shown) in [
        ("password = hunter2", "password = \"…\""),
        ("password = { env = hunter2 }", "password = { env = \"…\" }"),
        ("url = https://hooks.example/hunter2", "url = \"…\""),
        ("to = https://hooks.example/hunter2", "to = \"…\""),
        ("retry = { first = 2s, password = hunter2 }", "retry = { first = \"…\", password = \"…\" }"),
        ("headers = { 'X-Login' = 'hunter2', Host = a }", "headers = { 'X-Login' = \"…\", Host = \"…\" }"),
        ("retry = { labels.x = 2s, password = hunter2 }", "retry = { labels.x = \"…\", password = \"…\" }"),
    ] {
        let found = Folder::with(&format!("[sinks.a]\ntype = 'toy'\n{line}")).problems();
        assert!(found.iter().any(|(_, hint)| *hint == format!("write `{shown}`")), "{found:?}");
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    }
    let found = Folder::with("; password = hunter2\n// hunter2\nx = 'y' // hunter2").problems();
    assert!(found.len() == 3 && !format!("{found:?}").contains("hunter2"), "{found:?}");
}

/// A retry key that is not written follows those that are.
#[test]
fn what_is_not_written_of_a_retry_follows() {
    for (written, first, max, give_up_after) in [
        ("first = '20m'", 1_200, 1_200, 86_400),
        ("first = '2d'", 172_800, 172_800, 172_800),
        ("max = '1s'", 1, 1, 86_400),
        ("max = '2d'", 2, 172_800, 172_800),
        ("give_up_after = '1s'", 1, 1, 1),
        ("give_up_after = '5m'", 2, 300, 300),
        ("first = '1s', give_up_after = '1m'", 1, 60, 60),
    ] {
        let text = format!("sinks.a = {{ type = 'toy', fallback = 'console', retry = {{ {written} }} }}");
        let retry = Folder::with(&text).config().routing.sinks["a"].retry;
        let seconds = [retry.first, retry.max, retry.give_up_after].map(|period| period.as_secs());
        assert_eq!(seconds, [first, max, give_up_after], "{written}");
    }
}

/// A file that is no config is not repeated line by line.
#[test]
fn mistakes_in_the_syntax_are_bounded() {
    let found = Folder::with(&"what is this\n".repeat(5_000)).problems();
    assert_eq!(found.len(), 1_001);
    assert_eq!(found[1_000].0, "1001:6 there are more problems than these 1,000");
}

#[test]
fn whoever_can_read_a_secret() {
    let text =
        "sinks.a = { type = 'toy', password = 'x', fallback = 'console' }\n[[rules]]\ncontinue = true\nnotify = ['a']";
    assert_eq!(Folder::with(text).problems(), []);
    let open = Folder::with(text).mode("l.toml", 0o644);
    let hint = |file: &str| {
        format!("let only root and a group of the service's read it (docs/service.md, Secrets): chmod 640 {file}")
    };
    let what = "warning 1:38 there is a secret here, and every user of this machine can read l.toml";
    assert_eq!(open.problems(), [(what.to_owned(), format!("write `{{ credential = … }}`, or {}", hint("l.toml")))]);
    let open = Folder::with(text).mode("secret", 0o604).mode("conf.d/base.toml", 0o644);
    let what = "warning conf.d/base.toml:2:53 the secret in secret can be read by every user of this machine";
    assert_eq!(open.problems(), [(what.to_owned(), format!("make it a credential, or {}", hint("secret")))]);
    let closed = open.mode("", 0o700);
    assert_eq!(closed.problems(), [], "nobody else reaches it");
}

/// Whichever secret it is, and however it is written.
#[test]
fn every_secret_that_others_can_read_is_warned_of() {
    let what = |at: &str, file: &str| {
        format!("warning {at} there is a secret here, and every user of this machine can read {file}")
    };
    let found = |folder: &Folder| folder.problems().into_iter().map(|(what, _)| what).collect::<Vec<_>>();
    let url = "[heartbeat]\nurl = 'https://beats.example/x'";
    assert_eq!(found(&Folder::with(url).mode("l.toml", 0o644)), [what("2:7", "l.toml")]);
    let token = "[instances.B]\ntoken = 'F00D'\n[instances.A]\ntoken = 'F00D'";
    assert_eq!(found(&Folder::with(token).mode("l.toml", 0o644)), [what("2:9", "l.toml")]);
    assert_eq!(found(&Folder::with("[instances.B]\nname = 'token'").mode("l.toml", 0o644)), Vec::<String>::new());

    let folder = Folder::empty().write("beats", "https://beats.example/x").mode("beats", 0o644);
    let beats = folder.path("beats").display().to_string();
    let by_file = Folder::with(&format!("[heartbeat]\nurl = {{ file = '{beats}' }}"));
    let of_file = format!("warning 2:16 the secret in {beats} can be read by every user of this machine");
    assert_eq!(found(&by_file), [of_file]);
}

/// The warning points at where the secret can be read, not at the value that replaced it.
#[test]
fn a_secret_that_was_replaced_is_warned_of_where_it_stands() {
    let toy = |password: &str| format!("[sinks.a]\ntype = 'toy'\npassword = '{password}'\nfallback = 'console'\n");
    let rule = "[[rules]]\ncontinue = true\nnotify = ['a']";
    let folder = Folder::with(&(toy("old") + rule)).write("conf.d/10.toml", format!("\n{}", toy("new")));
    assert_eq!(folder.problems(), []);
    let (main, drop_in) = (folder.mode("l.toml", 0o644), "conf.d/10.toml");
    let what = "there is a secret here, and every user of this machine can read";
    let found = |folder: &Folder| folder.problems().into_iter().map(|(what, _)| what).collect::<Vec<_>>();
    assert_eq!(found(&main), [format!("warning 3:12 {what} l.toml")]);
    let both = main.mode(drop_in, 0o644);
    assert_eq!(
        found(&both),
        [format!("warning 3:12 {what} l.toml"), format!("warning {drop_in}:4:12 {what} {drop_in}")]
    );
    let other = both.mode("l.toml", 0o600).variable("LINEDOWN__SINKS__A__PASSWORD", "newest");
    assert_eq!(found(&other), [format!("warning {drop_in}:4:12 {what} {drop_in}")]);
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

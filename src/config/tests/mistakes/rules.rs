//! Mistakes in `[[rules]]` and `[[quiet]]`.

use super::Mistake;

pub(super) const MISTAKES: &[Mistake] = &[
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
        "the source `linedown` has only the reasons certificate-expiring, disk-nearly-full, sink-failing, store-damaged, store-not-writing, and no name",
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
    ("[[rules]]\nnotify = ['console']\nflapping = 3", "3:12 wrong type: integer", "write `flapping = {"),
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

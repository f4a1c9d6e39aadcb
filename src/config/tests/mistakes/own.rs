//! Mistakes in what linedown does by itself: `[troubles]`, `[heartbeat]` and `[store]`.

use super::Mistake;

pub(super) const MISTAKES: &[Mistake] = &[
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
    // Heartbeat.
    ("[heartbeat]\nevery = '1m'", "1:1 `url` is missing", "the address that a watcher"),
    (
        "[heartbeat]\nurl = 'http://hc.example/hunter2'",
        "2:7 http:// would expose the address, and anyone who has it can report that all is well",
        "use https://",
    ),
    ("[heartbeat]\nurl = 'https://hc.example/x'\nevery = '0s'", "3:9 0s is out of bounds", ""),
    ("[heartbeat]\nurl = 'nonsense'", "2:7 not an address", ""),
    ("[heartbeat]\nurl = 'https://hc.example/a b'", "2:7 there is a blank in the address", "copy it again"),
    // Store.
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
];

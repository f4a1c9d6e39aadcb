//! Mistakes in `[sources]` and their gateways.

use super::Mistake;

pub(super) const MISTAKES: &[Mistake] = &[
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
];

//! Mistakes in `[server]`.

use super::Mistake;

pub(super) const MISTAKES: &[Mistake] = &[
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
];

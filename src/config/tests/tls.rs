use super::*;

/// The beginnings of encrypted keys as openssl writes them, in PKCS #8 and in the older format.
const PKCS8: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg=\n\
                     -----END ENCRYPTED PRIVATE KEY-----\n";
const TRADITIONAL: &str = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                           DEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\n\
                           MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg=\n-----END EC PRIVATE KEY-----\n";

/// Made by `openssl x509 -req`, which makes certificates of version 1 unless it is given extensions.
const VERSION_1: (&str, &str) = (
    "-----BEGIN CERTIFICATE-----\n\
    MIIBLjCB1QIUWUHgED1uXZB3tpwCjzszNnzD5UkwCgYIKoZIzj0EAwIwGTEXMBUG\n\
    A1UEAwwOYWxlcnRzLmV4YW1wbGUwIBcNMjYxMTI2MTcxNjU2WhgPMjEyNjExMDIx\n\
    NzE2NTZaMBkxFzAVBgNVBAMMDmFsZXJ0cy5leGFtcGxlMFkwEwYHKoZIzj0CAQYI\n\
    KoZIzj0DAQcDQgAER6Jc1M4juRVd07EiXi9tjzTrNh8RkNKrwtM1g8cmYNyFq6Sj\n\
    bL2nYM8MITbX/j0IABJu0uxu/2C2Hk5YJpYG+zAKBggqhkjOPQQDAgNIADBFAiAP\n\
    qkoahoVtdFkrfR3mOChPqj754Blqg+pjbjBKXHC8MAIhAJk4Jso1aLmMRMKBQRaf\n\
    JdnY523j8G4qG7Nn8dP4sBpB\n\
    -----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQSckFw19Y2i3jLW+\n\
    oNEPzOsfVcldGvIYBCLWIZyi8BmhRANCAARHolzUziO5FV3TsSJeL22PNOs2HxGQ\n\
    0qvC0zWDxyZg3IWrpKNsvadgzwwhNtf+PQgAEm7S7G7/YLYeTlgmlgb7\n\
    -----END PRIVATE KEY-----\n",
);

fn pair(until: i32) -> (String, String) {
    good(2020, until)
}

fn good(from: i32, until: i32) -> (String, String) {
    let mut parameters = rcgen::CertificateParams::new(vec!["alerts.example".into()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn with(certificate: &str, key: &str) -> Folder {
    let folder = Folder::empty();
    let text = format!(
        "[server]\ntls.certificate = '{}'\ntls.key = '{}'\n",
        folder.path("c.pem").display(),
        folder.path("k.pem").display()
    );
    let base = Folder::with("");
    let base_text = std::fs::read_to_string(base.path("conf.d/base.toml")).unwrap();
    let folder = folder.write("secret", "0123456789abcdef0123");
    let base_text =
        base_text.replace(&base.path("secret").display().to_string(), &folder.path("secret").display().to_string());
    folder.write("l.toml", &text).write("conf.d/base.toml", &base_text).write("c.pem", certificate).write("k.pem", key)
}

fn from_files(config: &Config) -> Option<crate::certificate::Certificate> {
    match &config.server.tls {
        Some(Tls::Files(loaded)) => loaded.certificate.clone(),
        _ => panic!("they are in files"),
    }
}

#[test]
fn a_certificate_with_its_key_is_ready_to_serve() {
    let (certificate, key) = pair(2040);
    let folder = with(&certificate, &key);
    assert_eq!(folder.problems(), []);
    let certificate = from_files(&folder.config()).unwrap();
    assert!(certificate.covers(&["alerts.example".to_owned()]));
}

#[test]
fn what_would_fail_at_the_start_fails_here() {
    let (early, early_key) = good(2039, 2040);
    let ((certificate, key), (other_certificate, other_key), (expired, expired_key)) =
        (pair(2040), pair(2040), pair(2026));
    for (certificate, key, what) in [
        ("", key.as_str(), "2:19 it is empty"),
        ("x", &key, "2:19 there is no certificate in it"),
        (&certificate, "x", "3:11 there is no private key in it"),
        (&certificate, &other_key, "3:11 this key is not that of the certificate"),
        (&expired, &expired_key, "warning 2:19 the certificate expired on 2026-01-01"),
        (&early, &early_key, "warning 2:19 the certificate is not valid before 2039-01-01"),
        (
            &format!("{other_certificate}{certificate}"),
            &key,
            "2:19 the key's own certificate comes first, and here it is number 2",
        ),
        (&certificate, PKCS8, "3:11 the key has a passphrase"),
        (&certificate, TRADITIONAL, "3:11 the key has a passphrase"),
        (&certificate[..certificate.len() / 2], &key, "2:19 its PEM is cut off or damaged"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            &key,
            "2:1 certificate and key cannot be used",
        ),
    ] {
        let problems = with(certificate, key).problems();
        assert!(problems.iter().any(|(found, _)| found.starts_with(what)), "wanted {what}, found {problems:#?}");
    }
}

#[test]
fn what_to_do_about_a_certificate_of_version_1_is_said() {
    let problems = with(VERSION_1.0, VERSION_1.1).problems();
    let [(what, hint)] = problems.as_slice() else { panic!("{problems:?}") };
    assert!(what.starts_with("2:1 certificate and key cannot be used"), "{what}");
    assert!(hint.contains("version 1") && hint.contains("subjectAltName"), "{hint}");
}

#[test]
fn a_certificate_is_for_the_host_that_gateways_post_to() {
    let (certificate, key) = pair(2040);
    for (host, is_for) in [("ALERTS.example:8443", true), ("alerts.example.com", false), ("127.0.0.1", false)] {
        let url = format!("[server]\npublic_url = 'https://{host}'\n");
        let folder = with(&certificate, &key).write("conf.d/url.toml", &url);
        let found: Vec<String> = folder.problems().into_iter().map(|(what, _)| what).collect();
        assert_eq!(found.is_empty(), is_for, "{host}: {found:?}");
        assert!(found.iter().all(|what| what.starts_with("warning 2:19 the certificate is not for ")), "{found:?}");
    }
}

#[test]
fn a_certificate_in_place_of_the_key_is_said_to_be_there() {
    let (certificate, key) = pair(2040);
    let swapped = "are `certificate` and `key` swapped?";
    let found = |what: &str| (what.to_owned(), swapped.to_owned());
    assert_eq!(
        with(&key, &certificate).problems(),
        [found("2:19 there is no certificate in it"), found("3:11 there is no private key in it")]
    );
}

#[test]
fn unreadable_missing_and_public_files() {
    let text = "[server]\ntls = { certificate = '/none.pem' }";
    let problems = Folder::with(text).problems();
    assert_eq!(problems[0].0, "2:7 `key` is missing");
    assert!(problems[1].0.starts_with("2:23 cannot read /none.pem: No such file"), "{problems:?}");
    let (certificate, key) = pair(2040);
    let what = |at: &str| format!("warning {at} the secret in k.pem can be read by every user of this machine");
    let open = with(&certificate, &key).mode("k.pem", 0o644).mode("c.pem", 0o644).mode("l.toml", 0o644);
    let hint = "make it a credential, or let only root and a group of the service's read it (docs/service.md, Secrets): \
                chmod 640 k.pem";
    assert_eq!(open.problems(), [(what("3:11"), hint.into())]);
    let (certificate, key) = (open.path("c.pem"), open.path("k.pem"));
    let (certificate, key) = (certificate.display(), key.display());
    let text = format!("[server]\ntls = {{ certificate = {{ file = '{certificate}' }}, key = {{ file = '{key}' }} }}");
    let open = open.write("l.toml", &text);
    let at = format!("2:{}", text.lines().nth(1).unwrap().rfind("'/").unwrap() + 1);
    assert_eq!(open.problems(), [(what(&at), hint.into())]);
}

#[test]
fn what_is_larger_than_a_certificate_is_not_read_in_part() {
    let (certificate, key) = pair(2040);
    let problems = with(&format!("{}{certificate}", "#\n".repeat(1024 * 1024)), &key).problems();
    assert_eq!(problems, [("2:19 cannot read c.pem: it is larger than 64 KiB".into(), "is it the right file?".into())]);
}

#[test]
fn credentials_are_only_there_under_systemd() {
    let folder = Folder::with("[server]\ntls = { certificate = { credential = 'c' }, key = { credential = 'k' } }");
    let config = folder.config();
    assert!(config.lacks_credentials && from_files(&config).is_none());
    let (certificate, key) = pair(2040);
    let folder = folder.write("credentials/c", certificate).write("credentials/k", key);
    let config = folder.load_as(&folder.path("l.toml"), Some(folder.path("credentials"))).config.unwrap();
    assert!(!config.lacks_credentials && from_files(&config).is_some());
}

#[test]
fn an_authority_is_asked_for_the_name_that_gateways_post_to() {
    let wanted = |text: &str| {
        let folder = Folder::with(text);
        assert_eq!(folder.problems(), []);
        match folder.config().server.tls {
            Some(Tls::Acme(acme)) => acme,
            _ => panic!("it is to be asked"),
        }
    };
    let public = "[server]\npublic_url = 'https://Alerts.example.com:8443'\ntls.acme.agree_to_terms = true\n";
    let acme = wanted(public);
    assert_eq!((acme.names, acme.contact), (vec!["alerts.example.com".to_owned()], None));
    assert_eq!(acme.directory, "https://acme-v02.api.letsencrypt.org/directory");

    let acme = wanted(&format!(
        "{public}tls.acme.names = ['b.example', 'A.example', 'a.EXAMPLE', 'inside']\n\
         tls.acme.contact = 'mailto:ops@example.com'\ntls.acme.directory = 'https://ca.inside/dir'"
    ));
    assert_eq!(acme.names, ["a.example", "b.example", "inside"]);
    assert_eq!(
        (acme.contact.as_deref(), acme.directory.as_str()),
        (Some("mailto:ops@example.com"), "https://ca.inside/dir")
    );
}

//! Short templates in the config, such as recipients.

use super::super::{Inline, samples};
use crate::Reason;

#[test]
fn a_template_in_the_config_is_filled_in() {
    let incident = samples::incident(Reason::NumberBlocked, true, None);
    for (source, filled) in [
        ("ops@example.com", "ops@example.com"),
        ("{{ instance.labels.owner }}", "dono@acme.example"),
        (" {{ instance.labels['owner'] }}\n", "dono@acme.example"),
        ("{{ instance.labels.ownr }}", ""),
        ("{{ instance.labels.boss | default('ops@example.com') }}", "ops@example.com"),
        ("{% if instance.labels.boss %}x{% else %}y{% endif %}", "y"),
        ("wa-{{ instance.name | lower | replace(' ', '-') }}", "wa-loja-centro"),
        ("{{ incident.reason }}/{{ incident.id }}/{{ instance.phone }}", "number-blocked/7/5544*****9999"),
        ("{{ incident.closed_at }}", ""),
        ("{% for name in instance.labels %}{{ name }} {% endfor %}", "customer owner"),
    ] {
        assert_eq!(Inline::compile(source).unwrap().render(&incident), filled, "{source}");
    }
}

#[test]
fn what_is_wrong_is_told_in_one_line() {
    for (source, told) in [
        ("{{ instanc.labels.owner }}", "there is no `instanc`; did you mean `instance`?"),
        ("{{ instance.lables.owner }}", "there is no `instance.lables`; did you mean `instance.labels`?"),
        ("{{ instance.labels.owner", "syntax error: unexpected end of input, expected end of variable block"),
        ("{{ instance.name | lowr }}", "unknown filter: filter lowr is unknown"),
        ("{% for i in range(9999) %}{% for i in range(9999) %}{% endfor %}{% endfor %}", "the template takes too long"),
    ] {
        assert_eq!(Inline::compile(source).unwrap_err(), told, "{source}");
    }
}

#[test]
fn what_a_label_holds_stays_one_bounded_line() {
    let mut incident = samples::incident(Reason::Other, true, None);
    let owner = |text: &str| [("owner".to_owned(), text.to_owned())].into();
    let inline = Inline::compile("{{ instance.labels.owner }}").unwrap();
    incident.instance.labels = owner("a@example.com\r\nBcc: b@example.com\0");
    assert_eq!(inline.render(&incident), "a@example.com Bcc: b@example.com");
    incident.instance.labels = owner(&"é".repeat(1000));
    assert_eq!(inline.render(&incident).chars().count(), 320);
    incident.instance.labels = owner("{{ instance.id }}");
    assert_eq!(inline.render(&incident), "{{ instance.id }}");
}

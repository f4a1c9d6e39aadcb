//! The user's own templates.

use std::fs;

use tempfile::TempDir;

use super::super::samples::{self, sample};
use super::super::wording::LAID_OUT;
use super::super::{Form, TextKeys, Texts};
use super::check;
use crate::{Kind, Problem, Reason, Severity};

/// Checks a folder with these files.
fn folder(files: &[(&str, &str)]) -> (TempDir, Option<Texts>, Vec<Problem>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, source) in files {
        fs::write(folder.path().join(name), source).unwrap();
    }
    let keys =
        TextKeys { language: None, time_zone: Some("UTC".to_owned()), templates: Some(folder.path().to_owned()) };
    let (texts, problems) = check(&keys);
    (folder, texts, problems)
}

fn accepted(files: &[(&str, &str)]) -> Texts {
    let (_folder, texts, problems) = folder(files);
    assert_eq!(problems, []);
    texts.unwrap()
}

#[test]
fn a_file_replaces_the_built_in_one_of_its_name() {
    let source =
        "{{ instance.labels.tier }} {{ instance.title }}: {{ notification.kind }} {{ instance.labels.none }}\n";
    let texts = accepted(&[("title.txt", source), (".title.txt.swp", "{{")]);
    let down = sample(Kind::Down, Reason::Other, true, false);
    assert_eq!(texts.title(&down), "Loja Centro: down");
    assert!(texts.text(&down).contains("Loja Centro: down\n\nLoja Centro has been disconnected"));
    assert!(texts.html(&down).contains("<title> Loja Centro: down"), "{}", texts.html(&down));
}

#[test]
fn an_own_template_may_add_to_a_built_in_one() {
    let words =
        "{% from 'built-in/words.txt' import title, language, paragraphs, quote_label, quote, steps_label, facts,
            acknowledge, reconnect, list_label, entry, more %}
        {% set steps = ['Call the manager on duty.'] %}";
    let texts = accepted(&[
        ("text.txt", "{% include 'built-in/text.txt' %}\n\nSee https://wiki.example/lines"),
        ("words.txt", words),
    ]);
    let text = texts.text(&sample(Kind::Down, Reason::Other, true, false));
    assert!(text.starts_with("🔴 Loja Centro is down: reason unknown\n\nLoja Centro has been"), "{text}");
    assert!(text.contains("What to do\n1. Call the manager on duty.\n\nLine: "), "{text}");
    assert!(text.ends_with("Message: 12\n\nSee https://wiki.example/lines"), "{text}");
}

#[test]
fn a_file_of_ones_own_may_begin_as_a_copy_of_the_built_in_one() {
    let copies = [
        ("title.txt", include_str!("../layout/title.txt")),
        ("text.txt", include_str!("../layout/text.txt")),
        ("html.html", include_str!("../layout/html.html")),
        ("slack.txt", include_str!("../layout/slack.txt")),
        ("words.txt", include_str!("../en/words.txt")),
    ];
    let (texts, built_in) = (accepted(&copies), accepted(&[]));
    for sample in [samples::everything(), samples::digest(2), sample(Kind::Worse, Reason::NumberBlocked, true, false)] {
        let forms = [Form::Title, Form::Text, Form::Html, Form::Slack];
        assert_eq!(texts.render(&sample, forms), built_in.render(&sample, forms));
    }
}

#[test]
fn a_layout_that_imports_the_words_says_the_same() {
    let source = "{% import 'words.txt' as words %}\n{% include 'title.txt' +%}\n\n\
                  {% for paragraph in words.paragraphs if paragraph %}\n{{ paragraph }}\n\n{% endfor %}\n\
                  {% for item in items %}\n- {{ words.entry(item) }}\n{% endfor %}";
    let texts = accepted(&[("text.txt", source)]);
    let digest = samples::digest(2);
    let (own, built_in) = (texts.text(&digest), accepted(&[]).text(&digest));
    let head = own.split("\n- ").next().unwrap();
    assert!(built_in.starts_with(head) && head.lines().count() > 3, "{own}");
    let entries =
        |text: &str| text.lines().filter(|line| line.starts_with("- ")).map(str::to_owned).collect::<Vec<_>>();
    assert!(entries(&own).len() == 2 && entries(&own) == entries(&built_in), "{own}\n{built_in}");
}

#[test]
fn every_name_of_the_words_can_be_imported_in_every_message() {
    let names = LAID_OUT.iter().filter(|name| **name != "entry").map(|name| format!("{{{{ words.{name} }}}}"));
    let source = format!("{{% import 'words.txt' as words %}}{}", names.collect::<Vec<_>>().join(" "));
    accepted(&[("text.txt", &source)]);
}

#[test]
fn a_file_of_one_sort_of_message_is_no_template_of_the_users() {
    let (folder, texts, problems) = folder(&[("down.txt", "x")]);
    assert!(texts.is_none());
    assert_eq!(problems[0].what, format!("{}/down.txt is not the name of a template", folder.path().display()));
}

#[test]
fn what_is_wrong_is_told_with_file_and_line() {
    for (file, source, told, hint) in [
        (
            "title.txt",
            "\n\n{{ instance.title",
            ":3: syntax error: unexpected end of input, expected end of variable block",
            "",
        ),
        ("title.txt", "instance\n{{ instanc.title }}", ":2: there is no `instanc`", "did you mean `instance`?"),
        // Also in a branch that no sample reaches.
        (
            "text.txt",
            "x{% if instance.labels.tier == 'gold' %}\n\n{{ incident.opend_at | local }}{% endif %}",
            ":3: there is no `incident.opend_at`",
            "did you mean `incident.opened_at`?",
        ),
        (
            "slack.txt",
            "x {{ undelivered.why }}",
            ":1: undefined value: `undelivered.why` is undefined",
            "in a `down` message about `number-blocked` when the line is back",
        ),
        (
            "html.html",
            "x\n{{ incident.id | upperr }}",
            ":2: unknown filter: filter upperr is unknown",
            "in a `down` message",
        ),
        ("title.txt", "{{ incident.opened_at | local('%!') }}", ":1: `local`: ", "in a `down` message"),
        ("title.txt", "{{ incident.id | local }}", ":1: `local`: takes a time, such as `incident.opened_at`", ""),
        (
            "text.txt",
            "{% from 'words.txt' import titel %}\n{{ titel }}",
            ":2: undefined value: `titel` is undefined",
            "",
        ),
        ("title.txt", "{{ wording.facts | each('{}') }}", ":1: `each`: takes a line with two `{}`", ""),
        ("title.txt", "{% include 'title.txt' %}", ":1: recursion limit exceeded", ""),
        ("text.txt", "{% include 'foot.txt' %}", ":1: template not found", ""),
        (
            "text.txt",
            "{% for i in range(9999) %}{% for j in range(9999) %}.{% endfor %}{% endfor %}",
            ":1: the template takes too long",
            "",
        ),
        ("text.txt", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", ":1: recursion limit exceeded", ""),
    ] {
        let (folder, texts, problems) = folder(&[(file, source)]);
        assert!(texts.is_none(), "{source}");
        let start = format!("{}{told}", folder.path().join(file).display());
        assert!(problems[0].what.starts_with(&start), "{}\n{start}", problems[0].what);
        assert!(problems[0].hint.clone().unwrap_or_default().contains(hint), "{:?}", problems[0].hint);
        assert_eq!(problems[0].path.to_string(), "messages.templates");
    }
}

#[test]
fn what_only_some_messages_have_can_be_named() {
    for source in [
        "{{ instance.title }}{% if incident.again %}{{ incident.again.reason }} {{ incident.again.besides }}{% endif %}",
        "{{ instance.title }}{% if digest %}{{ digest.again }} {{ digest.flapping }} {{ digest.dropping }}{% endif %}",
    ] {
        accepted(&[("title.txt", source)]);
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let (_folder, _, problems) =
        folder(&[("title.txt", "{{"), ("text.txt", "{% if %}"), ("slack.txt", "{{ a }}{{ b }}"), ("titel.txt", "")]);
    assert_eq!(problems.len(), 5, "{problems:#?}");
}

#[test]
fn files_that_mean_nothing_are_refused() {
    let (folder, texts, problems) = folder(&[("titel.txt", "x")]);
    assert!(texts.is_none());
    assert_eq!(problems[0].what, format!("{}/titel.txt is not the name of a template", folder.path().display()));
    assert_eq!(problems[0].hint.as_deref(), Some("did you mean `title.txt`?"));
    assert!(problems[0].expected.as_deref().unwrap().contains("`words.txt`"));
}

#[test]
fn folders_and_files_that_cannot_be_read_are_refused() {
    let keys = TextKeys { templates: Some("/nonexistent".into()), ..TextKeys::default() };
    assert!(check(&keys).1[0].what.starts_with("cannot read the folder /nonexistent: "));

    let (_folder, texts, problems) = folder(&[("text.txt", &"x".repeat(200_000))]);
    assert!(texts.is_none() && problems[0].what.ends_with("text.txt: it is larger than 100 KiB"), "{problems:?}");

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("title.txt")).unwrap();
    fs::write(folder.path().join("text.txt"), b"\xff").unwrap();
    let (texts, problems) = check(&TextKeys { templates: Some(folder.path().to_owned()), ..TextKeys::default() });
    assert!(texts.is_none());
    assert!(problems[0].what.contains("text.txt: it is not valid UTF-8"), "{problems:?}");
    assert!(problems[1].what.contains("title.txt: not a file"), "{problems:?}");
}

#[test]
fn saying_nothing_and_saying_too_much_are_refused() {
    let (_folder, texts, problems) = folder(&[("title.txt", "{{ instance.name }}")]);
    assert!(texts.is_none() && problems[0].what.ends_with(": title.txt renders nothing"), "{problems:?}");
    let (_folder, texts, problems) = folder(&[("text.txt", "{{ 'long' * 50000 }}")]);
    assert!(texts.is_none() && problems[0].what.ends_with(": text.txt renders more than 100 KiB"), "{problems:?}");
    let (_folder, texts, problems) = folder(&[("text.txt", "{{ ([(1, 'long' * 1000)] * 30) | each('{}{}') }}")]);
    assert!(texts.is_none() && problems[0].what.ends_with(": `each`: renders more than 100 KiB"), "{problems:?}");
}

#[test]
fn words_of_ones_own_are_the_built_in_ones_but_for_what_they_set() {
    let texts = accepted(&[("words.txt", "{% set title = 'x ' ~ instance.title %}\n{% set reconnect = 'Go' %}")]);
    let down = samples::asked(sample(Kind::Down, Reason::SessionExpired, true, false));
    let text = texts.text(&down);
    assert!(text.starts_with("x Loja Centro\n\nLoja Centro has been"), "{text}");
    assert!(text.contains("\nGo: https://") && text.contains("\nI am on it: https://"), "{text}");
    let (folder, texts, problems) = folder(&[("words.txt", "\n{{ 1 | nonsense }}")]);
    let told = format!("{}:2: unknown filter", folder.path().join("words.txt").display());
    assert!(texts.is_none() && problems[0].what.starts_with(&told), "{problems:?}");
}

#[test]
fn what_came_after_a_template_was_written_breaks_nothing() {
    let short = "{% set short = {'other': 'it', 'session-expired': 'a login'} %}\
                 {% set title = line ~ short[incident.reason] %}";
    let source = format!("{{% set line = instance.title ~ ': ' %}}{short}");
    let (_folder, texts, problems) = folder(&[("words.txt", &source)]);
    let told: Vec<_> = problems.iter().map(|problem| (problem.severity, problem.what.as_str())).collect();
    assert!(
        told.iter().all(|(severity, _)| *severity == Severity::Warning) && told.len() == Reason::ALL.len() - 2,
        "{told:#?}"
    );
    assert!(told[0].1.starts_with("there is no text for the reason `number-blocked`: "), "{told:?}");
    let texts = texts.expect("they are used");
    assert_eq!(texts.title(&sample(Kind::Down, Reason::SessionExpired, true, false)), "Loja Centro: a login");
    let title = texts.title(&sample(Kind::Down, Reason::NotInInventory, true, false));
    assert_eq!(title, "🟠 Loja Centro: missing from the inventory", "the built-in one is used");
}

#[test]
fn a_template_that_fails_on_the_night_is_not_missed() {
    let source = "{% if instance.labels.tier == 'gold' %}{{ 1 // 0 }}{% endif %}mine: {{ instance.title }}";
    let texts = accepted(&[("title.txt", source)]);
    let mut down = sample(Kind::Down, Reason::SessionExpired, true, false);
    assert_eq!(texts.title(&down), "mine: Loja Centro");
    down.incident.instance.labels.insert("tier".to_owned(), "gold".to_owned());
    assert_eq!(texts.title(&down), "🔴 Loja Centro is down: needs a new QR code");
    assert!(texts.text(&down).starts_with("🔴 Loja Centro is down"));
}

#[test]
fn own_templates_escape_as_the_built_in_ones_do() {
    let source = "{{ incident.error }} {% include 'title.txt' %}{% set e = incident.error %}{{ e | upper }}";
    let texts = accepted(&[("html.html", source), ("slack.txt", source)]);
    for mut sample in samples::all() {
        sample.incident.error = Some("<!channel> <b>".to_owned());
        sample.incident.instance.name = Some("<https://evil.example|x>".to_owned());
        assert!(!texts.slack(&sample).contains('<'), "{}", texts.slack(&sample));
        assert!(!texts.html(&sample).contains('<'), "{}", texts.html(&sample));
    }
}

#[test]
fn sentences_of_ones_own_are_plain_text_in_every_form() {
    let texts = accepted(&[("words.txt", "{% set steps_label %}<b>*Now*</b>{% endset %}")]);
    let down = sample(Kind::Down, Reason::SessionExpired, true, false);
    assert!(texts.text(&down).contains("<b>*Now*</b>"), "{}", texts.text(&down));
    assert!(texts.html(&down).contains("&lt;b&gt;*Now*&lt;"), "{}", texts.html(&down));
    assert!(texts.slack(&down).contains("&lt;b&gt;∗Now∗&lt;"), "{}", texts.slack(&down));
}

#[test]
fn own_templates_have_a_filter_for_pairs() {
    let source = "{{ [('<a>', '<b>'), ('c', ''), (1, 2)] | each('<i>{}:</i> {}.') }}";
    let texts = accepted(&[("text.txt", source), ("html.html", source), ("slack.txt", source)]);
    let down = sample(Kind::Down, Reason::Other, true, false);
    assert_eq!(texts.text(&down), "<i><a>:</i> <b>.\n<i>1:</i> 2.");
    for escaped in [texts.html(&down), texts.slack(&down)] {
        assert_eq!(escaped, "<i>&lt;a&gt;:</i> &lt;b&gt;.\n<i>1:</i> 2.");
    }
}

#[test]
fn own_templates_have_filters_for_times_and_for_slack() {
    let texts = accepted(&[(
        "title.txt",
        "{{ incident.opened_at | local('%H:%M') }}, {{ incident.downtime | duration }}, {{ '<a>' | mrkdwn }}, \
         {{ incident.closed_at | local | default('still down') }}",
    )]);
    let down = sample(Kind::Down, Reason::Other, true, false);
    assert_eq!(texts.title(&down), "14:02, 7 min, &lt;a&gt;, still down");
}

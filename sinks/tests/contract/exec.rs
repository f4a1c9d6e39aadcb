//! `exec` with real programs: shell scripts.

use std::fs;
use std::path::Path as FilePath;
use std::time::{Duration, Instant};

use linedown_sinks::EXCERPT;
use linedown_sinks::FailureKind::{Busy, Deferred, Refused, TimedOut, Unauthorised, Unreachable};
use linedown_standins::DEADLINE;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::*;

pub(super) const ENTRY: Entry = Entry {
    documented: "command = [\"/bin/sh\", \"-c\", \"cat\"]\nenvironment = { TOKEN = { credential = \"pager-token\" } }",
    misspelt: ("comand = [\"/bin/true\"]", "command"),
};

/// A script in a folder of its own, which is its first argument.
struct Script {
    folder: TempDir,
    sink: Arc<dyn Sink>,
}

impl Script {
    fn new(script: &str) -> Self {
        Self::with(script, "")
    }

    fn with(script: &str, keys: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("script");
        fs::write(&file, script).expect("a file can be written");
        // The shell reads the script: a script that is itself run must not be open for writing in another test's child.
        let command = ["/bin/sh".into(), file.display().to_string(), folder.path().display().to_string()];
        let sink = sink("exec", &format!("command = {command:?}\n{keys}"));
        Self { folder, sink }
    }

    async fn run(&self) -> Result<String, Failure> {
        self.sink.deliver(&sample::notification()).await.map(|receipt| receipt.0)
    }

    /// What the script wrote into a file, once it is a whole line.
    async fn wrote(&self, file: &str) -> String {
        let (path, deadline) = (self.folder.path().join(file), Instant::now() + DEADLINE);
        loop {
            match fs::read_to_string(&path) {
                Ok(text) if text.ends_with('\n') => return text,
                _ => assert!(Instant::now() < deadline, "the script does not write {file}"),
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Waits until a process is gone, and is no zombie either.
async fn is_gone(pid: &str) {
    let deadline = Instant::now() + DEADLINE;
    while FilePath::new("/proc").join(pid.trim()).exists() {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_program_reads_the_notification_and_its_first_line_is_the_receipt() {
    let script = Script::with(
        "cat >\"$1/input\"; env >\"$1/environment\"; pwd >\"$1/at\"; printf '\\nqueued as 0815\\nmore\\n'; echo debug >&2",
        "environment = { TOKEN = \"0canary\", LANG = \"C\" }",
    );
    assert_eq!(script.run().await.unwrap(), "queued as 0815");
    let input = script.wrote("input").await;
    let written = settings("stdout", "format = \"json\"").preview(&sample::notification());
    assert_eq!(input, written + "\n", "the object is that of the stdout sink");
    let environment = script.wrote("environment").await;
    let names: Vec<&str> = environment.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let shells_own = ["PWD", "OLDPWD", "SHLVL", "_"];
    let mut names: Vec<&str> = names.into_iter().filter(|name| !shells_own.contains(name)).collect();
    names.sort_unstable();
    let ours = ["ATTEMPT", "INCIDENT", "INSTANCE", "KEY", "KIND", "NOTIFICATION", "TEXT", "TITLE"];
    let ours = ours.map(|name| format!("LINEDOWN_{name}"));
    let expected: Vec<&str> =
        ["LANG"].into_iter().chain(ours.iter().map(String::as_str)).chain(["PATH", "TOKEN"]).collect();
    assert_eq!(names, expected);
    for line in ["LINEDOWN_KEY=42.q1w2e3", "LINEDOWN_NOTIFICATION=42", "LINEDOWN_KIND=down", "LINEDOWN_ATTEMPT=1"] {
        assert!(environment.lines().any(|each| each == line), "{line}: {environment}");
    }
    assert!(environment.contains("LINEDOWN_TITLE=🔴 Loja Centro is down"), "{environment}");
    assert_eq!(script.wrote("at").await, "/\n");
}

#[tokio::test]
async fn exit_codes_mean_what_mail_servers_take_them_for() {
    for (code, kind) in [
        (64, Refused),
        (65, Refused),
        (66, Refused),
        (67, Refused),
        (68, Refused),
        (69, Unreachable),
        (70, Busy),
        (73, Busy),
        (75, Deferred),
        (77, Unauthorised),
        (78, Unauthorised),
        (1, Busy),
        (2, Busy),
        (127, Busy),
        (255, Busy),
    ] {
        let failure =
            Script::new(&format!("echo fine; echo first >&2; printf 'no modem' >&2; exit {code}")).run().await;
        let failure = failure.unwrap_err();
        assert_failure(&failure, kind, "0canary");
        assert_eq!(failure.message, format!("the program ended with exit code {code}: no modem"));
    }
    assert_eq!(Script::new("exit 0").run().await.unwrap(), "exit code 0");
    let failure = Script::new("kill -SEGV $$").run().await.unwrap_err();
    assert_failure(&failure, Busy, "0canary");
    assert_eq!(failure.message, "the program was killed by signal 11");
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("page-me");
    for (create, words) in [(false, "cannot find"), (true, "is not executable")] {
        if create {
            fs::write(&missing, "").unwrap();
        }
        let (settings, problems) = check("exec", &format!("command = [{missing:?}]"));
        assert!(problems.len() == 1 && problems[0].severity == Severity::Warning, "{problems:?}");
        assert!(problems[0].what.contains(words), "{problems:?}");
        let sink = settings.unwrap().build().unwrap();
        let failure = sink.deliver(&sample::notification()).await.unwrap_err();
        assert_failure(&failure, Unreachable, "0canary");
        assert!(failure.kind.is_transient() && failure.message.starts_with("the program cannot be run"), "{failure}");
    }
}

#[tokio::test]
async fn a_program_need_not_read_its_input() {
    let mut large = digest("Confecções São João do Sertão Ltda", 1000);
    large.incident.error = Some("x".repeat(40_000));
    for script in ["exit 0", "exec <&-; exit 0", "read first; exit 0", "exec <&- >&- 2>&-; sleep 0.1"] {
        Script::new(script).sink.deliver(&large).await.unwrap();
    }
}

#[tokio::test]
async fn any_amount_of_output_is_read_and_little_is_kept() {
    let flood = "yes xxxxxxxxxxxxxxx | head -c 10000000";
    let receipt = Script::new(&format!("echo taken; {flood}; {flood} >&2")).run().await.unwrap();
    assert_eq!(receipt, "taken");
    let line = "head -c 10000000 /dev/zero | tr '\\0' x";
    assert_eq!(Script::new(line).run().await.unwrap().chars().count(), EXCERPT);
    let failure =
        Script::new(&format!("{flood}; {flood} >&2; echo; echo 'no modem' >&2; exit 1")).run().await.unwrap_err();
    assert!(failure.message.ends_with(": no modem"), "{failure}");
    let bytes = Script::new("printf '\\377\\033[2J\\000 ok\\n'").run().await.unwrap();
    assert!(bytes.contains("ok") && !bytes.contains(char::is_control), "{bytes:?}");
}

#[tokio::test]
async fn what_a_program_leaves_in_the_background_is_not_waited_for() {
    let script = Script::new("echo taken; echo warned >&2; sleep 3600 & echo $! >\"$1/pid\"");
    assert_eq!(script.run().await.unwrap(), "taken");
    let pid = script.wrote("pid").await;
    assert!(FilePath::new("/proc").join(pid.trim()).exists(), "it goes on");
    kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// Waits until a process is dead. Whoever has inherited it may not have noticed yet: a zombie has no command line.
async fn is_dead(pid: &str) {
    let (path, deadline) = (FilePath::new("/proc").join(pid.trim()).join("cmdline"), Instant::now() + DEADLINE);
    while fs::read(&path).is_ok_and(|line| !line.is_empty()) {
        assert!(Instant::now() < deadline, "process {pid} lives");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

const HANGS: &str = "echo still dialling >&2; sleep 3600 & echo $! >\"$1/child\"; echo $$ >\"$1/pid\"; wait";

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_all_it_started() {
    let script = Arc::new(Script::new(HANGS));
    let trying = tokio::spawn({
        let script = Arc::clone(&script);
        async move { script.run().await }
    });
    let (pid, child) = (script.wrote("pid").await, script.wrote("child").await);
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(1)).await;
    let failure = trying.await.unwrap().unwrap_err();
    tokio::time::resume();
    assert_failure(&failure, TimedOut, "0canary");
    assert_eq!(failure.message, "the program did not end within 15 s and was killed: still dialling");
    is_gone(&pid).await;
    is_dead(&child).await;
}

#[tokio::test]
async fn an_attempt_that_is_dropped_leaves_no_process() {
    let script = Script::new(HANGS);
    let sent = sample::notification();
    let (pid, child) = tokio::select! {
        taken = script.sink.deliver(&sent) => panic!("it does not hang: {taken:?}"),
        pids = async { (script.wrote("pid").await, script.wrote("child").await) } => pids,
    };
    is_gone(&pid).await;
    is_dead(&child).await;
    assert_eq!(Script::new("exit 0").run().await.unwrap(), "exit code 0");
}

#[tokio::test]
async fn programs_that_end_leave_no_zombie() {
    let script = Script::new("echo $$");
    for _ in 0..20 {
        is_gone(&script.run().await.unwrap()).await;
    }
}

#[tokio::test]
async fn a_secret_that_a_program_prints_is_not_repeated() {
    let environment = "environment = { TOKEN = \"hunter2canary\" }";
    let receipt = Script::with("echo sent with $TOKEN", environment).run().await.unwrap();
    assert_eq!(receipt, "sent with …");
    let failure = Script::with("echo \"bad token: $TOKEN\" >&2; exit 77", environment).run().await.unwrap_err();
    assert_failure(&failure, Unauthorised, "hunter2canary");
    assert!(failure.message.ends_with("bad token: …"), "{failure}");
}

/// Linux refuses a variable of more than 128 KiB, and none may contain NUL.
#[tokio::test]
async fn whatever_a_payload_holds_a_program_is_told() {
    let script = Script::new("cat >\"$1/input\"");
    for text in ["x".repeat(300_000), "ção\0\n\u{1b}".repeat(50_000), "$(touch /0canary) `x`".to_owned(), String::new()]
    {
        let mut notification = sample::notification();
        notification.incident.instance.name = Some(text.clone());
        notification.incident.instance.id = text.clone();
        notification.incident.error = Some(text);
        script.sink.deliver(&notification).await.unwrap();
        let read: Value = serde_json::from_str(&script.wrote("input").await).unwrap();
        assert_eq!(read["key"], "42.q1w2e3");
    }
}

#[test]
fn mistakes_are_found_with_their_place() {
    let command = "command = [\"/bin/sh\"]\n";
    for (section, place, words) in [
        ("", "sinks.test", "`command` is missing"),
        ("command = \"/bin/sh -c true\"", "sinks.test.command", "wrong type"),
        ("command = []", "sinks.test.command", "names no program"),
        ("command = [\"sh\"]", "sinks.test.command[0]", "not the full path"),
        ("command = [\"/bin/sh\", \"a\\u0000\"]", "sinks.test.command[1]", "this character"),
        (&format!("{command}environment = {{ LINEDOWN_X = \"1\" }}"), "sinks.test.environment.LINEDOWN_X", "own"),
        (&format!("{command}environment = {{ \"A=\" = \"1\" }}"), "sinks.test.environment.\"A=\"", "the name"),
        (&format!("{command}environment = {{ A = \"0canary\\u0000\" }}"), "sinks.test.environment.A", "the value"),
        (&format!("{command}environment = {{ A = {{ env = \"NO_SUCH\" }} }}"), "sinks.test.environment.A", "not set"),
    ] {
        assert_mistake("exec", section, place, words);
    }
}

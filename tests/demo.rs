//! `linedown demo` as a newcomer runs it: it shows its whole story and leaves nothing behind.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use linedown_standins::DEADLINE;
use tempfile::TempDir;

fn demo(temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linedown"));
    command.arg("demo").env("TMPDIR", temporary).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    (status.code(), String::from_utf8(stdout).expect("UTF-8"), String::from_utf8(stderr).expect("UTF-8"))
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").next().is_none()
}

/// Whether a process has its working directory in the folder.
fn lives_in(folder: &Path) -> bool {
    let homes = fs::read_dir("/proc")
        .expect("processes")
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path().join("cwd")).ok());
    homes.into_iter().any(|home| home.starts_with(folder))
}

#[test]
fn the_demo_tells_its_story_and_leaves_nothing() {
    let temporary = TempDir::new().unwrap();
    let (code, shown, errors) = run(&mut demo(temporary.path()));
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{shown}");
    // Two sinks may write at the same time, so the order within a part may vary.
    let parts: Vec<&str> = shown.split("\n\n").collect();
    for (part, said) in [
        ("1. linedown serve", &["accepting webhooks"][..]),
        (
            "2. Loja Centro was logged out",
            &["linedown answers 200", "on the console", "email to ops@example.com", "Loja Centro is down"],
        ),
        ("3. The gateway says it again", &["\"duplicate\": true", "Nobody is told twice"]),
        ("4. Email is down", &["Loja Norte", "on the console", "cannot deliver and will try again"]),
        ("5. kill -9 linedown", &["email to ops@example.com", "Loja Norte is down"]),
        ("6. ", &["Loja Centro is connected again", "Loja Centro is back after 3 min"]),
        ("7. ", &["linedown answers 400", "linedown answers 404"]),
        (
            "8. What the daemon reports",
            &[
                "webhooks  3 accepted, 1 repeated, 2 refused",
                "email     6 told, 0 waiting, 0 given up",
                "incidents 1 open, 1 over",
            ],
        ),
        ("Done in", &["Nothing is left running"]),
    ] {
        let found = parts.iter().find(|found| found.starts_with(part)).unwrap_or_else(|| panic!("no {part}:\n{shown}"));
        for said in said {
            assert!(found.contains(said), "{said:?} is not in its place:\n{shown}");
        }
    }
    assert!(!shown.contains('\u{1b}'), "colours only on a terminal");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "too wide:\n{shown}");
    assert!(is_empty(temporary.path()) && !lives_in(temporary.path()));
}

#[test]
fn on_a_phone_it_is_narrow_and_in_colour() {
    let temporary = TempDir::new().unwrap();
    let mut terminal = Command::new("script");
    let line = format!("stty cols 48 && exec {} demo", env!("CARGO_BIN_EXE_linedown"));
    terminal.args(["-qec", &line, "/dev/null"]).env("TMPDIR", temporary.path()).env_remove("NO_COLOR");
    let (code, shown, errors) = run(terminal.stdin(Stdio::null()));
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{shown}");
    let mut plain = shown.replace('\r', "");
    for code in ["0", "1", "2", "31", "32"] {
        plain = plain.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert!(shown.contains("\u{1b}[32mlinedown answers 200"), "no colours:\n{shown}");
    assert!(plain.lines().all(|line| line.chars().count() <= 48), "too wide for a phone:\n{plain}");
    assert!(plain.lines().any(|line| line.chars().count() > 44), "narrower than it need be:\n{plain}");
}

#[test]
fn settings_of_another_daemon_do_not_disturb_it() {
    let temporary = TempDir::new().unwrap();
    let mut command = demo(temporary.path());
    command.env("LINEDOWN_CONFIG", "/none").env("LINEDOWN__SERVER__LISTEN", "nonsense");
    command.env("LINEDOWN_LOG", "off").env("RUNTIME_DIRECTORY", "/none").env("LISTEN_FDS", "1");
    let (code, shown, errors) = run(&mut command);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{shown}");
}

#[test]
fn a_demo_that_cannot_begin_says_why() {
    let temporary = TempDir::new().unwrap();
    let (code, _, errors) = run(&mut demo(&temporary.path().join("missing")));
    assert_eq!(code, Some(1));
    assert!(errors.starts_with("error: cannot make a folder in "), "{errors}");
    assert!(errors.contains("caused by: ") && errors.contains("hint: "), "{errors}");
}

#[test]
fn an_interrupted_demo_leaves_nothing_either() {
    let temporary = TempDir::new().unwrap();
    let mut child = demo(temporary.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let wait_until_it = |lives| {
        let deadline = Instant::now() + DEADLINE;
        while lives_in(temporary.path()) != lives && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
    };
    wait_until_it(true);
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    wait_until_it(false);
    assert!(is_empty(temporary.path()) && !lives_in(temporary.path()));
}

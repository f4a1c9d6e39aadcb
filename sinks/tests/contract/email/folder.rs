//! Messages written into a folder instead of sent to a relay.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command as Process;

use linedown_sinks::FailureKind::Unreachable;

use super::*;

#[tokio::test]
async fn an_attempt_that_still_writes_spoils_no_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink("email", &section(&format!("file:{}", folder.path().display()), ""));
    let unfinished = [".7.q1w2e3.eml.unfinished", ".7.q1w2e3.eml.0123456789abcdef.unfinished"];
    let mut writing = unfinished.map(|name| std::fs::File::create(folder.path().join(name)).unwrap());
    std::fs::write(folder.path().join(".77.q1w2e3.eml.0123456789abcdef.unfinished"), "of another").unwrap();
    sink.deliver(&Notification { id: 7, attempt: 2, ..to("ana@example.com") }).await.unwrap();
    let whole = std::fs::read_to_string(folder.path().join("7.q1w2e3.eml")).unwrap();
    for writing in &mut writing {
        writing.write_all(b"spoilt").unwrap();
    }
    assert!(whole.contains("To: ana@example.com"));
    assert_eq!(std::fs::read_to_string(folder.path().join("7.q1w2e3.eml")).unwrap(), whole);
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".77.q1w2e3.eml.0123456789abcdef.unfinished", "7.q1w2e3.eml"], "nothing is left of them");
}

#[tokio::test]
async fn a_folder_gets_one_file_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let mailbox = folder.path().join("mail/new");
    let sink = sink("email", &section(&format!("file:{}", mailbox.display()), ""));
    for id in [1, 2, 2] {
        sink.deliver(&Notification { id, ..to("ana@example.com") }).await.unwrap();
    }
    let mut names: Vec<_> = std::fs::read_dir(&mailbox).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["1.q1w2e3.eml", "2.q1w2e3.eml"]);
    assert!(std::fs::read_to_string(mailbox.join("1.q1w2e3.eml")).unwrap().contains("To: ana@example.com"));
    std::fs::remove_dir_all(&mailbox).unwrap();
    std::fs::write(&mailbox, "in the way").unwrap();
    assert_failure(&sink.deliver(&to("ana@example.com")).await.unwrap_err(), Unreachable, "hunter2canary");
}

/// Anybody who can read a message can use its links. docs/service.md describes the group that picks files up.
#[tokio::test]
async fn a_file_of_a_folder_is_for_its_owner_and_group() {
    let folder = tempfile::tempdir().unwrap();
    sink("email", &section(&format!("file:{}", folder.path().display()), ""))
        .deliver(&to("ana@example.com"))
        .await
        .unwrap();
    let file = std::fs::metadata(folder.path().join("42.q1w2e3.eml")).unwrap();
    assert_eq!(file.permissions().mode() & 0o7777, 0o640);
}

#[test]
fn no_umask_changes_that() {
    for umask in ["0077", "0022", "0000"] {
        let test = "email::folder::a_file_of_a_folder_is_for_its_owner_and_group";
        let run = Process::new("sh")
            .args(["-c", "umask $1 && exec \"$0\" --exact $2"])
            .arg(std::env::current_exe().unwrap())
            .args([umask, test])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "umask {umask}: {said}");
    }
}

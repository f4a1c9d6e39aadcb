//! `linedown replay`: what other rules would have made of past webhooks.

use crate::daemon::Daemon;
use crate::payload::{down, up};
use crate::sections::{CONSOLE, tell};

#[test]
fn another_config_is_tried_on_the_past_and_nothing_is_sent() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    for line in ["A", "B"] {
        daemon.accept(&down(line));
    }
    // Wait, or the outage and its end would go out in one message.
    daemon.wait_for_told(2);
    daemon.accept(&up("A"));
    daemon.wait_for_told(3);
    let before = daemon.rows(&["deliveries"]);
    // The other config needs a folder of its own, without the daemon's conf.d.
    std::fs::create_dir(daemon.path("other")).expect("a folder can be made");
    let other = daemon.path("other/linedown.toml");
    let only_b = "[[rules]]\nname = \"only b\"\nmatch = { instance = \"B\" }\nnotify = [\"console\"]\n";
    let base = "[sources.z-api]\ntype = \"z-api\"\nsecret = \"0canary-of-the-other-config\"\n";
    std::fs::write(&other, format!("{base}{CONSOLE}{only_b}")).expect("the config can be written");

    let compared = daemon.json(&["replay", "--since", "1h", "--config", &other]);
    assert_eq!((&compared["webhooks"], &compared["outages"]), (&3.into(), &2.into()));
    assert_eq!(compared["total"], serde_json::json!({ "now": 3, "new": 1 }));
    assert_eq!(compared["newly_unheard"][0]["instance"], "A");
    assert_eq!(compared["newly_unheard"][0]["incident"], 1);
    let shown = daemon.command(&["replay", "--since", "1h", "--config", &other]);
    assert!(shown.out.contains("Reported now, but not with the new config:"), "{shown:?}");
    let verdict = "1 message instead of 3 (67 % fewer); 1 outage reported now would not be reported.";
    assert_eq!(shown.out.lines().next(), Some(verdict), "{shown:?}");

    assert_eq!(daemon.told().len(), 3, "nothing was sent");
    assert_eq!(daemon.rows(&["deliveries"]), before, "nothing was kept");
}

#[test]
fn what_is_only_gathered_so_far_is_said_to_be() {
    let rule = "[[rules]]\nname = \"all\"\nnotify = [\"console\"]\ngroup_interval = \"1h\"\n";
    let daemon = Daemon::start(&format!("{CONSOLE}{rule}"));
    for line in ["A", "B", "C"] {
        daemon.accept(&down(line));
    }
    let shown = daemon.command(&["replay", "--since", "1h"]);
    let words = "2 outages not reported yet, but will be: gathered with others, held, silenced or in quiet hours.\n";
    assert!(shown.code == Some(0) && shown.out.contains(words), "{shown:?}");
}

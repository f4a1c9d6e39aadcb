//! The plot of the demo: two lines go down, one comes back, and several things go wrong in between.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

use super::super::{Code, CommandError};
use super::child::Daemon;
use super::folder::Folder;
use super::gateway::{Answer, Gateway, LOJA_CENTRO, LOJA_NORTE, Webhook};
use super::letter::Letter;
use super::mailbox::Mailbox;
use super::screen::Screen;
use super::summary::{Seen, Summary, Webhooks};
use super::{CONFIG, CONFIG_FILE, PATIENCE, failed};
use crate::cli::output::Look;
use crate::clock;
use crate::store::view::Delivery;

/// How often to look into the mailbox while a letter is awaited.
const LOOK: Duration = Duration::from_millis(5);
/// How long ago the first line went down by the gateway's clock.
const EARLIER: Duration = Duration::from_mins(3);
/// How many lines of a letter's text are shown.
const SHOWN: usize = 2;

/// Tells the story.
pub(super) async fn tell(folder: &Folder) -> Result<(), CommandError> {
    let mut story = Story::begin(folder).await?;
    story.a_line_goes_down().await?;
    story.the_gateway_repeats_itself().await?;
    story.a_number_is_blocked_while_email_is_down().await?;
    let mut story = story.the_power_fails(folder).await?;
    story.the_line_is_back().await?;
    story.nonsense_and_strangers().await?;
    story.end(folder).await
}

/// The actors of the story, and what has happened so far.
struct Story {
    screen: Screen,
    gateway: Gateway,
    daemon: Daemon,
    mailbox: Mailbox,
    /// The first webhook, which is repeated later.
    first: Option<Webhook>,
    /// The letter that was shown last.
    last: Option<Letter>,
    lines: usize,
    /// The webhooks counted by daemons that have ended.
    webhooks: Webhooks,
}

impl Story {
    async fn begin(folder: &Folder) -> Result<Self, CommandError> {
        let mut screen = Screen::new();
        let words = "This is the real daemon, on this machine only, with the config packaging/demo.toml. The demo \
                     plays the gateway; a console and a mailbox folder play the people.";
        screen.say(0, Look::Bold, "linedown demo")?;
        screen.say(0, Look::Plain, words)?;
        screen.step("linedown serve")?;
        folder.write(CONFIG_FILE, CONFIG).map_err(|error| failed("cannot write the demo's config", &error))?;
        let gateway = Gateway::new(folder).map_err(|error| failed("cannot make a certificate", error.as_ref()))?;
        let daemon = Daemon::start(folder.path()).await?;
        screen.quote(Look::Faint, &format!("accepting webhooks on https://{}", daemon.address))?;
        let mailbox = Mailbox::new(folder.path().join("mailbox"));
        let webhooks = Webhooks::default();
        Ok(Self { screen, gateway, daemon, mailbox, first: None, last: None, lines: 0, webhooks })
    }

    async fn a_line_goes_down(&mut self) -> Result<(), CommandError> {
        self.screen.step("Loja Centro was logged out 3 min ago")?;
        let words = "It was not possible to restore a session with the current token, please login again";
        let at = clock::now().checked_sub(EARLIER).map_err(|error| failed("the clock is wrong", &error))?;
        let webhook = Webhook::disconnected(LOJA_CENTRO, "5544999999999", words, at);
        self.first = Some(webhook.clone());
        self.post(&webhook, 200).await?;
        self.people_hear(1, 2).await
    }

    async fn the_gateway_repeats_itself(&mut self) -> Result<(), CommandError> {
        self.screen.step("The gateway says it again")?;
        let Some(webhook) = self.first.clone() else { return Ok(()) };
        let answer = self.answer(&webhook, 200).await?;
        self.screen.say(3, Look::Plain, "The same webhook once more.")?;
        self.show(&answer)?;
        self.screen.say(3, Look::Plain, "Nobody is told twice.")
    }

    async fn a_number_is_blocked_while_email_is_down(&mut self) -> Result<(), CommandError> {
        self.mailbox.close().map_err(|error| failed("cannot close the mailbox", &error))?;
        self.screen.step("Email is down, and Loja Norte is blocked")?;
        let words = "The number was disconnected by a possible whatsapp number blocking";
        let webhook = Webhook::disconnected(LOJA_NORTE, "5544888888888", words, clock::now()).gzipped();
        self.post(&webhook, 200).await?;
        self.people_hear(1, 0).await?;
        let why = self.until_email_has_failed().await?;
        self.screen.say(3, Look::Bad, "email cannot deliver and will try again")?;
        self.screen.quote(Look::Faint, &why)
    }

    /// Waits until only failed emails are pending, and returns why they failed.
    async fn until_email_has_failed(&self) -> Result<String, CommandError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut pending = self.pending().await?;
            if pending.iter().all(|delivery| delivery.sink == "email" && delivery.detail.is_some()) {
                return Ok(pending.pop().and_then(|delivery| delivery.detail).unwrap_or_default());
            }
        }
        Err(self.daemon.explain(CommandError::new(Code::Failed, "email did not fail, as it should have")))
    }

    /// Waits until nothing is pending: the daemon records a delivery a moment after making it.
    async fn until_nothing_is_owed(&self) -> Result<(), CommandError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.pending().await?.is_empty() {
                return Ok(());
            }
        }
        Err(self.daemon.explain(CommandError::new(Code::Failed, "the daemon still has something to deliver")))
    }

    async fn pending(&self) -> Result<Vec<Delivery>, CommandError> {
        self.daemon.ask(&["deliveries", "--state", "pending"]).await
    }

    async fn the_power_fails(mut self, folder: &Folder) -> Result<Self, CommandError> {
        self.screen.step("kill -9 linedown")?;
        self.webhooks += self.counted().await?;
        self.daemon.kill().await?;
        self.mailbox.open().map_err(|error| failed("cannot open the mailbox", &error))?;
        self.screen.say(3, Look::Plain, "Email works again. The daemon is restarted.")?;
        self.daemon = Daemon::start(folder.path()).await?;
        self.screen.say(3, Look::Plain, "The pending messages were on disk:")?;
        self.people_hear(0, 2).await?;
        Ok(self)
    }

    async fn the_line_is_back(&mut self) -> Result<(), CommandError> {
        self.screen.step("Loja Centro is connected again")?;
        self.post(&Webhook::connected(LOJA_CENTRO, "5544999999999", clock::now()), 200).await?;
        self.people_hear(1, 2).await
    }

    async fn nonsense_and_strangers(&mut self) -> Result<(), CommandError> {
        self.screen.step("Nonsense, and a stranger")?;
        self.post(&Webhook::garbage(), 400).await?;
        let Some(webhook) = self.first.clone() else { return Ok(()) };
        self.screen.say(3, Look::Plain, "A webhook without the right secret in its address.")?;
        let answer = self.answer(&webhook.with_wrong_secret(), 404).await?;
        self.show(&answer)
    }

    async fn end(mut self, folder: &Folder) -> Result<(), CommandError> {
        self.screen.step("What the daemon reports")?;
        self.until_nothing_is_owed().await?;
        self.webhooks += self.counted().await?;
        let summary = Summary {
            webhooks: self.webhooks,
            deliveries: self.daemon.ask(&["deliveries"]).await?,
            incidents: self.daemon.ask(&["incidents"]).await?,
        };
        for (what, figures) in summary.rows() {
            self.screen.say(3, Look::Plain, &format!("{what:<10}{figures}"))?;
        }
        let seen = Seen { lines: self.lines, letters: self.mailbox.count() };
        summary.agrees_with(seen).map_err(|why| {
            self.daemon.explain(CommandError::new(Code::Failed, format!("the daemon's figures are wrong: {why}")))
        })?;
        let status = self.daemon.stop().await?;
        if !status.success() {
            return Err(CommandError::new(Code::Failed, format!("the daemon did not end well: {status}")));
        }
        folder.remove().map_err(|error| failed("cannot remove the demo's folder", &error))?;
        let elapsed = self.screen.elapsed();
        self.screen.say(0, Look::Plain, "")?;
        self.screen.say(0, Look::Good, &format!("Done in {elapsed}. Nothing is left running, no file is left."))?;
        self.screen.say(0, Look::Plain, "Install it: see \"Install\" in README.md.")?;
        self.screen.say(0, Look::Plain, "See what it would do with a webhook: linedown explain --help")
    }

    /// Posts a webhook, and shows it with its answer, which must have this status.
    async fn post(&mut self, webhook: &Webhook, status: u16) -> Result<(), CommandError> {
        let how = if webhook.gzip { "the gateway posts, gzipped" } else { "the gateway posts" };
        self.screen.say(3, Look::Plain, how)?;
        self.screen.quote(Look::Faint, &spaced(&webhook.body))?;
        let answer = self.answer(webhook, status).await?;
        self.show(&answer)
    }

    async fn answer(&self, webhook: &Webhook, status: u16) -> Result<Answer, CommandError> {
        let answer = self.gateway.post(self.daemon.address, webhook).await;
        let answer =
            answer.map_err(|error| self.daemon.explain(failed("a webhook was not answered", error.as_ref())))?;
        if answer.status == status {
            return Ok(answer);
        }
        let what = format!("a webhook was answered with {} {} instead of {status}", answer.status, answer.body);
        Err(self.daemon.explain(CommandError::new(Code::Failed, what)))
    }

    fn show(&self, answer: &Answer) -> Result<(), CommandError> {
        let look = if answer.status == 200 { Look::Good } else { Look::Bad };
        let took = format!("{:.0} ms", answer.took.as_secs_f64() * 1000.0);
        self.screen.say(3, look, &format!("linedown answers {}, after {took}", answer.status))?;
        self.screen.quote(Look::Faint, &spaced(&answer.body))
    }

    /// Waits for this many more lines on the console and letters in the mailbox, and shows each as it comes.
    async fn people_hear(&mut self, lines: usize, letters: usize) -> Result<(), CommandError> {
        let (lines, letters) = (self.lines + lines, self.mailbox.count() + letters);
        let deadline = Instant::now() + PATIENCE;
        let mut look = interval_at(Instant::now(), LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.lines < lines || self.mailbox.count() < letters {
            let next = async {
                tokio::select! {
                    line = self.daemon.line() => Some(line),
                    _ = look.tick() => None,
                }
            };
            let Ok(line) = timeout_at(deadline, next).await else {
                let what = "an expected message did not arrive";
                return Err(self.daemon.explain(CommandError::new(Code::Failed, what)));
            };
            if let Some(line) = line {
                self.lines += 1;
                self.screen.say(3, Look::Good, "on the console")?;
                self.screen.quote(Look::Plain, &line)?;
            }
            for letter in self.mailbox.new_letters() {
                self.deliver(letter)?;
            }
        }
        Ok(())
    }

    fn deliver(&mut self, letter: Letter) -> Result<(), CommandError> {
        let Letter { to, subject, text } = &letter;
        self.screen.say(3, Look::Good, &format!("email to {to}"))?;
        self.screen.quote(Look::Bold, subject)?;
        if self.last.as_ref().is_some_and(|last| last.subject == *subject) {
            self.screen.quote(Look::Faint, "(says the same)")?;
        } else {
            let paragraphs = text.lines().filter(|line| !line.is_empty() && line != subject);
            for line in paragraphs.take(SHOWN) {
                self.screen.quote(Look::Plain, line)?;
            }
        }
        self.last = Some(letter);
        Ok(())
    }

    /// The webhooks that the running daemon has counted so far.
    async fn counted(&self) -> Result<Webhooks, CommandError> {
        let metrics = self.gateway.metrics(self.daemon.address).await;
        let metrics =
            metrics.map_err(|error| self.daemon.explain(failed("cannot read the metrics", error.as_ref())))?;
        Ok(Webhooks::counted(&metrics))
    }
}

/// Adds spaces to JSON, so that its lines can be broken.
fn spaced(json: &str) -> String {
    json.replace("\":", "\": ").replace(",\"", ", \"")
}

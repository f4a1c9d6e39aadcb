//! What the workers of the sinks do in a story.

use super::*;
use crate::store::view::Delivery;

/// What a message tells: itself, or each part of a digest.
pub(super) fn parts(notification: &linedown_sinks::Notification) -> Vec<(i64, Kind, &linedown_sinks::Incident)> {
    if notification.items.is_empty() {
        return vec![(notification.id, notification.kind, &notification.incident)];
    }
    notification.items.iter().map(|item| (item.notification, item.kind, &item.incident)).collect()
}

impl World<'_> {
    /// The workers of some sinks, given as a bit set, take what is due.
    pub(super) async fn work(&mut self, sinks: u8, endings: &[Ending]) -> Result<(), TestCaseError> {
        let mut endings = endings.iter().cycle();
        for (_, sink) in SINKS.iter().enumerate().filter(|(number, _)| sinks & (1 << number) != 0) {
            for due in self.life().lease(sink, self.now).await {
                self.check_lease(sink, &due)?;
                match endings.next().copied().unwrap_or(Ending::Delivered) {
                    Ending::Hang => self.in_hand.push(((*sink).to_owned(), due)),
                    ending => self.settle((*sink).to_owned(), due, ending).await,
                }
            }
        }
        Ok(())
    }

    pub(super) async fn settle(&mut self, sink: String, due: Due, ending: Ending) {
        let outcome = match ending {
            Ending::Delivered | Ending::Hang => Outcome::Delivered("ok".into()),
            Ending::Again(after) => Outcome::Again {
                kind: FailureKind::Busy,
                why: "503".into(),
                due_at: from_millis((self.now + after) * 1000),
            },
            Ending::Dead => dead(),
        };
        let arrives = matches!(outcome, Outcome::Delivered(_));
        if arrives {
            // Notices of losses by several rules may go out in one message.
            let rules: BTreeMap<i64, String> = match due.covers.len() {
                1 => BTreeMap::new(),
                _ => invariants::rows(self).await.into_iter().map(|row| (row.id, row.rule)).collect(),
            };
            for (notification, kind, incident) in parts(&due.notification) {
                self.told.push(Told {
                    notification,
                    at: due.notification.at.as_second(),
                    sink: sink.clone(),
                    recipient: due.notification.recipient.clone(),
                    rule: rules.get(&notification).or(due.notification.rule.as_ref()).cloned().unwrap(),
                    kind,
                    incident: incident.id,
                    closed: incident.closed_at.is_some(),
                    attempt: due.notification.attempt,
                    message: due.notification.key(),
                });
            }
        }
        self.life().settle(&due, self.now, outcome).await;
        if arrives {
            self.note_first_news(&sink, &due).await;
        }
    }

    /// Notes who was told by a message about the outage before that the line is down again.
    async fn note_first_news(&mut self, sink: &str, due: &Due) {
        for (_, _, incident) in parts(&due.notification) {
            let Some(again) = incident.first_news() else { continue };
            let person = (sink.to_owned(), due.notification.recipient.clone());
            let is_told = |row: &Delivery| {
                let is_theirs = row.incident == again.incident && invariants::person(row) == person;
                is_theirs && row.kind == "down" && row.state == "delivered"
            };
            let Some(row) = invariants::rows(self).await.into_iter().rfind(is_told) else { continue };
            if self.told.iter().any(|told| told.notification == row.id) || !self.told_besides.insert(row.id) {
                continue;
            }
            self.told.push(Told {
                notification: row.id,
                at: due.notification.at.as_second(),
                sink: person.0,
                recipient: person.1,
                rule: row.rule,
                kind: Kind::Down,
                incident: again.incident,
                closed: false,
                attempt: due.notification.attempt,
                message: due.notification.key(),
            });
        }
    }

    /// Lets every worker deliver what is due until nothing is. Returns when something will be.
    pub(super) async fn settle_down(&mut self) -> Result<Option<i64>, TestCaseError> {
        for _ in 0..TURNS {
            let before = self.told.len();
            self.work(7, &[Ending::Delivered]).await?;
            if self.told.len() > before {
                continue;
            }
            let mut next = Vec::new();
            for sink in SINKS {
                let life = self.life();
                let now = from_millis(self.now * 1000);
                let leased =
                    life.store.lease(sink, 10, RecipientPauses::new(), now, Arc::clone(&life.routing)).await.unwrap();
                prop_assert!(leased.due.is_empty());
                next.extend(leased.next.map(|next| (next.as_millisecond() + 999) / 1000));
            }
            let next = next.into_iter().min();
            prop_assert!(
                next.is_none_or(|next| next > self.now),
                "a timer is lost: due at {next:?}, it is {}",
                self.now
            );
            return Ok(next);
        }
        Err(TestCaseError::fail("workers are never idle"))
    }

    /// Every sink works, and nothing happens until no hold, silence or spell of flapping is left.
    pub(super) async fn calm_down(&mut self) -> Result<(), TestCaseError> {
        // What was held back before the clock was set back is held back for that much longer.
        let jumps = self.story.steps.iter().map(|step| if let Step::Jump(by) = step { by.abs() } else { 0 });
        let calm = self.now + jumps.sum::<i64>() + CALM;
        self.live(&Step::Finish(Ending::Delivered)).await?;
        while let Some(next) = self.settle_down().await?.filter(|next| *next <= calm) {
            self.truth += next - self.now;
            self.now = next;
        }
        Ok(())
    }
}

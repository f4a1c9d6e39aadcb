//! The end of the demo: compares the daemon's own figures with what was seen.

use std::ops::AddAssign;

use crate::store::view::{Delivery, Incident};

/// The daemon's figures.
pub(super) struct Summary {
    pub(super) webhooks: Webhooks,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) incidents: Vec<Incident>,
}

/// Numbers of webhooks, by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Webhooks {
    accepted: usize,
    duplicate: usize,
    refused: usize,
}

/// The numbers of messages that were received.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) lines: usize,
    pub(super) letters: usize,
}

impl Webhooks {
    /// Reads them from the daemon's metrics: `linedown_webhooks_total{source="z-api",result="accepted"} 1`.
    pub(super) fn counted(metrics: &str) -> Self {
        let mut webhooks = Self::default();
        for line in metrics.lines().filter(|line| line.starts_with("linedown_webhooks_total{")) {
            let Some((labels, count)) = line.rsplit_once(' ') else { continue };
            let count: usize = count.parse().unwrap_or_default();
            match labels.split_once("result=\"").and_then(|(_, result)| result.split('"').next()) {
                Some("accepted") => webhooks.accepted += count,
                Some("duplicate") => webhooks.duplicate += count,
                _ => webhooks.refused += count,
            }
        }
        webhooks
    }
}

impl AddAssign for Webhooks {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.refused += other.refused;
    }
}

impl Summary {
    /// One row for each subject.
    pub(super) fn rows(&self) -> [(&'static str, String); 4] {
        let Webhooks { accepted, duplicate, refused } = self.webhooks;
        let delivered = |sink| {
            format!(
                "{} told, {} waiting, {} given up",
                self.by(sink, "delivered"),
                self.by(sink, "pending"),
                self.by(sink, "dead")
            )
        };
        let open = self.incidents.iter().filter(|incident| incident.closed_at.is_none()).count();
        [
            ("webhooks", format!("{accepted} accepted, {duplicate} repeated, {refused} refused")),
            ("console", delivered("console")),
            ("email", delivered("email")),
            ("incidents", format!("{open} open, {} over", self.incidents.len() - open)),
        ]
    }

    fn by(&self, sink: &str, state: &str) -> usize {
        self.deliveries.iter().filter(|delivery| delivery.sink == sink && delivery.state == state).count()
    }

    /// Fails unless everybody was told exactly once and nothing is pending.
    pub(super) fn agrees_with(&self, seen: Seen) -> Result<(), String> {
        let expected = Webhooks { accepted: 3, duplicate: 1, refused: 2 };
        if self.webhooks != expected {
            return Err(format!("{:?}, where {expected:?} were posted", self.webhooks));
        }
        for (sink, came) in [("console", seen.lines), ("email", seen.letters)] {
            let told = self.by(sink, "delivered");
            if told != came {
                return Err(format!("{told} delivered to {sink}, where {came} came"));
            }
        }
        match self.deliveries.iter().find(|delivery| delivery.state != "delivered") {
            Some(delivery) => Err(format!("notification {} is {}", delivery.id, delivery.state)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_counted_by_result() {
        let metrics = "# TYPE linedown_webhooks counter\n\
            linedown_webhooks_total{source=\"z-api\",result=\"accepted\"} 3\n\
            linedown_webhooks_total{source=\"z-api\",result=\"duplicate\"} 1\n\
            linedown_webhooks_total{source=\"z-api\",result=\"not-json\"} 1\n\
            linedown_webhooks_total{source=\"\",result=\"wrong-address\"} 2\n\
            linedown_attempts_total{sink=\"email\",outcome=\"delivered\"} 7\n# EOF\n";
        assert_eq!(Webhooks::counted(metrics), Webhooks { accepted: 3, duplicate: 1, refused: 3 });
    }
}

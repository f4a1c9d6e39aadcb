//! Pure: finds what is wrong with an instance, or with a partner's fleet, from the gateway's answers.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::Reason;
use serde::Serialize;

use super::registration::{Addresses, Registration};
use super::{Member, Profile, Webhook};
use crate::clock;

/// Words in the gateway's payment status that mean trouble. The possible words are not documented, so unknown ones
/// count as good; the end of the paid period is checked in any case.
const UNPAID: [&str; 7] = ["unpaid", "overdue", "cancel", "expired", "suspend", "late", "refused"];

/// Something wrong with one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// A webhook would not arrive here.
    WebhookDrift {
        /// Which webhook.
        webhook: Webhook,
        /// What is wrong with its registration.
        registration: Registration,
        /// The registered address, without secrets.
        registered: String,
    },
    /// The paid period ends soon or has ended, or the payment is in trouble.
    Expiring {
        /// The end of the paid period, if it is near or past.
        due: Option<Timestamp>,
        /// The gateway's words about the payment, if they mean trouble.
        payment: Option<String>,
        /// Whether the paid period has ended.
        over: bool,
    },
    /// The gateway has the instance, but the inventory does not.
    NotInInventory {
        /// Whether its webhooks arrive here all the same, as far as that can be judged.
        webhooks_arrive: bool,
    },
}

/// All findings about an instance. Without `addresses`, its webhooks are not judged. The paid period counts if it ends
/// within `due_within`.
pub fn findings(
    instance: &str,
    profile: &Profile,
    addresses: Option<&Addresses>,
    due_within: Duration,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (webhook, addresses) in Webhook::ALL.into_iter().filter_map(|webhook| Some((webhook, addresses?))) {
        let registered = profile.registered(webhook);
        let registration = addresses.judge(instance, registered);
        if !registration.arrives() {
            let registered = addresses.shown(instance, registered);
            findings.push(Finding::WebhookDrift { webhook, registration, registered });
        }
    }
    findings.extend(expiring(profile, due_within, now));
    findings
}

fn expiring(profile: &Profile, due_within: Duration, now: Timestamp) -> Option<Finding> {
    let due = profile.due.filter(|due| *due < clock::later(now, due_within));
    let bad = |payment: &&String| {
        let payment = payment.to_lowercase();
        UNPAID.iter().any(|bad| payment.contains(bad))
    };
    let payment = profile.payment.as_ref().filter(bad).cloned();
    let over = due.is_some_and(|due| due <= now);
    (due.is_some() || payment.is_some()).then_some(Finding::Expiring { due, payment, over })
}

/// The finding about an instance that is not in the inventory.
pub fn stranger(member: &Member, addresses: Option<&Addresses>) -> Finding {
    let arrives = |webhook, addresses: &Addresses| {
        addresses.judge(&member.instance, member.profile.registered(webhook)).arrives()
    };
    let webhooks_arrive =
        addresses.is_none_or(|addresses| Webhook::ALL.into_iter().all(|webhook| arrives(webhook, addresses)));
    Finding::NotInInventory { webhooks_arrive }
}

impl Finding {
    /// The reason of the incident that tells of it.
    pub fn reason(&self) -> Reason {
        match self {
            Self::WebhookDrift { .. } => Reason::WebhookDrift,
            Self::Expiring { .. } => Reason::Expiring,
            Self::NotInInventory { .. } => Reason::NotInInventory,
        }
    }

    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::WebhookDrift { .. } => "linedown z-api audit --fix registers missing and wrong webhooks",
            Self::Expiring { .. } => "pay in the gateway's panel: an instance that is not paid for stops",
            Self::NotInInventory { .. } => "add [instances.ID] with `token`, or delete the instance at the gateway",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WebhookDrift { webhook, registration: Registration::Missing, .. } => {
                write!(f, "{} webhook not registered", webhook.as_str())
            }
            Self::WebhookDrift { webhook, registration, registered } => {
                write!(f, "{} webhook {registration}: {registered}", webhook.as_str())
            }
            Self::Expiring { due, payment, over } => {
                match due {
                    Some(due) => {
                        write!(
                            f,
                            "paid until {}{}",
                            due.strftime("%Y-%m-%d %H:%M UTC"),
                            if *over { ", which has passed" } else { "" }
                        )?;
                    }
                    None => f.write_str("payment problem")?,
                }
                payment.as_ref().map_or(Ok(()), |payment| write!(f, ": the gateway says {payment:?}"))
            }
            Self::NotInInventory { webhooks_arrive: true } => f.write_str("not in the inventory"),
            Self::NotInInventory { webhooks_arrive: false } => {
                f.write_str("not in the inventory, and its webhooks do not arrive here")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Audit;
    use super::*;
    use crate::clock::from_millis;

    const DAY: i64 = 86_400_000;

    fn found(profile: &Profile) -> Vec<String> {
        let addresses = Addresses::new("https://a.example", "z", &["s3cret".into()]);
        let found = findings("A", profile, Some(&addresses), Audit::default().due_within, from_millis(10 * DAY));
        assert!(found.iter().all(|finding| !finding.hint().is_empty()));
        found.iter().map(ToString::to_string).collect()
    }

    fn right() -> Profile {
        let address = || Some("https://a.example/hooks/z/s3cret/A".into());
        Profile { disconnected: address(), connected: address(), due: None, payment: Some("PAID".into()) }
    }

    #[test]
    fn what_is_amiss_is_found() {
        let profile = |change: fn(&mut Profile)| {
            let mut profile = right();
            change(&mut profile);
            profile
        };
        for (what, profile, expected) in [
            ("all is right", right(), vec![]),
            ("nothing registered", profile(|p| p.disconnected = None), vec!["disconnected webhook not registered"]),
            (
                "elsewhere",
                profile(|p| p.connected = Some("https://crm.example/s3cret".into())),
                vec!["connected webhook registered elsewhere: https://crm.example/…"],
            ),
            (
                "an old secret",
                profile(|p| p.connected = Some("https://a.example/hooks/z/old".into())),
                vec!["connected webhook registered with a secret that is refused: https://a.example/hooks/z/…"],
            ),
            (
                "without the instance",
                profile(|p| p.connected = Some("https://a.example/hooks/z/s3cret".into())),
                vec![],
            ),
            ("paid for long", profile(|p| p.due = Some(from_millis(14 * DAY))), vec![]),
            (
                "paid for two days",
                profile(|p| p.due = Some(from_millis(12 * DAY))),
                vec!["paid until 1970-01-13 00:00 UTC"],
            ),
            (
                "paid for until yesterday",
                profile(|p| p.due = Some(from_millis(9 * DAY))),
                vec!["paid until 1970-01-10 00:00 UTC, which has passed"],
            ),
            (
                "not paid",
                profile(|p| p.payment = Some("OVERDUE".into())),
                vec!["payment problem: the gateway says \"OVERDUE\""],
            ),
            ("words that nobody knows", profile(|p| p.payment = Some("EM DIA".into())), vec![]),
        ] {
            assert_eq!(found(&profile), expected, "{what}");
        }
    }
}

//! What the tasks that look after a source do there, by the config in force.

use std::sync::Arc;

use secrecy::SecretString;

use super::Access;
use super::registration::Addresses;
use crate::rule::Routing;

/// What to watch and to audit at a source.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) access: Arc<Access>,
    /// Where its webhooks must be registered; none without an address that gateways can post to.
    pub(crate) addresses: Option<Arc<Addresses>>,
    /// Has the inventory that a partner's fleet is compared with.
    pub(crate) routing: Arc<Routing>,
}

impl Orders {
    /// Whether an audit by these orders would find the same as one by the former.
    pub(super) fn are_audited_as(&self, former: &Self) -> bool {
        fn instances(orders: &Orders) -> impl Iterator<Item = (&str, Option<&str>)> {
            orders.routing.inventory.iter().map(|entry| (entry.id, entry.source))
        }
        self.access.is_audited_as(&former.access)
            && self.addresses == former.addresses
            && (self.access.partner_token.is_none() || instances(self).eq(instances(former)))
    }
}

/// The addresses at which a source's webhooks must be registered; none without a public `https://` address.
pub(crate) fn addresses(public_url: Option<&str>, source: &str, secrets: &[SecretString]) -> Option<Arc<Addresses>> {
    let public_url = public_url.filter(|url| url.starts_with("https://"))?;
    Some(Arc::new(Addresses::new(public_url, source, secrets)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Audit, LineAccess, Watched};
    use super::*;

    /// Orders for a source with this secret, perhaps with a partner token; with one line that has a token, and others
    /// that have none.
    fn orders(secret: &str, partner: bool, others: &[&str], watch: Option<Watched>, audit: Audit) -> Orders {
        let line = LineAccess { instance: "A".into(), token: "t".into() };
        let (api, partner_token) = ("http://127.0.0.1:1".parse().unwrap(), partner.then(|| "p".into()));
        let access = Access { api, client_token: None, partner_token, lines: [line].into(), watch, audit };
        let mut routing = Routing::default();
        for other in others {
            routing.inventory.push(other, None, None, &std::collections::BTreeMap::new());
        }
        let addresses = addresses(Some("https://a.example"), "z-api", &[secret.into()]);
        Orders { access: Arc::new(access), addresses, routing: Arc::new(routing) }
    }

    #[test]
    fn an_audit_is_due_sooner_only_by_what_it_would_find() {
        let (audit, watch) = (Audit::default(), Some(Watched::default()));
        let (lone, of_partner) = (orders("s", false, &["B"], None, audit), orders("s", true, &["B"], None, audit));
        let later = Audit { due_within: Duration::ZERO, ..audit };
        let mut elsewhere = Routing::default();
        elsewhere.inventory.push("B", None, Some("other"), &std::collections::BTreeMap::new());
        let elsewhere = Orders { routing: Arc::new(elsewhere), ..orders("s", true, &["B"], None, audit) };
        for (what, before, now, expected) in [
            ("nothing", &lone, orders("s", false, &["B"], None, audit), true),
            ("how lines are watched", &lone, orders("s", false, &["B"], watch, audit), true),
            ("instances without a token", &lone, orders("s", false, &["C"], None, audit), true),
            ("the same, of a partner", &of_partner, orders("s", true, &["C"], None, audit), false),
            ("whose an instance is, of a partner", &of_partner, elsewhere, false),
            ("nothing, of a partner", &of_partner, orders("s", true, &["B"], watch, audit), true),
            ("the partner's token", &lone, orders("s", true, &["B"], None, audit), false),
            ("the secret", &lone, orders("other", false, &["B"], None, audit), false),
            ("how it is audited", &lone, orders("s", false, &["B"], None, later), false),
        ] {
            assert_eq!(now.are_audited_as(before), expected, "{what}");
        }
    }
}

//! Why a line is down, or what other trouble there is.

use serde::{Deserialize, Serialize};

/// Why a line is down, or what other trouble there is. The order is from mild to severe: a later report may only worsen
/// the reason of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Not an outage: the gateway has an instance that the inventory lacks.
    NotInInventory,
    /// A trouble of linedown's own, not an outage: its certificate expires soon.
    CertificateExpiring,
    /// linedown's own: the disk of the store is nearly full.
    DiskNearlyFull,
    /// linedown's own: a sink takes no messages.
    SinkFailing,
    /// linedown's own: the store was damaged, and rows of it may be lost.
    StoreDamaged,
    /// linedown's own: the store cannot write, so webhooks are refused.
    StoreNotWriting,
    /// Not an outage: the line's subscription at the gateway ends, or has ended.
    Expiring,
    /// Not an outage: a webhook of the line would not arrive.
    WebhookDrift,
    /// Not an outage, as far as anybody knows: the gateway could not be asked for a long time.
    GatewayUnreachable,
    /// None of the known reasons.
    Other,
    /// The device was unlinked, or the phone is gone.
    DeviceDisconnected,
    /// The session is lost: somebody must scan a new QR code.
    SessionExpired,
    /// WhatsApp has probably blocked the number.
    NumberBlocked,
}

impl Reason {
    /// Every reason, from mild to severe.
    pub const ALL: [Self; 13] = [
        Self::NotInInventory,
        Self::CertificateExpiring,
        Self::DiskNearlyFull,
        Self::SinkFailing,
        Self::StoreDamaged,
        Self::StoreNotWriting,
        Self::Expiring,
        Self::WebhookDrift,
        Self::GatewayUnreachable,
        Self::Other,
        Self::DeviceDisconnected,
        Self::SessionExpired,
        Self::NumberBlocked,
    ];

    /// Whether the line itself is down. Any other reason has incidents of its own, one for each reason, beside the
    /// line's outage.
    pub fn is_outage(self) -> bool {
        let amiss =
            matches!(self, Self::NotInInventory | Self::Expiring | Self::WebhookDrift | Self::GatewayUnreachable);
        !amiss && !self.is_own()
    }

    /// Whether it is a trouble of linedown itself, not of a line.
    pub fn is_own(self) -> bool {
        matches!(
            self,
            Self::CertificateExpiring
                | Self::DiskNearlyFull
                | Self::SinkFailing
                | Self::StoreDamaged
                | Self::StoreNotWriting
        )
    }

    /// The name by which it is stored, shown and matched.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotInInventory => "not-in-inventory",
            Self::CertificateExpiring => "certificate-expiring",
            Self::DiskNearlyFull => "disk-nearly-full",
            Self::SinkFailing => "sink-failing",
            Self::StoreDamaged => "store-damaged",
            Self::StoreNotWriting => "store-not-writing",
            Self::Expiring => "expiring",
            Self::WebhookDrift => "webhook-drift",
            Self::GatewayUnreachable => "gateway-unreachable",
            Self::Other => "other",
            Self::DeviceDisconnected => "device-disconnected",
            Self::SessionExpired => "session-expired",
            Self::NumberBlocked => "number-blocked",
        }
    }

    /// The inverse of [`Reason::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

//! Questions to the gateways that somebody waits for: the state of a line, for the message that it is down, and the QR
//! code that reconnects it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use linedown_sinks::BuildError;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::{Client, Failure, FailureKind, QrCode, Standing};

/// How long a message waits for the gateway's answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most messages that wait for an answer at the same time; further ones are sent without.
const ASKING: usize = 4;
/// How long a gateway that did not answer in time is not asked again.
const REST: Duration = Duration::from_mins(1);
/// How long a line's code is reused before a new one is requested. A code lives for 20 seconds.
const SHOWN: Duration = Duration::from_secs(10);
/// Most lines whose codes are shown at the same time.
const LINES: usize = 64;
/// Most idle connections kept to one gateway.
const CONNECTIONS: usize = 4;

/// Asks the gateways, by source.
pub struct Counter {
    clients: BTreeMap<String, Client>,
    asking: Semaphore,
    /// When a gateway last failed to answer in time, by source.
    silent: Mutex<BTreeMap<String, Instant>>,
    codes: Mutex<HashMap<(String, String), Arc<Kept>>>,
}

/// The counter in force, swapped on reload.
pub type SharedCounter = arc_swap::ArcSwap<Counter>;

/// The latest code of a line, with the time of the request.
type Kept = tokio::sync::Mutex<Option<(Instant, Result<QrCode, Failure>)>>;

impl Default for Counter {
    fn default() -> Self {
        Self {
            clients: BTreeMap::new(),
            asking: Semaphore::new(ASKING),
            silent: Mutex::default(),
            codes: Mutex::default(),
        }
    }
}

impl Counter {
    /// Opens no connection. Fails if an HTTP client cannot be set up.
    pub fn new<'a>(gateways: impl IntoIterator<Item = (&'a String, &'a super::Access)>) -> Result<Self, BuildError> {
        let clients = gateways.into_iter().filter(|(_, access)| !access.lines.is_empty());
        let clients = clients
            .map(|(name, access)| Ok((name.clone(), Client::new(Arc::new(access.clone()), CONNECTIONS)?)))
            .collect::<Result<_, _>>()?;
        Ok(Self { clients, ..Self::default() })
    }

    /// The state of a line, if the gateway answers in time.
    pub async fn standing(&self, source: &str, instance: &str) -> Option<Standing> {
        let client = self.clients.get(source)?;
        let line = client.access().line(instance)?;
        let _turn = self.asking.try_acquire().ok()?;
        let silent = |known: &Mutex<BTreeMap<_, Instant>>| {
            known.lock().unwrap_or_else(PoisonError::into_inner).get(source).is_some_and(|at| at.elapsed() < REST)
        };
        if silent(&self.silent) {
            return None;
        }
        match timeout(PATIENCE, client.status(line)).await {
            Ok(Ok(standing)) => Some(standing),
            Ok(Err(failure)) => {
                tracing::debug!(source, instance, %failure, "the gateway did not say how the line stands");
                None
            }
            Err(_elapsed) => {
                tracing::debug!(source, instance, "the gateway did not say in time how the line stands");
                self.silent.lock().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), Instant::now());
                None
            }
        }
    }

    /// A line's code, and its age. However many people look, the gateway is asked at most every ten seconds. None if it
    /// cannot be asked about this line.
    pub async fn qr_code(&self, source: &str, instance: &str) -> Option<(Result<QrCode, Failure>, Duration)> {
        let client = self.clients.get(source)?;
        let line = client.access().line(instance)?;
        let Some(kept) = self.kept(source, instance) else {
            return Some((Err(Failure::new(FailureKind::Busy)), Duration::ZERO));
        };
        let mut latest = kept.lock().await;
        if let Some((at, code)) = latest.as_ref().filter(|(at, _)| at.elapsed() < SHOWN) {
            return Some((code.clone(), at.elapsed()));
        }
        let code = client.qr_code(line).await;
        *latest = Some((Instant::now(), code.clone()));
        Some((code, Duration::ZERO))
    }

    fn kept(&self, source: &str, instance: &str) -> Option<Arc<Kept>> {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        // An entry in use is kept, whatever its age.
        codes.retain(|_, kept| {
            Arc::strong_count(kept) > 1
                || kept.try_lock().is_ok_and(|kept| kept.as_ref().is_some_and(|(at, _)| at.elapsed() < SHOWN))
        });
        let key = (source.to_owned(), instance.to_owned());
        if codes.len() >= LINES && !codes.contains_key(&key) {
            return None;
        }
        Some(Arc::clone(codes.entry(key).or_default()))
    }
}

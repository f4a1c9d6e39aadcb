//! Questions to the gateways that somebody waits for: the state of a line, for the message that it is down, and the QR
//! code that reconnects it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use linedown_sinks::BuildError;
use parking_lot::Mutex;
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
/// How long a line's state is reused for pages.
const KNOWN: Duration = Duration::from_secs(3);
/// Most lines whose codes, and whose states, are shown on pages at the same time.
const LINES: usize = 64;
/// Most idle connections kept to one gateway.
const CONNECTIONS: usize = 4;

/// Asks the gateways whose lines have tokens.
pub struct Gateways {
    /// By source.
    clients: BTreeMap<String, Client>,
    asking: Semaphore,
    /// When a gateway last failed to answer in time, by source.
    silent: Mutex<BTreeMap<String, Instant>>,
    codes: Latest<Result<QrCode, Failure>>,
    standings: Latest<Option<Standing>>,
}

/// The gateways of the config in force, swapped on reload.
pub type SharedGateways = arc_swap::ArcSwap<Gateways>;

/// The latest answers about lines.
struct Latest<T> {
    /// How long an answer is reused.
    reused: Duration,
    lines: Mutex<ByLine<T>>,
}

/// By source and instance.
type ByLine<T> = HashMap<(String, String), Arc<Kept<T>>>;

/// The latest answer about a line, with the time of the request.
type Kept<T> = tokio::sync::Mutex<Option<(Instant, T)>>;

impl Default for Gateways {
    fn default() -> Self {
        Self {
            clients: BTreeMap::new(),
            asking: Semaphore::new(ASKING),
            silent: Mutex::default(),
            codes: Latest::new(SHOWN),
            standings: Latest::new(KNOWN),
        }
    }
}

impl Gateways {
    /// Opens no connection. Fails if an HTTP client cannot be set up.
    pub fn new<'a>(gateways: impl IntoIterator<Item = (&'a String, &'a super::Access)>) -> Result<Self, BuildError> {
        let clients = gateways.into_iter().filter(|(_, access)| !access.lines.is_empty());
        let clients = clients
            .map(|(name, access)| Ok((name.clone(), Client::new(Arc::new(access.clone()), CONNECTIONS)?)))
            .collect::<Result<_, _>>()?;
        Ok(Self { clients, ..Self::default() })
    }

    /// Whether the gateway can be asked about a line: its token is in the config.
    pub fn can_ask(&self, source: &str, instance: &str) -> bool {
        self.clients.get(source).is_some_and(|client| client.access().line(instance).is_some())
    }

    /// The state of a line, if the gateway answers in time.
    pub async fn standing(&self, source: &str, instance: &str) -> Option<Standing> {
        let client = self.clients.get(source)?;
        let line = client.access().line(instance)?;
        let _turn = self.asking.try_acquire().ok()?;
        if self.silent.lock().get(source).is_some_and(|at| at.elapsed() < REST) {
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
                self.silent.lock().insert(source.to_owned(), Instant::now());
                None
            }
        }
    }

    /// The state of a line for a page. However many people look, the gateway is asked at most every few seconds. None if
    /// the state is not known.
    pub async fn standing_for_page(&self, source: &str, instance: &str) -> Option<Standing> {
        // Only lines that can be asked about take a place.
        self.clients.get(source)?.access().line(instance)?;
        self.standings.get((source, instance), self.standing(source, instance)).await?.0
    }

    /// A line's code, and its age. However many people look, the gateway is asked at most every ten seconds. None if it
    /// cannot be asked about this line.
    pub async fn qr_code(&self, source: &str, instance: &str) -> Option<(Result<QrCode, Failure>, Duration)> {
        let client = self.clients.get(source)?;
        let line = client.access().line(instance)?;
        let code = self.codes.get((source, instance), client.qr_code(line)).await;
        Some(code.unwrap_or_else(|| (Err(Failure::new(FailureKind::Busy)), Duration::ZERO)))
    }
}

impl<T: Clone> Latest<T> {
    fn new(reused: Duration) -> Self {
        Self { reused, lines: Mutex::default() }
    }

    /// The latest answer about a line, and its age; asks if there is none that may be reused. Others who want to know
    /// meanwhile wait for the same answer. None if too many lines are being asked about.
    async fn get(&self, line: (&str, &str), ask: impl Future<Output = T>) -> Option<(T, Duration)> {
        let kept = self.kept(line)?;
        let mut latest = kept.lock().await;
        if let Some((at, answer)) = latest.as_ref().filter(|(at, _)| at.elapsed() < self.reused) {
            return Some((answer.clone(), at.elapsed()));
        }
        let answer = ask.await;
        *latest = Some((Instant::now(), answer.clone()));
        Some((answer, Duration::ZERO))
    }

    fn kept(&self, (source, instance): (&str, &str)) -> Option<Arc<Kept<T>>> {
        let mut lines = self.lines.lock();
        // An entry in use is kept, whatever its age.
        lines.retain(|_, kept| {
            Arc::strong_count(kept) > 1
                || kept.try_lock().is_ok_and(|kept| kept.as_ref().is_some_and(|(at, _)| at.elapsed() < self.reused))
        });
        let key = (source.to_owned(), instance.to_owned());
        if lines.len() >= LINES && !lines.contains_key(&key) {
            return None;
        }
        Some(Arc::clone(lines.entry(key).or_default()))
    }
}

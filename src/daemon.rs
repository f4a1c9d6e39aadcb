//! The life of the daemon: at the start everything that can fail comes first; then it runs, reloads, and finally
//! drains.

mod error;
mod intake;
mod reload;
mod settings;
mod sockets;
mod upkeep;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio::time::{interval, timeout};

use crate::acme::Renewal;
use crate::certificate::Served;
use crate::clock;
use crate::config::{Acme, Config};
use crate::delivery::{self, Delivery, SharedRouting};
use crate::descriptors;
use crate::gateway::asking::SharedGateways;
use crate::gateway::auditor::Auditor;
use crate::gateway::notices;
use crate::gateway::orders::{self, Orders};
use crate::gateway::patrol::Patrol;
use crate::health::HealthWatch;
use crate::heartbeat::Beats;
use crate::metrics::Metrics;
use crate::reception::Reception;
use crate::server;
use crate::server::api::{self, Local};
use crate::server::hook::Hook;
use crate::server::listener;
use crate::store::{LastReminders, Sqlite, Store, StoreError};
use crate::systemd;
use crate::timekeeper::{self, Lag, Step, Timekeeper};
use crate::trouble::{self, Watcher};
use intake::Intake;
use reload::Begun;
use settings::{asking, hook_settings, troubles};
use sockets::{bind_local, listen};
use upkeep::set_back_meanwhile;

pub use error::StartError;

/// How long requests and deliveries in progress may take to finish when the daemon stops.
pub const DRAIN: Duration = Duration::from_secs(20);

/// How often old data is deleted.
const HOUSEKEEPING: Duration = Duration::from_hours(1);

/// The requests that a running daemon obeys.
pub struct Signals {
    /// Read the config again.
    pub reload: mpsc::Receiver<()>,
    /// Drain and stop.
    pub stop: watch::Receiver<bool>,
}

/// Runs the daemon until it is told to stop. `load` reads the config again; its error is a report for the log. Fails if
/// the daemon cannot start, or if the store turns out to be damaged.
pub async fn run(
    config: Config,
    load: impl Fn() -> Result<Config, String>,
    mut signals: Signals,
) -> Result<(), StartError> {
    let metrics = Arc::new(Metrics::default());
    let Some(store) = open(&config, &metrics, &mut signals.stop).await? else { return Ok(()) };
    let mut daemon = Daemon::start(config, store, metrics).await?;
    let mut housekeeping = interval(HOUSEKEEPING);
    let mut timekeeper = Timekeeper::new(clock::now(), timekeeper::asleep());
    let mut looks = interval(timekeeper::LOOK);
    let store = Arc::clone(&daemon.reception.store);
    loop {
        tokio::select! {
            _ = signals.stop.changed() => break,
            () = store.met_damage() => return Err(StartError::Damaged),
            Some(()) = signals.reload.recv() => {
                daemon.reload(&load).await;
                // The new config may keep data for less time.
                housekeeping.reset_immediately();
            }
            _ = housekeeping.tick() => if daemon.forget_some().await {
                housekeeping.reset_immediately();
            },
            _ = looks.tick() => {
                daemon.renew(&load);
                match timekeeper.look(clock::now(), timekeeper::asleep()) {
                    Some(Step::Back(by)) => daemon.set_back(by).await,
                    Some(Step::Ahead(by)) => daemon.set_ahead(by).await,
                    None => {}
                }
            }
        }
    }
    daemon.drain().await;
    Ok(())
}

/// Opens the store, which may take long. Returns none if the daemon is told to stop meanwhile; what that interrupts is
/// done at the next start, as after a crash.
async fn open(
    config: &Config,
    metrics: &Metrics,
    stop: &mut watch::Receiver<bool>,
) -> Result<Option<Arc<dyn Store>>, StartError> {
    systemd::opening_store();
    let (path, observer) = (config.store.path.clone(), metrics.commits());
    let opening = spawn_blocking(move || Sqlite::observed(&path, observer));
    tokio::select! {
        opened = opening => Ok(Some(Arc::new(opened.map_err(|_| StoreError::Closed)??))),
        _ = stop.changed() => {
            tracing::info!(name: "stopped", "stopped before the store was open");
            Ok(None)
        }
    }
}

/// Assembles what takes webhooks in and what delivers. The workers start; what is owed since an earlier run is due when
/// the clock and the config say so now.
async fn assemble(
    config: &Config,
    built: delivery::Built,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
) -> Result<(Hook, Option<Beats>), StartError> {
    let routing = Arc::new(SharedRouting::new(Arc::clone(&config.routing)));
    let (gateways, beats) = asking(config)?;
    let gateways = Arc::new(SharedGateways::from_pointee(gateways));
    let delivery = Delivery::new(Arc::clone(&store), Arc::clone(&routing), Arc::clone(&metrics), Arc::clone(&gateways));
    store.hold_again(clock::now(), Arc::clone(&config.routing)).await?;
    delivery.assign(built, &store.owing().await?);
    let certificate = config.server.tls.is_some().then(Served::new);
    let reception = Reception::new(routing, store, Arc::new(delivery), metrics, certificate);
    Ok((Hook::new(hook_settings(config), Arc::new(reception), gateways), beats))
}

/// The running daemon: its state and the handles of its tasks.
struct Daemon {
    /// The config in force.
    config: Config,
    begun: Begun,
    hook: Arc<Hook>,
    reception: Arc<Reception>,
    /// The certificate to obtain by ACME, if any.
    acme: watch::Sender<Option<Acme>>,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
    intake: Intake,
    /// The task that reports to systemd.
    health: Option<AbortHandle>,
    /// The task that sends the heartbeat.
    heartbeat: Option<AbortHandle>,
    reload_failed: Arc<AtomicBool>,
    /// Why a replaced certificate could not be loaded, as it was logged.
    not_renewed: Option<String>,
    /// How the clock may be behind, because it was set back.
    lag: Option<Lag>,
    /// How many items the present round of deleting old data has deleted so far.
    forgotten: usize,
    socket: PathBuf,
    /// The orders of the tasks that ask gateways, by source.
    orders: BTreeMap<String, watch::Sender<Orders>>,
    /// What the watcher of linedown's own troubles is to look for.
    troubles: watch::Sender<trouble::Scope>,
}

impl Daemon {
    /// Sets up and starts all parts. If that fails, no webhook has been accepted.
    async fn start(config: Config, store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Result<Self, StartError> {
        let built = delivery::build(&config.routing)?;
        let intake = Intake::new().map_err(StartError::Intake)?;
        let listener = listen(config.server.listen, intake.handle())?;
        let socket = api::socket(&config);
        let local = bind_local(&socket).await.map_err(|source| StartError::Local { path: socket.clone(), source })?;

        let lag = set_back_meanwhile(&*store, &config.routing).await?;
        let (hook, beats) = assemble(&config, built, store, metrics).await?;
        let reception = Arc::clone(&hook.reception);
        let encryption = reception.certificate.as_ref().map(Served::server).transpose()?;
        let troubles = watch::Sender::new(troubles(&config));
        let mut daemon = Self {
            begun: Begun::with(&config),
            config,
            hook: Arc::new(hook),
            reception,
            acme: watch::Sender::default(),
            stop: watch::Sender::new(false),
            servers: JoinSet::new(),
            intake,
            health: None,
            heartbeat: None,
            reload_failed: Arc::default(),
            not_renewed: None,
            lag,
            forgotten: 0,
            socket,
            orders: BTreeMap::new(),
            troubles,
        };
        daemon.take_effect();
        daemon.serve(listener, local, encryption, beats);
        daemon.end_what_nobody_looks_after().await;
        daemon.keep_up().await;
        daemon.warn_of_what_nobody_can_end().await;
        daemon.warn_of_last_reminders(LastReminders::new()).await;
        Ok(daemon)
    }

    /// Starts the tasks that serve requests and watch over the daemon, and reports readiness to systemd.
    fn serve(
        &mut self,
        listener: TcpListener,
        local: UnixListener,
        encryption: Option<Arc<ServerConfig>>,
        beats: Option<Beats>,
    ) {
        let scheme = if encryption.is_some() { "https" } else { "http" };
        let address = listener.local_addr().unwrap_or(self.config.server.listen);
        if let Some(served) = &self.reception.certificate {
            let renewal = Renewal::new(self.acme.subscribe(), Arc::clone(served), &self.config.store.path);
            self.servers.spawn(renewal.run(self.stop.subscribe()));
        }
        let (store_path, reload_failed) = (self.config.store.path.clone(), Arc::clone(&self.reload_failed));
        let asked = Arc::new(Local { reception: Arc::clone(&self.reception), store_path, reload_failed });
        let requests = listener::serve(
            listener,
            encryption,
            self.connections(),
            Arc::clone(&self.hook),
            server::routes(Arc::clone(&self.hook), Handle::current()),
            self.stop.subscribe(),
        );
        let webhooks = self.servers.spawn_on(requests, self.intake.handle());
        let commands = self.servers.spawn(listener::serve_local(local, api::routes(asked), self.stop.subscribe()));
        let (sinks, rules) = (self.config.routing.sinks.len(), self.config.routing.rules.len());
        tracing::info!(name: "started", %address, scheme, store = %self.config.store.path.display(), socket = %self.socket.display(), sinks, rules, "accepting webhooks");
        systemd::ready();
        let reload_failed = Arc::clone(&self.reload_failed);
        let intake = self.intake.handle().clone();
        let servers = vec![webhooks, commands];
        let health = HealthWatch { reception: Arc::clone(&self.reception), servers, intake, reload_failed };
        self.health = Some(tokio::spawn(health.tell()).abort_handle());
        let watcher = Watcher::new(Arc::clone(&self.reception), self.troubles.subscribe());
        self.servers.spawn(watcher.run(self.stop.subscribe()));
        self.send_orders();
        self.begin_heartbeat(beats);
    }

    /// How many webhook connections to allow.
    fn connections(&self) -> usize {
        let (wanted, limit) = (self.config.server.max_connections, descriptors::raise());
        let deliveries = self.config.routing.sinks.values().map(|sink| sink.limits.in_flight).sum();
        let connections = descriptors::connections(wanted, deliveries, limit);
        if connections < wanted {
            tracing::warn!(
                connections,
                limit,
                "the limit on open files leaves room for fewer connections than server.max_connections; raise it (LimitNOFILE= in systemd)"
            );
        }
        connections
    }

    /// Starts the heartbeat of the config in force and stops the former one.
    fn begin_heartbeat(&mut self, beats: Option<Beats>) {
        let begun = beats.map(|beats| tokio::spawn(beats.beat(Arc::clone(&self.reception))).abort_handle());
        if let Some(former) = std::mem::replace(&mut self.heartbeat, begun) {
            former.abort();
        }
    }

    /// Gives the tasks that ask gateways the config in force. Tasks of sources that are gone end.
    fn send_orders(&mut self) {
        let mut former = std::mem::take(&mut self.orders);
        for (name, source) in &self.config.sources {
            let Some(access) = &source.gateway else { continue };
            let addresses = orders::addresses(self.config.server.public_url.as_deref(), name, &source.secrets);
            let routing = Arc::clone(&self.config.routing);
            let orders = Orders { access: Arc::new(access.clone()), addresses, routing };
            let sender = if let Some(sender) = former.remove(name) {
                sender.send_replace(orders);
                sender
            } else {
                let (sender, receiver) = watch::channel(orders);
                let (reception, stop) = (&self.reception, || self.stop.subscribe());
                let auditor = Auditor::new(name.clone(), reception, receiver.clone(), stop());
                let patrol = Patrol::new(name.clone(), Arc::clone(reception), receiver, stop());
                self.servers.spawn(patrol.run());
                self.servers.spawn(auditor.run());
                sender
            };
            self.orders.insert(name.clone(), sender);
        }
    }

    /// Ends notices about sources that left the config while no daemon ran. linedown's own troubles always stay.
    async fn end_what_nobody_looks_after(&self) {
        let looked_after = |source: &str| source == trouble::SOURCE || self.orders.contains_key(source);
        if let Err(error) = notices::leave_all_but(&self.reception, looked_after).await {
            tracing::warn!(error = %error, "cannot close the incidents that watching and auditing opened for sources that are gone from the config");
        }
    }

    /// Stops: finishes requests and deliveries in progress within [`DRAIN`], and leaves the rest in the store.
    async fn drain(mut self) {
        if let Some(health) = self.health.take() {
            health.abort();
        }
        self.begin_heartbeat(None);
        systemd::stopping();
        tracing::info!("stopping: no new webhooks, finishing what is in flight");
        self.stop.send_replace(true);
        let requests = async { while self.servers.join_next().await.is_some() {} };
        let (requests, unfinished) = tokio::join!(timeout(DRAIN, requests), self.reception.delivery.drain(DRAIN));
        if requests.is_err() || unfinished > 0 {
            let requests = requests.is_err();
            tracing::warn!(
                sinks = unfinished,
                requests,
                "stopped before everything in flight was finished; the rest is in the store and goes on after the next \
                 start"
            );
        }
        // Dropping the listener does not remove the socket's file.
        let _ = std::fs::remove_file(&self.socket);
        tracing::info!(name: "stopped", "stopped");
    }
}

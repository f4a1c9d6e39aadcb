//! The steps that are counted: webhooks from the body to the commit, each in a commit of its own; and their
//! notifications from the store to the words of the message and back.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use linedown::config::{self, Process};
use linedown::delivery::{Delivery, SharedRouting};
use linedown::gateway::asking::{Gateways, SharedGateways};
use linedown::metrics::Metrics;
use linedown::reception::Reception;
use linedown::server::hook::{Hook, HookSettings, HookSource, Request};
use linedown::store::{Outcome, RecipientPauses, Settlement, Sqlite, Store};
use linedown::{clock, source};
use warp::http::{HeaderMap, HeaderValue, Method};

/// The sink of all rules.
const SINK: &str = "mail";
/// The number of rules that do not match, before the one that does.
const RULES: usize = 50;

/// Runs a step this many times.
pub(crate) fn run(step: &str, times: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let hook = hook(folder.path());
        for number in 0..times {
            webhook(&hook, number).await;
        }
        match step {
            "webhook" => {}
            "both" => tell(&hook, times).await,
            step => panic!("there is no step {step}"),
        }
    });
}

/// The intake with a store, rules and lines; no workers deliver.
fn hook(folder: &Path) -> Hook {
    let file = folder.join("linedown.toml");
    std::fs::write(&file, text()).expect("the config can be written");
    let loaded = config::load(&file, linedown_sinks::KINDS, &["z-api"], &Process::this(clock::now()));
    let config = loaded.config.unwrap_or_else(|| panic!("{}", loaded.report.render(false)));
    let routing = Arc::new(SharedRouting::new(Arc::clone(&config.routing)));
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&folder.join("linedown.db")).expect("a store can be made"));
    let metrics = Arc::new(Metrics::default());
    let gateways = Arc::new(SharedGateways::from_pointee(Gateways::new([]).expect("nobody is asked")));
    let delivery =
        Arc::new(Delivery::new(Arc::clone(&store), Arc::clone(&routing), Arc::clone(&metrics), Arc::clone(&gateways)));
    let sources = config.sources.iter().map(|(name, configured)| {
        let kind = source::kind(&configured.kind).expect("the config was checked");
        (name.clone(), HookSource::new(kind, &configured.secrets))
    });
    let settings =
        HookSettings { sources: sources.collect(), max_body: config.server.max_body, ..HookSettings::default() };
    Hook::new(settings, Arc::new(Reception::new(routing, store, delivery, metrics, None)), gateways)
}

fn text() -> String {
    let mut text = "[sources.z-api]\ntype = \"z-api\"\nsecret = \"0123456789abcdef\"\n\
         [sinks.mail]\ntype = \"email\"\nserver = \"file:.\"\nfrom = \"a@example.com\"\nto = \"b@example.com\"\n\
         [store]\nurl = \"sqlite:///nowhere\"\n"
        .to_owned();
    for line in 0..100 {
        let _ = write!(
            text,
            "[instances.line{line}]\nname = \"Loja {line}\"\nlabels = {{ customer = \"c{line}\", tier = \"gold\" }}\n"
        );
    }
    for rule in 0..RULES {
        let _ = write!(text, "[[rules]]\nmatch = {{ labels.customer = \"other {rule}\" }}\nnotify = [\"mail\"]\n");
    }
    text + "[[rules]]\nname = \"all\"\nnotify = [\"mail\"]\ngroup_interval = \"0s\"\nremind = [\"1h\"]\n"
}

async fn webhook(hook: &Hook, number: u64) {
    let body = format!(
        "{{\"type\":\"DisconnectedCallback\",\"instanceId\":\"line{number}\",\"phone\":\"5544999999999\",\"momment\":{},\
         \"disconnected\":true,\"error\":\"Device has been disconnected\"}}",
        clock::now().as_millisecond()
    );
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let address = "z-api/0123456789abcdef".to_owned();
    let request = Request { address, method: Method::POST, headers, peer: None };
    let body = futures_util::stream::iter([Ok::<_, warp::Error>(bytes::Bytes::from(body))]);
    let answer = hook.answer(request, body).await;
    assert_eq!(answer.status(), 200, "{}", answer.body());
}

/// Leases, renders and settles all owed notifications, one after another.
async fn tell(hook: &Hook, times: u64) {
    for _ in 0..times {
        let routing = hook.reception.routing.load_full();
        let now = clock::now();
        let mut leased = hook
            .reception
            .store
            .lease(SINK, 1, RecipientPauses::new(), now, Arc::clone(&routing))
            .await
            .expect("the store works");
        let due = leased.due.pop().expect("one is owed for each webhook");
        let words = routing.sinks[SINK].settings.preview(&due.notification);
        assert!(words.contains("Loja") || words.contains("line"), "{words}");
        let outcome = Outcome::Delivered("taken".to_owned());
        let settlement = Settlement { notifications: due.covers, at: now, outcome };
        hook.reception.store.settle(settlement, routing).await.expect("the store works");
    }
}

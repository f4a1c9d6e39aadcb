//! Records in the store how attempts ended.

use tokio::time::sleep;

use super::SharedRouting;
use super::worker::STORE_REST;
use crate::store::{Settled, Settlement, Store};

/// Most notifications whose outcome is recorded in one transaction.
const RECORDED_AT_ONCE: usize = 250;

/// Records an outcome for all notifications of an attempt, in small steps, so that no webhook waits long. If the daemon
/// crashes in between, the rest is sent again, as the same message.
pub(super) async fn record(store: &dyn Store, settlement: &Settlement, routing: &SharedRouting) -> Settled {
    let mut settled = Settled::default();
    for notifications in settlement.notifications.chunks(RECORDED_AT_ONCE) {
        let step = Settlement { notifications: notifications.to_vec(), ..settlement.clone() };
        settled.add(record_step(store, &step, routing).await);
    }
    settled
}

/// Records one step, and retries for as long as the store fails. Until then the notifications stay leased, so nobody is
/// told twice because of a full disk.
async fn record_step(store: &dyn Store, settlement: &Settlement, routing: &SharedRouting) -> Settled {
    loop {
        match store.settle(settlement.clone(), routing.load_full()).await {
            Ok(settled) => return settled,
            Err(error) => {
                tracing::error!(notifications = ?settlement.notifications, error = %error, "cannot record how an attempt ended; trying again");
                sleep(STORE_REST).await;
            }
        }
    }
}

//! Retries of messages whose recipient is no usable address: they go to whom the config says the message is for now.

use std::time::Duration;

use super::*;
use crate::rule::Rule;
use crate::rule::tests::Toy;
use crate::store::Refused;

impl Life {
    /// Changes the line's owners. (One that begins with "no " is no usable address.)
    fn owned_by(&mut self, owners: &[&'static str]) {
        let mut routing = (*self.routing).clone();
        routing.sinks.get_mut("mail").unwrap().settings = Arc::new(Toy(owners.to_vec()));
        self.routing = Arc::new(routing);
    }

    /// The mails so far: to whom, of which kind, and in which state.
    async fn mails(&self) -> Vec<(String, String, String)> {
        let query = DeliveryQuery { sink: Some("mail".into()), ..DeliveryQuery::default() };
        let mut rows = self.store.deliveries(query).await.unwrap();
        rows.reverse();
        rows.into_iter().map(|row| (row.recipient, row.kind, row.state)).collect()
    }

    /// Delivers the mails that are due, and gives up those to unusable addresses. Returns whom it told.
    async fn post(&self, second: i64) -> Vec<String> {
        let mut told = Vec::new();
        for due in self.lease("mail", second).await {
            let reached = !due.notification.recipient.starts_with("no ");
            let outcome = if reached { Outcome::Delivered("ok".into()) } else { dead() };
            self.settle(&due, second, outcome).await;
            told.extend(reached.then_some(due.notification.recipient));
        }
        told
    }
}

fn mail(to: &str, kind: &str, state: &str) -> (String, String, String) {
    (to.to_owned(), kind.to_owned(), state.to_owned())
}

/// Otherwise it would be a dead letter for ever. But somebody whom the config cannot reach is not told through others.
#[tokio::test]
async fn what_everybody_has_by_a_message_of_their_own_is_withdrawn() {
    for all in [false, true] {
        let mut life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..rule("all", "{}", &["mail"], false) });
        life.owned_by(&["no address", "noc"]);
        life.down(1).await;
        assert_eq!(life.post(1).await, ["noc"]);
        let which = || if all { Which::Dead { sink: None } } else { Which::These(vec![1]) };
        let nobody = Retried { refused: BTreeMap::from([(1, Refused::Nobody("mail".into()))]), ..Retried::default() };
        assert_eq!(life.retried(which(), 2).await, nobody);
        life.owned_by(&["noc"]);
        let why = "everybody it is meant for now has a message of their own";
        let told = Retried { refused: BTreeMap::from([(1, Refused::Told(why))]), ..Retried::default() };
        assert_eq!(life.retried(which(), 3).await, told);
        assert_eq!(life.refused(1, 4).await, Some(Refused::Withdrawn(why.to_owned())));
        assert_eq!(life.deliver_all("slack", 4).await, [], "nor does the fallback hear that it was lost");
        assert_eq!(life.mails().await[2..], [mail("noc", "reminder", "pending")], "nobody reminds what is no address");
    }
}

/// To correct one wrong address to another wrong one reaches nobody.
#[tokio::test]
async fn who_has_another_wrong_address_by_now_is_not_told_by_others() {
    let mut life = Life::with(&["mail"]);
    life.owned_by(&["no address", "noc"]);
    life.down(1).await;
    assert_eq!(life.post(1).await, ["noc"]);
    life.owned_by(&["no other address", "noc"]);
    let nobody = Retried { refused: BTreeMap::from([(1, Refused::Nobody("mail".into()))]), ..Retried::default() };
    assert_eq!(life.retried(Which::Dead { sink: None }, 2).await, nobody);
}

/// Somebody who is told of an outage does not learn from that who else was not told.
#[tokio::test]
async fn that_something_was_lost_is_told_to_who_has_a_message_of_their_own_as_well() {
    let mut life = Life::with(&["slack", "mail"]);
    life.owned_by(&["no address"]);
    life.down(1).await;
    let lost = life.lease("slack", 1).await.remove(0);
    life.settle(&lost, 1, dead()).await;
    assert_eq!(life.post(2).await, [""; 0]);
    life.owned_by(&["ana"]);
    let retried = life.retried(Which::Dead { sink: Some("mail".into()) }, 3).await;
    assert_eq!((retried.notifications.len(), retried.refused), (2, BTreeMap::new()));
    assert_eq!(life.post(3).await, ["ana", "ana"]);
    assert_eq!(life.mails().await.last(), Some(&mail("ana", "undelivered", "delivered")));
}

#[tokio::test]
async fn whose_own_message_was_given_up_is_told_by_what_was_for_no_address() {
    let mut life = Life::with(&["mail"]);
    life.owned_by(&["no address", "noc"]);
    life.down(1).await;
    for due in life.lease("mail", 1).await {
        life.settle(&due, 1, dead()).await;
    }
    life.owned_by(&["noc"]);
    assert_eq!(life.retry(Which::These(vec![1]), 2).await, [1]);
    assert_eq!(life.post(2).await, ["noc"]);
}

#[tokio::test]
async fn whoever_has_an_address_by_now_gets_what_is_sent_again_and_is_reminded_from_then_on() {
    let mut life = Life::by(Rule { remind: vec![Duration::from_secs(10)], ..rule("all", "{}", &["mail"], false) });
    life.owned_by(&["no address"]);
    life.down(0).await;
    for second in [0, 10, 20] {
        assert_eq!(life.post(second).await, [""; 0]);
    }
    assert_eq!(life.mails().await, [mail("no address", "down", "dead")], "what is no address is not reminded");
    life.owned_by(&["ana", "bia"]);
    assert_eq!(life.retry(Which::These(vec![1]), 21).await, [1, 3]);
    assert_eq!(life.post(21).await, ["ana", "bia"]);
    assert_eq!(life.post(30).await, ["ana", "bia"]);
}

#[tokio::test]
async fn a_silence_holds_back_what_is_sent_again_to_whomever_it_goes() {
    let mut life = Life::with(&["mail"]);
    life.owned_by(&["no address"]);
    life.down(1).await;
    life.post(1).await;
    life.silence("{}", 0, 1000).await;
    life.owned_by(&["ana", "bia"]);
    assert_eq!(life.retry(Which::These(vec![1]), 2).await.len(), 2);
    assert_eq!(life.post(2).await, [""; 0]);
    assert_eq!(life.post(1000).await, ["ana", "bia"]);
}

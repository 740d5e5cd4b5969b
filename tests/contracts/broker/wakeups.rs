//! Hints to every process.

use std::time::Duration;

use raincheck_shared::broker::{Broker, Signal};
use raincheck_shared::domain::Status;
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::Change;
use tokio::sync::broadcast;

use super::for_both_brokers;
use crate::harness::broker::{Bench, soon};

for_both_brokers!(every_hint_reaches_every_subscriber_of_every_process, a_hint_is_heard_once_by_its_own_process);

fn hints() -> Vec<Signal> {
    let change = |status| Change { id: IdSource.job(), version: 3, status };
    vec![
        Signal::Changed(vec![change(Status::Succeeded)]),
        Signal::Changed(vec![change(Status::InProgress)]),
        Signal::CancelRequested(vec![IdSource.job(), IdSource.job()]),
        Signal::TimerSet(Duration::from_millis(250)),
        Signal::WorkerDied,
    ]
}

/// The next hint that is not of the noise of connecting.
async fn hear(subscriber: &mut broadcast::Receiver<Signal>) -> Signal {
    let heard = async {
        loop {
            match subscriber.recv().await.expect("a hint") {
                Signal::Missed | Signal::TimerSet(Duration::ZERO) => {}
                signal => return signal,
            }
        }
    };
    soon("a hint", heard).await
}

/// Waits until the one hears the other, by calling until there is an answer.
pub(crate) async fn hears(listener: &Broker, speaker: &Broker) {
    let mut subscriber = listener.wakeups.subscribe();
    let heard = async {
        loop {
            speaker.wakeups.announce(Signal::TimerSet(Duration::ZERO));
            let heard = tokio::time::timeout(Duration::from_millis(100), async {
                while subscriber.recv().await != Ok(Signal::TimerSet(Duration::ZERO)) {}
            });
            if heard.await.is_ok() {
                return;
            }
        }
    };
    soon("two processes hear each other", heard).await;
}

async fn every_hint_reaches_every_subscriber_of_every_process(bench: &Bench) {
    let here = &bench.broker;
    let there = bench.another_process();
    hears(here, &there).await;
    hears(&there, here).await;
    let mut subscribers = [here.wakeups.subscribe(), here.wakeups.subscribe(), there.wakeups.subscribe()];
    for speaker in [here, &there] {
        for hint in hints() {
            speaker.wakeups.announce(hint.clone());
            for subscriber in &mut subscribers {
                assert_eq!(hear(subscriber).await, hint);
            }
        }
    }
    here.wakeups.announce(Signal::Missed);
    for subscriber in &mut subscribers {
        let missed = async { while subscriber.recv().await != Ok(Signal::Missed) {} };
        soon("a hint that hints were missed", missed).await;
    }
}

async fn a_hint_is_heard_once_by_its_own_process(bench: &Bench) {
    let here = &bench.broker;
    let there = bench.another_process();
    hears(&there, here).await;
    hears(here, &there).await;
    let mut here_hears = here.wakeups.subscribe();
    let mut there_hears = there.wakeups.subscribe();
    let [first, last] = [0, 1].map(|_| Signal::CancelRequested(vec![IdSource.job()]));
    here.wakeups.announce(first.clone());
    assert_eq!(hear(&mut there_hears).await, first);
    // By now an echo would have arrived, too: what comes next is the next hint.
    there.wakeups.announce(last.clone());
    assert_eq!(hear(&mut here_hears).await, first);
    assert_eq!(hear(&mut here_hears).await, last);
}

//! Schedules by a clock that somebody sets: forward, which misses ticks, and back, which brings none twice and loses none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use raincheck_shared::domain::{CatchUp, Timestamp};
use raincheck_shared::lifecycle::{Clock, SystemClock};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::schedules::{QUICK, SOON, jobs_of, plant_at, schedule};
use crate::harness::served::{Served, Work};
use crate::harness::wait::until;

/// The machine's clock, so many seconds off.
#[derive(Default)]
struct SetClock(AtomicI64);

impl SetClock {
    /// Sets it to this instant, from where it goes on.
    fn set(&self, to: Timestamp) {
        self.0.store((to - SystemClock.now()).whole_seconds(), Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + time::Duration::seconds(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Instant {
        SystemClock.monotonic()
    }
}

/// How many jobs each tick of a schedule has.
async fn ticks_of(served: &Served, name: &str) -> BTreeMap<i64, usize> {
    let mut ticks = BTreeMap::new();
    for job in jobs_of(&served.client, name).await {
        let tick = OffsetDateTime::parse(job["metadata"]["tick"].as_str().unwrap(), &Rfc3339).unwrap();
        *ticks.entry(tick.unix_timestamp() / 60).or_default() += 1;
    }
    ticks
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_second_job_for_a_tick_and_loses_none() {
    for on_postgres in [false, true] {
        let clock = Arc::new(SetClock::default());
        let shared: Arc<dyn Clock> = Arc::<SetClock>::clone(&clock);
        let url = crate::harness::cluster::new_database(&crate::harness::cluster::required(
            crate::harness::store::POSTGRES_URL,
        ))
        .await;
        let mut settings = vec![QUICK];
        if on_postgres {
            settings.push(("store.url", &url));
        }
        let served = Served::by_clock(Work::Nobody, &settings, shared).await;
        // In the middle of a minute, hours from where the machine's clock is: no tick comes by itself while this runs.
        let minute = SystemClock.now().unix_timestamp().div_euclid(60) + 300;
        let at = |minute: i64| Timestamp::from_unix_timestamp(minute * 60).unwrap();
        let middle = |minute: i64| at(minute) + Duration::from_secs(10);
        clock.set(middle(minute));
        plant_at(&served, "minutely", CatchUp::All { most: 100 }, at(minute)).await;
        let last = async |name: &str| schedule(&served.client, name).await["last_at"].clone();
        let until_last = async |name: &str, minute: i64| {
            let wanted = at(minute).format(&Rfc3339).unwrap();
            until(&format!("{name} to have come to {wanted}"), SOON, async || last(name).await == wanted.as_str())
                .await;
        };
        until_last("minutely", minute).await;
        clock.set(middle(minute + 2));
        until_last("minutely", minute + 2).await;

        // Back by five minutes. That the loop has looked since is told by another schedule, which is due there.
        clock.set(middle(minute - 3));
        assert_eq!(last("witness").await, Value::Null);
        plant_at(&served, "witness", CatchUp::One, at(minute - 3)).await;
        until_last("witness", minute - 3).await;
        assert_eq!(ticks_of(&served, "minutely").await.len(), 3, "it waits until the clock has come to its next tick");
        // Over the minutes that it has seen already, one by one: those of the witness tell that they were looked at.
        for passed in minute - 2..=minute + 2 {
            clock.set(middle(passed));
            until_last("witness", passed).await;
        }
        assert_eq!(ticks_of(&served, "minutely").await.into_values().collect::<Vec<_>>(), [1, 1, 1]);
        clock.set(middle(minute + 4));
        until_last("minutely", minute + 4).await;
        let once: BTreeMap<i64, usize> = (minute..=minute + 4).map(|minute| (minute, 1)).collect();
        assert_eq!(ticks_of(&served, "minutely").await, once, "each tick has one job");
        assert_eq!(schedule(&served.client, "minutely").await["missed"], 0);
        assert!(served.stop().await);
    }
}

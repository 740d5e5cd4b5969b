//! What both stores promise. Each contract is written once and run against SQLite and Postgres.

mod given;

mod accept;
mod announcements;
mod batches;
mod blobs;
mod cancel;
mod claim;
mod connections;
mod deliveries;
mod erase;
mod finish;
mod hand_over;
mod idempotency;
mod keys;
mod leases;
mod list;
mod lock_order;
mod logs;
mod many_at_once;
mod one_process;
mod one_server;
mod outbox;
mod over_tls;
mod permits;
mod plans;
mod queues;
mod read;
mod remote_leases;
mod rescue;
mod schedules;
mod schema;
mod survey;
mod tenants;
mod timers;
mod transitions;
mod upkeep;

/// Runs contracts, `async fn(&StoreFixture)`, against each store. To be called once in a file.
macro_rules! against_each_store {
    ($($contract:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    let fixture = crate::harness::store::StoreFixture::sqlite().await;
                    super::$contract(&fixture).await;
                    fixture.close().await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    let fixture = crate::harness::store::StoreFixture::postgres().await;
                    super::$contract(&fixture).await;
                    fixture.close().await;
                }
            )+
        }
    };
}
use against_each_store;

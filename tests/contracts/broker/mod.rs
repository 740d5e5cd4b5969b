//! One contract for both brokers, and what only RabbitMQ can get wrong.

mod consuming;
mod outages;
mod rabbitmq_queues;
mod wakeups;

/// Makes a test of each rule for each broker.
macro_rules! for_both_brokers {
    ($($rule:ident),* $(,)?) => {
        mod in_process {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                $crate::harness::broker::Bench::in_process().run(super::$rule).await;
            })*
        }
        mod rabbitmq {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                $crate::harness::broker::Bench::rabbitmq().run(super::$rule).await;
            })*
        }
    };
}
use for_both_brokers;

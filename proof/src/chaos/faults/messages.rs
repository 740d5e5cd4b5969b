//! Faults of RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use super::{Fault, Ground};
use crate::stage::services::Server;

/// Answers whether it came to anything.
pub(super) async fn happen(fault: &Fault, ground: &Arc<Ground>) -> bool {
    match fault.kind.name {
        "kill-rabbitmq" => {
            ground.act(Server::Rabbitmq, "kill").await;
            tokio::time::sleep(fault.lasts).await;
            ground.act(Server::Rabbitmq, "resume").await;
        }
        "wipe-rabbitmq" => {
            ground.act(Server::Rabbitmq, "kill").await;
            ground.act(Server::Rabbitmq, "wipe").await;
            tokio::time::sleep(fault.lasts).await;
            ground.act(Server::Rabbitmq, "resume").await;
        }
        "freeze-rabbitmq" => {
            ground.act(Server::Rabbitmq, "pause").await;
            tokio::time::sleep(fault.lasts).await;
            ground.act(Server::Rabbitmq, "continue").await;
        }
        "alarm-rabbitmq" => {
            // Whoever publishes is blocked.
            ground.ctl(&["set_vm_memory_high_watermark", "0.0001"]).await;
            tokio::time::sleep(fault.lasts).await;
            ground.ctl(&["set_vm_memory_high_watermark", "absolute", "512MB"]).await;
        }
        "purge-queues" => return each_queue(ground, "purge_queue").await,
        _ => return each_queue(ground, "delete_queue").await,
    }
    true
}

/// One of three nodes goes and comes back, or cannot reach the others: those two are a quorum, and stand.
pub(super) async fn happen_to_node(fault: &Fault, node: usize, ground: &Arc<Ground>) {
    if fault.kind.name == "isolate-node" {
        return isolate(fault, node, ground).await;
    }
    let (gone, back) = if fault.kind.name == "lose-node" { ("kill", "resume") } else { ("pause", "continue") };
    ground.act_on_node(node, gone).await;
    tokio::time::sleep(fault.lasts).await;
    ground.act_on_node(node, back).await;
}

/// A node that disagrees with the others about the cookie gets no connection to them, in either direction. Its clients and
/// `rabbitmqctl` still reach it.
async fn isolate(fault: &Fault, node: usize, ground: &Arc<Ground>) {
    const APART: &str = "persistent_term:put(apart, nodes()), \
                         [begin erlang:set_cookie(N, apart), erlang:disconnect_node(N) end || N <- nodes()], ok.";
    const TOGETHER: &str = "[erlang:set_cookie(N, erlang:get_cookie()) || N <- persistent_term:get(apart)], ok.";
    let apart = ground.ctl_of_node(node, &["eval", APART]).await;
    assert!(apart.is_some(), "node {node} was not to be reached");
    tokio::time::sleep(fault.lasts).await;
    while ground.ctl_of_node(node, &["eval", TOGETHER]).await.is_none() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn each_queue(ground: &Arc<Ground>, verb: &str) -> bool {
    let listed = ground.ctl(&["-q", "--no-table-headers", "list_queues", "name"]).await.unwrap_or_default();
    let jobs = listed.lines().filter(|name| name.starts_with(&ground.prefix) && is_of_jobs(name));
    let mut struck = false;
    for name in jobs {
        struck |= ground.ctl(&[verb, name]).await.is_some();
    }
    struck
}

/// Those of the kinds, not those that each replica has for its wake-ups.
fn is_of_jobs(queue: &str) -> bool {
    ["journaled", "shell"].iter().any(|name| queue.contains(name))
}

//! An upstream that accepts and finishes later, and a worker that is killed while it waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::room;
use crate::harness::wait::until;

fn reply(status: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Raw(format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_upstream_of_a_killed_worker_is_sent_the_input_again_under_the_same_key_and_asked_on() {
    let _room = room::shared().await;
    let is_done = Arc::new(AtomicBool::new(false));
    let upstream = {
        let is_done = Arc::clone(&is_done);
        Receiver::start(move |_, heard| match (heard.target.as_str(), is_done.load(Ordering::Acquire)) {
            // The same key is the same order.
            ("/in", _) => {
                let location = format!("location: /orders/{}\r\nretry-after: 1\r\n", heard.header("idempotency-key"));
                reply("202 Accepted", &location, "")
            }
            ("/result", _) => reply("200 OK", "content-type: text/plain\r\n", "ramen"),
            (_, true) => reply("303 See Other", "location: /result\r\n", ""),
            (_, false) => reply("202 Accepted", "retry-after: 1\r\n", r#"{"progress": {"percent": 40}}"#),
        })
        .await
    };
    let kinds = format!("[kinds.order]\nhttp = \"{}\"\nheaders = {{ authorization = \"Bearer t\" }}\n", upstream.url());
    let mut cluster = Cluster::new(&shared_backends().await, &kinds);
    let api = cluster.api("api").await;
    cluster.worker("first");
    let id = api.submit("order", &json!({"dish": "ramen"})).await;
    until("the upstream's progress to be the job's", Duration::from_secs(20), async || {
        api.job(&id).await["progress"]["percent"] == 40.0
    })
    .await;
    cluster.process("first").kill();
    cluster.worker("second");
    let posts = || upstream.heard().into_iter().filter(|heard| heard.target == "/in").collect::<Vec<_>>();
    until("the input to be sent again", Duration::from_secs(20), async || posts().len() >= 2).await;
    is_done.store(true, Ordering::Release);
    let job = api.done(&id).await;
    assert_eq!((&job["result"]["value"], &job["attempt"]), (&json!("ramen"), &json!(1)), "{job}");
    let posts = posts();
    assert_eq!(posts.len(), 2, "it was called more often than it had to be");
    assert!(
        posts.iter().all(|heard| heard.header("idempotency-key") == id && heard.json() == json!({"dish": "ramen"}))
    );
    let fences: Vec<u32> = posts.iter().map(|heard| heard.header("raincheck-fence").parse().unwrap()).collect();
    assert!(fences[0] < fences[1], "{fences:?}");
    assert!(upstream.heard().iter().all(|heard| heard.header("authorization") == "Bearer t"));
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raincheck_can_stand_in_front_of_raincheck() {
    let _room = room::shared().await;
    let kinds = "[kinds.failing]\ncommand = [\"sh\", \"-c\", \"echo burnt >&2; exit 65\"]\n";
    let mut inner = Cluster::new(&shared_backends().await, kinds);
    let behind = inner.api("api").await;
    inner.worker("worker");
    let base = behind.address();
    let kinds = format!(
        "[kinds.meal]\nhttp = \"http://{base}/v1/kinds/takeaway/jobs\"\n[kinds.burnt]\nhttp = \"http://{base}/v1/kinds/failing/jobs\"\n"
    );
    let mut outer = Cluster::new(&shared_backends().await, &kinds);
    let api = outer.api("api").await;
    outer.worker("worker");

    let id = api.submit("meal", &json!({"dish": "ramen", "seconds": 3})).await;
    let job = api.done(&id).await;
    assert_eq!(job["result"]["value"]["dish"], "ramen", "{job}");
    assert!(job["progress"]["percent"].as_f64() >= Some(20.0), "the progress of the one behind: {job}");
    let failed = api.done(&api.submit("burnt", &json!({})).await).await;
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!("upstream-status")),
        "{failed}"
    );
    assert!(failed["error"]["detail"].to_string().contains("burnt"), "{failed}");
    for cluster in [inner, outer] {
        cluster.assert_nothing_is_left().await;
    }
}

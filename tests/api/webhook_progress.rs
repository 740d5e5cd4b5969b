//! Progress, told while it goes on, and no longer.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::leases::{lease, on_each_store, say};
use super::webhooks::{deliveries, settings, until_webhook};
use super::{assert_problem, post_job};

/// One request as it came in, which is yet to be answered.
struct Call {
    socket: TcpStream,
    id: String,
    body: Value,
}

impl Call {
    async fn taken(listener: &TcpListener) -> Self {
        let mut socket = listener.accept().await.unwrap().0;
        let mut request = Vec::new();
        loop {
            socket.read_buf(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let Ok(body) = serde_json::from_str(body) else { continue };
            let id = head.lines().find_map(|line| line.strip_prefix("webhook-id: ")).unwrap().to_owned();
            return Self { socket, id, body };
        }
    }

    fn percent(&self) -> &Value {
        &self.body["data"]["progress"]["percent"]
    }

    async fn answer(mut self) {
        self.socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    }
}

#[tokio::test]
async fn progress_that_comes_while_a_receiver_takes_its_time_is_told_as_well_and_none_once_the_job_has_ended() {
    for served in on_each_store(&settings(&[("webhooks.timeout", "20s")])).await {
        let client = &served.client;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let webhook = json!({"url": url, "events": ["job.progress"]});
        let job = post_job(client, &json!({"kind": "hauled", "input": 1, "webhook": webhook}), &[]).await.job_id();
        let held = lease(client, "hauled", "60s").await;
        let report = async |percent: u32| {
            assert_eq!(say(client, &held, "progress", &json!({"percent": percent})).await.status, 200);
        };
        report(10).await;
        let first = Call::taken(&listener).await;
        assert_eq!(first.percent(), &json!(10.0));
        report(90).await;
        let told = first.id.clone();
        first.answer().await;
        let second = Call::taken(&listener).await;
        assert_eq!(second.percent(), &json!(90.0), "nothing else was said that would have brought it");
        assert_ne!(second.id, told, "or its receiver would take it for the first once more");
        second.answer().await;
        until_webhook(client, &job, "delivered").await;

        assert_eq!(say(client, &held, "complete", &json!({})).await.status, 200);
        let delivery = deliveries(client, &job).await.remove(0);
        let again = client.send(Method::POST, delivery["links"]["redeliver"].as_str().unwrap(), &[], "").await;
        assert_problem(&again, 409, "job-already-finished");
        assert_eq!(deliveries(client, &job).await.remove(0), delivery, "nothing has changed");
        assert!(served.stop().await);
    }
}

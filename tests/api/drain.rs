//! What happens to clients when the server is asked to stop.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{get, until_held};
use crate::harness::served::Served;
use crate::harness::wait::{now, until};

#[tokio::test]
async fn a_held_read_is_answered_at_once_with_the_present_state() {
    let served = Served::idle().await;
    let id = served.client.submit("echo", &json!(1)).await;
    let path = format!("/v1/jobs/{id}?wait=20s");
    let started = now();
    let stop = async {
        until_held(&served).await;
        served.begin_to_stop();
    };
    let (held, ()) = tokio::join!(get(&served.client, &path, &[]), stop);
    assert_eq!((held.status, &held.json()["status"]), (200, &json!("queued")));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_request_in_flight_is_told_that_the_server_stops_and_new_connections_are_refused() {
    let served = Served::idle().await;
    let mut socket = TcpStream::connect(served.address).await.unwrap();
    // Its body is still on its way when draining begins.
    let head =
        "POST /v1/kinds/echo/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    socket.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n", "it is in flight");
    socket.write_all(b"ha").await.unwrap();
    served.begin_to_stop();
    until("no new connections to be taken", Duration::from_secs(5), async || {
        TcpStream::connect(served.address).await.is_err()
    })
    .await;
    socket.write_all(b"lf").await.unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("\"shutting-down\""), "{said}");
    assert!(said.to_lowercase().contains("retry-after: "), "{said}");
    assert!(served.stop().await);
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_a_stop() {
    let served = Served::idle().await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut some = [0; 16];
    assert!(idle.read(&mut some).await.unwrap() > 0);
    let started = now();
    assert!(served.stop().await);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_event_stream_ends_at_once_so_that_its_client_goes_elsewhere() {
    let served = Served::idle().await;
    let id = served.client.submit("echo", &json!(1)).await;
    let mut stream = served.client.events(&id, None).await;
    assert_eq!(stream.event().await.unwrap().name, "snapshot");
    let started = now();
    served.begin_to_stop();
    assert_eq!(stream.event().await, None);
    assert!(served.stop().await);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

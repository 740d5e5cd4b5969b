//! A job followed by somebody who has other things to do meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops and says why")]

use std::cell::Cell;
use std::time::Duration;

use raincheck_client::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const JOB: &str = r#"{"id": "j", "kind": "echo", "status": "succeeded", "done": true, "version": 3}"#;

async fn head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_ticker_beside_the_next_version_neither_holds_it_up_nor_asks_for_it_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::builder(format!("http://{}", listener.local_addr().unwrap()));
    let client = client.stream_patience(Duration::from_millis(500)).build().unwrap();
    let streams = Cell::new(0);
    // Event streams stay silent, so that they are given up once the patience is over; all else is answered.
    let serve = async {
        let mut silent = Vec::new();
        loop {
            let mut socket = listener.accept().await.unwrap().0;
            if head(&mut socket).await.contains("/events ") {
                streams.set(streams.get() + 1);
                silent.push(socket);
            } else {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
                let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{JOB}", JOB.len());
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    };
    let mut snapshots = client.job("j").stream(None);
    let follow = async {
        for ticks in 0..1000 {
            tokio::select! {
                next = snapshots.next() => return (ticks, next.unwrap().unwrap()),
                () = sleep(Duration::from_millis(20)) => {}
            }
        }
        unreachable!("twenty seconds are over, and it has asked for {} streams", streams.get())
    };
    let (ticks, job) = tokio::select! {
        followed = follow => followed,
        () = serve => unreachable!("it serves for ever"),
    };
    assert!(ticks > 0 && job.done(), "{ticks}");
    assert_eq!(streams.get(), 1);
    assert_eq!(snapshots.latest().map(raincheck_client::Job::version), Some(3));
    assert!(snapshots.next().await.is_none());
}

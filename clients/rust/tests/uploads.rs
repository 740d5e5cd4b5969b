//! Large bodies on their way up, to a server that takes its time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops and says why")]

use std::time::Duration;

use raincheck_client::{Client, Error, ErrorKind, NewJob};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

/// More than any system holds between the two.
const BODY: usize = 24 << 20;
const PATIENCE: Duration = Duration::from_millis(700);

/// Submits a large body to a server that reads as `read` does, and gives what came of it and how long that took.
async fn submitted<F: Future<Output = ()>>(read: impl Fn(TcpStream) -> F) -> (Result<String, Error>, Duration) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let client = Client::builder(format!("http://{}", listener.local_addr().unwrap()));
    let client = client.request_timeout(PATIENCE).retry_budget(Duration::ZERO).build().unwrap();
    let serve = async {
        loop {
            read(listener.accept().await.unwrap().0).await;
        }
    };
    let started = Instant::now();
    let job = NewJob::bytes("echo", "application/octet-stream", vec![7; BODY]).idempotency_key("k");
    let came = tokio::select! {
        came = client.submit(job) => came.map(|handle| handle.id().to_owned()),
        () = serve => unreachable!("it serves for ever"),
    };
    (came, started.elapsed())
}

/// Reads so much of what comes, with a pause after each mebibyte.
async fn take(socket: &mut TcpStream, mut left: usize, pause: Duration) {
    let mut piece = vec![0; 1 << 20];
    while left > 0 {
        let size = left.min(piece.len());
        socket.read_exact(&mut piece[..size]).await.unwrap();
        left -= size;
        sleep(pause).await;
    }
}

#[tokio::test]
async fn a_body_that_moves_is_not_cut_however_long_it_takes() {
    let (came, took) = submitted(|mut socket| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.contains(&format!("content-length: {BODY}\r\n")), "{head}");
        take(&mut socket, BODY, Duration::from_millis(60)).await;
        let job = r#"{"id": "j", "kind": "echo", "status": "queued", "done": false, "version": 1}"#;
        let head = "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\nconnection: close";
        let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{job}", job.len());
        socket.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    assert_eq!(came.unwrap(), "j");
    assert!(took > 2 * PATIENCE, "{took:?} is no time to be cut off in");
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up_with_an_error_that_has_the_key() {
    let (came, took) = submitted(|mut socket| async move {
        take(&mut socket, 2 << 20, Duration::ZERO).await;
        std::future::pending::<()>().await;
    })
    .await;
    let error = came.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unreachable { .. }), "{error:?}");
    assert_eq!(error.idempotency_key(), Some("k"));
    assert!(took < Duration::from_secs(20), "it took {took:?}");
}

//! Bodies of 100 MB: the memory that they take on their way through a program and back, and how long that is.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::figures::Figures;
use super::footprint::memory;
use super::load::{self, Connection};
use super::rig::Rig;
use crate::stage::wait::{alongside, now};

const SIZE: usize = 100_000_000;
const PIECE: usize = 250_000;

/// The most memory that an API and a worker have held, started anew: for one body in and out, and then for eight at once.
pub async fn bodies(rig: &mut Rig, figures: &mut Figures) {
    rig.all_done().await;
    let api = rig.cluster.api("api").await;
    api.address().clone_into(&mut rig.address);
    rig.cluster.run("worker", &["worker", "--name", "worker", "--queue", "default"]);
    for (name, count) in [("one", 1), ("eight at once", 8)] {
        let began = now();
        let passing: Vec<_> = (0..count).map(|_| alongside(pass(rig.address.clone()))).collect();
        for one in passing {
            one.await.unwrap();
        }
        figures.note(&format!("100 MB in, through `cat` and out: {name}"), began.elapsed().as_secs_f64(), "s", "");
        for who in ["api", "worker"] {
            let held = memory(rig.cluster.process(who), "VmHWM:");
            figures.note(&format!("memory at most: {who}, 100 MB in and out, {name}"), held, "MiB", "< 90");
        }
    }
}

/// Submits one, waits for its end and reads its result, without holding it here either.
async fn pass(address: String) {
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "PUT /v1/kinds/cat/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {SIZE}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![7; PIECE];
    for _ in 0..SIZE / PIECE {
        stream.write_all(&piece).await.unwrap();
    }
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    assert!(said.starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&said));
    let id = load::id_of(&said);

    let mut connection = Connection::open(&address).await;
    loop {
        let reply = connection.ask(&load::read(&format!("/v1/jobs/{id}?wait=40s"))).await;
        let text = String::from_utf8_lossy(reply.body);
        if text.contains("\"status\":\"succeeded\"") {
            break;
        }
        assert!(text.contains("\"done\":false"), "{text}");
    }

    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!("GET /v1/jobs/{id}/result HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut buffer, mut received) = (vec![0; PIECE], 0);
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        if count == 0 {
            break;
        }
        assert!(received > 0 || buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..count]));
        received += count;
    }
    assert!(received > SIZE, "{received} bytes came back");
}

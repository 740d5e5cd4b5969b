//! The load: keep-alive connections that write prepared requests and read answers. As thin as it can be, because it
//! shares the machine with what it measures.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::wait::{alongside, now};

/// One connection.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// What came back; the body is as long as its `Content-Length` said.
pub struct Reply<'a> {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

impl Connection {
    /// `address`: `HOST:PORT`.
    pub async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::with_capacity(4096) }
    }

    /// Sends one request, and waits for its answer.
    pub async fn ask(&mut self, request: &[u8]) -> Reply<'_> {
        self.stream.write_all(request).await.unwrap();
        self.read.clear();
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.stream.read_buf(&mut self.read).await.unwrap() > 0, "the server hung up");
        };
        let text = std::str::from_utf8(&self.read[..head]).unwrap();
        let status = text[9..12].parse().unwrap();
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
        });
        let end = head + length.unwrap_or(0);
        while self.read.len() < end {
            assert!(self.stream.read_buf(&mut self.read).await.unwrap() > 0, "the server hung up");
        }
        Reply { status, body: &self.read[head..end] }
    }
}

impl Connection {
    /// Reads on, after the head of an answer without a length, until this was said.
    pub async fn until(&mut self, said: &str) {
        while !self.read.windows(said.len()).any(|part| part == said.as_bytes()) {
            assert!(self.stream.read_buf(&mut self.read).await.unwrap() > 0, "the server hung up");
        }
        self.read = Vec::new();
    }
}

/// A submit of the kind `echo` with an input of 256 bytes, to be answered at once.
pub fn submit(queue: &str) -> Vec<u8> {
    submit_with(queue, "")
}

/// The same with a key, as the client packages send it: no two that came after one another are neighbours in an index.
pub fn submit_with_key(queue: &str, n: usize) -> Vec<u8> {
    // An odd factor: no two numbers get the same key.
    let key = (n as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    submit_with(queue, &format!("Idempotency-Key: \"{key:032x}\"\r\n"))
}

fn submit_with(queue: &str, header: &str) -> Vec<u8> {
    let input = format!("\"{}\"", "x".repeat(254));
    format!(
        "POST /v1/kinds/echo/jobs?queue={queue} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         {header}Content-Length: {}\r\n\r\n{input}",
        input.len()
    )
    .into_bytes()
}

/// A read of a job.
pub fn read(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// The id in a job's body, which is its first field.
pub fn id_of(body: &[u8]) -> String {
    let text = std::str::from_utf8(body).unwrap();
    let at = text.find("\"id\":\"").unwrap() + 6;
    text[at..at + 36].to_owned()
}

/// `clients` connections, each sending its next request when the last one is answered, until all `requests` are sent or the
/// time is up. `make` writes the n-th request; `expected` is the only status that counts, any other stops the trial.
/// Answers when it began, how long it took, how many were answered and how long each waited.
pub async fn closed_loop(
    addresses: &[String],
    clients: usize,
    requests: usize,
    longest: Duration,
    expected: u16,
    make: impl Fn(usize, &mut Vec<u8>) + Clone + Send + Sync + 'static,
) -> Load {
    let mut connections = Vec::new();
    for n in 0..clients {
        connections.push(Connection::open(&addresses[n % addresses.len()]).await);
    }
    let next = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let began = now();
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let (next, make) = (next.clone(), make.clone());
            alongside(async move {
                let (mut waits, mut request) = (Vec::new(), Vec::new());
                while began.elapsed() < longest {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if n >= requests {
                        break;
                    }
                    request.clear();
                    make(n, &mut request);
                    let sent = now();
                    let reply = connection.ask(&request).await;
                    assert_eq!(reply.status, expected, "{}", String::from_utf8_lossy(reply.body));
                    waits.push(sent.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap());
    }
    Load { began, took: began.elapsed(), waits }
}

/// What a closed loop saw.
pub struct Load {
    /// The first request.
    pub began: Instant,
    /// Until the last answer.
    pub took: Duration,
    /// How long each request waited for its answer.
    pub waits: Vec<Duration>,
}

impl Load {
    /// Answers in a second.
    #[expect(clippy::cast_precision_loss, reason = "counts of a trial are far below 2^52")]
    pub fn rate(&self) -> f64 {
        self.waits.len() as f64 / self.took.as_secs_f64()
    }
}

//! Somebody whom webhooks tell: a small HTTP server on loopback that keeps what it hears and answers as it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::wait::{alongside, until};

/// One request as it was heard.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The path and the query.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    /// This status, with nothing more to say.
    Status(u16),
    /// These bytes, as they are.
    Raw(String),
    /// Nothing, for as long as the caller waits.
    Silence,
}

impl Heard {
    /// A header, empty without it.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&self.body)))
    }

    /// The event that it tells.
    pub fn event(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }
}

/// The server. It stops listening when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    /// `HOST:PORT`
    pub address: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    listening: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Receiver {
    /// Listens on a free port. `reply` sees how many requests there have been before, and the request.
    pub async fn start(reply: impl Fn(usize, &Heard) -> Reply + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", reply).await
    }

    /// The same at an address that is known already.
    pub async fn at(address: &str, reply: impl Fn(usize, &Heard) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let (kept, reply) = (Arc::clone(&heard), Arc::new(reply));
        let listening = alongside(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (kept, reply) = (Arc::clone(&kept), Arc::clone(&reply));
                alongside(async move {
                    // Whoever goes away in the middle of his request was killed: that is what trials do.
                    let _ = serve(socket, &kept, &*reply).await;
                });
            }
        });
        Self { address, heard, listening }
    }

    /// Answers every request with this status.
    pub async fn answering(status: u16) -> Self {
        Self::start(move |_, _| Reply::Status(status)).await
    }

    /// Where it is called.
    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// Everything it has heard so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has heard so many requests, and answers all that it has.
    pub async fn until(&self, count: usize) -> Vec<Heard> {
        let what = format!("{count} requests at {}", self.address);
        until(&what, Duration::from_secs(30), async || self.heard().len() >= count).await;
        self.heard()
    }
}

async fn serve(
    mut socket: TcpStream,
    kept: &Mutex<Vec<Heard>>,
    reply: &(dyn Fn(usize, &Heard) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let Some(heard) = read(&mut socket).await? else { return Ok(()) };
    let reply = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = reply(kept.len(), &heard);
        kept.push(heard);
        reply
    };
    match reply {
        Reply::Status(status) => {
            let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            socket.write_all(answer.as_bytes()).await?;
        }
        Reply::Raw(answer) => socket.write_all(answer.as_bytes()).await?,
        Reply::Silence => {
            let _ = socket.read(&mut [0; 1]).await?;
        }
    }
    socket.shutdown().await
}

/// Reads one request; `None`: the caller went away.
async fn read(socket: &mut TcpStream) -> std::io::Result<Option<Heard>> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if socket.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.lines();
    let target = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let pairs = lines.filter_map(|line| line.split_once(':'));
    let headers: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if socket.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(Heard { target, headers, body }))
}

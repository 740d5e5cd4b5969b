//! A TCP proxy in front of one server for one process, or in front of one API for all clients, so that these alone can be slowed,
//! cut and partitioned.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::stage::wait::alongside;

/// What it does with what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Open,
    /// Passes everything on, so much later.
    Slow(Duration),
    /// Passes on so many bytes in 20 ms, in each direction of each connection.
    Trickle(usize),
    /// A partition: connections stay open and are accepted, and nothing passes.
    Silent,
    /// Questions pass, answers do not.
    OneWay,
    /// The server's side of every connection is closed, the client's stays open and silent, and so is every new one.
    HalfOpen,
    /// Every connection is closed, and every new one at once.
    Refuse,
}

#[derive(Debug, Clone, Copy)]
struct Orders {
    mode: Mode,
    /// Connections that are younger than the last cut live on.
    cuts: u64,
}

/// The proxy; it ends when dropped, and its connections with it.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    orders: watch::Sender<Orders>,
    passed: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of loopback and passes on to `server`, `HOST:PORT`.
    pub async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (orders, heard) = watch::channel(Orders { mode: Mode::Open, cuts: 0 });
        let passed = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&passed);
        let listening = alongside(async move {
            loop {
                match listener.accept().await {
                    Ok((client, _)) => {
                        alongside(serve(client, server.clone(), heard.clone(), Arc::clone(&counted)));
                    }
                    // Out of descriptors, or a client that was gone at once.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        Self { address, orders, passed, listening }
    }

    /// Changes what it does, for old and new connections.
    pub fn set(&self, mode: Mode) {
        self.orders.send_modify(|orders| orders.mode = mode);
    }

    /// Closes every connection in the middle of what passes next; new ones are fine.
    pub fn cut(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
    }

    /// Passes everything on again, but for what it has held back: those connections are closed.
    pub fn forget(&self) {
        self.orders.send_modify(|orders| *orders = Orders { mode: Mode::Open, cuts: orders.cuts + 1 });
    }

    /// Bytes that have passed.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

type Heard = watch::Receiver<Orders>;

async fn serve(mut client: TcpStream, server: String, mut heard: Heard, passed: Arc<AtomicU64>) {
    let cuts = heard.borrow().cuts;
    // While nothing is to be answered, the server is not troubled.
    let connectable = heard.wait_for(|orders| !matches!(orders.mode, Mode::Silent | Mode::HalfOpen)).await.is_ok();
    if !connectable || heard.borrow().mode == Mode::Refuse {
        return;
    }
    pass_on(&mut client, &server, cuts, &heard, &passed).await;
    // A half-open connection: the server's side is gone, the client's is not.
    let _ = heard.wait_for(|orders| orders.mode != Mode::HalfOpen).await;
}

/// Connects to the server and passes on until either side's end: a half-closed connection is of no use to AMQP or
/// PostgreSQL. Returns early when it is to be half open; the server's side is closed then.
async fn pass_on(client: &mut TcpStream, server: &str, cuts: u64, heard: &Heard, passed: &AtomicU64) {
    let Ok(mut upstream) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let ((client_reads, client_writes), (server_reads, server_writes)) = (client.split(), upstream.split());
    let questions = Flow { from: client_reads, to: server_writes, cuts, answers: false, heard: heard.clone() };
    let answers = Flow { from: server_reads, to: client_writes, cuts, answers: true, heard: heard.clone() };
    let mut halved = heard.clone();
    tokio::select! {
        () = questions.pass(passed) => {}
        () = answers.pass(passed) => {}
        _ = halved.wait_for(|orders| orders.mode == Mode::HalfOpen) => {}
    }
}

/// One direction of one connection.
struct Flow<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    cuts: u64,
    answers: bool,
    heard: Heard,
}

impl Flow<'_> {
    async fn pass(mut self, passed: &AtomicU64) {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = tokio::select! {
                read = self.from.read(&mut buffer) => read,
                () = closed(self.heard.clone(), self.cuts) => {
                    // In the middle of a frame if anything is on its way.
                    let rest = tokio::time::timeout(Duration::from_millis(200), self.from.read(&mut buffer)).await;
                    if let Ok(Ok(rest)) = rest && !matches!(self.heard.borrow().mode, Mode::Refuse) {
                        let _ = self.to.write_all(&buffer[..rest / 2]).await;
                    }
                    return;
                }
            };
            let Ok(count @ 1..) = read else { return };
            if self.forward(&buffer[..count]).await.is_none() {
                return;
            }
            passed.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// Passes bytes on as the mode says. `None`: the connection is over.
    async fn forward(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let mode = self.heard.borrow_and_update().mode;
            let now = match mode {
                Mode::Open => bytes.len(),
                Mode::Slow(delay) => {
                    tokio::time::sleep(delay).await;
                    bytes.len()
                }
                Mode::Trickle(most) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    bytes.len().min(most)
                }
                Mode::OneWay if !self.answers => bytes.len(),
                Mode::Silent | Mode::OneWay | Mode::HalfOpen => {
                    let closed = closed(self.heard.clone(), self.cuts);
                    tokio::select! {
                        // First: what is forgotten does not pass because all is open again.
                        biased;
                        () = closed => return None,
                        changed = self.heard.changed() => changed.ok()?,
                    }
                    continue;
                }
                Mode::Refuse => return None,
            };
            let (first, rest) = bytes.split_at(now);
            self.to.write_all(first).await.ok()?;
            bytes = rest;
        }
        Some(())
    }
}

async fn closed(mut heard: Heard, cuts: u64) {
    // When the proxy is gone its connections go too.
    let _ = heard.wait_for(|orders| orders.cuts > cuts || orders.mode == Mode::Refuse).await;
}

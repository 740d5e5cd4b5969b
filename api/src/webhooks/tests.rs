//! Calls to real receivers on loopback, some of them ill-behaved, under names that the tests give out.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use raincheck_shared::config::{Flags, Settings, load};
use raincheck_shared::domain::{CallbackUrl, TenantName};
use raincheck_shared::lifecycle::{Clock, Shutdown, SystemClock};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::destinations::{DestinationError, Destinations, Resolve, SystemResolver};
use super::dialer::{Answer, DialError, Dialer};
use super::lookups::Permit;

mod names;
mod over_tls;

/// Gives out its answers one after another, the last one for ever.
struct Names(Mutex<VecDeque<Vec<&'static str>>>);

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, _: &str, port: u16, _: Permit) -> io::Result<Vec<SocketAddr>> {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        Ok(answer.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect())
    }
}

fn names<const N: usize>(answers: [&[&'static str]; N]) -> Arc<dyn Resolve> {
    Arc::new(Names(Mutex::new(answers.iter().map(|answer| answer.to_vec()).collect())))
}

fn settings(set: &[(&str, &str)]) -> Settings {
    let mut all = BTreeMap::from([("webhooks.timeout".to_owned(), "5s".to_owned())]);
    all.extend(set.iter().map(|(key, value)| (format!("webhooks.{key}"), (*value).to_owned())));
    load(&Flags { file: Some("/dev/null".into()), set: all }, &BTreeMap::new()).unwrap()
}

const LOOPBACK: (&str, &str) = ("allow", "127.0.0.1");
const PLAIN: (&str, &str) = ("allow_http", "true");

fn destinations(set: &[(&str, &str)], resolver: Arc<dyn Resolve>) -> Destinations {
    Destinations::new(&settings(set).webhooks, resolver)
}

async fn addresses(on: &Destinations, url: &CallbackUrl) -> Result<Vec<SocketAddr>, DestinationError> {
    on.addresses(on.visit(url, &TenantName::default()).await?).await
}

fn dialer(set: &[(&str, &str)], resolver: Arc<dyn Resolve>) -> Dialer {
    let clock: Arc<dyn Clock> = SystemClock::shared();
    Dialer::new(&settings(set).webhooks, destinations(set, resolver), clock).unwrap()
}

async fn post(dialer: &Dialer, url: &str) -> Result<Answer, DialError> {
    let url: CallbackUrl = url.parse().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("webhook-id"), HeaderValue::from_static("the id"));
    dialer.post(&url, &TenantName::default(), headers, Bytes::from_static(b"{\"the\":\"body\"}")).await
}

/// Somebody who listens on loopback.
struct Receiver {
    port: u16,
    /// Connections so far.
    calls: Arc<AtomicUsize>,
    /// The last request, whole.
    heard: Arc<Mutex<String>>,
    /// Bytes that could be sent.
    sent: Arc<AtomicUsize>,
    shutdown: Shutdown,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shutdown.force();
    }
}

/// What he says, once he has heard the request.
#[derive(Clone)]
enum Reply {
    /// This, and he hangs up.
    Says(Vec<u8>),
    /// This, and then the same bytes for as long as they are taken.
    SaysForEver(Vec<u8>, Vec<u8>),
    /// This, and no more; he does not hang up either.
    FallsSilent(Vec<u8>),
}

impl Reply {
    fn status(line: &str) -> Self {
        Self::Says(format!("HTTP/1.1 {line}\r\n\r\n").into_bytes())
    }
}

impl Receiver {
    async fn replying(reply: Reply, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            calls: Arc::default(),
            heard: Arc::default(),
            sent: Arc::default(),
            shutdown: Shutdown::new(),
        };
        let (calls, heard, sent) =
            (Arc::clone(&receiver.calls), Arc::clone(&receiver.heard), Arc::clone(&receiver.sent));
        let shutdown = receiver.shutdown.clone();
        receiver.shutdown.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                calls.fetch_add(1, Ordering::SeqCst);
                let (tls, reply, heard, sent) = (tls.clone(), reply.clone(), Arc::clone(&heard), Arc::clone(&sent));
                shutdown.spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                serve(socket, reply, &heard, &sent).await;
                            }
                        }
                        None => serve(socket, reply, &heard, &sent).await,
                    }
                });
            }
        });
        receiver
    }

    async fn plain(reply: Reply) -> Self {
        Self::replying(reply, None).await
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Calls him in the clear, by his address.
    async fn call(&self) -> Result<Answer, DialError> {
        let dialer = dialer(&[LOOPBACK, PLAIN], Arc::new(SystemResolver));
        post(&dialer, &format!("http://127.0.0.1:{}/in?x=1", self.port)).await
    }
}

async fn serve(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    reply: Reply,
    heard: &Mutex<String>,
    sent: &AtomicUsize,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    *heard.lock().unwrap() = String::from_utf8(request).unwrap();
    let (Reply::Says(first) | Reply::SaysForEver(first, _) | Reply::FallsSilent(first)) = &reply;
    let _ = socket.write_all(first).await;
    let _ = socket.flush().await;
    match reply {
        Reply::Says(_) => {
            let _ = socket.shutdown().await;
        }
        Reply::SaysForEver(_, more) => {
            while socket.write_all(&more).await.is_ok() {
                sent.fetch_add(more.len(), Ordering::SeqCst);
            }
        }
        Reply::FallsSilent(_) => {
            let _ = socket.read(&mut [0; 1]).await;
        }
    }
}

#[tokio::test]
async fn a_delivery_is_posted_with_its_headers_and_its_body() {
    let receiver = Receiver::plain(Reply::Says(b"HTTP/1.1 201 Created\r\nretry-after: 7\r\n\r\nthanks".to_vec())).await;
    let answer = receiver.call().await.unwrap();
    let expected = Answer { status: 201, retry_after: Some(Duration::from_secs(7)), body: b"thanks".to_vec() };
    assert_eq!(answer, expected);
    let request = receiver.heard.lock().unwrap().to_ascii_lowercase();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "{\"the\":\"body\"}");
    assert!(head.starts_with("post /in?x=1 http/1.1\r\n"), "{head}");
    let host = format!("host: 127.0.0.1:{}", receiver.port);
    for line in
        [&*host, "webhook-id: the id", "content-type: application/json", "content-length: 14", "connection: close"]
    {
        assert!(head.lines().any(|l| l == line), "{line} in {head}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Receiver::plain(Reply::status("200 OK")).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{status} Moved\r\nlocation: http://127.0.0.1:{}/", elsewhere.port);
        let receiver = Receiver::plain(Reply::status(&location)).await;
        assert_eq!(receiver.call().await.unwrap().status, status);
    }
    assert_eq!(elsewhere.calls(), 0);
}

#[tokio::test]
async fn of_an_endless_answer_a_kibibyte_is_read() {
    let gigabyte = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n".to_vec();
    let chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend(vec![b'x'; 0x10000]);
    chunk.extend(b"\r\n");
    for (head, more) in [(gigabyte, vec![b'x'; 1 << 16]), (chunks, chunk)] {
        let receiver = Receiver::plain(Reply::SaysForEver(head, more)).await;
        let began = SystemClock.monotonic();
        let answer = receiver.call().await.unwrap();
        assert_eq!((answer.status, answer.body), (200, vec![b'x'; 1024]));
        assert!(SystemClock.monotonic() - began < Duration::from_secs(4), "left at once");
        let sent = receiver.sent.load(Ordering::SeqCst);
        assert!(sent < 16 << 20, "what was taken is bounded by the sockets' buffers: {sent}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_stalls_in_its_body_counts_by_its_status() {
    let head = b"HTTP/1.1 202 Accepted\r\ncontent-length: 100\r\n\r\nhalf of".to_vec();
    for reply in [Reply::Says(head.clone()), Reply::FallsSilent(head)] {
        let receiver = Receiver::plain(reply).await;
        let answer = receiver.call().await.unwrap();
        assert_eq!((answer.status, &*answer.body), (202, &b"half of"[..]));
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told_and_costs_no_more_than_the_timeout() {
    let endless = Reply::SaysForEver(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'x'; 1 << 16]);
    let early = Reply::SaysForEver(Vec::new(), b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100));
    for (what, reply) in [
        ("garbage", Reply::Says(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())),
        ("nothing", Reply::Says(Vec::new())),
        ("half a head", Reply::Says(b"HTTP/1.1 200 OK\r\nx: y".to_vec())),
        ("an endless head", endless),
        ("hints without end", early),
        ("silence", Reply::FallsSilent(Vec::new())),
    ] {
        let receiver = Receiver::plain(reply).await;
        let dialer = dialer(&[LOOPBACK, PLAIN, ("timeout", "700ms")], Arc::new(SystemResolver));
        let began = SystemClock.monotonic();
        let answer = post(&dialer, &format!("http://127.0.0.1:{}/", receiver.port)).await;
        assert!(matches!(answer, Err(DialError::Http(_) | DialError::Timeout(_))), "{what}: {answer:?}");
        assert!(SystemClock.monotonic() - began < Duration::from_secs(4), "{what}");
        assert!(receiver.sent.load(Ordering::SeqCst) < 64 << 20, "{what}");
    }
}

#[tokio::test]
async fn nobody_at_home_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let dialer = dialer(&[LOOPBACK, PLAIN], Arc::new(SystemResolver));
    let answer = post(&dialer, &format!("http://127.0.0.1:{port}/")).await;
    assert!(matches!(answer, Err(DialError::Connect(_))), "{answer:?}");
}

#[tokio::test]
async fn an_address_that_is_not_public_is_never_dialled() {
    let receiver = Receiver::plain(Reply::status("200 OK")).await;
    let port = receiver.port;
    let dialer = dialer(&[PLAIN], Arc::new(SystemResolver));
    for host in
        ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::127.0.0.1]", "localhost", "0.0.0.0"]
    {
        let answer = post(&dialer, &format!("http://{host}:{port}/")).await;
        assert!(matches!(answer, Err(DialError::Destination(_))), "{host}: {answer:?}");
    }
    assert_eq!(receiver.calls(), 0);
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_unless_that_is_allowed() {
    let receiver = Receiver::plain(Reply::status("200 OK")).await;
    let dialer = dialer(&[LOOPBACK], Arc::new(SystemResolver));
    let answer = post(&dialer, &format!("http://127.0.0.1:{}/", receiver.port)).await;
    assert!(matches!(answer, Err(DialError::Destination(DestinationError::Plain))), "{answer:?}");
    assert_eq!(receiver.calls(), 0);
}

#[tokio::test]
async fn a_name_that_means_another_address_later_gains_nothing() {
    let receiver = Receiver::plain(Reply::status("200 OK")).await;
    let url = format!("http://rebound.example:{}/", receiver.port);
    // Public when it is submitted, this machine when it is sent.
    let resolver = names([&["93.184.216.34"], &["127.0.0.1"]]);
    let looked_at = addresses(&destinations(&[PLAIN], Arc::clone(&resolver)), &url.parse().unwrap()).await;
    assert_eq!(looked_at.unwrap()[0].ip().to_string(), "93.184.216.34");
    let answer = post(&dialer(&[PLAIN], resolver), &url).await;
    assert!(matches!(answer, Err(DialError::Destination(DestinationError::Resolved("is this machine")))), "{answer:?}");
    assert_eq!(receiver.calls(), 0);
}

#[tokio::test]
async fn the_address_that_was_looked_at_is_the_one_that_is_dialled() {
    let receiver = Receiver::plain(Reply::status("200 OK")).await;
    let port = receiver.port;
    // Whoever resolved the name a second time would get an address that nobody answers on.
    let resolver = names([&["127.0.0.1"], &["192.0.2.1"]]);
    let answer = post(&dialer(&[LOOPBACK, PLAIN], resolver), &format!("http://inside.example:{port}/")).await;
    assert_eq!(answer.unwrap().status, 200);
    assert!(receiver.heard.lock().unwrap().contains(&format!("host: inside.example:{port}\r\n")));
}

#[tokio::test]
async fn one_address_that_may_not_be_called_spoils_the_name_unless_the_name_is_allowed() {
    let mixed = || names([&["127.0.0.1", "10.0.0.1"]]);
    let url: CallbackUrl = "https://mixed.example:8443/".parse().unwrap();
    let refused = addresses(&destinations(&[LOOPBACK], mixed()), &url).await;
    assert!(matches!(refused, Err(DestinationError::Resolved("is private"))), "{refused:?}");
    for allowed in ["mixed.example", "mixed.example:8443", "127.0.0.0/8,10.0.0.1:8443"] {
        assert_eq!(addresses(&destinations(&[("allow", allowed)], mixed()), &url).await.unwrap().len(), 2, "{allowed}");
    }
    let other = addresses(&destinations(&[("allow", "mixed.example:443")], mixed()), &url).await;
    assert!(other.is_err());
}

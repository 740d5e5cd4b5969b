//! Sockets and threads.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use raincheck_shared::config::HttpSettings;

use super::Front;
use super::every_request::every_request;
use super::routes::routes;

/// Longer than the usual proxy keeps an idle connection, so that it is never us who closes one under a request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection lingers on which a body was refused, so that the client reads why.
const LINGER: Duration = Duration::from_secs(2);

/// Binds the socket. The server begins to accept when it is first polled; its threads are its own.
pub(crate) fn listen(settings: &HttpSettings, front: Front) -> io::Result<(Server, SocketAddr)> {
    let drain = settings.drain_timeout.as_secs().saturating_add(1);
    let front = web::Data::new(front);
    let server =
        HttpServer::new(move || App::new().app_data(front.clone()).wrap(from_fn(every_request)).configure(routes))
            .disable_signals()
            .workers(settings.workers.max(1))
            .max_connections(settings.max_connections.max(1))
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_PATIENCE)
            .client_disconnect_timeout(LINGER)
            .tcp_nodelay(true)
            .shutdown_timeout(drain)
            .bind(settings.listen)?;
    let addr = server.addrs().first().copied().unwrap_or(settings.listen);
    Ok((server.run(), addr))
}

//! Sockets and threads.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::rt::net::{TcpSocket, TcpStream};
use actix_web::{App, web};
use raincheck_shared::config::HttpSettings;
use rustix::process::{Resource, getrlimit};

use super::Front;
use super::access::access;
use super::bare_errors::Connection;
use super::every_request::every_request;
use super::hang_ups::{HangUps, HungUp};
use super::patient_heads::PatientHeads;
use super::patient_writes::PatientWrites;
use super::progress::Progress;
use super::routes::routes;

/// Longer than the usual proxy keeps an idle connection, so that it is never us who closes one under a request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// Connections that the system holds while all threads are busy.
const BACKLOG: u32 = 1024;
/// How long a connection lingers on which a body was refused, so that the client reads why.
const LINGER: Duration = Duration::from_secs(2);

/// How long a client may take nothing of what is written for it.
const STALL: Duration = Duration::from_mins(1);
/// Of the files that this process may have open clients get no more than leave so many, or a quarter: the database, the broker,
/// blobs and programs need some too.
const OTHER_FILES: u64 = 2_000;

/// A client's connection, in all that is around it.
type Socket = PatientHeads<PatientWrites<HangUps<TcpStream>>>;

/// Binds the socket. The server begins to accept when it is first polled; its threads are its own.
///
/// It is put together as `actix_web::HttpServer` does, but for [`Socket`], which that has no place for.
pub(crate) fn listen(settings: &HttpSettings, front: Front) -> io::Result<(Server, SocketAddr)> {
    let socket = bind(settings.listen)?;
    let addr = socket.local_addr()?;
    let front = web::Data::new(front);
    let (workers, wanted) = (settings.workers.max(1), settings.max_connections.max(1));
    let connections = connections(wanted, workers, getrlimit(Resource::Nofile).current);
    if connections < wanted {
        tracing::info!(
            connections,
            workers,
            "fewer connections for each HTTP thread, for want of open files (ulimit -n)"
        );
    }
    let builder = ServerBuilder::new()
        .disable_signals()
        .workers(workers)
        .max_concurrent_connections(connections)
        .shutdown_timeout(settings.drain_timeout.as_secs().saturating_add(1));
    let draining = builder.graceful_shutdown_signal();
    let server = builder.listen("raincheck", socket, move || {
        let app =
            App::new().app_data(front.clone()).wrap(from_fn(access)).wrap(from_fn(every_request)).configure(routes);
        let app = app.into_factory().map_err(|error: actix_web::Error| error.error_response());
        let draining = draining.clone();
        let http = HttpService::build()
            .on_connect_ext(|socket: &Socket, extensions| {
                extensions.insert::<HungUp>(socket.inner().inner().inner().hung_up().clone());
                extensions.insert::<Progress>(socket.progress().clone());
            })
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_PATIENCE)
            .client_disconnect_timeout(LINGER)
            .local_addr(addr)
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(|io: TcpStream| async move {
            // Answers are written whole: waiting for more of them would only delay them.
            let _ = io.set_nodelay(true);
            let peer = io.peer_addr().ok();
            let progress = Progress::default();
            let socket = Connection::new(PatientWrites::new(HangUps::new(io), STALL), progress.clone());
            Ok::<_, DispatchError>((PatientHeads::new(socket, progress, HEAD_PATIENCE), Protocol::Http1, peer))
        })
        .and_then(http)
    })?;
    Ok((server.run(), addr))
}

/// Connections for each of so many threads, where a process may have so many files open.
fn connections(wanted: usize, threads: usize, files: Option<u64>) -> usize {
    let Some(files) = files else { return wanted };
    let for_clients = files - (files / 4).min(OTHER_FILES);
    let each = usize::try_from(for_clients).unwrap_or(usize::MAX) / threads;
    wanted.min(each.max(1))
}

fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the connections of the last run to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)?.into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_files_for_the_rest() {
        assert_eq!(connections(25_000, 2, None), 25_000);
        assert_eq!(connections(25_000, 2, Some(1 << 20)), 25_000);
        assert_eq!(connections(25_000, 2, Some(20_000)), 9_000);
        assert_eq!(connections(25_000, 2, Some(1024)), 384);
        assert_eq!(connections(100, 2, Some(1024)), 100);
        assert_eq!(connections(25_000, 8, Some(4)), 1);
    }
}

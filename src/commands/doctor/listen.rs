//! Can the API listen where it should?

use std::io::ErrorKind;
use std::time::Duration;

use raincheck_shared::config::HttpSettings;
use tokio::net::TcpListener;

use super::Findings;
use crate::client::{Standing, base_url, standing};

/// How long what listens there is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers whether a raincheck is there, ready or not.
pub(super) async fn check(settings: &HttpSettings, findings: &mut Findings) -> bool {
    let listen = settings.listen;
    match TcpListener::bind(listen).await {
        Ok(_) => findings.good(format!("{listen} is free to listen on")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            match standing(&base_url(listen), PATIENCE).await {
                Some(Standing::Ready(readiness)) => match readiness.troubles().collect::<Vec<_>>().join(", ") {
                    none if none.is_empty() => findings.good(format!("A raincheck is ready at {listen}")),
                    troubles => findings.doubt(
                        format!("A raincheck is ready at {listen}, but in trouble with: {troubles}"),
                        "its log says why. Jobs still run, a little later",
                    ),
                },
                Some(Standing::Unready(detail)) => {
                    findings.bad(format!("the raincheck at {listen} is not ready: {detail}"), "its log says why");
                }
                None => {
                    findings.doubt(
                        format!("{listen} is taken by another program, or by a raincheck that does not answer"),
                        "stop that, or choose another address with `http.listen`",
                    );
                    return false;
                }
            }
            return true;
        }
        Err(error) => findings.bad(
            format!("cannot listen on {listen}: {error}"),
            "set `http.listen` to an address of this machine and a port that this user may open",
        ),
    }
    false
}

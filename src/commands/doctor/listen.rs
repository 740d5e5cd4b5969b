//! Can the API listen where it should?

use std::io::ErrorKind;
use std::time::Duration;

use raincheck_shared::config::HttpSettings;
use tokio::net::TcpListener;

use super::Findings;
use crate::client::{Client, base_url};

/// Answers whether a raincheck is ready there.
pub(super) async fn check(settings: &HttpSettings, findings: &mut Findings) -> bool {
    let listen = settings.listen;
    match TcpListener::bind(listen).await {
        Ok(_) => findings.good(format!("{listen} is free to listen on")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if is_raincheck(&base_url(listen)).await {
                findings.good(format!("A raincheck is ready at {listen}"));
                return true;
            }
            findings.doubt(
                format!("{listen} is taken by another program, or by a raincheck that is not ready"),
                "stop that, or choose another address with `http.listen`",
            );
        }
        Err(error) => findings.bad(
            format!("cannot listen on {listen}: {error}"),
            "set `http.listen` to an address of this machine and a port that this user may open",
        ),
    }
    false
}

async fn is_raincheck(base: &str) -> bool {
    let Ok(client) = Client::new(base) else { return false };
    client.get("/readyz", &[], Duration::from_secs(3)).await.is_ok_and(|answer| answer.status == 200)
}

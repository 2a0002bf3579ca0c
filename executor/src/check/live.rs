//! `healer check --live`: one quick question, for HEALTHCHECK. Live is an
//! executor that answers; whether it could heal is `/readyz`'s to say, since
//! restarting the executor mends no engine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::client::Client;
use crate::config::Config;

/// Longest wait in all, under compose's and Docker's own time-outs.
const LIVE_MS_MAX: u64 = 3_000;
/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// By HTTP, or by the admin socket where HTTP is off.
pub(super) async fn check(config: &Config) -> Result<String, String> {
    match config.http_listen {
        Some(address) => {
            let address = reachable(address);
            let answer = get(address, "/healthz").await?;
            match answer.split_whitespace().nth(1) {
                Some("200") => Ok(format!("live: {address} answers")),
                _ => {
                    let line = answer.lines().next().unwrap_or_default();
                    Err(format!("{address}/healthz: {line:?}"))
                }
            }
        }
        None => match Client::connect(&config.sockets.admin).await {
            Ok(_) => Ok(format!("live: {} answers", config.sockets.admin.display())),
            Err(e) => Err(e.to_string()),
        },
    }
}

/// `GET path`; the whole answer as text.
pub(super) async fn get(address: SocketAddr, path: &str) -> Result<String, String> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut answer)
            .await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    match timeout(Duration::from_millis(LIVE_MS_MAX), asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(e)) => Err(format!("{address}: {e}; is `healer run` running?")),
        Err(_) => Err(format!("{address}: no answer within {LIVE_MS_MAX} ms")),
    }
}

/// Where a listener on all addresses is reached from here.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

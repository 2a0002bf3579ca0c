//! A TCP connection to a name or an address: the addresses of a name in turn,
//! each with a share of the time, so that one that answers nothing leaves some
//! for the next.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Connects; `within` is what is left for all that follows, too.
pub(super) async fn connect(host: &str, port: u16, within: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + within;
    let found: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    first(&found, deadline).await
}

async fn first(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let some = &addresses[..addresses.len().min(ADDRESSES_MAX)];
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (n, address) in some.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        // One share for each that is still to come, and one for what follows.
        let behind = u32::try_from(some.len() - n - 1).unwrap_or(u32::MAX);
        let share = match behind {
            0 => left,
            behind => left / behind.saturating_add(2),
        };
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) => failed = e,
            Err(_) => {
                let why = format!(
                    "{address} does not answer within {:.1} s",
                    share.as_secs_f64()
                );
                failed = io::Error::new(io::ErrorKind::TimedOut, why);
            }
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn an_address_that_answers_nothing_leaves_time_for_the_next() {
        // A full backlog: whoever comes next hears nothing.
        let hole = TcpSocket::new_v4().unwrap();
        hole.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let hole = hole.listen(0).unwrap();
        let nowhere = hole.local_addr().unwrap();
        let brief = Duration::from_millis(300);
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) = timeout(brief, TcpStream::connect(nowhere)).await {
            waiting.push(stream);
            assert!(waiting.len() < 100, "it has no bound here");
        }
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = open.local_addr().unwrap();
        let within = Duration::from_secs(3);
        let begun = Instant::now();
        let stream = first(&[nowhere, there], begun + within).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
        assert!(begun.elapsed() < within / 2, "time is left to talk");

        let failed = first(&[nowhere, nowhere], Instant::now() + brief).await;
        let failed = failed.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut, "{failed}");
        let none = first(&[], Instant::now() + brief).await.unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
    }
}

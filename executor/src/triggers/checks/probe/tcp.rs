//! Connections from the executor.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::Tried;

pub(super) async fn run(address: SocketAddr) -> Tried {
    match connect(address).await {
        Ok(_connected) => Tried::Passed,
        Err(result) => result,
    }
}

/// What the other side says is its failure; what our own side says is not.
pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, Tried> {
    TcpStream::connect(address).await.map_err(|e| {
        let why = format!("connection to {address}: {e}");
        match e.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::TimedOut => Tried::failed(why),
            _ => Tried::unable(why),
        }
    })
}

//! Connections from the executor.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::Result;

pub(super) async fn run(address: SocketAddr) -> Result {
    match connect(address).await {
        Ok(_connected) => Result::Passed,
        Err(result) => result,
    }
}

/// What the other side says is its failure; what our own side says is not.
pub(super) async fn connect(address: SocketAddr) -> std::result::Result<TcpStream, Result> {
    TcpStream::connect(address).await.map_err(|e| {
        let why = format!("connection to {address}: {e}");
        match e.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::TimedOut => Result::failed(why),
            _ => Result::unable(why),
        }
    })
}

//! The sender's side of both sockets: one line out, one line back, every wait
//! bounded.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Longest wait for the listener to take a connection, or a line.
const CONNECT_MS_MAX: u64 = 2_000;
/// Most bytes of an answer; a long history is far below.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// No such socket, or nobody listens on it: the executor is not running.
    Away(String),
    /// Anything else; whether the line was acted on is not known.
    Failed(String),
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

/// One connection.
pub(crate) struct Client {
    path: PathBuf,
    stream: UnixStream,
    /// Bytes read beyond the last answer.
    rest: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(path: &Path) -> Result<Self, ClientError> {
        let place = path.display();
        let connecting = UnixStream::connect(path);
        match timeout(Duration::from_millis(CONNECT_MS_MAX), connecting).await {
            Ok(Ok(stream)) => Ok(Self {
                path: path.to_owned(),
                stream,
                rest: Vec::new(),
            }),
            Ok(Err(e)) if is_away(&e) => Err(ClientError::Away(format!(
                "{place}: {e}; is `healer run` running?"
            ))),
            Ok(Err(e)) if e.kind() == io::ErrorKind::PermissionDenied => {
                Err(ClientError::Failed(format!(
                    "{place}: {e}; run this as root, as healer's own user, or in the socket's group"
                )))
            }
            Ok(Err(e)) => Err(ClientError::Failed(format!("{place}: {e}"))),
            Err(_) => Err(ClientError::Failed(format!(
                "{place}: the connection was not taken within {CONNECT_MS_MAX} ms; \
                 the executor hangs or is overloaded"
            ))),
        }
    }

    /// Sends a line (newline included) and waits for one, without its newline.
    pub(crate) async fn exchange(
        &mut self,
        line: &[u8],
        answer_ms_max: u64,
    ) -> Result<Vec<u8>, ClientError> {
        let place = self.path.display().to_string();
        let failed = |why: String| ClientError::Failed(format!("{place}: {why}"));
        let sending = self.stream.write_all(line);
        match timeout(Duration::from_millis(CONNECT_MS_MAX), sending).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(failed(format!("sending: {e}"))),
            Err(_) => {
                return Err(failed(format!(
                    "nothing was read from the socket within {CONNECT_MS_MAX} ms"
                )));
            }
        }
        match timeout(Duration::from_millis(answer_ms_max), self.read_line()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(e)) => Err(failed(format!("reading the answer: {e}"))),
            Err(_) => Err(failed(format!("no answer within {answer_ms_max} ms"))),
        }
    }

    async fn read_line(&mut self) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            if let Some(offset) = self.rest[searched..].iter().position(|&b| b == b'\n') {
                let tail = self.rest.split_off(searched + offset + 1);
                let mut line = std::mem::replace(&mut self.rest, tail);
                line.pop();
                return Ok(line);
            }
            searched = self.rest.len();
            if searched > ANSWER_BYTES_MAX {
                return Err(io::Error::other(format!(
                    "more than {ANSWER_BYTES_MAX} bytes"
                )));
            }
            if self.stream.read_buf(&mut self.rest).await? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the executor closed the connection",
                ));
            }
        }
    }
}

fn is_away(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// What a client says of a listener that does this with its connection.
    /// The clock stands still but for waits, so nothing here takes its time.
    fn exchanged<F: Future<Output = ()>>(
        serve: impl FnOnce(UnixStream) -> F,
    ) -> Result<Vec<u8>, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        runtime.block_on(async {
            let listener = UnixListener::bind(&path).unwrap();
            let server = async { serve(listener.accept().await.unwrap().0).await };
            let client = async {
                let mut client = Client::connect(&path).await?;
                client.exchange(b"{}\n", 5_000).await
            };
            tokio::join!(server, client).1
        })
    }

    fn said(result: Result<Vec<u8>, ClientError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn an_answer_may_come_in_pieces() {
        let answer = exchanged(async |mut stream| {
            for piece in ["{\"a\"", ":1}", "\nrest"] {
                stream.write_all(piece.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        assert_eq!(answer.unwrap(), b"{\"a\":1}");
    }

    #[test]
    fn every_wait_has_an_end() {
        let hung = exchanged(async |stream| {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            drop(stream);
        });
        assert!(said(hung).ends_with("a.sock: no answer within 5000 ms"));
        let closed = exchanged(async |stream| drop(stream));
        let closed = said(closed);
        assert!(
            ["closed the connection", "Broken pipe", "reset by peer"]
                .iter()
                .any(|words| closed.contains(words)),
            "{closed}"
        );
    }

    #[test]
    fn an_endless_answer_is_cut_off() {
        let endless = exchanged(async |mut stream| {
            let block = vec![b'x'; 64 * 1024];
            while stream.write_all(&block).await.is_ok() {}
        });
        assert!(said(endless).contains("more than 4194304 bytes"));
    }
}

//! A program of the user's own: run without a shell, the message as JSON on its
//! standard input and its main words in `HEALER_...` variables.
//!
//! It is told by its exit code. What it prints is read, and but for the first
//! of it thrown away; after the time-out it and what it has started are killed.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::super::failure::Failure;
use super::super::template::fields;
use super::{Message, json as bytes};

/// Of what it prints to standard error, for the error; the rest is thrown away.
const KEPT_BYTES_MAX: usize = 4_096;
/// Bytes read at once.
const READ_BYTES: usize = 4_096;

/// The exit code of a program that asks to be run again later (`EX_TEMPFAIL`).
const LATER: i32 = 75;

pub(super) async fn run(
    message: &Message,
    argv: &[String],
    env: &[String],
    timeout: Duration,
) -> Result<(), Failure> {
    let program = argv.first().map_or("", String::as_str);
    let mut child = command(message, argv, env).spawn().map_err(|e| {
        Failure::setup(
            format!("{program} cannot be run: {e}"),
            "see that it is there and that the executor's user may run it",
        )
    })?;
    let mut group = Group(child.id());
    let body = serde_json::Value::Object(fields(message));
    let done = tokio::time::timeout(timeout, finish(&mut child, bytes(&body))).await;
    let (status, said) = match done {
        Ok(Ok(done)) => {
            // It has ended by itself, and its number may be another's soon.
            group.0 = None;
            done
        }
        Ok(Err(e)) => return Err(Failure::later(format!("{program}: {e}"))),
        Err(_) => {
            let waited = timeout.as_secs_f64();
            return Err(Failure::later(format!(
                "{program} has not ended within {waited} s and was killed"
            )));
        }
    };
    let what = format!("{program}: {status}");
    match status.code() {
        Some(0) => Ok(()),
        Some(LATER) => Err(Failure::later(what).saying(said).answered()),
        None => Err(Failure::later(what).saying(said)),
        Some(_) => {
            let advice = "it has to exit 0 when the message is out (75: try again soon)";
            Err(Failure::setup(what, advice).saying(said))
        }
    }
}

fn command(message: &Message, argv: &[String], env: &[String]) -> Command {
    let mut words = argv.iter();
    let mut command = Command::new(words.next().map_or("", String::as_str));
    command
        .args(words)
        .env_clear()
        .envs(env.iter().chain([&"PATH".to_owned()]).filter_map(|name| {
            let value = std::env::var_os(name)?;
            Some((name.clone(), value))
        }))
        .env("HEALER_MESSAGE_ID", &message.id)
        .env("HEALER_STEP", message.step.as_str())
        .env("HEALER_SEVERITY", message.severity.as_str())
        .env("HEALER_TARGET", &message.target)
        .env("HEALER_RULE", message.rule.as_deref().unwrap_or_default())
        .env("HEALER_TITLE", &message.title)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // So that what it starts can be killed with it.
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Hands over the message and waits for the end.
async fn finish(
    child: &mut Child,
    body: Vec<u8>,
) -> std::io::Result<(std::process::ExitStatus, String)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let hand_over = async {
        if let Some(mut stdin) = stdin {
            // It need not read it.
            let _unread = stdin.write_all(&body).await;
        }
    };
    let read = async { tokio::join!(hand_over, drain(stdout), drain(stderr)) };
    // What it has left running in the background may hold its pipes open.
    tokio::pin!(read);
    let mut said = None;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            (_, _, words) = &mut read, if said.is_none() => said = Some(words),
        }
    };
    if said.is_none() {
        let rest = tokio::time::timeout(Duration::from_millis(100), &mut read).await;
        said = rest.ok().map(|(_, _, words)| words);
    }
    Ok((status, said.unwrap_or_default()))
}

/// Reads to the end and keeps the beginning.
async fn drain(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else {
        return String::new();
    };
    let mut kept = Vec::new();
    let mut buffer = [0; READ_BYTES];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let room = KEPT_BYTES_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Kills the program and what it has started when dropped, but not once it has
/// ended by itself.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.0.and_then(|pid| i32::try_from(pid).ok());
        if let Some(group) = pid.and_then(Pid::from_raw) {
            // It is gone where it has ended in good order.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

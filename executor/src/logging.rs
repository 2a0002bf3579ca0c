//! The executor's own log, on stderr: lines for people that begin as the
//! original's did, or JSON objects for programs.
//!
//! Kept true: text from containers, evidence and secrets are no fields of any
//! event (Fluent Bit may tail this very log, and a matching line in it would
//! loop); what is logged is one line, and does nothing to a terminal.

use std::fmt::{self, Write as _};
use std::io;
use std::time::SystemTime;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat, LogLevel};

/// Changes the level of the running log.
#[derive(Debug, Clone)]
pub struct LevelHandle {
    targets: reload::Handle<Targets, Registry>,
}

impl LevelHandle {
    /// Takes effect with the next event.
    pub fn set(&self, level: LogLevel) {
        // Fails only where the log itself is gone, at the very end of a process.
        let _ = self.targets.reload(targets(level));
    }
}

/// Starts the log of this process, once.
///
/// # Errors
/// Where there is one already.
pub fn init(log: Log) -> Result<LevelHandle, String> {
    let (filter, handle) = reload::Layer::new(targets(log.level));
    let registry = tracing_subscriber::registry().with(filter);
    // A log that cannot be written must not end the process: no complaint.
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .with_ansi(false);
    match log.format {
        LogFormat::Human => registry.with(layer.event_format(HumanFormat)).try_init(),
        LogFormat::Json => registry
            .with(layer.json().flatten_event(true).with_timer(Utc))
            .try_init(),
    }
    .map_err(|e| format!("cannot start the log: {e}"))?;
    Ok(LevelHandle { targets: handle })
}

/// Our own events only; libraries have nothing to say to an operator.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_target("healer", level)
}

/// UTC with milliseconds, as RFC 3339 writes it.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{}", humantime::format_rfc3339_millis(SystemTime::now()))
    }
}

/// `[healer] 2025-10-20T21:07:32.125Z WARN what happened key=value`; the usual
/// level, INFO, goes without saying.
struct HumanFormat;

impl<S, N> FormatEvent<S, N> for HumanFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        Utc.format_time(&mut Writer::new(&mut line))?;
        if *event.metadata().level() != Level::INFO {
            write!(line, " {}", event.metadata().level())?;
        }
        line.push(' ');
        ctx.field_format()
            .format_fields(Writer::new(&mut line), event)?;
        // The engine's words and container names are somebody else's text.
        let line = line.replace(char::is_control, " ");
        writeln!(writer, "[healer] {line}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(emit: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .event_format(HumanFormat);
        let subscriber = tracing_subscriber::registry()
            .with(targets(LogLevel::Info))
            .with(layer);
        tracing::subscriber::with_default(subscriber, emit);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_begin_as_the_originals_did() {
        let line = logged(|| tracing::info!("Restarting container '{}' ...", "app"));
        let (prefix, rest) = line.split_once("Z ").unwrap();
        assert!(prefix.starts_with("[healer] 20"), "{line}");
        assert_eq!(rest, "Restarting container 'app' ...\n");
    }

    #[test]
    fn other_levels_are_named_and_fields_shown() {
        let line = logged(|| tracing::warn!(target_name = "app", "held"));
        assert!(
            line.ends_with("Z WARN held target_name=\"app\"\n"),
            "{line}"
        );
        assert_eq!(logged(|| tracing::debug!("not shown")), "");
        assert_eq!(logged(|| tracing::error!(target: "other", "not ours")), "");
    }

    #[test]
    fn nobody_elses_text_makes_a_second_line_or_colours_a_terminal() {
        let line = logged(|| tracing::info!("engine said {}", "a\u{1b}[31m\n[healer] forged"));
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
}

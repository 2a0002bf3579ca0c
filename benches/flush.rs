//! What Flush costs: microseconds for each MB, and bytes per second, through the rlib, for a
//! chunk in which no line matches a rule or every one does, and with a pattern of progress
//! that no line has or every one.
//!
//! Whole-process figures against Fluent Bit's null output are another bench's
//! job; this one shows where the time in the plugin goes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use out_healer::config::{Config, RawConfig};
use out_healer::instance::Instance;
use out_healer::metrics::NoMetrics;

/// Lines of one chunk: 2 MB, the size at which Fluent Bit closes one.
const LINES: usize = 10_000;
const ID: &str = "a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e01e0d66b8a5e0";

fn main() {
    let dull = chunk("step 1234: loss 0.0312, 182 tokens/s, nothing of note on this line at all");
    let loud =
        chunk("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB");
    let dry = RawConfig {
        dry_run: Some("on".into()),
        ..RawConfig::default()
    };
    measure("no line matches", &dry, &dull);
    measure("every line matches (dry run)", &dry, &loud);
    // Nobody listens: after the first chunk that is no system call for a second.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let progress = |text: &str| RawConfig {
        socket: Some(
            dir.path()
                .join("nobody.sock")
                .to_str()
                .expect("UTF-8")
                .into(),
        ),
        progress: Some(text.into()),
        ..RawConfig::default()
    };
    measure("no line is progress", &progress("Processed batch"), &dull);
    measure(
        "every line is progress",
        &progress("nothing of note"),
        &dull,
    );
}

fn measure(what: &str, raw: &RawConfig, chunk: &[u8]) {
    let config = Config::new(raw).expect("the settings are valid");
    let instance = Instance::new(config, Box::new(NoMetrics));
    let tag = format!("docker.{ID}");
    let mut best = Duration::MAX;
    for now_ms in 0..50 {
        let began = Instant::now();
        black_box(instance.flush(now_ms, black_box(chunk), tag.as_bytes()));
        best = best.min(began.elapsed());
    }
    let per_mb = best.as_secs_f64() * 1e6 / (chunk.len() as f64 / 1e6);
    let rate = chunk.len() as f64 / best.as_secs_f64() / 1e9;
    #[allow(clippy::print_stdout)]
    {
        println!(
            "{what:30} {per_mb:9.1} us/MB  {rate:6.2} GB/s  ({} bytes)",
            chunk.len()
        );
    }
}

/// Events as Docker's JSON lines become them: time, log, stream, path.
fn chunk(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let string = |bytes: &mut Vec<u8>, text: &str| {
        bytes.push(0xda);
        bytes.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
        bytes.extend(text.as_bytes());
    };
    for i in 0..LINES {
        bytes.extend([0x92, 0x92, 0xd7, 0x00]);
        bytes.extend((1_760_978_850 + i as u32 / 100).to_be_bytes());
        bytes.extend((i as u32).to_be_bytes());
        bytes.extend([0x80, 0x83]);
        string(&mut bytes, "log");
        string(&mut bytes, text);
        string(&mut bytes, "stream");
        string(&mut bytes, "stderr");
        string(&mut bytes, "filepath");
        string(
            &mut bytes,
            &format!("/var/lib/docker/containers/{ID}/{ID}-json.log"),
        );
    }
    bytes
}

//! Intents as senders write them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

/// The wall clock since the epoch.
pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
}

/// A container ran out of GPU memory this moment.
pub(crate) fn oom(target: Value) -> Value {
    at(now(), "cuda-oom", target)
}

/// One line that matched a rule, printed at a time since the epoch.
pub(crate) fn at(time: Duration, rule: &str, target: Value) -> Value {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    json!({
        "v": 1,
        "type": "intent",
        "id": format!("{}-{count}", std::process::id()),
        "target": target,
        "rule": rule,
        "remedy": "restart",
        "times": [[time.as_secs(), 1]],
        "last": [time.as_secs(), time.subsec_nanos()],
        "sample": SAMPLE,
        "tag": "docker.test",
        "source": "test",
    })
}

/// The line that every intent of [`oom`] quotes. It must show up nowhere.
pub(crate) const SAMPLE: &str = "RuntimeError: CUDA out of memory (sample-7f3a)";

/// The target by a container's id.
pub(crate) fn by_id(id: &str) -> Value {
    json!({ "id": id })
}

/// The target by a container's name.
pub(crate) fn by_name(name: &str) -> Value {
    json!({ "name": name })
}

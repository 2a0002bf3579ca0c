//! The plugin's metrics on the host's own endpoint, by the host's metrics
//! library: found in the global scope, since the executable exports it; where
//! it does not, the plugin does without.
//!
//! Every series is created in `new`. After that the host's lookups only read
//! and its figures are atomic, so the calls need no lock of ours.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_double, c_int, c_void};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::metrics::{Counter, Gauge, Metrics};

type Create = unsafe extern "C" fn(
    cmt: *mut c_void,
    ns: *const c_char,
    subsystem: *const c_char,
    name: *const c_char,
    help: *const c_char,
    label_count: c_int,
    label_keys: *const *const c_char,
) -> *mut c_void;
type Update = unsafe extern "C" fn(
    metric: *mut c_void,
    timestamp: u64,
    value: c_double,
    label_count: c_int,
    label_values: *const *const c_char,
) -> c_int;
type Encode = unsafe extern "C" fn(cmt: *mut c_void, add_timestamp: c_int) -> *mut c_char;
type Free = unsafe extern "C" fn(text: *mut c_char);

/// One instance's metrics.
pub(super) struct Cmt {
    counter_add: Update,
    gauge_set: Update,
    instance: CString,
    counters: BTreeMap<Counter, Metric>,
    gauges: BTreeMap<Gauge, *mut c_void>,
}

struct Metric {
    handle: *mut c_void,
    labels: Vec<(String, CString)>,
}

// SAFETY: see the module's description; the handles belong to the host's
// instance and live until after its Exit.
unsafe impl Send for Cmt {}
// SAFETY: as above.
unsafe impl Sync for Cmt {}

impl Cmt {
    /// Creates all metrics and series in `cmt`, the host's context for one
    /// instance. None where the library is missing or refuses.
    pub(super) fn new(cmt: *mut c_void, instance: &CStr, rules: &[String]) -> Option<Self> {
        // SAFETY: the library's signatures, unchanged since its first release.
        let (counter_create, gauge_create, counter_add, gauge_set) = unsafe {
            (
                find::<Create>(c"cmt_counter_create")?,
                find::<Create>(c"cmt_gauge_create")?,
                find::<Update>(c"cmt_counter_add")?,
                find::<Update>(c"cmt_gauge_set")?,
            )
        };
        let mut metrics = Self {
            counter_add,
            gauge_set,
            instance: instance.into(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
        };
        for counter in Counter::ALL {
            let handle = create(
                cmt,
                counter_create,
                counter.name(),
                counter.help(),
                counter.label(),
            )?;
            let labels = counter
                .labels(rules)
                .into_iter()
                .filter_map(|label| Some((label.clone(), CString::new(label).ok()?)))
                .collect();
            metrics.counters.insert(counter, Metric { handle, labels });
        }
        for gauge in Gauge::ALL {
            let handle = create(cmt, gauge_create, gauge.name(), gauge.help(), None)?;
            metrics.gauges.insert(gauge, handle);
        }
        metrics.create_series(rules);
        Some(metrics)
    }

    fn create_series(&self, rules: &[String]) {
        for counter in Counter::ALL {
            for label in counter.labels(rules) {
                self.add(counter, &label, 0);
            }
        }
        for gauge in Gauge::ALL {
            self.set(gauge, 0);
        }
    }
}

impl Metrics for Cmt {
    fn add(&self, counter: Counter, label: &str, amount: u64) {
        let Some(metric) = self.counters.get(&counter) else {
            return;
        };
        let Some((_, label)) = metric.labels.iter().find(|(known, _)| known == label) else {
            return;
        };
        let values = [self.instance.as_ptr(), label.as_ptr()];
        let count = if counter.label().is_some() { 2 } else { 1 };
        // SAFETY: `handle` is a counter with that many labels.
        unsafe {
            (self.counter_add)(
                metric.handle,
                now_ns(),
                amount as f64,
                count,
                values.as_ptr(),
            );
        }
    }

    fn set(&self, gauge: Gauge, value: u64) {
        let Some(&handle) = self.gauges.get(&gauge) else {
            return;
        };
        let values = [self.instance.as_ptr()];
        // SAFETY: `handle` is a gauge with one label.
        unsafe {
            (self.gauge_set)(handle, now_ns(), value as f64, 1, values.as_ptr());
        }
    }
}

fn create(
    cmt: *mut c_void,
    create: Create,
    name: &str,
    help: &str,
    label: Option<&str>,
) -> Option<*mut c_void> {
    let name = CString::new(name).ok()?;
    let help = CString::new(help).ok()?;
    let label = label.map(CString::new).transpose().ok()?;
    let mut keys = vec![c"name".as_ptr()];
    keys.extend(label.as_ref().map(|label| label.as_ptr()));
    let count = if label.is_some() { 2 } else { 1 };
    // SAFETY: `cmt` is the host's context; the library copies the strings.
    let handle = unsafe {
        create(
            cmt,
            c"healer".as_ptr(),
            c"plugin".as_ptr(),
            name.as_ptr(),
            help.as_ptr(),
            count,
            keys.as_ptr(),
        )
    };
    (!handle.is_null()).then_some(handle)
}

/// The instance's name, as the host's own metrics of it are labelled.
pub(super) fn instance_name(cmt: *mut c_void) -> Option<String> {
    // SAFETY: the library's signatures; the text is the library's until freed.
    let text = unsafe {
        let encode = find::<Encode>(c"cmt_encode_prometheus_create")?;
        let free = find::<Free>(c"cmt_encode_prometheus_destroy")?;
        let text = encode(cmt, 0);
        if text.is_null() {
            return None;
        }
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        free(text);
        copy
    };
    let (_, rest) = text.split_once("{name=\"")?;
    let (name, _) = rest.split_once('"')?;
    (!name.is_empty()).then(|| name.into())
}

/// A function of the executable's, by name.
///
/// # Safety
/// `F` is the type of the function of that name.
unsafe fn find<F>(name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    // SAFETY: the name ends with a zero.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: a function's address, and the caller knows its type.
    (!symbol.is_null()).then(|| unsafe { std::mem::transmute_copy(&symbol) })
}

fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

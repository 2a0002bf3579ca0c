//! Plays Fluent Bit: loads the built plugin, registers it, gives it settings, a
//! logger and metrics, hands it chunks, and unloads it, all through the real
//! entry points.

use std::ffi::{CStr, CString, c_char, c_double, c_int, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use fluent_bit_sys::{
    flb_api, flb_plugin_proxy_context, flb_plugin_proxy_def, flbgo_output_plugin,
};

use super::stack;
use super::tools;

/// What Flush returns.
pub(crate) const FLB_ERROR: i32 = 0;
pub(crate) const FLB_OK: i32 = 1;
pub(crate) const FLB_RETRY: i32 = 2;

/// Sizes that the register struct has had: up to 4.2, since 5.0, since 5.1.1.
pub(crate) const STRUCT_SIZES: [usize; 3] = [32, 40, 48];

type PreRegister = extern "C" fn(c_int) -> c_int;
type Register = unsafe extern "C" fn(*mut flb_plugin_proxy_def) -> c_int;
type Init = unsafe extern "C" fn(*mut flbgo_output_plugin) -> c_int;
type FlushCtx = unsafe extern "C" fn(*mut c_void, *const c_void, usize, *const c_char) -> c_int;
type ExitCtx = unsafe extern "C" fn(*mut c_void) -> c_int;

/// The plugin, loaded as the host does it. Unloaded when dropped.
pub(crate) struct Plugin {
    handle: *mut c_void,
}

// SAFETY: a handle for dlsym and dlclose, which may be called from any thread.
unsafe impl Sync for Plugin {}

/// What Register wrote, and around.
pub(crate) struct Registration {
    pub(crate) code: i32,
    pub(crate) kind: i32,
    pub(crate) proxy: i32,
    pub(crate) name: String,
    pub(crate) description: String,
    /// No byte outside the five fields was touched.
    pub(crate) is_clean: bool,
}

impl Plugin {
    /// The plugin as cargo has just built it.
    pub(crate) fn load() -> Self {
        Self::load_from(&tools::plugin_so())
    }

    pub(crate) fn load_from(file: &Path) -> Self {
        let path = CString::new(file.to_str().expect("UTF-8")).expect("no zero");
        // SAFETY: a path; the library's initialisers are trusted.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY) };
        assert!(!handle.is_null(), "{}: {}", file.display(), dl_error());
        Self { handle }
    }

    /// # Safety
    /// `F` is the type of the function of that name.
    unsafe fn entry<F>(&self, name: &CStr) -> F {
        // SAFETY: the handle is open.
        let symbol = unsafe { libc::dlsym(self.handle, name.as_ptr()) };
        assert!(!symbol.is_null(), "{name:?}: {}", dl_error());
        // SAFETY: the caller knows the type.
        unsafe { std::mem::transmute_copy(&symbol) }
    }

    /// PreRegister, as hosts since hot reload call it, then Register.
    pub(crate) fn announce_and_register(&self, is_hot: bool, bytes: usize) -> Registration {
        // The host has one thread for this; tests in one process have many.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // SAFETY: the interface's type.
        let pre_register: PreRegister = unsafe { self.entry(c"FLBPluginPreRegister") };
        assert_eq!(pre_register(c_int::from(is_hot)), 0);
        self.register(bytes)
    }

    /// Only Register, with a struct of `bytes` that ends where memory ends.
    pub(crate) fn register(&self, bytes: usize) -> Registration {
        const PAGE: usize = 4_096;
        const FILL: u8 = 0x5a;
        // SAFETY: the interface's type.
        let register: Register = unsafe { self.entry(c"FLBPluginRegister") };
        // SAFETY: two pages, the second made inaccessible; the struct lies at
        // the end of the first, aligned to eight as its sizes are.
        unsafe {
            let mapping = libc::mmap(
                std::ptr::null_mut(),
                2 * PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(mapping, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(mapping.add(PAGE), PAGE, libc::PROT_NONE), 0);
            mapping.cast::<u8>().write_bytes(FILL, PAGE);
            let def = mapping.add(PAGE - bytes).cast::<flb_plugin_proxy_def>();
            let code = register(def);
            let page = std::slice::from_raw_parts(mapping.cast::<u8>(), PAGE);
            let (before, after) = page.split_at(PAGE - bytes);
            let is_clean = before
                .iter()
                .chain(&after[12..16])
                .chain(&after[32..])
                .all(|byte| *byte == FILL);
            let registration = Registration {
                code,
                kind: (*def).type_,
                proxy: (*def).proxy,
                name: text((*def).name),
                description: text((*def).description),
                is_clean,
            };
            libc::munmap(mapping, 2 * PAGE);
            registration
        }
    }

    /// What a cold start does before the first Init.
    pub(crate) fn start(&self) {
        assert_eq!(self.announce_and_register(false, 48).code, 0);
    }

    /// Makes the instance of a section; fails with what it logged.
    pub(crate) fn init(
        &self,
        name: &str,
        properties: &[(&str, &str)],
    ) -> Result<Output<'_>, String> {
        // SAFETY: the interface's type.
        let init: Init = unsafe { self.entry(c"FLBPluginInit") };
        let mut output = Output {
            plugin: self,
            section: Box::new(Section::new(name, properties)),
            context: Box::new(flb_plugin_proxy_context {
                remote_context: std::ptr::null_mut(),
            }),
            api: Box::new(api()),
        };
        let mut argument = flbgo_output_plugin {
            name: c"healer".as_ptr().cast_mut(),
            api: &mut *output.api,
            o_ins: std::ptr::from_mut(&mut *output.section).cast(),
            context: &mut *output.context,
        };
        // SAFETY: everything that the interface asks for lives in `output`.
        let code = unsafe { init(&mut argument) };
        if code == 1 {
            // SAFETY: ours.
            unsafe { (metrics_library().freeze)(output.section.cmt) };
            return Ok(output);
        }
        assert!(output.context.remote_context.is_null());
        let said = output.lines().join("\n");
        Err(said)
    }
}

impl Plugin {
    /// Calls every entry point with null where the host gives a pointer.
    pub(crate) fn refuses_null(&self) {
        let null = std::ptr::null_mut::<c_void>();
        // SAFETY: the interface's types; null is what is tested.
        unsafe {
            let register: Register = self.entry(c"FLBPluginRegister");
            assert_eq!(register(null.cast()), -1);
            let init: Init = self.entry(c"FLBPluginInit");
            assert!(init(null.cast()) <= 0);
            let flush: FlushCtx = self.entry(c"FLBPluginFlushCtx");
            assert_eq!(flush(null, null, 0, std::ptr::null()), FLB_ERROR);
            let exit: ExitCtx = self.entry(c"FLBPluginExitCtx");
            exit(null);
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once; nothing of it is in use.
        unsafe { libc::dlclose(self.handle) };
    }
}

/// One `[OUTPUT]` section with its instance. Exits when dropped.
pub(crate) struct Output<'p> {
    plugin: &'p Plugin,
    section: Box<Section>,
    context: Box<flb_plugin_proxy_context>,
    api: Box<flb_api>,
}

// SAFETY: the host flushes one instance from several threads at once; so does
// this stand-in, and the plugin must bear it.
unsafe impl Sync for Output<'_> {}

/// The host's `flb_output_instance`, opaque to the plugin.
struct Section {
    properties: Vec<(CString, CString)>,
    name: String,
    cmt: *mut c_void,
}

impl Section {
    fn new(name: &str, properties: &[(&str, &str)]) -> Self {
        let c = |text: &str| CString::new(text).expect("no zero");
        Self {
            properties: properties.iter().map(|(k, v)| (c(k), c(v))).collect(),
            name: name.into(),
            // SAFETY: a name; freed with the section.
            cmt: unsafe { (metrics_library().new)(c(name).as_ptr()) },
        }
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        // SAFETY: ours, and the plugin's instance has gone.
        unsafe { (metrics_library().free)(self.cmt) };
    }
}

impl Output<'_> {
    /// Flushes one chunk on the caller's stack.
    pub(crate) fn flush(&self, chunk: &[u8], tag: &str) -> i32 {
        // SAFETY: the interface's type.
        let flush: FlushCtx = unsafe { self.plugin.entry(c"FLBPluginFlushCtx") };
        let tag = CString::new(tag).expect("no zero");
        // SAFETY: what Init stored, and bytes that live through the call.
        unsafe {
            flush(
                self.context.remote_context,
                chunk.as_ptr().cast(),
                chunk.len(),
                tag.as_ptr(),
            )
        }
    }

    /// What this instance logged so far, as `level text`.
    pub(crate) fn lines(&self) -> Vec<String> {
        let prefix = format!("[output:healer:{}] ", self.section.name);
        log()
            .iter()
            .filter_map(|(level, line)| Some((level, line.strip_prefix(&prefix)?)))
            .map(|(level, line)| format!("{level} {line}"))
            .collect()
    }

    /// A figure by its name behind `healer_plugin_` and its second label.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let key = CString::new(format!("healer_plugin_{name}{{{label}}}")).expect("no zero");
        // SAFETY: ours.
        unsafe { (metrics_library().value)(self.section.cmt, key.as_ptr()) }
    }

    /// Exits, and gives what was logged up to the end.
    pub(crate) fn exit_and_lines(mut self) -> Vec<String> {
        self.exit();
        self.lines()
    }

    fn exit(&mut self) {
        let context = std::mem::replace(&mut self.context.remote_context, std::ptr::null_mut());
        if !context.is_null() {
            // SAFETY: the interface's type; once, after the last flush.
            unsafe {
                let exit: ExitCtx = self.plugin.entry(c"FLBPluginExitCtx");
                exit(context);
            }
        }
    }

    /// Series that were made after Init.
    pub(crate) fn late_series(&self) -> i32 {
        // SAFETY: ours.
        unsafe { (metrics_library().late)(self.section.cmt) }
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        self.exit();
    }
}

/// Every line that any instance logged, with its level.
static LOG: Mutex<Vec<(i32, String)>> = Mutex::new(Vec::new());
/// Deepest call of the logger on a small stack.
static LOG_DEPTH_MAX: AtomicUsize = AtomicUsize::new(0);
/// Whether the logger takes as much stack as the real one's worst.
static BURNS: AtomicBool = AtomicBool::new(false);

fn log() -> Vec<(i32, String)> {
    LOG.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone()
}

/// Forgets every line that was logged.
pub(crate) fn forget_log() {
    let mut log = LOG
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    *log = Vec::new();
}

/// Lets the logger burn 10 KiB of stack from now on, or not.
pub(crate) fn let_logger_burn(burns: bool) {
    BURNS.store(burns, Ordering::SeqCst);
}

/// The deepest call of the logger since the last question, bytes.
pub(crate) fn take_log_depth() -> usize {
    LOG_DEPTH_MAX.swap(0, Ordering::SeqCst)
}

/// The deepest call of the metrics library on this thread's small stack, bytes.
pub(crate) fn depth_of_metrics_calls(top: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    // SAFETY: no arguments.
    let lowest = unsafe { (metrics_library().lowest)() };
    if lowest.is_null() {
        None
    } else {
        top(lowest as usize)
    }
}

fn api() -> flb_api {
    // The host's function is variadic. On the supported systems its first six
    // arguments arrive as those of an ordinary function do.
    type Fixed =
        extern "C" fn(c_int, *const c_char, c_int, *const c_char, *const c_char, *const c_char);
    type Variadic = unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, ...);
    // SAFETY: see above.
    let log_print = unsafe { std::mem::transmute::<Fixed, Variadic>(log_print) };
    flb_api {
        output_get_property: Some(output_get_property),
        input_get_property: None,
        output_get_cmt_instance: Some(output_get_cmt_instance),
        input_get_cmt_instance: None,
        log_print: Some(log_print),
        input_log_check: None,
        output_log_check: Some(output_log_check),
    }
}

unsafe extern "C" fn output_get_property(key: *const c_char, o_ins: *mut c_void) -> *const c_char {
    // SAFETY: what `init` gave.
    let (section, key) = unsafe { (&*o_ins.cast::<Section>(), CStr::from_ptr(key)) };
    section
        .properties
        .iter()
        .find(|(known, _)| known.to_bytes().eq_ignore_ascii_case(key.to_bytes()))
        .map_or(std::ptr::null(), |(_, value)| value.as_ptr())
}

unsafe extern "C" fn output_get_cmt_instance(o_ins: *mut c_void) -> *mut c_void {
    // SAFETY: what `init` gave.
    unsafe { (*o_ins.cast::<Section>()).cmt }
}

/// Everything up to info.
unsafe extern "C" fn output_log_check(_: *mut c_void, level: c_int) -> c_int {
    c_int::from(level <= 3)
}

extern "C" fn log_print(
    level: c_int,
    _file: *const c_char,
    _line: c_int,
    format: *const c_char,
    instance: *const c_char,
    message: *const c_char,
) {
    let here = 0_u8;
    if let Some(depth) = stack::depth_of(std::ptr::from_ref(&here) as usize) {
        LOG_DEPTH_MAX.fetch_max(depth, Ordering::SeqCst);
    }
    if BURNS.load(Ordering::SeqCst) {
        burn();
    }
    assert_eq!(text(format), "[output:healer:%s] %s");
    let line = format!("[output:healer:{}] {}", text(instance), text(message));
    if let Ok(mut lines) = LOG.lock() {
        lines.push((level, line));
    }
}

#[inline(never)]
fn burn() {
    let mut bytes = [0_u8; 10 * 1_024];
    std::hint::black_box(&mut bytes).fill(1);
}

fn text(text: *const c_char) -> String {
    assert!(!text.is_null());
    // SAFETY: not null, and all strings here end with a zero.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

fn dl_error() -> String {
    // SAFETY: no arguments; the text is copied at once.
    let error = unsafe { libc::dlerror() };
    if error.is_null() {
        "no reason given".into()
    } else {
        text(error)
    }
}

/// `fake_cmt.c`, loaded into the global scope as an executable's exports are.
struct MetricsLibrary {
    new: unsafe extern "C" fn(*const c_char) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
    freeze: unsafe extern "C" fn(*mut c_void),
    late: unsafe extern "C" fn(*mut c_void) -> c_int,
    value: unsafe extern "C" fn(*mut c_void, *const c_char) -> c_double,
    lowest: unsafe extern "C" fn() -> *const u8,
}

fn metrics_library() -> &'static MetricsLibrary {
    static LIBRARY: OnceLock<MetricsLibrary> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let object = dir.path().join("libfake_cmt.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/fake_cmt.c");
        tools::run(
            std::process::Command::new("cc")
                .args([
                    "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-pthread", "-o",
                ])
                .args([&object, &source]),
        );
        let path = CString::new(object.to_str().expect("UTF-8")).expect("no zero");
        // SAFETY: our own library, whose functions have these types; it stays
        // loaded, so its file may go.
        unsafe {
            let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL);
            assert!(!handle.is_null(), "{}", dl_error());
            let library = Plugin { handle };
            let found = MetricsLibrary {
                new: library.entry(c"fake_cmt_new"),
                free: library.entry(c"fake_cmt_free"),
                freeze: library.entry(c"fake_cmt_freeze"),
                late: library.entry(c"fake_cmt_late"),
                value: library.entry(c"fake_cmt_value"),
                lowest: library.entry(c"fake_cmt_lowest"),
            };
            std::mem::forget(library);
            found
        }
    })
}

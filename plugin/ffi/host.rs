//! The host's functions behind safe ones.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use fluent_bit_sys::{FLB_LOG_DEBUG, FLB_LOG_ERROR, FLB_LOG_INFO, FLB_LOG_WARN, flb_api};

use super::cmt::{self, Cmt};
use crate::log::{Level, Line};
use crate::metrics::{Metrics, NoMetrics};

type LogPrint = unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, ...);

unsafe extern "C" {
    /// `shim.c`: the one variadic call.
    fn log_healer_print(
        print: LogPrint,
        level: c_int,
        instance: *const c_char,
        message: *const c_char,
    );
}

/// One instance's way to the host.
pub(super) struct Host {
    api: *const flb_api,
    o_ins: *mut c_void,
    name: CString,
}

// SAFETY: the host's logger and its level check may be called from any of its
// threads; the rest is called in Init only.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    /// None where the host gave no interface.
    ///
    /// # Safety
    /// `api` and `o_ins` are null or stay valid as long as the result lives.
    pub(super) unsafe fn new(api: *const flb_api, o_ins: *mut c_void) -> Option<Self> {
        (!api.is_null() && !o_ins.is_null()).then(|| Self {
            api,
            o_ins,
            name: c"healer".into(),
        })
    }

    fn api(&self) -> &flb_api {
        // SAFETY: `new` demands that it is valid while `self` lives.
        unsafe { &*self.api }
    }

    /// A setting of the `[OUTPUT]` section.
    pub(super) fn property(&self, key: &str) -> Option<String> {
        let get = self.api().output_get_property?;
        let key = CString::new(key).ok()?;
        // SAFETY: the key ends with a zero; `o_ins` is valid.
        let value = unsafe { get(key.as_ptr(), self.o_ins) };
        copy(value)
    }

    /// Learns the name that the host's own log lines and metrics use: the
    /// section's alias, else `healer.N`. The interface has no question for it,
    /// but the host's metrics of this instance carry it as a label.
    pub(super) fn find_name(&mut self, number: usize) {
        let name = self
            .cmt_instance()
            .and_then(cmt::instance_name)
            .unwrap_or_else(|| format!("healer.{number}"));
        self.name = CString::new(name).unwrap_or_else(|_| c"healer".into());
    }

    /// The host's metrics, or none where it does not export them.
    pub(super) fn metrics(&self, rules: &[String]) -> Box<dyn Metrics> {
        match self
            .cmt_instance()
            .and_then(|cmt| Cmt::new(cmt, &self.name, rules))
        {
            Some(cmt) => Box::new(cmt),
            None => Box::new(NoMetrics),
        }
    }

    /// Hands lines to the host's logger, as far as the section's level lets
    /// them through. To be called from an entry point's own frame: the logger
    /// takes up to 10 KiB of stack.
    pub(super) fn print(&self, lines: &[Line]) {
        let Some(print) = self.api().log_print else {
            return;
        };
        for line in lines {
            let level = match line.level {
                Level::Error => FLB_LOG_ERROR,
                Level::Warn => FLB_LOG_WARN,
                Level::Info => FLB_LOG_INFO,
                Level::Debug => FLB_LOG_DEBUG,
            };
            let level = level.cast_signed();
            let Ok(text) = CString::new(line.text.as_str()) else {
                continue;
            };
            if !self.prints(level) {
                continue;
            }
            // SAFETY: both strings end with a zero and live through the call.
            unsafe { log_healer_print(print, level, self.name.as_ptr(), text.as_ptr()) };
        }
    }

    fn prints(&self, level: c_int) -> bool {
        match self.api().output_log_check {
            // SAFETY: `o_ins` is valid.
            Some(check) => unsafe { check(self.o_ins, level) != 0 },
            None => true,
        }
    }

    fn cmt_instance(&self) -> Option<*mut c_void> {
        let get = self.api().output_get_cmt_instance?;
        // SAFETY: `o_ins` is valid.
        let cmt = unsafe { get(self.o_ins) };
        (!cmt.is_null()).then_some(cmt)
    }
}

/// Copies a C string of the host's.
fn copy(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: it ends with a zero and lives through this call.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

//! The exported entry points, each a few lines over a safe function. This
//! module and its children are the only ones with `unsafe`.
//!
//! What the host promises, and every SAFETY note below rests on:
//! - the argument of Register points to at least 32 writable bytes (the struct
//!   up to version 4.2); nothing beyond the five fields is touched;
//! - the argument of Init, its `api`, `o_ins` and `context` are valid for that
//!   call, `api` and `o_ins` until the instance's Exit has returned;
//! - Flush and Exit get the pointer that Init stored, Exit once and after the
//!   last Flush has returned; `data` has `size` bytes and `tag` ends with a
//!   zero, for the call.

mod cmt;
mod host;

use std::ffi::{CStr, c_char, c_int, c_void};

use fluent_bit_sys::{
    FLB_PROXY_GOLANG, FLB_PROXY_OUTPUT_PLUGIN, flb_plugin_proxy_def, flbgo_output_plugin,
};

use crate::config::RawConfig;
use crate::guard::{Verdict, fence, install_hook, remove_hook};
use crate::log::{Level, Line};
use crate::output::Output;
use crate::reload::generations;
use host::Host;

const NAME: &CStr = c"healer";
const DESCRIPTION: &CStr = c"Restarts containers whose logs show a GPU failure (log-healer)";

/// What Init returns when it failed; 1 is success.
const INIT_FAILED: c_int = 0;

/// One `[OUTPUT]` section: the host's handle on it.
struct Handle {
    output: Output,
    host: Host,
}

/// Called before Register by hosts that know hot reload.
#[unsafe(no_mangle)]
pub extern "C" fn FLBPluginPreRegister(hot_reloading: c_int) -> c_int {
    settle(fence(|| generations().announce(hot_reloading != 0)))
}

/// Tells the host what this is.
///
/// # Safety
/// `def` is null or as the module's description says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn FLBPluginRegister(def: *mut flb_plugin_proxy_def) -> c_int {
    if def.is_null() {
        return -1;
    }
    // SAFETY: not null, and the host promises 32 writable bytes. Field by
    // field, as a whole-struct write could touch padding of a longer struct.
    // The strings are static; the host copies or borrows them, never frees.
    unsafe {
        (*def).type_ = FLB_PROXY_OUTPUT_PLUGIN.cast_signed();
        (*def).proxy = FLB_PROXY_GOLANG.cast_signed();
        (*def).flags = 0;
        (*def).name = NAME.as_ptr().cast_mut();
        (*def).description = DESCRIPTION.as_ptr().cast_mut();
    }
    settle(fence(|| generations().register()))
}

/// Makes the instance of one `[OUTPUT]` section.
///
/// # Safety
/// `plugin` is null or as the module's description says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn FLBPluginInit(plugin: *mut flbgo_output_plugin) -> c_int {
    // SAFETY: null or valid for this call.
    let Some(plugin) = (unsafe { plugin.as_mut() }) else {
        return INIT_FAILED;
    };
    // SAFETY: the host promises `api` and `o_ins` until Exit.
    let Some(host) = (unsafe { Host::new(plugin.api, plugin.o_ins) }) else {
        return INIT_FAILED;
    };
    // SAFETY: null or valid for this call.
    let Some(context) = (unsafe { plugin.context.as_mut() }) else {
        return INIT_FAILED;
    };
    match init(host) {
        Some(handle) => {
            context.remote_context = Box::into_raw(handle).cast();
            1
        }
        None => INIT_FAILED,
    }
}

/// Handles one chunk.
///
/// # Safety
/// As the module's description says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn FLBPluginFlushCtx(
    ctx: *mut c_void,
    data: *const c_void,
    size: usize,
    tag: *const c_char,
) -> c_int {
    // SAFETY: null or what Init stored; shared, as Flush runs in parallel.
    let Some(handle) = (unsafe { ctx.cast::<Handle>().as_ref() }) else {
        return Verdict::Error.code();
    };
    let chunk: &[u8] = if data.is_null() || size == 0 {
        &[]
    } else {
        // SAFETY: `size` readable bytes for this call.
        unsafe { std::slice::from_raw_parts(data.cast(), size) }
    };
    let tag: &[u8] = if tag.is_null() {
        &[]
    } else {
        // SAFETY: ends with a zero, valid for this call.
        unsafe { CStr::from_ptr(tag) }.to_bytes()
    };
    flush(handle, chunk, tag)
}

/// Ends one instance.
///
/// # Safety
/// As the module's description says: once, after the last Flush.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn FLBPluginExitCtx(ctx: *mut c_void) -> c_int {
    if !ctx.is_null() {
        // SAFETY: what Init stored, and nobody uses it any more.
        exit(unsafe { Box::from_raw(ctx.cast::<Handle>()) });
    }
    Verdict::Ok.code()
}

/// Only called by hosts that do not know `FLBPluginExitCtx`: none that is
/// supported. There is nothing that belongs to no instance.
#[unsafe(no_mangle)]
pub extern "C" fn FLBPluginExit() -> c_int {
    Verdict::Ok.code()
}

fn init(mut host: Host) -> Option<Box<Handle>> {
    install_hook();
    let started = fence(|| {
        let mut generations = generations();
        let number = generations.begin_init();
        host.find_name(number);
        let raw = RawConfig::read(|key| host.property(key));
        let make_metrics = |rules: &[String]| host.metrics(rules);
        let started = Output::start(&raw, &mut generations, make_metrics);
        if started.is_ok() {
            generations.opened();
        }
        started
    });
    let failure = match started {
        Ok(Ok((output, lines))) => {
            host.print(&lines);
            return Some(Box::new(Handle { output, host }));
        }
        Ok(Err(why)) => why.to_string(),
        Err(caught) => format!(
            "a fault in the plugin: {} at {}",
            caught.message, caught.place
        ),
    };
    host.print(&[Line::new(Level::Error, failure)]);
    None
}

fn flush(handle: &Handle, chunk: &[u8], tag: &[u8]) -> c_int {
    let report = fence(|| handle.output.flush(chunk, tag))
        .or_else(|caught| fence(|| handle.output.flush_panicked(&caught)));
    match report {
        Ok(report) => {
            handle.host.print(&report.lines);
            report.verdict.code()
        }
        // Counting the first panic panicked: nothing is left to try.
        Err(_) => Verdict::Error.code(),
    }
}

fn exit(handle: Box<Handle>) {
    // No lock while waiting: other instances may flush.
    let stopped = fence(|| {
        let (kept, mut lines) = handle.output.finish();
        lines.extend(handle.output.hand_over(&mut generations(), kept));
        lines
    });
    match stopped {
        Ok(lines) => handle.host.print(&lines),
        Err(caught) => handle.host.print(&[Line::new(
            Level::Error,
            format!(
                "a fault in the plugin at Exit: {} at {}; what waited for the executor is lost",
                caught.message, caught.place
            ),
        )]),
    }
    // A panic while freeing has nobody left to be told.
    let _ = fence(|| drop(handle));
    if generations().closed() {
        remove_hook();
    }
}

/// Register's and PreRegister's codes: -1 is failure.
fn settle<E>(done: Result<(), E>) -> c_int {
    match done {
        Ok(()) => 0,
        Err(_) => -1,
    }
}

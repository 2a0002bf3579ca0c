//! Bindings to the part of Fluent Bit's proxy plugin interface that the plugin
//! uses: four structs, cut to what every supported version has, and a few
//! constants.
//!
//! `include/abi.h` is ours and short; `src/bindings.rs` is bindgen's output from
//! it, committed, so that a build needs no libclang. After a change of the
//! header: `cargo build --features bindgen`, then copy `bindings.rs` from the
//! build directory over the committed one. Tests of the root package compare
//! the two, and the layouts with what the C compiler makes of the header.
//!
//! Declarations only: calling through them is the plugin's `ffi` module's job.

#[allow(
    missing_docs,
    non_camel_case_types,
    unreachable_pub,
    clippy::undocumented_unsafe_blocks
)]
mod bindings;

pub use bindings::*;

/// Sizes and offsets in the order of `layout.c`.
pub fn layout() -> Vec<usize> {
    use std::mem::{offset_of, size_of};
    vec![
        size_of::<flb_plugin_proxy_def>(),
        offset_of!(flb_plugin_proxy_def, type_),
        offset_of!(flb_plugin_proxy_def, proxy),
        offset_of!(flb_plugin_proxy_def, flags),
        offset_of!(flb_plugin_proxy_def, name),
        offset_of!(flb_plugin_proxy_def, description),
        size_of::<flb_plugin_proxy_context>(),
        offset_of!(flb_plugin_proxy_context, remote_context),
        size_of::<flb_api>(),
        offset_of!(flb_api, output_get_property),
        offset_of!(flb_api, input_get_property),
        offset_of!(flb_api, output_get_cmt_instance),
        offset_of!(flb_api, input_get_cmt_instance),
        offset_of!(flb_api, log_print),
        offset_of!(flb_api, input_log_check),
        offset_of!(flb_api, output_log_check),
        size_of::<flbgo_output_plugin>(),
        offset_of!(flbgo_output_plugin, name),
        offset_of!(flbgo_output_plugin, api),
        offset_of!(flbgo_output_plugin, o_ins),
        offset_of!(flbgo_output_plugin, context),
    ]
}

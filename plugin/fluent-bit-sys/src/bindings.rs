pub const FLB_PROXY_OUTPUT_PLUGIN: u32 = 2;
pub const FLB_PROXY_GOLANG: u32 = 11;
pub const FLB_ERROR: u32 = 0;
pub const FLB_OK: u32 = 1;
pub const FLB_RETRY: u32 = 2;
pub const FLB_LOG_ERROR: u32 = 1;
pub const FLB_LOG_WARN: u32 = 2;
pub const FLB_LOG_INFO: u32 = 3;
pub const FLB_LOG_DEBUG: u32 = 4;
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_plugin_proxy_def {
    pub type_: ::core::ffi::c_int,
    pub proxy: ::core::ffi::c_int,
    pub flags: ::core::ffi::c_int,
    pub name: *mut ::core::ffi::c_char,
    pub description: *mut ::core::ffi::c_char,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_plugin_proxy_def"][::core::mem::size_of::<flb_plugin_proxy_def>() - 32usize];
    ["Alignment of flb_plugin_proxy_def"][::core::mem::align_of::<flb_plugin_proxy_def>() - 8usize];
    ["Offset of field: flb_plugin_proxy_def::type_"]
        [::core::mem::offset_of!(flb_plugin_proxy_def, type_) - 0usize];
    ["Offset of field: flb_plugin_proxy_def::proxy"]
        [::core::mem::offset_of!(flb_plugin_proxy_def, proxy) - 4usize];
    ["Offset of field: flb_plugin_proxy_def::flags"]
        [::core::mem::offset_of!(flb_plugin_proxy_def, flags) - 8usize];
    ["Offset of field: flb_plugin_proxy_def::name"]
        [::core::mem::offset_of!(flb_plugin_proxy_def, name) - 16usize];
    ["Offset of field: flb_plugin_proxy_def::description"]
        [::core::mem::offset_of!(flb_plugin_proxy_def, description) - 24usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_plugin_proxy_context {
    pub remote_context: *mut ::core::ffi::c_void,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_plugin_proxy_context"]
        [::core::mem::size_of::<flb_plugin_proxy_context>() - 8usize];
    ["Alignment of flb_plugin_proxy_context"]
        [::core::mem::align_of::<flb_plugin_proxy_context>() - 8usize];
    ["Offset of field: flb_plugin_proxy_context::remote_context"]
        [::core::mem::offset_of!(flb_plugin_proxy_context, remote_context) - 0usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_api {
    pub output_get_property: ::core::option::Option<
        unsafe extern "C" fn(
            key: *const ::core::ffi::c_char,
            o_ins: *mut ::core::ffi::c_void,
        ) -> *const ::core::ffi::c_char,
    >,
    pub input_get_property: ::core::option::Option<
        unsafe extern "C" fn(
            key: *const ::core::ffi::c_char,
            i_ins: *mut ::core::ffi::c_void,
        ) -> *const ::core::ffi::c_char,
    >,
    pub output_get_cmt_instance: ::core::option::Option<
        unsafe extern "C" fn(o_ins: *mut ::core::ffi::c_void) -> *mut ::core::ffi::c_void,
    >,
    pub input_get_cmt_instance: ::core::option::Option<
        unsafe extern "C" fn(i_ins: *mut ::core::ffi::c_void) -> *mut ::core::ffi::c_void,
    >,
    pub log_print: ::core::option::Option<
        unsafe extern "C" fn(
            level: ::core::ffi::c_int,
            file: *const ::core::ffi::c_char,
            line: ::core::ffi::c_int,
            fmt: *const ::core::ffi::c_char,
            ...
        ),
    >,
    pub input_log_check: ::core::option::Option<
        unsafe extern "C" fn(
            i_ins: *mut ::core::ffi::c_void,
            level: ::core::ffi::c_int,
        ) -> ::core::ffi::c_int,
    >,
    pub output_log_check: ::core::option::Option<
        unsafe extern "C" fn(
            o_ins: *mut ::core::ffi::c_void,
            level: ::core::ffi::c_int,
        ) -> ::core::ffi::c_int,
    >,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_api"][::core::mem::size_of::<flb_api>() - 56usize];
    ["Alignment of flb_api"][::core::mem::align_of::<flb_api>() - 8usize];
    ["Offset of field: flb_api::output_get_property"]
        [::core::mem::offset_of!(flb_api, output_get_property) - 0usize];
    ["Offset of field: flb_api::input_get_property"]
        [::core::mem::offset_of!(flb_api, input_get_property) - 8usize];
    ["Offset of field: flb_api::output_get_cmt_instance"]
        [::core::mem::offset_of!(flb_api, output_get_cmt_instance) - 16usize];
    ["Offset of field: flb_api::input_get_cmt_instance"]
        [::core::mem::offset_of!(flb_api, input_get_cmt_instance) - 24usize];
    ["Offset of field: flb_api::log_print"][::core::mem::offset_of!(flb_api, log_print) - 32usize];
    ["Offset of field: flb_api::input_log_check"]
        [::core::mem::offset_of!(flb_api, input_log_check) - 40usize];
    ["Offset of field: flb_api::output_log_check"]
        [::core::mem::offset_of!(flb_api, output_log_check) - 48usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flbgo_output_plugin {
    pub name: *mut ::core::ffi::c_char,
    pub api: *mut flb_api,
    pub o_ins: *mut ::core::ffi::c_void,
    pub context: *mut flb_plugin_proxy_context,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flbgo_output_plugin"][::core::mem::size_of::<flbgo_output_plugin>() - 32usize];
    ["Alignment of flbgo_output_plugin"][::core::mem::align_of::<flbgo_output_plugin>() - 8usize];
    ["Offset of field: flbgo_output_plugin::name"]
        [::core::mem::offset_of!(flbgo_output_plugin, name) - 0usize];
    ["Offset of field: flbgo_output_plugin::api"]
        [::core::mem::offset_of!(flbgo_output_plugin, api) - 8usize];
    ["Offset of field: flbgo_output_plugin::o_ins"]
        [::core::mem::offset_of!(flbgo_output_plugin, o_ins) - 16usize];
    ["Offset of field: flbgo_output_plugin::context"]
        [::core::mem::offset_of!(flbgo_output_plugin, context) - 24usize];
};

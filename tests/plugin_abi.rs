//! The bindings against what C makes of the header, and against bindgen.

// Brings the C objects along.
use out_healer as _;

unsafe extern "C" {
    // layout.c, compiled by the root build script.
    static log_healer_layout: [usize; 64];
    static log_healer_layout_len: usize;
}

#[test]
fn the_bindings_have_the_layout_that_c_gives_the_header() {
    // SAFETY: both are constants; only the promised number of entries is read.
    let c: Vec<usize> = unsafe {
        let first = std::ptr::addr_of!(log_healer_layout).cast::<usize>();
        std::slice::from_raw_parts(first, log_healer_layout_len).to_vec()
    };
    assert_eq!(fluent_bit_sys::layout(), c);
}

#[test]
fn the_struct_that_register_fills_ends_where_the_oldest_host_ends_it() {
    assert_eq!(size_of::<fluent_bit_sys::flb_plugin_proxy_def>(), 32);
}

#[cfg(feature = "bindgen")]
#[test]
fn the_committed_bindings_are_what_bindgen_makes_of_the_header() {
    let fresh = include_str!(concat!(env!("OUT_DIR"), "/bindings.rs"));
    let committed = include_str!("../plugin/fluent-bit-sys/src/bindings.rs");
    assert_eq!(
        fresh, committed,
        "copy the fresh one over the committed one"
    );
}

//! Compiles the C shim (the host's variadic log call) and the layout table that
//! a test compares with the committed bindings. With the feature `bindgen` it
//! also generates the bindings afresh, for a test to compare; the ordinary
//! build needs no libclang.

const HEADER: &str = "plugin/fluent-bit-sys/include/abi.h";

fn main() {
    println!("cargo:rerun-if-changed={HEADER}");
    println!("cargo:rerun-if-changed=plugin/fluent-bit-sys/layout.c");
    println!("cargo:rerun-if-changed=plugin/shim.c");
    cc::Build::new()
        .include("plugin/fluent-bit-sys/include")
        .files(["plugin/shim.c", "plugin/fluent-bit-sys/layout.c"])
        .warnings(true)
        .extra_warnings(true)
        .compile("log_healer_c");
    #[cfg(feature = "bindgen")]
    generate_bindings();
}

/// The same call as `make bindings`; see plugin/fluent-bit-sys/src/lib.rs.
#[cfg(feature = "bindgen")]
fn generate_bindings() {
    let out = std::path::Path::new(&std::env::var("OUT_DIR").expect("cargo sets OUT_DIR"))
        .join("bindings.rs");
    bindgen::Builder::default()
        .header(HEADER)
        .allowlist_file(".*/abi\\.h")
        .use_core()
        .layout_tests(true)
        .derive_debug(false)
        .derive_copy(true)
        .generate_comments(false)
        .disable_header_comment()
        .rust_edition(bindgen::RustEdition::Edition2024)
        .generate()
        .expect("bindgen reads abi.h")
        .write_to_file(&out)
        .unwrap_or_else(|e| panic!("cannot write {}: {e}", out.display()));
}

//! Names the shared library: programs that link it ask for libsmlp.so.<ABI version>, so that an
//! incompatible one can live beside it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |variable: &str, value: &str| std::env::var(variable).is_ok_and(|v| v == value);
    // Apple's and Microsoft's formats have no SONAME.
    let elf = is("CARGO_CFG_TARGET_FAMILY", "unix") && !is("CARGO_CFG_TARGET_VENDOR", "apple");
    if elf {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libsmlp.so.0");
    }
}

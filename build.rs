//! Passes an option to the linker.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Stores the relative relocations in the RELR format, which makes the program half a megabyte smaller. glibc reads it
    // since version 2.36, the one of Debian 12.
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|environment| environment == "gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

//! Looks for the C library that the feature `nghttp2` asks for.
//!
//! Absence is no error: the peer is left out then, so that a build with all features needs nothing
//! that is not on crates.io. The linker itself is asked, as it will be in the end.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(has_nghttp2)");
    if std::env::var_os("CARGO_FEATURE_NGHTTP2").is_none() {
        return;
    }
    if links() {
        println!("cargo::rustc-cfg=has_nghttp2");
        return;
    }
    // Asked again by the next build, since the library may have come by then.
    println!("cargo::rerun-if-changed=absent");
    println!("cargo::warning=the peer nghttp2 is left out: the linker finds no libnghttp2");
}

/// Whether a program with the library can be linked.
fn links() -> bool {
    let Some(directory) = std::env::var_os("OUT_DIR") else { return false };
    let program = PathBuf::from(directory).join("probe");
    let compiler = Command::new("cc")
        .args(["-x", "c", "-", "-lnghttp2", "-o"])
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut compiler) = compiler else { return false };
    let is_written = compiler.stdin.take().is_some_and(|mut stdin| stdin.write_all(SOURCE).is_ok());
    is_written && compiler.wait().is_ok_and(|status| status.success())
}

const SOURCE: &[u8] = b"char nghttp2_version(int); int main(void) { return nghttp2_version(0); }";

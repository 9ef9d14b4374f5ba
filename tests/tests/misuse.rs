//! Programs that must not compile: use of a buffer that is not owned, in three forms, and a call
//! that the role does not have.
//!
//! Each file of `misuse/` begins with the error code by which the compiler must reject it, and it
//! alone; a correct program beside them shows that nothing else is wrong. (On a stable compiler, a
//! `compile_fail` doc test does not check the error code.)
#![expect(clippy::unwrap_used, reason = "these are tests, their own functions included")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the error codes for a file, in the order of the compiler.
fn error_codes(file: &str) -> Vec<String> {
    let exe = std::env::current_exe().unwrap();
    let deps = exe.parent().unwrap();
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=json"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("misuse").join(file))
        .arg("--extern")
        .arg(format!("thalweg={}", thalweg_library(deps).display()))
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .arg("--out-dir")
        .arg(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("rustc runs");
    let messages = String::from_utf8(output.stderr).unwrap();
    let errors = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message["level"] == "error").then_some(message)
    });
    let code = |message: serde_json::Value| message["code"]["code"].as_str().map(str::to_owned);
    let codes: Vec<String> = errors.filter_map(code).collect();
    assert_eq!(codes.is_empty(), output.status.success(), "{file}: {messages}");
    codes
}

/// Returns the library as this test was linked with it: the newest of its builds.
fn thalweg_library(deps: &Path) -> PathBuf {
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libthalweg-") && name.ends_with(".rlib")
    };
    let built = |path: &PathBuf| path.metadata().unwrap().modified().unwrap();
    let libraries = std::fs::read_dir(deps).unwrap().map(|entry| entry.unwrap().path()).filter(is_library);
    libraries.max_by_key(built).expect("this test links thalweg")
}

#[test]
fn the_right_use_compiles() {
    assert_eq!(error_codes("right_use.rs"), [""; 0]);
}

#[test]
fn a_read_buffer_is_not_refilled_while_an_event_lives() {
    assert_eq!(error_codes("refilled_buffer.rs"), ["E0502"]);
}

#[test]
fn borrowed_data_does_not_go_to_another_thread() {
    assert_eq!(error_codes("data_on_another_thread.rs"), ["E0597"]);
}

#[test]
fn headers_are_not_held_across_a_call() {
    assert_eq!(error_codes("headers_across_a_call.rs"), ["E0499"]);
}

#[test]
fn a_server_does_not_ask() {
    assert_eq!(error_codes("request_from_a_server.rs"), ["E0599"]);
}

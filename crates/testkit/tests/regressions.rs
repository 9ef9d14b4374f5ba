//! Runs the targets on everything that the fuzzers have found, and on their initial corpora, in
//! every build.

use std::path::Path;

use thalweg_testkit::targets;

fn run(target: &str, body: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut seen = 0;
    for folder in ["corpus", "regressions"] {
        let folder = fuzz.join(folder).join(target);
        // A target without findings has no folder for them.
        let Ok(files) = std::fs::read_dir(&folder) else { continue };
        for file in files {
            let path = file.expect("a folder can be read").path();
            let input = std::fs::read(&path).expect("a file can be read");
            let outcome = std::panic::catch_unwind(|| body(&input));
            assert!(outcome.is_ok(), "{} breaks {target}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "{target} has no corpus");
}

#[test]
fn frame_roundtrip() {
    run("frame_roundtrip", targets::frame_roundtrip);
}

#[test]
fn server_bytes() {
    run("server_bytes", targets::server_bytes);
}

#[test]
fn client_bytes() {
    run("client_bytes", targets::client_bytes);
}

#[test]
fn pair_ops() {
    run("pair_ops", targets::pair_ops);
}

#[test]
fn upgrade() {
    run("upgrade", targets::upgrade);
}

//! Our feature `rustls` leaves the choice of cryptography to the program.
#![expect(clippy::unwrap_used, reason = "these are tests, their own functions included")]

use std::path::Path;
use std::process::Command;

/// Cargo without the variables that the cargo of this test sets: build scripts that read
/// it would run again, and all that depends on them would be built again, each time.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let is_of_this_package = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|own| name.starts_with(own))
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_this_package) {
            command.env_remove(name);
        }
    }
    // The lock file of the workspace pins the versions.
    command.arg("--locked").current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    command
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn rustls_with_its_default_features_has_one_provider_beside_ours() {
    let run = ["run", "--quiet", "--package", "thalweg-plain-rustls"];
    assert_eq!(output(cargo().args(run)), "one provider of cryptography\n");
}

/// Returns the packages and features that a crate of ours is built with.
fn tree(package: &str, features: &str) -> String {
    let edges = ["tree", "--edges", "normal,features", "--target", "all", "--prefix", "none"];
    output(cargo().args(edges).args(["--package", package, "--features", features]))
}

#[test]
fn each_feature_of_a_provider_brings_it_and_no_other() {
    for package in ["thalweg-tokio", "thalweg-threads"] {
        for (features, ring, aws_lc_rs) in
            [("rustls", false, false), ("ring", true, false), ("aws-lc-rs", false, true)]
        {
            let tree = tree(package, features);
            let has = |name| tree.lines().any(|line| line.split(' ').next() == Some(name));
            assert!(has("rustls"), "{package} with {features}:\n{tree}");
            assert_eq!((has("ring"), has("aws-lc-rs")), (ring, aws_lc_rs), "{package} with {features}");
        }
    }
}

//! `cargo xtask nostd`: the protocol crates, and the loop of the example `no_std_loop`, link into a
//! program without std.
//!
//! Builds `xtask/nostd-proof` as it is, which must succeed, and once more with std pulled in on
//! purpose, which must fail with the error that the proof rests on: else it proves nothing.

use std::time::Duration;

use anyhow::ensure;

use crate::process::{self, Finished};

const MANIFEST: &str = "xtask/nostd-proof/Cargo.toml";
/// Apart from the workspace's, so that neither build waits for the other's lock.
const TARGET_DIR: &str = "target/nostd-proof";
/// A second panic handler.
const STD_IS_LINKED: &str = "E0152";

pub fn run() -> anyhow::Result<()> {
    judge(&build(&[])?, &build(&["--features", "std"])?)?;
    println!(
        "nostd: the protocol crates and the loop of no_std_loop link without std, and the control with std does not"
    );
    Ok(())
}

fn build(features: &[&str]) -> anyhow::Result<Finished> {
    let mut command = process::cargo(&["build", "--manifest-path", MANIFEST, "--target-dir", TARGET_DIR]);
    process::run_merged(command.args(features), Duration::from_secs(300))
}

fn judge(proof: &Finished, control: &Finished) -> anyhow::Result<()> {
    let text = |build: &Finished| String::from_utf8_lossy(&build.stdout).into_owned();
    ensure!(proof.is_success(), "the protocol crates do not link without std:\n{}", text(proof));
    ensure!(!control.is_success(), "the control links std, and the compiler does not mind: no proof");
    ensure!(
        text(control).contains(STD_IS_LINKED),
        "the control fails, but not with {STD_IS_LINKED}: no proof\n{}",
        text(control)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    fn built(code: i32, output: &str) -> Finished {
        Finished {
            status: Some(ExitStatus::from_raw(code << 8)),
            stdout: output.into(),
            stderr: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn the_proof_needs_both_builds_to_end_as_they_should() {
        let twice = "error[E0152]: found duplicate lang item `panic_impl`";
        assert!(judge(&built(0, ""), &built(101, twice)).is_ok());
        assert!(judge(&built(101, twice), &built(101, twice)).is_err());
        assert!(judge(&built(0, ""), &built(0, "")).is_err());
        assert!(judge(&built(0, ""), &built(101, "error: no network")).is_err());
    }
}

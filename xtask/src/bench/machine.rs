//! Where figures were measured, and with what.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The machine and the versions of what was measured on it.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// Day of the run, ISO 8601.
    pub date: String,
    pub cpu: String,
    pub cores: usize,
    pub kernel: String,
    pub rustc: String,
    /// Versions by name of library or program.
    pub versions: BTreeMap<String, String>,
}

impl Machine {
    /// This machine, with the versions of the named crates of the lock file and Debian packages.
    pub fn here(crates: &[&str], packages: &[&str]) -> Self {
        let lock = fs::read_to_string("Cargo.lock").unwrap_or_default();
        let mut versions = BTreeMap::new();
        for name in crates {
            if let Some(version) = locked_version(&lock, name) {
                versions.insert((*name).to_owned(), version.to_owned());
            }
        }
        for name in packages {
            let version = output("dpkg-query", &["--show", "--showformat=${Version}", name]);
            if !version.is_empty() {
                versions.insert((*name).to_owned(), version);
            }
        }
        Self {
            date: output("date", &["--iso-8601"]),
            cpu: cpu_model(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            kernel: output("uname", &["--kernel-name", "--kernel-release"]),
            rustc: rustc_version(),
            versions,
        }
    }
}

/// Returns the compiler, as it names itself.
pub fn rustc_version() -> String {
    output("rustc", &["--version"])
}

/// Returns what the compiler may use of the processor, with the target's name.
pub fn target_features() -> String {
    let set = output("rustc", &["--print", "cfg"]);
    let value = |line: &str, name: &str| {
        line.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"').map(str::to_owned)
    };
    let mut all: Vec<String> = set.lines().filter_map(|line| value(line, "target_arch")).collect();
    all.extend(set.lines().filter_map(|line| value(line, "target_feature")));
    all.join(" ")
}

/// Returns what a program printed, or nothing if it failed.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let printed = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    String::from_utf8_lossy(&printed.unwrap_or_default()).trim().to_owned()
}

fn cpu_model(cpuinfo: &str) -> &str {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, model)| model)
}

fn locked_version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = lock.split_once(&format!("\nname = \"{name}\"\nversion = \""))?;
    behind.split_once('"').map(|(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_lock_file() {
        let lock = "[[package]]\nname = \"h2\"\nversion = \"0.4.20\"\n\n[[package]]\nname = \"hyper\"\nversion = \"1.12.0\"\n";
        assert_eq!(locked_version(lock, "hyper"), Some("1.12.0"));
        assert_eq!(locked_version(lock, "h2"), Some("0.4.20"));
        assert_eq!(locked_version(lock, "h3"), None);
    }

    #[test]
    fn the_cpu_is_named() {
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: Fast 9000\n"), "Fast 9000");
        assert_eq!(cpu_model(""), "unknown");
    }
}

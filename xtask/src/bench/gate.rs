//! The gate: no workload costs more instructions than the committed figure.
//!
//! Counts, unlike times, are the same on every machine with the same compiler, if the C library is
//! set to copy bytes by the same code on every processor. Another compiler generates other code;
//! then there is nothing to compare with, and the gate reports that.

use std::fs;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::figures::{Figure, Metric, readable};
use super::machine;
use super::program::{self, Build, Plan, Programs};
use super::scenes;

#[derive(clap::Args)]
pub struct Args {
    /// Writes what is measured now as the figures to compare with
    #[arg(long)]
    renew: bool,
}

/// The committed figures.
#[derive(Serialize, Deserialize)]
struct Baseline {
    rustc: String,
    target_features: String,
    figures: Vec<Figure>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let rustc = machine::rustc_version();
    let target_features = machine::target_features();
    let baseline = if args.renew { None } else { Some(Baseline::load()?) };
    if let Some(reason) = baseline.as_ref().and_then(|baseline| baseline.why_not(&rustc, &target_features)) {
        println!("bench gate: skipped: {reason}");
        return Ok(());
    }
    if !program::has_valgrind()? {
        println!("bench gate: skipped: valgrind is absent");
        return Ok(());
    }
    let figures = measure()?;
    let Some(baseline) = baseline else {
        return Baseline { rustc, target_features, figures }.save();
    };
    let mut worse = Vec::new();
    for figure in &figures {
        let name = &figure.workload;
        let before = baseline.figures.iter().find(|before| before.workload == *name);
        let before = before.with_context(|| format!("{PATH} has no figure for {name}: renew it"))?;
        let percent = (figure.value / before.value - 1.0) * 100.0;
        let [now, then] = [figure, before].map(|figure| readable(figure.value));
        println!("{name:24}{now:>10}  committed {then:>10}  {percent:+.1} %");
        match verdict(figure.value, before.value) {
            Verdict::Same => {}
            Verdict::Worse => worse.push(name.as_str()),
            Verdict::Better => {
                println!("  better than committed: `cargo xtask bench gate --renew` keeps it so");
            }
        }
    }
    if !worse.is_empty() {
        bail!(
            "{} cost more than {:.0} % above {PATH}; if that must be, commit the file renewed by `cargo \
             xtask bench gate --renew` with the change that needs it",
            worse.join(", "),
            TOLERANCE * 100.0
        );
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Same,
    Better,
    Worse,
}

fn verdict(now: f64, committed: f64) -> Verdict {
    if now > committed * (1.0 + TOLERANCE) {
        Verdict::Worse
    } else if now < committed * (1.0 - TOLERANCE) {
        Verdict::Better
    } else {
        Verdict::Same
    }
}

fn measure() -> anyhow::Result<Vec<Figure>> {
    let programs = Programs::build(Build::Gate)?;
    let mut figures = Vec::new();
    for name in GATED {
        let scene = scenes::parse(name).map_err(anyhow::Error::msg)?;
        let sizes = scene.counted_chunks().with_context(|| format!("{name} counts no instructions"))?;
        let plan = Plan::new(name, "thalweg", sizes.1);
        programs.check(&plan)?;
        let instructions = programs.instructions_anywhere(&plan, sizes)?;
        figures.push(Figure::new(name, "thalweg", Metric::Instructions, instructions));
    }
    for name in GATED_HPACK {
        let instructions = programs.hpack_instructions_anywhere(name)?;
        figures.push(Figure::new(format!("hpack-{name}"), "thalweg", Metric::Instructions, instructions));
    }
    Ok(figures)
}

impl Baseline {
    fn load() -> anyhow::Result<Self> {
        let text = fs::read_to_string(PATH)
            .with_context(|| format!("{PATH} is absent: `cargo xtask bench gate --renew` makes it"))?;
        serde_json::from_str(&text).with_context(|| format!("{PATH} is no baseline"))
    }

    /// Returns why there is nothing to compare with.
    fn why_not(&self, rustc: &str, target_features: &str) -> Option<String> {
        if self.rustc != rustc {
            return Some(format!("the figures are of {}, this is {rustc}", self.rustc));
        }
        if self.target_features != target_features {
            return Some(format!("the figures are for {}, this is {target_features}", self.target_features));
        }
        None
    }

    fn save(&self) -> anyhow::Result<()> {
        for figure in &self.figures {
            println!("{:24}{:>10}", figure.workload, readable(figure.value));
        }
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(PATH, text).with_context(|| format!("{PATH} cannot be written"))
    }
}

const PATH: &str = "docs/bench/baseline.json";
const GATED: [&str; 3] = ["w1", "w2", "w4"];
/// Those of the HPACK workloads that need no corpus. Per field.
const GATED_HPACK: [&str; 4] =
    ["decode-keepalive", "encode-keepalive", "encode-prehashed", "encode-responses"];
/// The allowed excess over the committed figure.
const TOLERANCE: f64 = 0.03;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_per_cent_pass_and_more_fail() {
        assert_eq!(verdict(1030.0, 1000.0), Verdict::Same);
        assert_eq!(verdict(1031.0, 1000.0), Verdict::Worse);
        assert_eq!(verdict(970.0, 1000.0), Verdict::Same);
        assert_eq!(verdict(969.0, 1000.0), Verdict::Better);
        // A figure that is not a number fails.
        assert_eq!(verdict(1.0, 0.0), Verdict::Worse);
    }

    #[test]
    fn another_compiler_or_target_is_not_compared() {
        let of = |text: &str| text.to_owned();
        let baseline = Baseline { rustc: of("rustc 1.95"), target_features: of("sse2"), figures: Vec::new() };
        assert_eq!(baseline.why_not("rustc 1.95", "sse2"), None);
        assert!(baseline.why_not("rustc 1.96", "sse2").unwrap().contains("1.96"));
        assert!(baseline.why_not("rustc 1.95", "avx2").unwrap().contains("avx2"));
    }
}

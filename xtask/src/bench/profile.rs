//! Where the instructions of a workload go: callgrind's profile, scaled to one unit of work.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use super::figures::readable;
use super::program::{self, Plan, Programs, RUN_LIMIT};
use super::scenes::{self, Peer, Scene};
use crate::process;

#[derive(clap::Args)]
pub struct Args {
    /// The workload, as `w1` or `client-w1`
    #[arg(value_parser = scenes::parse, value_name = "WORKLOAD")]
    workload: Scene,
    /// The library to profile
    #[arg(long, default_value = "thalweg")]
    peer: Peer,
    /// How many functions to list
    #[arg(long, default_value_t = 30)]
    lines: usize,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let (scene, peer) = (&args.workload, args.peer);
    let Some(sizes) = scene.counted_chunks() else {
        bail!("{}: only its memory is measured, so there is no profile", scene.name);
    };
    ensure!(program::has_valgrind()?, "valgrind is absent");
    let programs = Programs::build_for(peer)?;
    let plan = Plan::new(scene.name, peer.name(), sizes.1);
    let per_unit = programs.instructions(&plan, sizes)?;
    let out = programs.path(&format!("{}.{}.callgrind", scene.name, peer.name()));
    programs.profile(&plan, &out)?;
    println!(
        "{} of {}: {} instructions a {}",
        scene.name,
        peer.name(),
        readable(per_unit.round()),
        scene.unit
    );
    let own = annotate(&out, "--inclusive=no")?;
    let with_calls = annotate(&out, "--inclusive=yes")?;
    // The profile lists a function's own lines and those inlined into it separately.
    let tables = [
        (
            "by function, what is inlined into it included",
            gather(&own, |entry| &entry.function, |a, b| a + b),
        ),
        ("by the file in which the code is written", gather(&own, |entry| &entry.file, |a, b| a + b)),
        ("by function, with all it calls", gather(&with_calls, |entry| &entry.function, f64::max)),
    ];
    for (title, mut rows) in tables {
        println!("\n{title}:");
        // Functions that call all others carry no information.
        rows.retain(|(share, _)| *share < 0.995);
        for (share, name) in rows.into_iter().take(args.lines) {
            println!("{:>8} {:>5.1} %  {name}", readable((share * per_unit).round()), share * 100.0);
        }
    }
    println!("\nthe whole profile: {}", out.display());
    Ok(())
}

/// A line of the annotation: code of one file inside one function.
#[derive(Debug, PartialEq)]
struct Entry {
    /// Part of the whole.
    share: f64,
    file: String,
    function: String,
}

fn annotate(profile: &Path, option: &str) -> anyhow::Result<Vec<Entry>> {
    let mut command = Command::new("callgrind_annotate");
    command.args([option, "--auto=no", "--threshold=100"]).arg(profile);
    let text = process::run(&mut command, RUN_LIMIT)?.into_text("callgrind_annotate")?;
    entries(&text).context("callgrind_annotate prints another format than we know")
}

fn entries(annotated: &str) -> Option<Vec<Entry>> {
    let mut lines = annotated.lines().filter_map(count_and_rest);
    let (total, _) = lines.find(|(_, rest)| rest.contains("PROGRAM TOTALS"))?;
    Some(lines.map(|(count, rest)| entry(count / total, rest)).collect())
}

/// Sums or joins the shares of entries with the same key, largest first.
fn gather(entries: &[Entry], key: fn(&Entry) -> &str, join: fn(f64, f64) -> f64) -> Vec<(f64, String)> {
    let mut shares = BTreeMap::<&str, f64>::new();
    for entry in entries {
        let share = shares.entry(key(entry)).or_default();
        *share = join(*share, entry.share);
    }
    let mut rows: Vec<_> = shares.into_iter().map(|(name, share)| (share, name.to_owned())).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    rows
}

/// Splits `1,234 (5.6%)  file:function [object]`.
fn count_and_rest(line: &str) -> Option<(f64, &str)> {
    let (count, rest) = line.trim_start().split_once(' ')?;
    let count = count.replace(',', "").parse().ok()?;
    let rest = rest.trim_start();
    Some((
        count,
        rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |split| split.1).trim(),
    ))
}

/// Splits `directory/file:function [object]`, and keeps of the path what distinguishes the file
/// from others.
fn entry(share: f64, rest: &str) -> Entry {
    let name = rest.rsplit_once(" [").map_or(rest, |(name, _)| name);
    let (path, function) = name.split_once(':').unwrap_or(("", name));
    let mut file: Vec<_> = path.rsplit('/').take(3).collect();
    file.reverse();
    Entry { share, file: file.join("/"), function: function.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "--------\nIr\n--------\n2,000 (100.0%)  PROGRAM TOTALS\n\nIr   file:function\n\n\
        1,000 (50.00%)  /a/b/src/connection/receive_data.rs:thalweg::receive [/x/measure]\n\
          600 (30.00%)  /r/library/core/src/num/mod.rs:thalweg::receive [/x/measure]\n\
          400 (20.00%)  ???:memcpy [/lib/libc.so]\n";

    #[test]
    fn the_annotation_is_read_with_its_shares() {
        let found = entries(TEXT).unwrap();
        assert_eq!(found.len(), 3);
        let (file, function) = ("src/connection/receive_data.rs".to_owned(), "thalweg::receive".to_owned());
        assert_eq!(found[0], Entry { share: 0.5, file, function });
        assert_eq!(found[2].file, "???");
        assert_eq!(entries("nothing"), None);
    }

    #[test]
    fn what_is_inlined_is_counted_with_its_function() {
        let rows = gather(&entries(TEXT).unwrap(), |entry| &entry.function, |a, b| a + b);
        assert_eq!(rows, [(0.8, "thalweg::receive".to_owned()), (0.2, "memcpy".to_owned())]);
    }
}

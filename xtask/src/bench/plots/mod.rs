//! docs/benchmarks.md and its pictures, from the figures that were committed.
//!
//! The page's prose is written by hand. Between a line `<!-- bench: NAME -->` and the next
//! `<!-- end -->` is the text that this module writes.

mod charts;
mod svg;
mod tables;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::e2e;
use super::figures::{Figure, Metric, Sheet};
use super::scale::{self, Curve, Point};
use charts::{Bar, Bars, Curves, Group};
use svg::{COLOURS, OTHERS};
use tables::PEERS;

#[derive(clap::Args)]
pub struct Args {
    /// Changes nothing, and fails if something would change
    #[arg(long)]
    check: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let sheets = Sheets {
        cores: Sheet::load(super::compare::SHEET)?,
        scale: Sheet::load(scale::SHEET)?,
        e2e: Sheet::load(e2e::SHEET)?,
    };
    let mut files = pictures(&sheets);
    let page = fs::read_to_string(PAGE).with_context(|| format!("{PAGE} cannot be read"))?;
    files.push((PAGE.into(), fill(&page, |name| sheets.block(name))?));
    let mut stale = Vec::new();
    for (path, content) in files {
        if fs::read_to_string(&path).is_ok_and(|now| now == content) {
            continue;
        }
        if args.check {
            stale.push(path.display().to_string());
        } else {
            fs::write(&path, content).with_context(|| format!("{} cannot be written", path.display()))?;
            println!("bench plots: wrote {}", path.display());
        }
    }
    if !stale.is_empty() {
        bail!("{} differ from the figures in docs/bench: run `cargo xtask bench plots`", stale.join(", "));
    }
    Ok(())
}

struct Sheets {
    cores: Sheet<Figure>,
    scale: Sheet<Point>,
    e2e: Sheet<e2e::Figure>,
}

impl Sheets {
    /// Returns the text for a name in the page.
    fn block(&self, name: &str) -> Option<String> {
        let cores = &self.cores.figures;
        let is_server = |name: &str| !name.starts_with("client-");
        let is_client = |name: &str| name.starts_with("client-");
        Some(match name {
            "machine" => tables::machine(&self.cores.machine),
            "instructions" => tables::workloads(cores, Metric::Instructions, is_server),
            "ns" => tables::workloads(cores, Metric::Ns, is_server),
            "allocations" => tables::workloads(cores, Metric::Allocations, |name| !name.contains("w5")),
            "client instructions" => tables::workloads(cores, Metric::Instructions, is_client),
            "client ns" => tables::workloads(cores, Metric::Ns, is_client),
            "goals" => tables::goals(cores),
            "memory" => tables::memory(cores),
            "growth" => tables::growth(&self.scale.figures),
            "capacity" => tables::capacity(cores),
            "e2e machine" => tables::machine(&self.e2e.machine),
            "e2e" => tables::e2e(&self.e2e.figures),
            _ => return None,
        })
    }
}

/// Replaces the text between the marks of the page.
fn fill(page: &str, block: impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut rest = page;
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        let (name, behind) = behind.split_once(" -->\n").context("a mark has no end")?;
        let (_, behind) = behind.split_once(END).with_context(|| format!("{BEGIN}{name} has no {END}"))?;
        let text = block(name).with_context(|| format!("nothing is called `{name}`"))?;
        out.extend([before, BEGIN, name, " -->\n\n", text.trim_end(), "\n\n", END]);
        rest = behind;
    }
    Ok(out + rest)
}

fn pictures(sheets: &Sheets) -> Vec<(PathBuf, String)> {
    let cores = &sheets.cores.figures;
    let requests = ["w1", "w1lit", "w2", "w4", "w6"];
    let frames = ["w3down", "w3splice", "w3up"];
    let mut all = vec![
        (
            "instructions",
            cost(cores, Metric::Instructions, &requests, "Server: instructions per unit of work"),
        ),
        (
            "frames",
            cost(cores, Metric::Instructions, &frames, "Server: instructions per DATA frame of 16 KiB"),
        ),
        ("time", cost(cores, Metric::Ns, &requests, "Server: time per unit of work")),
        ("idle-connection", cost(cores, Metric::Bytes, &["w5idle"], "Memory of an idle connection")),
        ("open-stream", cost(cores, Metric::Bytes, &["w5stream"], "Memory of an open idle stream")),
    ];
    for (name, metric, title) in [
        ("e2e-requests", e2e::Metric::CpuSecondsPer100k, "Whole servers: 100,000 requests of 128 bytes"),
        ("e2e-bytes", e2e::Metric::CpuSecondsPerGb, "Whole servers: 1 GB in bodies of 1 MiB"),
    ] {
        all.push((name, servers(&sheets.e2e.figures, metric, title)));
    }
    for (name, curve, title) in [
        ("scale-streams", Curve::Streams, "A request beside open streams"),
        ("scale-connections", Curve::Connections, "A request among connections, one a read"),
    ] {
        all.push((name, curves(&sheets.scale.figures, curve, title)));
    }
    all.into_iter().map(|(name, svg)| (PathBuf::from(format!("docs/bench/{name}.svg")), svg)).collect()
}

/// Bars of one metric, a group for each workload.
fn cost(figures: &[Figure], metric: Metric, workloads: &[&str], title: &str) -> String {
    let group = |workload: &&str| {
        let bar = |(peer, colour): (&&str, &&'static str)| {
            let value = tables::value(figures, workload, peer, metric)?;
            Some(Bar { label: (*peer).to_owned(), value, colour })
        };
        let scene = super::scenes::parse(workload).ok()?;
        let bars = PEERS.iter().zip(&COLOURS).filter_map(bar).collect();
        Some(Group { label: format!("{workload}, per {}", scene.unit), bars })
    };
    let axis = match metric {
        Metric::Instructions => "instructions; less is better",
        Metric::Ns => "nanoseconds; less is better",
        Metric::Allocations => "allocations; less is better",
        Metric::Bytes => "bytes; less is better",
        Metric::Ratio => "bytes out per byte in; less is better",
    };
    Bars { title, axis, groups: workloads.iter().filter_map(group).collect() }.draw()
}

/// Bars of one metric of the servers, ours in colour.
fn servers(figures: &[e2e::Figure], metric: e2e::Metric, title: &str) -> String {
    let mut bars: Vec<_> = figures
        .iter()
        .filter(|figure| figure.metric == metric)
        .map(|figure| {
            let is_ours = figure.server.starts_with("thalweg") || figure.server.ends_with("serve");
            let colour = if is_ours { COLOURS[0] } else { OTHERS };
            Bar { label: figure.server.clone(), value: figure.value, colour }
        })
        .collect();
    bars.sort_by(|a, b| a.value.total_cmp(&b.value));
    let groups = vec![Group { label: "server".to_owned(), bars }];
    Bars { title, axis: "processor seconds of the server; less is better", groups }.draw()
}

fn curves(points: &[Point], curve: Curve, title: &str) -> String {
    let series = PEERS.map(|peer| {
        let is_it = |p: &&Point| p.curve == curve && p.metric == Metric::Ns && p.peer == peer;
        let curve = points.iter().filter(is_it).map(|point| (point.at as f64, point.value)).collect();
        (peer.to_owned(), curve)
    });
    let x_axis = curve.noun();
    Curves { title, x_axis, y_axis: "nanoseconds per request", series: series.into() }.draw()
}

const PAGE: &str = "docs/benchmarks.md";
const BEGIN: &str = "<!-- bench: ";
const END: &str = "<!-- end -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_between_marks_is_replaced() {
        let page = "# Title\n\n<!-- bench: a -->\nold\n<!-- end -->\n\nprose\n<!-- bench: b -->\n<!-- end -->\nlast\n";
        let filled = fill(page, |name| Some(format!("new {name}\n"))).unwrap();
        assert_eq!(
            filled,
            "# Title\n\n<!-- bench: a -->\n\nnew a\n\n<!-- end -->\n\nprose\n<!-- bench: b -->\n\nnew b\n\n<!-- end -->\nlast\n"
        );
        assert_eq!(fill(&filled, |name| Some(format!("new {name}\n"))).unwrap(), filled);
    }

    #[test]
    fn a_mark_that_nothing_answers_is_a_mistake() {
        assert!(fill("<!-- bench: x -->\n<!-- end -->", |_| None).unwrap_err().to_string().contains("`x`"));
        assert!(fill("<!-- bench: x -->\n", |_| Some(String::new())).is_err());
    }
}

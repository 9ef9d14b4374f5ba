//! The tables of docs/benchmarks.md.

use crate::bench::e2e;
use crate::bench::figures::{Figure, Metric, readable};
use crate::bench::machine::Machine;
use crate::bench::scale::{self, COUNTS, Curve, Point, value_at};
use crate::bench::scenes;

/// The peers of the tables, ours first.
pub const PEERS: [&str; 4] = ["thalweg", "nghttp2", "h2", "hyper"];

/// What a unit of work may cost, and what it should.
const GOALS: [(&str, Metric, f64, f64); 10] = [
    ("w1", Metric::Instructions, 6000.0, 4000.0),
    ("w1lit", Metric::Instructions, 16_000.0, 10_000.0),
    ("w2", Metric::Instructions, 6500.0, 4500.0),
    ("w3down", Metric::Instructions, 2100.0, 2100.0),
    ("w3splice", Metric::Instructions, 500.0, 300.0),
    ("w3up", Metric::Instructions, 500.0, 300.0),
    ("w4", Metric::Instructions, 5000.0, 3500.0),
    ("w6", Metric::Instructions, 4000.0, 2500.0),
    ("w5idle", Metric::Bytes, 2048.0, 1229.0),
    ("w5stream", Metric::Bytes, 192.0, 128.0),
];

/// Returns where and with what a sheet was measured, in a sentence or two.
pub fn machine(machine: &Machine) -> String {
    let Machine { date, cpu, cores, kernel, rustc, versions } = machine;
    let versions: Vec<_> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let text =
        format!("Measured on {date}: {cpu}, {cores} cores, {kernel}; {rustc}; {}.", versions.join(", "));
    wrapped(&text, 100)
}

/// Breaks a text into lines of at most `columns`, unless a word is longer.
fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        let len = word.chars().count();
        if width > 0 && width + 1 + len > columns {
            lines.push('\n');
            width = 0;
        } else if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += len;
    }
    lines + "\n"
}

/// One metric of the workloads whose names pass, a column for each peer.
pub fn workloads(figures: &[Figure], metric: Metric, is_wanted: impl Fn(&str) -> bool) -> String {
    let mut rows = vec![head("workload", &PEERS)];
    for scene in scenes::ALL.iter().filter(|scene| is_wanted(scene.name)) {
        let cells: Vec<_> = PEERS.iter().map(|peer| value(figures, scene.name, peer, metric)).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let cells = cells.into_iter().map(|cell| cell.map_or_else(|| "-".to_owned(), readable));
        rows.push(row(&format!("`{}`, per {}", scene.name, scene.unit), cells));
    }
    rows.concat()
}

/// Returns the table of the heap of idle connections and streams.
pub fn memory(figures: &[Figure]) -> String {
    workloads(figures, Metric::Bytes, |name| name.contains("w5"))
}

/// Returns the table of goals and results, for the server's side.
pub fn goals(figures: &[Figure]) -> String {
    let mut rows = vec![head("server", &["goal", "aim", "reached", "of nghttp2"])];
    for (workload, metric, goal, aim) in GOALS {
        let Some(reached) = value(figures, workload, "thalweg", metric) else { continue };
        let peer = value(figures, workload, "nghttp2", metric).filter(|value| *value > 0.0);
        let share = peer.map_or_else(|| "-".to_owned(), |peer| format!("{:.0} %", reached / peer * 100.0));
        let unit = if metric == Metric::Bytes { "bytes" } else { "instructions" };
        let what = format!("`{workload}`, {unit}");
        rows.push(row(&what, [readable(goal), readable(aim), readable(reached), share]));
    }
    rows.concat()
}

/// Returns the table of how the cost of a request grows.
pub fn growth(points: &[Point]) -> String {
    let counts = COUNTS.map(|count| readable(count as f64));
    let mut columns: Vec<&str> = counts.iter().map(String::as_str).collect();
    columns.push("growth from 10");
    let mut all = String::new();
    for (curve, metric, title) in [
        (Curve::Streams, Metric::Instructions, "instructions beside N open streams"),
        (Curve::Streams, Metric::Ns, "ns beside N open streams"),
        (Curve::Connections, Metric::Instructions, "instructions among N connections"),
        (Curve::Connections, Metric::Ns, "ns among N connections"),
    ] {
        all.push_str(&head(title, &columns));
        for peer in PEERS {
            let value = |at| value_at(points, curve, metric, peer, at);
            let mut cells: Vec<_> =
                COUNTS.map(|at| value(at).map_or_else(|| "-".to_owned(), |v| readable(v.round()))).into();
            let growth = scale::growth(points, curve, metric, peer);
            cells.push(growth.map_or_else(|| "-".to_owned(), |growth| format!("{:+.1} %", growth * 100.0)));
            all.push_str(&row(peer, cells));
        }
        all.push('\n');
    }
    all
}

/// Returns the table of how many connections fit a machine.
pub fn capacity(figures: &[Figure]) -> String {
    let mut rows = vec![head("memory, and what each connection holds", &PEERS)];
    for gib in [0.25, 1.0, 8.0, 64.0] {
        for streams in [0.0, 10.0] {
            let cells = PEERS.iter().map(|peer| {
                let idle = value(figures, "w5idle", peer, Metric::Bytes);
                let stream = value(figures, "w5stream", peer, Metric::Bytes);
                idle.zip(stream).map_or_else(
                    || "-".to_owned(),
                    |(idle, stream)| readable(held(gib, idle + streams * stream)),
                )
            });
            let what = if streams == 0.0 { "no stream" } else { "10 open streams" };
            rows.push(row(&format!("{gib} GiB, {what}"), cells));
        }
    }
    rows.concat()
}

/// Connections of so many bytes in so much memory, with no more digits than the bytes bear.
fn held(gib: f64, bytes: f64) -> f64 {
    (gib * 1024.0 * 1024.0 * 1024.0 / bytes / 1000.0).floor() * 1000.0
}

/// Returns the table of whole servers.
pub fn e2e(figures: &[e2e::Figure]) -> String {
    let mut servers: Vec<&str> = figures.iter().map(|figure| figure.server.as_str()).collect();
    servers.dedup();
    let columns = [
        "CPU s per 100,000 requests",
        "CPU s per GB",
        "requests/s (smallest to largest)",
        "system calls per request",
    ];
    let mut rows = vec![head("server", &columns)];
    for server in servers {
        let find = |metric| figures.iter().find(|f| f.server == server && f.metric == metric);
        let plain = |metric| find(metric).map_or_else(|| "-".to_owned(), |f| readable(f.value));
        let rate = find(e2e::Metric::RequestsPerSecond).map_or_else(
            || "-".to_owned(),
            |f| format!("{} ({} to {})", readable(f.value), readable(f.min), readable(f.max)),
        );
        rows.push(row(
            server,
            [
                plain(e2e::Metric::CpuSecondsPer100k),
                plain(e2e::Metric::CpuSecondsPerGb),
                rate,
                plain(e2e::Metric::SyscallsPerRequest),
            ],
        ));
    }
    rows.concat()
}

pub fn value(figures: &[Figure], workload: &str, peer: &str, metric: Metric) -> Option<f64> {
    let is_it = |f: &&Figure| f.workload == workload && f.peer == peer && f.metric == metric;
    figures.iter().find(is_it).map(|figure| figure.value)
}

fn head(first: &str, columns: &[&str]) -> String {
    let rule: String = columns.iter().map(|_| "--:|").collect();
    row(first, columns.iter().map(|column| (*column).to_owned())) + &format!("|---|{rule}\n")
}

fn row(first: &str, cells: impl IntoIterator<Item = String>) -> String {
    let cells: String = cells.into_iter().map(|cell| format!(" {cell} |")).collect();
    format!("| {first} |{cells}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Vec<Figure> {
        vec![
            Figure::new("w1", "thalweg", Metric::Instructions, 4200.0),
            Figure::new("w1", "hyper", Metric::Instructions, 25_703.0),
            Figure::new("w5idle", "thalweg", Metric::Bytes, 2048.0),
            Figure::new("w5stream", "thalweg", Metric::Bytes, 128.0),
        ]
    }

    #[test]
    fn a_text_is_broken_before_the_word_that_passes_the_width() {
        assert_eq!(wrapped("ab cd ef", 5), "ab cd\nef\n");
        assert_eq!(wrapped("ab cd ef", 4), "ab\ncd\nef\n");
        assert_eq!(wrapped("abcdef g", 4), "abcdef\ng\n");
    }

    #[test]
    fn a_figure_that_is_absent_is_a_dash() {
        let table = workloads(&figures(), Metric::Instructions, |name| name.starts_with('w'));
        assert_eq!(
            table,
            "| workload | thalweg | nghttp2 | h2 | hyper |\n|---|--:|--:|--:|--:|\n\
             | `w1`, per request | 4,200 | - | - | 25,703 |\n"
        );
    }

    #[test]
    fn a_machine_holds_what_divides_its_memory() {
        let table = capacity(&figures());
        assert!(table.contains("| 1 GiB, no stream | 524,000 | - | - | - |"), "{table}");
        assert!(table.contains("| 1 GiB, 10 open streams | 322,000 |"), "{table}");
    }
}

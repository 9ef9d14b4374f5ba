//! Figures, and the files in `docs/bench` that keep them.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::machine::Machine;

/// One figure, as `--json` prints it.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Figure {
    pub workload: String,
    pub peer: String,
    pub metric: Metric,
    /// Per unit of the workload.
    pub value: f64,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    Instructions,
    Ns,
    Allocations,
    Bytes,
    /// Bytes out per byte in.
    Ratio,
}

/// The figures of one run, and where they were measured.
#[derive(Serialize, Deserialize)]
pub struct Sheet<F = Figure> {
    pub machine: Machine,
    pub figures: Vec<F>,
}

impl Figure {
    /// Creates a figure, rounded to its significant digits.
    pub fn new(workload: impl fmt::Display, peer: &str, metric: Metric, value: f64) -> Self {
        let digits = match metric {
            Metric::Bytes => 1.0,
            Metric::Instructions | Metric::Ns => 10.0,
            Metric::Allocations => 100.0,
            Metric::Ratio => 10_000.0,
        };
        // Adding zero turns a negative zero into a plain one.
        let value = (value * digits).round() / digits + 0.0;
        Self { workload: workload.to_string(), peer: peer.to_owned(), metric, value }
    }
}

impl<F: Serialize + for<'a> Deserialize<'a>> Sheet<F> {
    pub fn path(name: &str) -> PathBuf {
        PathBuf::from("docs/bench").join(name).with_extension("json")
    }

    /// Reads the sheet that was committed under a name.
    pub fn load(name: &str) -> anyhow::Result<Self> {
        let path = Self::path(name);
        let text = std::fs::read_to_string(&path).with_context(|| format!("{} is absent", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a sheet", path.display()))
    }

    /// Writes the sheet with one figure in each line, so that a diff shows which have changed.
    pub fn save(&self, name: &str) -> anyhow::Result<()> {
        let path = Self::path(name);
        std::fs::create_dir_all("docs/bench")?;
        let machine = serde_json::to_string_pretty(&self.machine)?.replace('\n', "\n  ");
        let figures: Vec<_> = self.figures.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let figures = figures.join(",\n    ");
        let text = format!("{{\n  \"machine\": {machine},\n  \"figures\": [\n    {figures}\n  ]\n}}\n");
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// Returns the middle of the values, or of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Returns a number as people read it: `14,502`, `0.25`.
pub fn readable(value: f64) -> String {
    if value.abs() < 100.0 && value.fract() != 0.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if value < 0.0 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn numbers_are_grouped() {
        let shown: Vec<_> = [0.0, 7.0, 0.25, 999.6, 1234.0, -14_502.4, 1e6].map(readable).into();
        assert_eq!(shown, ["0", "7", "0.25", "1,000", "1,234", "-14,502", "1,000,000"]);
    }

    #[test]
    fn a_figure_is_one_object_in_the_agreed_shape() {
        let figure = Figure::new("w1", "thalweg", Metric::Instructions, 4711.04);
        let json = serde_json::to_string(&figure).unwrap();
        assert_eq!(json, r#"{"workload":"w1","peer":"thalweg","metric":"instructions","value":4711.0}"#);
        assert_eq!(serde_json::from_str::<Figure>(&json).unwrap(), figure);
    }
}

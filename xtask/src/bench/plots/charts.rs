//! The two kinds of charts: bars in groups, and curves over a logarithmic axis.

use super::svg::{AXIS, Anchor, COLOURS, GRID, Look, OTHERS, Svg, ticks};
use crate::bench::figures::readable;

/// Bars in groups, one bar for each series that has a value.
pub struct Bars<'a> {
    pub title: &'a str,
    /// What the axis shows, with its unit.
    pub axis: &'a str,
    /// Names of the bars in each group, with a legend; without one, see `Group::bars`.
    pub groups: Vec<Group>,
}

pub struct Group {
    pub label: String,
    pub bars: Vec<Bar>,
}

pub struct Bar {
    pub label: String,
    pub value: f64,
    pub colour: &'static str,
}

impl Bars<'_> {
    pub fn draw(&self) -> String {
        let rows: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        let plot = rows as f64 * ROW + self.groups.len() as f64 * GROUP_GAP;
        let mut svg = Svg::new(WIDTH, TOP + plot + BOTTOM, self.title);
        svg.text((LEFT_EDGE, 26.0), Anchor::Start, Look::Title, self.title);
        let values = self.groups.iter().flat_map(|group| &group.bars).map(|bar| bar.value);
        let ticks = ticks(values.fold(0.0, f64::max));
        let end = ticks.last().copied().unwrap_or(1.0);
        let x = |value: f64| BARS_LEFT + value / end * (BARS_RIGHT - BARS_LEFT);
        for &tick in &ticks {
            svg.line((x(tick), TOP), (x(tick), TOP + plot), GRID);
            svg.text((x(tick), TOP + plot + 18.0), Anchor::Middle, Look::Faint, &readable(tick));
        }
        svg.text((x(end / 2.0), TOP + plot + 40.0), Anchor::Middle, Look::Faint, self.axis);
        let mut y = TOP + GROUP_GAP / 2.0;
        for group in &self.groups {
            let middle = y + group.bars.len() as f64 * ROW / 2.0 + 4.0;
            svg.text((LEFT_EDGE, middle), Anchor::Start, Look::Plain, &group.label);
            for bar in &group.bars {
                svg.text((BARS_LEFT - 8.0, y + 13.0), Anchor::End, Look::Faint, &bar.label);
                svg.rect((BARS_LEFT, y + 2.0), ((x(bar.value) - BARS_LEFT).max(1.0), ROW - 4.0), bar.colour);
                svg.text((x(bar.value) + 6.0, y + 13.0), Anchor::Start, Look::Plain, &readable(bar.value));
                y += ROW;
            }
            y += GROUP_GAP;
        }
        svg.line((BARS_LEFT, TOP), (BARS_LEFT, TOP + plot), AXIS);
        svg.finish()
    }
}

/// Curves over a logarithmic axis of counts.
pub struct Curves<'a> {
    pub title: &'a str,
    pub x_axis: &'a str,
    pub y_axis: &'a str,
    pub series: Vec<(String, Vec<(f64, f64)>)>,
}

impl Curves<'_> {
    pub fn draw(&self) -> String {
        let mut svg = Svg::new(WIDTH, CURVES_BOTTOM + BOTTOM, self.title);
        svg.text((LEFT_EDGE, 26.0), Anchor::Start, Look::Title, self.title);
        let all = || self.series.iter().flat_map(|(_, points)| points);
        let ticks = ticks(all().map(|point| point.1).fold(0.0, f64::max));
        let end = ticks.last().copied().unwrap_or(1.0);
        let decades = all().map(|point| point.0.log10()).fold(1.0, f64::max).ceil();
        let x = |count: f64| CURVES_LEFT + count.log10() / decades * (CURVES_RIGHT - CURVES_LEFT);
        let y = |value: f64| CURVES_BOTTOM - value / end * (CURVES_BOTTOM - CURVES_TOP);
        for &tick in &ticks {
            svg.line((CURVES_LEFT, y(tick)), (CURVES_RIGHT, y(tick)), GRID);
            svg.text((CURVES_LEFT - 8.0, y(tick) + 4.0), Anchor::End, Look::Faint, &readable(tick));
        }
        for decade in 0..=decades as i32 {
            let count = 10f64.powi(decade);
            svg.line((x(count), CURVES_TOP), (x(count), CURVES_BOTTOM), GRID);
            svg.text((x(count), CURVES_BOTTOM + 18.0), Anchor::Middle, Look::Faint, &readable(count));
        }
        let middle = f64::midpoint(CURVES_LEFT, CURVES_RIGHT);
        svg.text((middle, CURVES_BOTTOM + 40.0), Anchor::Middle, Look::Faint, self.x_axis);
        svg.upright_text((22.0, f64::midpoint(CURVES_TOP, CURVES_BOTTOM)), self.y_axis);
        svg.line((CURVES_LEFT, CURVES_BOTTOM), (CURVES_RIGHT, CURVES_BOTTOM), AXIS);
        let mut legend = CURVES_LEFT;
        for (i, (name, points)) in self.series.iter().enumerate() {
            let colour = COLOURS.get(i).copied().unwrap_or(OTHERS);
            svg.curve(&points.iter().map(|&(count, value)| (x(count), y(value))).collect::<Vec<_>>(), colour);
            svg.rect((legend, 40.0), (14.0, 4.0), colour);
            svg.text((legend + 20.0, 46.0), Anchor::Start, Look::Plain, name);
            legend += 40.0 + 8.0 * name.len() as f64;
        }
        svg.finish()
    }
}

const WIDTH: f64 = 760.0;
const LEFT_EDGE: f64 = 16.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 56.0;
const ROW: f64 = 18.0;
const GROUP_GAP: f64 = 16.0;
const BARS_LEFT: f64 = 270.0;
const BARS_RIGHT: f64 = 690.0;
const CURVES_TOP: f64 = 66.0;
const CURVES_BOTTOM: f64 = 346.0;
const CURVES_LEFT: f64 = 90.0;
const CURVES_RIGHT: f64 = 730.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_has_its_value() {
        let bar = |label: &str, value, colour| Bar { label: label.to_owned(), value, colour };
        let bars = vec![bar("thalweg", 4200.0, COLOURS[0]), bar("h2", 22_692.0, COLOURS[2])];
        let groups = vec![Group { label: "W1".to_owned(), bars }];
        let out = Bars { title: "Cost", axis: "instructions", groups }.draw();
        for output in ["Cost", "instructions", "W1", "thalweg", "4,200", "22,692", COLOURS[0], COLOURS[2]] {
            assert!(out.contains(output), "{output}");
        }
        assert_eq!(out.matches("<rect ").count(), 3);
    }

    #[test]
    fn curves_keep_their_order() {
        let series = vec![("thalweg".to_owned(), vec![(1.0, 100.0), (10_000.0, 50.0)])];
        let out = Curves { title: "t", x_axis: "streams", y_axis: "ns", series }.draw();
        // The axis ends at 100 and at four decades.
        assert!(out.contains("points=\"90.0,66.0 730.0,206.0\""), "{out}");
        assert!(out.contains("10,000"));
    }
}

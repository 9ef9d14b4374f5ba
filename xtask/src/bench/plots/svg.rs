//! A picture in SVG: shapes and texts, written in order.

use std::fmt::Write as _;

/// A picture under construction, with a light background.
pub struct Svg {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

/// The position of a text relative to its point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Title,
    Plain,
    Faint,
}

impl Svg {
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        Self { width, height, title: title.to_owned(), body: String::new() }
    }

    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str) {
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
        ));
    }

    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), stroke: &str) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{stroke}\"/>"
        ));
    }

    /// A line through points, each with a dot.
    pub fn curve(&mut self, points: &[(f64, f64)], stroke: &str) {
        let path: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let path = path.join(" ");
        self.add(format_args!(
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"2\"/>"
        ));
        for (x, y) in points {
            self.add(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{stroke}\"/>"));
        }
    }

    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, look: Look, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let style = match look {
            Look::Title => "font-size=\"15\" font-weight=\"600\" fill=\"#111827\"",
            Look::Plain => "font-size=\"12\" fill=\"#111827\"",
            Look::Faint => "font-size=\"12\" fill=\"#4b5563\"",
        };
        let text = escaped(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {style}>{text}</text>"
        ));
    }

    /// A text that runs upwards.
    pub fn upright_text(&mut self, (x, y): (f64, f64), text: &str) {
        let text = escaped(text);
        self.add(format_args!(
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-90)\" text-anchor=\"middle\" font-size=\"12\" \
             fill=\"#4b5563\">{text}</text>"
        ));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.body, "{element}").expect("a string takes all that is written");
    }

    pub fn finish(self) -> String {
        let Self { width, height, title, body } = self;
        let title = escaped(&title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"system-ui, sans-serif\" role=\"img\" aria-label=\"{title}\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// Colours that the colour-blind can distinguish (Okabe and Ito), ours first.
pub const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
/// For series that are not distinguished from each other.
pub const OTHERS: &str = "#9ca3af";
pub const GRID: &str = "#e5e7eb";
pub const AXIS: &str = "#6b7280";

/// Round steps that reach from zero to `largest`: at least four, at most nine.
pub fn ticks(largest: f64) -> Vec<f64> {
    let decade = 10f64.powf((largest / 4.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].iter().map(|step| step * decade).find(|step| largest / step <= 8.0);
    let step = step.unwrap_or(largest);
    let count = (largest / step).ceil() as usize;
    (0..=count).map(|i| i as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_largest() {
        assert_eq!(
            ticks(38_090.0),
            [0.0, 5000.0, 10_000.0, 15_000.0, 20_000.0, 25_000.0, 30_000.0, 35_000.0, 40_000.0]
        );
        assert_eq!(ticks(4.0), [0.0, 1.0, 2.0, 3.0, 4.0]);
        for largest in [0.013, 0.9, 7.0, 99.0, 1234.0, 5e6] {
            let ticks = ticks(largest);
            assert!((4..=9).contains(&(ticks.len() - 1)), "{largest}: {ticks:?}");
            assert!(ticks.last().is_some_and(|last| *last >= largest));
        }
    }

    #[test]
    fn words_cannot_break_the_picture() {
        let mut svg = Svg::new(10.0, 10.0, "a \"b\"");
        svg.text((0.0, 0.0), Anchor::Start, Look::Plain, "x < y & z");
        let out = svg.finish();
        assert!(out.contains("x &lt; y &amp; z") && out.contains("a &quot;b&quot;"));
    }
}

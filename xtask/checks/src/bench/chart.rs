//! A bar chart of what an event costs, as SVG. The same figures give the same bytes.

use std::fmt::Write;

use super::Figure;
use super::table::grouped;

/// In pixels.
const ROW: usize = 26;
const BAR: usize = 16;
const LABELS: usize = 190;
const BARS: usize = 420;
const VALUES: usize = 70;
const TOP: usize = 40;
const WIDTH: usize = LABELS + BARS + VALUES;

/// The best figure of each name of this unit, cheapest first; `ours` begin so.
pub(super) fn svg(figures: &[Figure], unit: &str, ours: &str, beside: &str) -> String {
    let best = best(figures, unit, beside);
    let most = best.iter().map(|figure| figure.value).fold(1.0, f64::max);
    let height = TOP + best.len() * ROW + 10;
    let mut svg = String::new();
    let mut line = |text: String| writeln!(svg, "{text}").expect("a string takes all");
    line(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">"
    ));
    // Readable on dark pages as well.
    line(format!(
        "<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>"
    ));
    line(format!(
        "<text x=\"10\" y=\"22\" font-weight=\"bold\">Guest {}</text>",
        escaped(unit)
    ));
    for (nth, figure) in best.iter().enumerate() {
        let y = TOP + nth * ROW;
        let text_y = y + BAR - 3;
        let width = (figure.value / most * BARS as f64).round().max(1.0);
        let colour = if figure.name.starts_with(ours) {
            "#c2410c"
        } else {
            "#94a3b8"
        };
        let label = LABELS - 8;
        let name = escaped(&figure.name);
        let settings = escaped(&figure.settings);
        line(format!(
            "<text x=\"{label}\" y=\"{text_y}\" text-anchor=\"end\">{name}</text>"
        ));
        line(format!(
            "<rect x=\"{LABELS}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" fill=\"{colour}\">\
             <title>{settings}</title></rect>"
        ));
        let x = LABELS as f64 + width + 6.0;
        line(format!(
            "<text x=\"{x}\" y=\"{text_y}\">{}</text>",
            grouped(figure.value)
        ));
    }
    line("</svg>".to_owned());
    svg
}

fn best<'a>(figures: &'a [Figure], unit: &str, beside: &str) -> Vec<&'a Figure> {
    let mut best: Vec<&Figure> = Vec::new();
    let mut of_unit: Vec<_> = figures
        .iter()
        .filter(|figure| figure.unit == unit && figure.name != beside)
        .collect();
    of_unit.sort_by(|one, other| one.value.total_cmp(&other.value));
    for figure in of_unit {
        if !best.iter().any(|other| other.name == figure.name) {
            best.push(figure);
        }
    }
    best
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str, settings: &str, unit: &str, value: f64) -> Figure {
        Figure {
            name: name.to_owned(),
            settings: settings.to_owned(),
            unit: unit.to_owned(),
            value,
            lost: 0,
            more_is_better: false,
        }
    }

    #[test]
    fn the_best_of_each_name_is_drawn_cheapest_first() {
        let figures = [
            figure("baseline", "", "cost", 1.0),
            figure("other <&>", "", "cost", 2_000.0),
            figure("us", "worse", "cost", 900.0),
            figure("us", "better", "cost", 500.0),
            figure("us", "", "bytes", 1.0),
        ];
        let svg = svg(&figures, "cost", "us", "baseline");
        let bars: Vec<_> = svg
            .lines()
            .filter(|line| line.contains("<title>"))
            .collect();
        assert_eq!(bars.len(), 2);
        assert!(bars[0].contains("width=\"105\"") && bars[0].contains("better"));
        assert!(bars[1].contains("width=\"420\""));
        assert!(svg.contains("other &lt;&amp;&gt;"));
        assert!(svg.contains(">2,000</text>"));
    }
}

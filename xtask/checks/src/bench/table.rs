//! Figures, for people.

use std::fmt::Write;

use super::{Figure, US};

/// A table for each unit, in the order in which they come, with ratios to our best.
pub(super) fn text(figures: &[Figure]) -> String {
    let mut text = String::new();
    for unit in units(figures) {
        let rows: Vec<_> = figures
            .iter()
            .filter(|figure| figure.unit == unit)
            .collect();
        let best = rows.iter().filter(|figure| figure.name == US);
        let best = best.map(|figure| figure.value).min_by(f64::total_cmp);
        let name = width(rows.iter().map(|figure| figure.name.as_str()));
        let settings = width(rows.iter().map(|figure| figure.settings.as_str()));
        writeln!(text, "\n{unit}").expect("a string takes all");
        for figure in rows {
            let ratio = best.map_or_else(String::new, |best| format!("{:.2}", figure.value / best));
            let lost = match figure.lost {
                0 => String::new(),
                lost => format!("  ({lost} lost)"),
            };
            let line = format!(
                "  {:name$}  {:settings$}  {:>10}  {ratio:>6}{lost}",
                figure.name,
                figure.settings,
                grouped(figure.value),
            );
            writeln!(text, "{}", line.trim_end()).expect("a string takes all");
        }
    }
    text
}

/// Of a column.
fn width<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    let lengths = texts.map(|text| text.chars().count());
    lengths.max().unwrap_or_default()
}

fn units(figures: &[Figure]) -> Vec<&str> {
    let mut units = Vec::new();
    for figure in figures {
        if !units.contains(&figure.unit.as_str()) {
            units.push(&figure.unit);
        }
    }
    units
}

/// With a comma between thousands; small ones with a decimal.
pub(super) fn grouped(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 {
        format!("-{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (value, text) in [
            (0.04, "0.0"),
            (94.26, "94.3"),
            (100.4, "100"),
            (3_750.0, "3,750"),
            (1_234_567.8, "1,234,568"),
            (-1_000.0, "-1,000"),
        ] {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn each_unit_has_a_table_and_the_others_a_ratio() {
        let figure = |name: &str, unit: &str, value, lost| Figure {
            name: name.to_owned(),
            settings: "as it is".to_owned(),
            unit: unit.to_owned(),
            value,
            lost,
            more_is_better: false,
        };
        let figures = [
            figure("icmptap", "instructions", 1_000.0, 0),
            figure("bytes of it", "bytes", 64.0, 0),
            figure("icmptap", "instructions", 500.0, 0),
            figure("other", "instructions", 1_500.0, 7),
        ];
        assert_eq!(
            text(&figures),
            "\ninstructions\n\
             \x20 icmptap  as it is       1,000    2.00\n\
             \x20 icmptap  as it is         500    1.00\n\
             \x20 other    as it is       1,500    3.00  (7 lost)\n\
             \nbytes\n\
             \x20 bytes of it  as it is        64.0\n"
        );
    }
}

//! Which of two Debian versions is the newer (deb-version(7)).

use std::cmp::Ordering;

/// Compares as `dpkg --compare-versions` does.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (epoch_a, upstream_a, revision_a) = split(a);
    let (epoch_b, upstream_b, revision_b) = split(b);
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| compare_part(upstream_a, upstream_b))
        .then_with(|| compare_part(revision_a, revision_b))
}

fn split(version: &str) -> (u32, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch.parse().unwrap_or(0), upstream, revision)
}

/// Text and numbers alternate, text first.
fn compare_part(mut a: &str, mut b: &str) -> Ordering {
    while !(a.is_empty() && b.is_empty()) {
        let (text_a, rest_a) = split_where(a, |c| c.is_ascii_digit());
        let (text_b, rest_b) = split_where(b, |c| c.is_ascii_digit());
        let (number_a, rest_a) = split_where(rest_a, |c| !c.is_ascii_digit());
        let (number_b, rest_b) = split_where(rest_b, |c| !c.is_ascii_digit());
        let order = compare_text(text_a, text_b).then_with(|| compare_number(number_a, number_b));
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

fn split_where(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stop).unwrap_or(text.len()))
}

fn compare_text(a: &str, b: &str) -> Ordering {
    let weights = |text: &str| text.chars().map(weight).chain([0]).collect::<Vec<_>>();
    weights(a).cmp(&weights(b))
}

/// `~` before the end, the end before letters, letters before all else.
fn weight(c: char) -> i32 {
    match c {
        '~' => -1,
        c if c.is_ascii_alphabetic() => c as i32,
        c => c as i32 + 256,
    }
}

fn compare_number(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        // Each is older than the next.
        for line in [
            "6.1.9-1 6.1.10-1 6.1.176-1 6.12.1-1",
            "1.0~rc1-1 1.0-1 1.0a-1 1.0+b-1 1.0.1-1",
            "9.9-9 1:0.1-1",
            "6.12.117-1~bpo12 6.12.117-1 6.12.117-1+b1",
            "1.2 1.2-1",
            "1.0~~ 1.0~ 1.0",
        ] {
            let versions: Vec<_> = line.split(' ').collect();
            for pair in versions.windows(2) {
                assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
                assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
            }
        }
        assert_eq!(compare("0:1.0-0", "1.00"), Ordering::Equal);
    }
}

//! What became of how many.

use std::collections::BTreeMap;
use std::fmt;

/// Counts by two names, what and what became of it.
#[derive(Default)]
pub struct Tally(BTreeMap<String, BTreeMap<String, u64>>);

impl Tally {
    /// One more.
    pub fn add(&mut self, what: &str, became: &str) {
        self.add_many(what, became, 1);
    }

    /// So many more.
    pub fn add_many(&mut self, what: &str, became: &str, count: u64) {
        // Allocates only for a new name.
        if !self.0.contains_key(what) {
            self.0.insert(what.to_owned(), BTreeMap::new());
        }
        let counts = self.0.get_mut(what).expect("it is there");
        match counts.get_mut(became) {
            Some(known) => *known += count,
            None => drop(counts.insert(became.to_owned(), count)),
        }
    }

    /// And all of another.
    pub fn merge(&mut self, other: &Tally) {
        for (what, counts) in &other.0 {
            for (became, count) in counts {
                self.add_many(what, became, *count);
            }
        }
    }

    /// All of `what`.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).map_or(0, |counts| counts.values().sum())
    }
}

/// A line that is shown for each `what`, its counts by name.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, counts) in &self.0 {
            let counts: Vec<_> = counts
                .iter()
                .map(|(became, count)| format!("{became} {count}"))
                .collect();
            let (all, counts) = (self.of(what), counts.join(", "));
            writeln!(f, "measured: {what}: {all} ({counts})")?;
        }
        Ok(())
    }
}

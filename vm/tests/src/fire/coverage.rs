//! Which points of the module the calling thread passes, of all that there are.
//!
//! KCOV follows a thread through its system calls and not into softirqs: what a
//! request does is seen, and what a packet does at OUTPUT and POST_ROUTING when the
//! same thread sends it; what happens at the other hooks and in timers is not.
//! (The code of the hooks is one; that of timers is not reached at all.)

use std::fs::File;

use object::{Object, ObjectSection, ObjectSymbol, SectionIndex, SymbolKind};

use crate::sys::Kcov;
use crate::{module, sites};

const KCOV: &str = "/sys/kernel/debug/kcov";
/// What the compiler calls at each point.
const CALL: &str = "__sanitizer_cov_trace_pc";

/// What became of a point.
#[derive(Clone, Copy, PartialEq)]
enum Point {
    /// There is none at this offset.
    None,
    /// It was not passed yet.
    Ahead,
    /// It was.
    Passed,
}

/// What the calling thread passes.
pub struct Coverage {
    kcov: Kcov,
    /// Where `.text` is loaded.
    base: u64,
    map: Map,
}

/// The points of the module's `.text`, and which of them were passed.
pub struct Map {
    /// By offset in `.text`: of the instruction behind the call.
    points: Vec<Point>,
    /// Where each function starts and ends.
    functions: Vec<(String, usize, usize)>,
}

impl Coverage {
    /// Starts to follow the calling thread.
    pub fn start() -> Self {
        let file = File::options().read(true).write(true).open(KCOV);
        let kcov = file.unwrap_or_else(|error| panic!("{KCOV}: {error}"));
        let map = sites::with_module(|object| {
            let text = object.section_by_name(".text").expect(".text");
            Map {
                points: points(object, &text),
                functions: functions(object, text.index()),
            }
        });
        Self {
            kcov: Kcov::start(kcov),
            base: module::address(".text"),
            map,
        }
    }

    /// Takes note of the points passed since the last time; true if one of them
    /// was never passed before.
    pub fn take(&mut self) -> bool {
        let mut new = false;
        self.kcov.take(|address| {
            let offset = address.wrapping_sub(self.base) as usize;
            // What is beyond is the code of loading and unloading.
            if let Some(point) = self.map.points.get_mut(offset) {
                // Or all of this is about other points than the kernel's.
                assert!(*point != Point::None, "no call at {offset:#x} of .text");
                new |= *point == Point::Ahead;
                *point = Point::Passed;
            }
        });
        new
    }

    /// Stops; returns what was passed.
    pub fn finish(self) -> Map {
        self.map
    }
}

impl Map {
    /// Adds what another thread has passed.
    pub fn merge(&mut self, other: &Map) {
        for (point, other) in self.points.iter_mut().zip(&other.points) {
            if *other == Point::Passed {
                *point = Point::Passed;
            }
        }
    }

    /// How many points were passed, of how many.
    pub fn passed(&self) -> (usize, usize) {
        let count = |what| self.points.iter().filter(|point| **point == what).count();
        let passed = count(Point::Passed);
        (passed, passed + count(Point::Ahead))
    }

    /// The functions that have points which were not passed: the name, how many were
    /// passed, and how many there are.
    pub fn unfinished(&self) -> Vec<(&str, usize, usize)> {
        let functions = self.functions.iter().map(|(name, start, end)| {
            let points = &self.points[*start..=*end];
            let count = |what| points.iter().filter(|point| **point == what).count();
            let (passed, ahead) = (count(Point::Passed), count(Point::Ahead));
            (name.as_str(), passed, passed + ahead)
        });
        functions.filter(|(_, passed, all)| passed < all).collect()
    }
}

fn points(object: &object::File<'_>, text: &object::Section<'_, '_>) -> Vec<Point> {
    let mut points = vec![Point::None; text.size() as usize + 1];
    for (offset, relocation) in text.relocations() {
        if sites::target(object, &relocation) == Some(CALL) {
            // The address in a call is its last four bytes.
            points[offset as usize + 4] = Point::Ahead;
        }
    }
    points
}

fn functions(object: &object::File<'_>, text: SectionIndex) -> Vec<(String, usize, usize)> {
    let in_text = |symbol: &object::Symbol<'_, '_>| {
        symbol.kind() == SymbolKind::Text && symbol.section_index() == Some(text)
    };
    let mut functions: Vec<_> = object
        .symbols()
        .filter(in_text)
        .map(|symbol| {
            let name = symbol.name().expect("a name").to_owned();
            let start = symbol.address() as usize;
            (name, start, start + symbol.size() as usize)
        })
        .collect();
    functions.sort();
    functions
}

//! Which points of the modules the calling thread passes, of all that there are.
//!
//! KCOV follows a thread through its system calls and not into softirqs: what a
//! request does is seen, and what a packet does at OUTPUT and POST_ROUTING when the
//! same thread sends it; what happens at the other hooks and in timers is not.
//! (The code of the hooks is one; that of timers is not reached at all.)

use std::fs::File;

use object::{Object, ObjectSection, ObjectSymbol, SectionIndex, SymbolKind};

use crate::module::{self, Module};
use crate::sites;
use crate::sys::Kcov;

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
    /// Where each `.text` is loaded.
    bases: Vec<u64>,
    map: Map,
}

/// The points of the modules, and which of them were passed.
pub struct Map(Vec<Text>);

/// Those of a module's `.text`.
struct Text {
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
        let address = |module: Module| module.address(".text");
        Self {
            kcov: Kcov::start(kcov),
            bases: module::BOTH.map(address).into(),
            map: Map(module::BOTH.map(Text::of).into()),
        }
    }

    /// Takes note of the points passed since the last time; true if one of them
    /// was never passed before.
    pub fn take(&mut self) -> bool {
        let mut new = false;
        self.kcov.take(|address| {
            for (base, text) in self.bases.iter().zip(&mut self.map.0) {
                let offset = address.wrapping_sub(*base) as usize;
                // What is in neither is the kernel's, or the code of loading and unloading.
                if let Some(point) = text.points.get_mut(offset) {
                    // Or all of this is about other points than the kernel's.
                    assert!(*point != Point::None, "no call at {offset:#x} of .text");
                    new |= *point == Point::Ahead;
                    *point = Point::Passed;
                }
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
        for (text, other) in self.0.iter_mut().zip(&other.0) {
            for (point, other) in text.points.iter_mut().zip(&other.points) {
                if *other == Point::Passed {
                    *point = Point::Passed;
                }
            }
        }
    }

    /// How many points were passed, of how many.
    pub fn passed(&self) -> (usize, usize) {
        let points = || self.0.iter().flat_map(|text| &text.points);
        let count = |what| points().filter(|point| **point == what).count();
        let passed = count(Point::Passed);
        (passed, passed + count(Point::Ahead))
    }

    /// The functions that have points which were not passed: the name, how many were
    /// passed, and how many there are.
    pub fn unfinished(&self) -> Vec<(&str, usize, usize)> {
        self.0.iter().flat_map(Text::unfinished).collect()
    }
}

impl Text {
    fn of(module: Module) -> Self {
        sites::with_file(module, |object| {
            let text = object.section_by_name(".text").expect(".text");
            Self {
                points: points(object, &text),
                functions: functions(object, text.index()),
            }
        })
    }

    fn unfinished(&self) -> impl Iterator<Item = (&str, usize, usize)> {
        let functions = self.functions.iter().map(|(name, start, end)| {
            let points = &self.points[*start..=*end];
            let count = |what| points.iter().filter(|point| **point == what).count();
            let (passed, ahead) = (count(Point::Passed), count(Point::Ahead));
            (name.as_str(), passed, passed + ahead)
        });
        functions.filter(|(_, passed, all)| passed < all)
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

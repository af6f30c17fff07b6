//! Where the modules call functions of the kernel: read from the machine code of
//! the files that are loaded, so that no call can be forgotten.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use object::{
    File, Object, ObjectSection, ObjectSymbol, Relocation, RelocationTarget, Section, SymbolKind,
};

use crate::module::{self, Module};

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// The name of the module.
    pub module: &'static str,
    /// The function that calls, as the kernel's backtraces name it.
    pub function: String,
    /// Where in it the call returns to.
    pub offset: u64,
    /// The function that is called.
    pub callee: String,
}

impl fmt::Display for Site {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            module,
            function,
            offset,
            callee,
        } = self;
        write!(formatter, "{module}: {function}+{offset:#x} ({callee})")
    }
}

/// Every symbol that the modules have from the kernel.
pub fn undefined() -> BTreeSet<String> {
    let (mut wanted, mut given) = (BTreeSet::new(), BTreeSet::new());
    for module in module::BOTH {
        with_file(module, |object| {
            for symbol in object.symbols() {
                let Some(name) = symbol.name().ok().filter(|name| !name.is_empty()) else {
                    continue;
                };
                if symbol.is_undefined() {
                    wanted.insert(name.to_owned());
                } else if symbol.is_global() {
                    given.insert(name.to_owned());
                }
            }
        });
    }
    // What one module has from the other is not the kernel's.
    &wanted - &given
}

/// Every call of one of `callees`.
pub fn calls(callees: &[&str]) -> Vec<Site> {
    let mut sites = Vec::new();
    for module in module::BOTH {
        with_file(module, |object| {
            for section in object.sections() {
                for (place, relocation) in section.relocations() {
                    let Some(callee) = target(object, &relocation) else {
                        continue;
                    };
                    let is_code = !section.name().expect("a name").starts_with("__");
                    if is_code && callees.contains(&callee) {
                        sites.push(site(module, object, &section, place, callee));
                    }
                }
            }
        });
    }
    sites.sort();
    sites
}

/// Reads the file that is loaded.
pub(crate) fn with_file<T>(module: Module, read: impl FnOnce(&File<'_>) -> T) -> T {
    let file = module.file();
    let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    read(&File::parse(&*bytes).expect("an object file"))
}

/// What a relocation is about, if that is the kernel's.
pub(crate) fn target<'a>(object: &File<'a>, relocation: &Relocation) -> Option<&'a str> {
    let RelocationTarget::Symbol(index) = relocation.target() else {
        return None;
    };
    let symbol = object.symbol_by_index(index).expect("a symbol");
    symbol
        .is_undefined()
        .then(|| symbol.name().expect("a name"))
}

fn site(
    module: Module,
    object: &File<'_>,
    section: &Section<'_, '_>,
    place: u64,
    callee: &str,
) -> Site {
    const CALL: u8 = 0xe8;
    let data = section.data().expect("data");
    assert_eq!(
        data[place as usize - 1],
        CALL,
        "{callee} is used otherwise than by a call, which leaves no return address"
    );
    let returns = place + 4;
    let caller = object
        .symbols()
        .filter(|symbol| {
            symbol.kind() == SymbolKind::Text
                && symbol.section_index() == Some(section.index())
                && symbol.size() > 0
                && (symbol.address()..symbol.address() + symbol.size()).contains(&place)
        })
        .min_by_key(|symbol| symbol.is_global())
        .unwrap_or_else(|| panic!("{callee} is called from no function"));
    Site {
        module: module.name,
        function: caller.name().expect("a name").to_owned(),
        offset: returns - caller.address(),
        callee: callee.to_owned(),
    }
}

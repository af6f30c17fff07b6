//! Where the module calls functions of the kernel: read from the machine code of
//! the file that is loaded, so that no call can be forgotten.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use object::{
    File, Object, ObjectSection, ObjectSymbol, Relocation, RelocationTarget, Section, SymbolKind,
};

use crate::module;

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
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
            function,
            offset,
            callee,
        } = self;
        write!(formatter, "{function}+{offset:#x} ({callee})")
    }
}

/// Every symbol that the module has from the kernel.
pub fn undefined() -> BTreeSet<String> {
    with_module(|module| {
        let symbols = module.symbols().filter(|symbol| symbol.is_undefined());
        let names = symbols.filter_map(|symbol| symbol.name().ok());
        names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    })
}

/// Every call of one of `callees`.
pub fn calls(callees: &[&str]) -> Vec<Site> {
    with_module(|module| {
        let mut sites = Vec::new();
        for section in module.sections() {
            for (place, relocation) in section.relocations() {
                let Some(callee) = target(module, &relocation) else {
                    continue;
                };
                if callees.contains(&callee) && !section.name().expect("a name").starts_with("__") {
                    sites.push(site(module, &section, place, callee));
                }
            }
        }
        sites.sort();
        sites
    })
}

/// Reads the file that is loaded.
pub(crate) fn with_module<T>(read: impl FnOnce(&File<'_>) -> T) -> T {
    let bytes = fs::read(module::FILE).unwrap_or_else(|error| panic!("{}: {error}", module::FILE));
    read(&File::parse(&*bytes).expect("an object file"))
}

/// What a relocation is about, if that is the kernel's.
pub(crate) fn target<'a>(module: &File<'a>, relocation: &Relocation) -> Option<&'a str> {
    let RelocationTarget::Symbol(index) = relocation.target() else {
        return None;
    };
    let symbol = module.symbol_by_index(index).expect("a symbol");
    symbol
        .is_undefined()
        .then(|| symbol.name().expect("a name"))
}

fn site(module: &File<'_>, section: &Section<'_, '_>, place: u64, callee: &str) -> Site {
    const CALL: u8 = 0xe8;
    let data = section.data().expect("data");
    assert_eq!(
        data[place as usize - 1],
        CALL,
        "{callee} is used otherwise than by a call, which leaves no return address"
    );
    let returns = place + 4;
    let caller = module
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
        function: caller.name().expect("a name").to_owned(),
        offset: returns - caller.address(),
        callee: callee.to_owned(),
    }
}

//! Every size, offset and constant of the bindings is what a C compiler says,
//! for 64 and for 32 bit.
//!
//! Complete by construction: the list of what to compare is read out of
//! bindings.rs itself. The numbers on the Rust side are the ones in its layout
//! assertions, which rustc has proven by compiling the crate. The C side is an
//! object file whose tables are read and never run, so that no 32-bit C library
//! is needed.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, process::Command};

use object::{Object, ObjectSection};
use syn::{Expr, Item, Lit, Type};

#[test]
fn c_and_rust_agree_for_64_bit() {
    compare("-m64");
}

#[test]
fn c_and_rust_agree_for_32_bit() {
    compare("-m32");
}

fn compare(bits: &str) {
    let rust = rust_side();
    assert!(
        rust.numbers.len() > 100,
        "only {} numbers found in bindings.rs",
        rust.numbers.len()
    );
    assert!(!rust.strings.is_empty(), "no strings found in bindings.rs");
    let numbers: Vec<&str> = rust.numbers.keys().map(String::as_str).collect();
    let strings: Vec<&str> = rust.strings.keys().map(String::as_str).collect();

    let object = compile(bits, &c_source(&numbers, &strings));
    let object = object::File::parse(&*object).expect("the compiler writes an object file");
    let table = |name| {
        object
            .section_by_name(name)
            .unwrap_or_else(|| panic!("no section {name}"))
            .data()
            .unwrap()
    };

    let c_numbers: Vec<i64> = table(".probe_numbers")
        .chunks_exact(8)
        .map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    assert_eq!(c_numbers.len(), numbers.len());
    let differences: Vec<String> = rust
        .numbers
        .iter()
        .zip(c_numbers)
        .filter(|((_, rust), c)| *rust != c)
        .map(|((what, rust), c)| format!("{what}: {rust} in Rust, {c} in C"))
        .collect();
    assert!(
        differences.is_empty(),
        "{bits}:\n{}",
        differences.join("\n")
    );

    let expected: Vec<u8> = rust.strings.values().flatten().copied().collect();
    assert_eq!(table(".probe_strings"), expected, "the strings {strings:?}");
}

/// What bindings.rs says: C expression to value.
struct RustSide {
    numbers: BTreeMap<String, i64>,
    strings: BTreeMap<String, Vec<u8>>,
}

fn rust_side() -> RustSide {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bindings.rs");
    let file = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
    let mut side = RustSide {
        numbers: BTreeMap::new(),
        strings: BTreeMap::new(),
    };
    let mut sizes = BTreeMap::new();
    let mut fields = Vec::new();

    for item in &file.items {
        match item {
            Item::Const(constant) if constant.ident == "_" => {
                for (what, value) in assertions(&constant.expr) {
                    if let Some(name) = what.strip_prefix("Size of ") {
                        side.numbers.insert(format!("sizeof(struct {name})"), value);
                        sizes.insert(name.to_owned(), value);
                    } else if let Some(field) = what.strip_prefix("Offset of field: ") {
                        let (name, field) = field.split_once("::").unwrap();
                        side.numbers
                            .insert(format!("__builtin_offsetof(struct {name}, {field})"), value);
                    } else {
                        // A 32-bit ABI may align a u64 less; what matters is where things lie.
                        assert!(
                            what.starts_with("Alignment of "),
                            "unknown assertion {what:?}"
                        );
                    }
                }
            }
            Item::Const(constant) => {
                let name = constant.ident.to_string();
                match &*constant.expr {
                    Expr::Lit(lit) => match &lit.lit {
                        Lit::Int(int) => {
                            side.numbers.insert(name, int.base10_parse().unwrap());
                        }
                        Lit::CStr(text) => {
                            side.strings
                                .insert(name, text.value().into_bytes_with_nul());
                        }
                        _ => panic!("{name}: a kind of constant this test does not know"),
                    },
                    _ => panic!("{name}: not a literal"),
                }
            }
            Item::Struct(item) => {
                for field in &item.fields {
                    let Type::Path(ty) = &field.ty else {
                        panic!("{}: unknown type", item.ident)
                    };
                    let ty = ty.path.segments.last().unwrap().ident.to_string();
                    fields.push((item.ident.to_string(), field.ident.clone().unwrap(), ty));
                }
            }
            Item::Type(_) => {}
            _ => panic!("a kind of item this test does not know"),
        }
    }

    for (name, field, ty) in fields {
        let size = match ty.as_str() {
            "__u8" => 1,
            "__u16" => 2,
            "__u32" | "__be32" | "c_int" => 4,
            "__u64" => 8,
            other => *sizes
                .get(other)
                .unwrap_or_else(|| panic!("{name}: unknown type {other}")),
        };
        let offset = format!("__builtin_offsetof(struct {name}, {field})");
        assert!(
            side.numbers.contains_key(&offset),
            "{name}.{field} has no layout assertion"
        );
        side.numbers
            .insert(format!("sizeof(((struct {name} *)0)->{field})"), size);
    }
    side
}

/// The text and number of each `["text"][expression - number]` in a block.
fn assertions(block: &Expr) -> Vec<(String, i64)> {
    let Expr::Block(block) = block else {
        panic!("a nameless constant that is not a block")
    };
    let parse = |statement: &syn::Stmt| {
        let syn::Stmt::Expr(Expr::Index(index), _) = statement else {
            return None;
        };
        let Expr::Array(text) = &*index.expr else {
            return None;
        };
        let Some(Expr::Lit(text)) = text.elems.first() else {
            return None;
        };
        let Expr::Binary(difference) = &*index.index else {
            return None;
        };
        let (Lit::Str(text), Expr::Lit(number)) = (&text.lit, &*difference.right) else {
            return None;
        };
        let Lit::Int(number) = &number.lit else {
            return None;
        };
        Some((text.value(), number.base10_parse().unwrap()))
    };
    block
        .block
        .stmts
        .iter()
        .map(|s| parse(s).expect("an assertion of a known shape"))
        .collect()
}

fn c_source(numbers: &[&str], strings: &[&str]) -> String {
    let mut source = String::from(
        "#include <linux/netlink.h>\n#include <linux/genetlink.h>\n#include <linux/netfilter.h>\n\
         #include <linux/icmptap.h>\n#include <linux/imp2.h>\n\
         __attribute__((section(\".probe_numbers\"))) const long long numbers[] = {\n",
    );
    for number in numbers {
        writeln!(source, "{number},").unwrap();
    }
    source.push_str("};\n");
    for (i, string) in strings.iter().enumerate() {
        writeln!(
            source,
            "__attribute__((section(\".probe_strings\"), aligned(1))) const char s{i}[] = {string};"
        )
        .unwrap();
    }
    source
}

fn compile(bits: &str, source: &str) -> Vec<u8> {
    let host = "x86_64-unknown-linux-gnu";
    let compiler = cc::Build::new()
        .host(host)
        .target(host)
        .opt_level(0)
        .cargo_metadata(false)
        .get_compiler();
    let dir = tempfile::tempdir().unwrap();
    let (c, o) = (dir.path().join("probe.c"), dir.path().join("probe.o"));
    fs::write(&c, source).unwrap();
    let uapi = Path::new(env!("CARGO_MANIFEST_DIR")).join("uapi");
    let output = Command::new(compiler.path())
        .args([bits, "-Wall", "-Werror", "-c", "-o"])
        .arg(&o)
        .arg("-I")
        .arg(uapi)
        .args(["-isystem", "/usr/include/x86_64-linux-gnu"])
        .arg(&c)
        .output()
        .unwrap_or_else(|e| panic!("cannot run {}: {e}", compiler.path().display()));
    assert!(
        output.status.success(),
        "{bits}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::read(o).unwrap()
}

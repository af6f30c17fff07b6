//! `gen-bindings`: the kernel's headers as Rust, checked in.
//!
//! What a machine's own headers add with each kernel release must not show in
//! the result, so that `--check` gives the same answer everywhere: of the
//! netlink headers only what is listed here is kept.

use std::{
    io::Write,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, ensure};
use bindgen::callbacks::{EnumVariantCustomBehavior, EnumVariantValue, ParseCallbacks};
use xtask_host::setup::{Tool, need};
use xtask_host::workspace;

use crate::generated;

/// Generate the Rust bindings of kernel/uapi in icmptap-sys
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if the checked-in file is not up to date
    #[arg(long)]
    pub(crate) check: bool,
}

pub(crate) const OUTPUT: &str = "crates/icmptap-sys/src/bindings.rs";
const FIRST_LINE: &str = "// Made by `cargo xtask gen-bindings`. Do not edit.\n";

const HEADERS: &str = "
#include <linux/netlink.h>
#include <linux/genetlink.h>
#include <linux/netfilter.h>
#include <linux/icmptap.h>
#include <linux/imp2.h>
";

/// Our own headers: all of it.
const OWN: &str = "_*(ICMPTAP|icmptap|IMP2|NL_IMP2|packet_info).*";

/// Structs of the netlink headers.
const TYPES: &[&str] = &["nlmsghdr", "nlmsgerr", "nlattr", "genlmsghdr"];

/// Enums of the netlink headers, for the sake of their values in `VALUES`.
const ENUMS: &[&str] = &["nlmsgerr_attrs", "nf_inet_hooks"];

/// Macros and enum values of the netlink headers.
const VALUES: &[&str] = &[
    "CTRL_ATTR_FAMILY_ID",
    "CTRL_ATTR_FAMILY_NAME",
    "CTRL_ATTR_VERSION",
    "CTRL_CMD_GETFAMILY",
    "GENL_ID_CTRL",
    "NETLINK_CAP_ACK",
    "NETLINK_EXT_ACK",
    "NETLINK_GENERIC",
    "NETLINK_NO_ENOBUFS",
    "NFPROTO_IPV4",
    "NFPROTO_IPV6",
    "NF_INET_FORWARD",
    "NF_INET_LOCAL_IN",
    "NF_INET_LOCAL_OUT",
    "NF_INET_POST_ROUTING",
    "NF_INET_PRE_ROUTING",
    "NLA_F_NESTED",
    "NLA_F_NET_BYTEORDER",
    "NLMSGERR_ATTR_MSG",
    "NLMSGERR_ATTR_OFFS",
    "NLMSG_DONE",
    "NLMSG_ERROR",
    "NLM_F_ACK",
    "NLM_F_ACK_TLVS",
    "NLM_F_CAPPED",
    "NLM_F_DUMP",
    "NLM_F_DUMP_INTR",
    "NLM_F_MULTI",
    "NLM_F_REQUEST",
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let root = workspace::root();
    need(&[Tool::Libclang])?;
    generated::write_or_check(OUTPUT, &generate(&root)?, "gen-bindings", args.check)?;
    Ok(ExitCode::SUCCESS)
}

fn generate(root: &Path) -> Result<String> {
    let uapi = root.join("kernel/uapi");
    ensure!(
        Path::new("/usr/include/linux/netlink.h").exists(),
        "gen-bindings needs the kernel's user headers: run `apt-get install linux-libc-dev` as root"
    );
    let mut builder = builder(HEADERS)
        .clang_arg(format!("-I{}", uapi.display()))
        .parse_callbacks(Box::new(OnlyListed));
    for name in TYPES.iter().chain(ENUMS) {
        builder = builder.allowlist_type(name);
    }
    for name in VALUES {
        builder = builder.allowlist_var(name);
    }
    let tidy = plain_constants(&raw(builder)?)?;
    Ok(format!("{FIRST_LINE}\n{}", rustfmt(&tidy)?))
}

/// What is ours in this text of a header.
pub(crate) fn of_header(text: &str) -> Result<String> {
    plain_constants(&raw(builder(text))?)
}

fn builder(header: &str) -> bindgen::Builder {
    bindgen::builder()
        .header_contents("icmptap-bindings.h", header)
        .allowlist_recursively(true)
        .use_core()
        .generate_cstr(true)
        .prepend_enum_name(false)
        .derive_default(true)
        .derive_eq(true)
        .layout_tests(true)
        .generate_comments(false)
        .disable_header_comment()
        .default_enum_style(bindgen::EnumVariation::Consts)
        .formatter(bindgen::Formatter::None)
        .allowlist_type(OWN)
        .allowlist_var(OWN)
}

fn raw(builder: bindgen::Builder) -> Result<String> {
    let bindings = builder
        .generate()
        .context("bindgen could not read the headers")?;
    Ok(bindings.to_string())
}

/// Hides the enum values of system headers that are not in `VALUES`.
#[derive(Debug)]
struct OnlyListed;

impl ParseCallbacks for OnlyListed {
    fn enum_variant_behavior(
        &self,
        _enum: Option<&str>,
        variant: &str,
        _value: EnumVariantValue,
    ) -> Option<EnumVariantCustomBehavior> {
        let own = variant.trim_start_matches('_').starts_with("ICMPTAP");
        (!own && !VALUES.contains(&variant)).then_some(EnumVariantCustomBehavior::Hide)
    }
}

/// Gives every enum value the type `u32` and drops the enums' aliases: those
/// of nameless enums are numbered, and the numbers follow the headers' version.
fn plain_constants(raw: &str) -> Result<String> {
    let mut file = syn::parse_file(raw).context("bindgen's output is not Rust")?;
    let enums: Vec<String> = file
        .items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Type(alias) => Some(alias.ident.to_string()),
            _ => None,
        })
        .filter(|name| name.starts_with("_bindgen_ty") || !name.starts_with("__"))
        .collect();
    let is_enum = |ty: &syn::Type| match ty {
        syn::Type::Path(path) => path
            .path
            .get_ident()
            .is_some_and(|i| enums.contains(&i.to_string())),
        _ => false,
    };
    file.items
        .retain(|item| !matches!(item, syn::Item::Type(a) if enums.contains(&a.ident.to_string())));
    for item in &mut file.items {
        if let syn::Item::Const(constant) = item
            && is_enum(&constant.ty)
        {
            *constant.ty = syn::parse_str("u32")?;
        }
    }
    Ok(prettyplease::unparse(&file))
}

/// So that `cargo fmt` finds nothing to change.
fn rustfmt(text: &str) -> Result<String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run rustfmt: run `rustup component add rustfmt`")?;
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "rustfmt failed on bindgen's output"
    );
    Ok(String::from_utf8(output.stdout)?)
}

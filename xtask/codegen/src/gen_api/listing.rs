//! The public items of modules, one line each.
//!
//! What is `pub` is listed, in a private module too: the lint `unreachable_pub`
//! sees to it that the crate's face shows it somewhere. What macros make is not
//! known here; so their definitions and uses are listed as they stand. A kind of
//! item that this file does not know is an error, never passed over.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, Expr, Field, Fields, FieldsNamed, File, FnArg, ImplItem, Item, ItemEnum, ItemFn,
    ItemImpl, ItemStruct, ItemTrait, ItemUse, Macro, Meta, Pat, TraitItem, Type, UseTree,
    Visibility,
};

use super::modules::{Module, conditions, is_for_tests};

/// In order. A line is the item's path, two blanks and its declaration.
pub(crate) fn listing(modules: &[Module]) -> Result<Vec<String>> {
    let mut listing = Listing {
        public: public_names(modules),
        used_macros: used_macros(modules),
        lines: Vec::new(),
    };
    for module in modules {
        for item in &module.items {
            listing
                .add(module, item)
                .with_context(|| format!("in {}", module.path))?;
        }
    }
    listing.lines.sort();
    Ok(listing.lines)
}

struct Listing {
    /// Whether a type or trait of this name, which is the crate's own, is public.
    public: BTreeMap<String, bool>,
    used_macros: BTreeSet<String>,
    lines: Vec<String>,
}

/// Where an item is, and under which conditions.
struct Place<'a> {
    path: String,
    conditions: Vec<&'a Attribute>,
}

impl<'a> Place<'a> {
    fn within(&self, name: impl std::fmt::Display, attrs: &'a [Attribute]) -> Place<'a> {
        let mut place = self.with(attrs);
        place.path = format!("{}::{name}", self.path);
        place
    }

    fn with(&self, attrs: &'a [Attribute]) -> Place<'a> {
        let conditions = self.conditions.iter().copied().chain(conditions(attrs));
        Place {
            path: self.path.clone(),
            conditions: conditions.collect(),
        }
    }
}

impl Listing {
    fn line(&mut self, place: &Place<'_>, attrs: &[Attribute], declaration: &str) {
        let mut words = vec![format!("{} ", place.path)];
        let shown = attrs.iter().filter(|attr| is_shown(attr));
        words.extend(place.conditions.iter().copied().chain(shown).map(attribute));
        words.push(declaration.to_owned());
        self.lines.push(words.join(" "));
    }

    fn add(&mut self, module: &Module, item: &Item) -> Result<()> {
        let attrs = attributes(item)?;
        if is_for_tests(attrs) {
            return Ok(());
        }
        let module = Place {
            path: module.path.clone(),
            conditions: module.conditions.iter().collect(),
        };
        match item {
            Item::Impl(item) => self.add_impl(&module, item)?,
            Item::Macro(item) => {
                let name = item.mac.path.segments.last().map(|last| &last.ident);
                let own = item.ident.as_ref();
                let exported = has(attrs, "macro_export");
                if own.is_none_or(|own| exported || self.used_macros.contains(&own.to_string())) {
                    let path = own.or(name).context("a macro without a name")?;
                    self.line(
                        &module.within(path, attrs),
                        attrs,
                        &invocation(own, &item.mac),
                    );
                }
            }
            // Public names of other crates' items, and of our own.
            Item::Use(item) if is_public(&item.vis) => self.add_use(&module, item),
            Item::Mod(item) if is_public(&item.vis) => {
                let place = module.within(&item.ident, attrs);
                self.line(&place, attrs, &format!("pub mod {}", item.ident));
            }
            Item::Const(item) if is_public(&item.vis) => {
                let mut bare = item.clone();
                *bare.expr = nothing()?;
                self.item(&module.within(&item.ident, attrs), Item::Const(bare))?;
            }
            Item::Static(item) if is_public(&item.vis) => {
                let mut bare = item.clone();
                *bare.expr = nothing()?;
                self.item(&module.within(&item.ident, attrs), Item::Static(bare))?;
            }
            Item::Type(item) if is_public(&item.vis) => {
                let place = module.within(&item.ident, attrs);
                self.item(&place, Item::Type(item.clone()))?;
            }
            Item::Fn(item) if is_public(&item.vis) => {
                let place = module.within(&item.sig.ident, attrs);
                self.item(&place, Item::Fn(item.clone()))?;
            }
            Item::Struct(item) if is_public(&item.vis) => self.add_struct(&module, item)?,
            Item::Enum(item) if is_public(&item.vis) => self.add_enum(&module, item)?,
            Item::Trait(item) if is_public(&item.vis) => self.add_trait(&module, item)?,
            // Private, each of them.
            Item::Use(_) | Item::Mod(_) | Item::Const(_) | Item::Static(_) | Item::Type(_) => {}
            Item::Fn(_) | Item::Struct(_) | Item::Enum(_) | Item::Trait(_) => {}
            _ => bail!("a kind of item that is not understood here"),
        }
        Ok(())
    }

    /// A line with the item's declaration: its attributes, and no body.
    fn item(&mut self, place: &Place<'_>, item: Item) -> Result<()> {
        let attrs = attributes(&item)?.to_vec();
        let declaration = declaration(item)?;
        self.line(place, &attrs, &declaration);
        Ok(())
    }

    fn add_use(&mut self, module: &Place<'_>, item: &ItemUse) {
        let mut names = Vec::new();
        use_names(&item.tree, "", &mut names);
        for (name, what) in names {
            let place = module.within(&name, &item.attrs);
            self.line(&place, &item.attrs, &format!("pub use {what}"));
        }
    }

    fn add_struct(&mut self, module: &Place<'_>, item: &ItemStruct) -> Result<()> {
        let place = module.within(&item.ident, &item.attrs);
        let mut bare = item.clone();
        let all_public = item.fields.iter().all(|field| is_public(&field.vis));
        match &mut bare.fields {
            Fields::Named(fields) => fields.named.clear(),
            Fields::Unnamed(fields) => {
                for field in &mut fields.unnamed {
                    field.attrs.clear();
                    if !is_public(&field.vis) {
                        field.ty = syn::parse_str("_")?;
                        field.vis = Visibility::Inherited;
                    }
                }
            }
            Fields::Unit => {}
        }
        let mut text = declaration(Item::Struct(bare))?;
        if let Fields::Named(fields) = &item.fields {
            // With a field that is not public nobody else can make one.
            text.push_str(if all_public { "" } else { " (more fields)" });
            self.add_fields(&place, fields)?;
        }
        self.line(&place, &item.attrs, &text);
        self.add_derives(&place, &item.attrs)
    }

    fn add_fields(&mut self, place: &Place<'_>, fields: &FieldsNamed) -> Result<()> {
        for field in fields.named.iter().filter(|field| is_public(&field.vis)) {
            let name = field.ident.as_ref().context("a field without a name")?;
            let place = place.within(name, &field.attrs);
            self.line(&place, &field.attrs, &field_text(field)?);
        }
        Ok(())
    }

    fn add_enum(&mut self, module: &Place<'_>, item: &ItemEnum) -> Result<()> {
        let place = module.within(&item.ident, &item.attrs);
        let mut bare = item.clone();
        bare.variants.clear();
        self.line(&place, &item.attrs, &declaration(Item::Enum(bare.clone()))?);
        self.add_derives(&place, &item.attrs)?;
        for variant in &item.variants {
            let mut alone = variant.clone();
            alone.attrs.clear();
            for field in &mut alone.fields {
                field.attrs.retain(|attr| attr.path().is_ident("from"));
            }
            bare.variants.clear();
            bare.variants.push(alone);
            let text = body(&declaration(Item::Enum(bare.clone()))?)?;
            self.line(
                &place.within(&variant.ident, &variant.attrs),
                &variant.attrs,
                &text,
            );
        }
        Ok(())
    }

    fn add_trait(&mut self, module: &Place<'_>, item: &ItemTrait) -> Result<()> {
        let place = module.within(&item.ident, &item.attrs);
        let mut bare = item.clone();
        bare.items.clear();
        self.line(
            &place,
            &item.attrs,
            &declaration(Item::Trait(bare.clone()))?,
        );
        for inner in &item.items {
            let mut inner = inner.clone();
            let (name, attrs) = match &mut inner {
                TraitItem::Const(item) => (item.ident.to_string(), &mut item.attrs),
                TraitItem::Type(item) => (item.ident.to_string(), &mut item.attrs),
                TraitItem::Fn(item) => {
                    if let Some(body) = &mut item.default {
                        body.stmts.clear();
                    }
                    (item.sig.ident.to_string(), &mut item.attrs)
                }
                _ => bail!("{}: a kind of item that is not understood here", item.ident),
            };
            let attrs = std::mem::take(attrs);
            bare.items = vec![inner];
            let text = body(&declaration(Item::Trait(bare.clone()))?)?;
            self.line(&place.within(name, &attrs), &attrs, &text);
        }
        Ok(())
    }

    /// `#[derive(…)]`, sorted, and what is derived under a condition.
    fn add_derives(&mut self, place: &Place<'_>, attrs: &[Attribute]) -> Result<()> {
        let mut derived = BTreeSet::new();
        for attr in attrs {
            if attr.path().is_ident("derive") {
                attr.parse_nested_meta(|meta| {
                    derived.insert(tidy(&tokens(&meta.path)));
                    Ok(())
                })?;
            } else if attr.path().is_ident("cfg_attr") {
                self.line(place, &[], &attribute(attr));
            }
        }
        if !derived.is_empty() {
            let derived = derived.into_iter().collect::<Vec<_>>().join(", ");
            self.line(place, &[], &format!("#[derive({derived})]"));
        }
        Ok(())
    }

    fn add_impl(&mut self, module: &Place<'_>, item: &ItemImpl) -> Result<()> {
        let of = last_name(&item.self_ty);
        let is_ours = |name: &str| self.public.get(name).copied();
        if is_ours(&of) == Some(false) {
            return Ok(());
        }
        let mut header = item.clone();
        header.attrs.clear();
        header.items.clear();
        // In the type's own module, unless the type is another crate's.
        let place = module.within(&of, &item.attrs);
        if let Some((path, _)) = &item.trait_ {
            let name = path.segments.last().map(|last| last.ident.to_string());
            if name.and_then(|name| is_ours(&name)) == Some(false) {
                return Ok(());
            }
            for inner in &item.items {
                match inner {
                    ImplItem::Fn(_) => {}
                    ImplItem::Type(_) => header.items.push(inner.clone()),
                    ImplItem::Const(item) => {
                        let mut bare = item.clone();
                        bare.expr = nothing()?;
                        header.items.push(ImplItem::Const(bare));
                    }
                    _ => bail!("impl for {of}: a kind of item that is not understood here"),
                }
            }
            self.line(&place, &item.attrs, &declaration(Item::Impl(header))?);
            return Ok(());
        }
        let generics = match item.generics.params.is_empty() {
            true => String::new(),
            false => format!("{}: ", declaration(Item::Impl(header))?),
        };
        for inner in &item.items {
            self.add_method(&place, &generics, inner)
                .with_context(|| format!("impl {of}"))?;
        }
        Ok(())
    }

    fn add_method(&mut self, place: &Place<'_>, generics: &str, inner: &ImplItem) -> Result<()> {
        let (name, attrs, item) = match inner {
            ImplItem::Fn(item) if is_public(&item.vis) => {
                let free = Item::Fn(ItemFn {
                    attrs: Vec::new(),
                    vis: item.vis.clone(),
                    modifiers: item.modifiers.clone(),
                    sig: item.sig.clone(),
                    block: Box::new(item.block.clone()),
                });
                (&item.sig.ident, &item.attrs, free)
            }
            ImplItem::Const(item) if is_public(&item.vis) => {
                let (vis, name, ty) = (tokens(&item.vis), &item.ident, tokens(&item.ty));
                let free = syn::parse_str(&format!("{vis} const {name}: {ty} = _;"))?;
                (name, &item.attrs, free)
            }
            ImplItem::Fn(_) | ImplItem::Const(_) => return Ok(()),
            ImplItem::Macro(item) => {
                let name = item.mac.path.segments.last().context("a nameless macro")?;
                let place = place.within(&name.ident, &item.attrs);
                self.line(&place, &item.attrs, &invocation(None, &item.mac));
                return Ok(());
            }
            _ => bail!("a kind of item that is not understood here"),
        };
        if is_for_tests(attrs) {
            return Ok(());
        }
        let text = format!("{generics}{}", declaration(item)?);
        self.line(&place.within(name, attrs), attrs, &text);
        Ok(())
    }
}

/// Names of the crate's own types and traits. One that is public anywhere counts
/// as public: better a line too many.
fn public_names(modules: &[Module]) -> BTreeMap<String, bool> {
    let mut names = BTreeMap::new();
    for item in modules.iter().flat_map(|module| &module.items) {
        let (vis, name) = match item {
            Item::Struct(item) => (&item.vis, &item.ident),
            Item::Enum(item) => (&item.vis, &item.ident),
            Item::Type(item) => (&item.vis, &item.ident),
            Item::Trait(item) => (&item.vis, &item.ident),
            _ => continue,
        };
        *names.entry(name.to_string()).or_default() |= is_public(vis);
    }
    names
}

fn used_macros(modules: &[Module]) -> BTreeSet<String> {
    let items = modules.iter().flat_map(|module| &module.items);
    let mut used = BTreeSet::new();
    for item in items {
        let macros: Vec<&Macro> = match item {
            Item::Macro(item) => vec![&item.mac],
            Item::Impl(item) => item
                .items
                .iter()
                .filter_map(|inner| match inner {
                    ImplItem::Macro(item) => Some(&item.mac),
                    _ => None,
                })
                .collect(),
            _ => continue,
        };
        let names = macros.iter().filter_map(|mac| mac.path.segments.last());
        used.extend(names.map(|name| name.ident.to_string()));
    }
    used
}

/// What each name stands for: `Packet` for `icmptap_proto::imp2::Packet`.
fn use_names(tree: &UseTree, prefix: &str, names: &mut Vec<(String, String)>) {
    match tree {
        UseTree::Path(path) => {
            use_names(&path.tree, &format!("{prefix}{}::", path.ident), names);
        }
        UseTree::Name(name) => {
            names.push((name.ident.to_string(), format!("{prefix}{}", name.ident)));
        }
        UseTree::Rename(name) => {
            names.push((name.rename.to_string(), format!("{prefix}{}", name.ident)));
        }
        UseTree::Glob(_) => names.push(("*".to_owned(), format!("{prefix}*"))),
        UseTree::Group(group) => {
            for tree in &group.items {
                use_names(tree, prefix, names);
            }
        }
    }
}

/// On one line, without attributes and without a function's body.
fn declaration(mut item: Item) -> Result<String> {
    if let Item::Fn(item) = &mut item {
        item.block.stmts.clear();
        item.sig.inputs.iter_mut().for_each(forget_mut);
    }
    let is_fn = matches!(item, Item::Fn(_));
    clear_attributes(&mut item)?;
    let file = File {
        shebang: None,
        frontmatter: None,
        attrs: Vec::new(),
        items: vec![item],
    };
    let text = tidy(&prettyplease::unparse(&file));
    let text = if is_fn {
        text.trim_end_matches("{}")
    } else {
        text.trim_end_matches(" {}")
    };
    Ok(text.trim_end().trim_end_matches(';').to_owned())
}

/// Whether a function changes its own copy of an argument is its own affair.
fn forget_mut(input: &mut FnArg) {
    match input {
        FnArg::Receiver(receiver) => receiver.mutability = None,
        FnArg::Typed(typed) => {
            if let Pat::Ident(name) = &mut *typed.pat {
                name.mutability = None;
            }
        }
    }
}

/// What is between the braces.
fn body(text: &str) -> Result<String> {
    let inner = text
        .split_once('{')
        .and_then(|(_, rest)| rest.rsplit_once('}'));
    let (inner, _) = inner.with_context(|| format!("no braces in {text:?}"))?;
    Ok(inner.trim().trim_end_matches([',', ';']).to_owned())
}

fn field_text(field: &Field) -> Result<String> {
    let mut field = field.clone();
    field.attrs.clear();
    let mut carrier: ItemStruct = syn::parse_str("struct X {}")?;
    if let Fields::Named(fields) = &mut carrier.fields {
        fields.named.push(field);
    }
    body(&declaration(Item::Struct(carrier))?)
}

/// As it stands, but for the documentation in it.
fn invocation(name: Option<&syn::Ident>, mac: &Macro) -> String {
    let name = name.map(|name| format!(" {name}")).unwrap_or_default();
    let inner = without_docs(mac.tokens.clone());
    tidy(&format!("{}!{name} {{ {inner} }}", tokens(&mac.path)))
}

/// Doc comments are `#[doc = "…"]` here.
fn without_docs(tokens: TokenStream) -> TokenStream {
    let mut kept: Vec<TokenTree> = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let inner = without_docs(group.stream());
                let is_doc = group.delimiter() == Delimiter::Bracket
                    && inner.to_string().starts_with("doc =");
                if is_doc && matches!(kept.last(), Some(TokenTree::Punct(p)) if p.as_char() == '#')
                {
                    kept.pop();
                } else {
                    let group = proc_macro2::Group::new(group.delimiter(), inner);
                    kept.push(TokenTree::Group(group));
                }
            }
            other => kept.push(other),
        }
    }
    kept.into_iter().collect()
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

/// Attributes that a user of the item notices; `cfg` and `derive` are shown apart.
fn is_shown(attr: &Attribute) -> bool {
    let shown = [
        "deprecated",
        "macro_export",
        "must_use",
        "non_exhaustive",
        "repr",
    ];
    shown.iter().any(|name| attr.path().is_ident(name))
        || (attr.path().is_ident("doc") && matches!(&attr.meta, Meta::List(_)))
}

fn has(attrs: &[Attribute], name: &str) -> bool {
    attrs.iter().any(|attr| attr.path().is_ident(name))
}

fn attribute(attr: &Attribute) -> String {
    let text = tidy(&tokens(&attr.meta)).replace(" (", "(");
    format!("#[{text}]")
}

fn attributes(item: &Item) -> Result<&[Attribute]> {
    Ok(match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => bail!("a kind of item that is not understood here"),
    })
}

fn clear_attributes(item: &mut Item) -> Result<()> {
    match item {
        Item::Const(item) => item.attrs.clear(),
        Item::Enum(item) => item.attrs.clear(),
        Item::Fn(item) => item.attrs.clear(),
        Item::Impl(item) => item.attrs.clear(),
        Item::Static(item) => item.attrs.clear(),
        Item::Struct(item) => item.attrs.clear(),
        Item::Trait(item) => item.attrs.clear(),
        Item::Type(item) => item.attrs.clear(),
        _ => bail!("a kind of item that has no declaration here"),
    }
    Ok(())
}

/// The name of a type without its path, its arguments and what it is behind.
fn last_name(ty: &Type) -> String {
    match ty {
        Type::Path(path) => match path.path.segments.last() {
            Some(last) => last.ident.to_string(),
            None => tokens(path),
        },
        Type::Reference(reference) => last_name(&reference.elem),
        other => tidy(&tokens(other)),
    }
}

/// Stands for a value that is not part of the API.
fn nothing() -> Result<Expr> {
    Ok(syn::parse_str("_")?)
}

fn tokens(syntax: &impl quote::ToTokens) -> String {
    syntax.to_token_stream().to_string()
}

/// On one line, and without the blanks that come from having been on several, or
/// from having been tokens.
fn tidy(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (wide, narrow) in [
        (", )", ")"),
        (", }", " }"),
        (", >", ">"),
        ("( ", "("),
        (" )", ")"),
        ("[ ", "["),
        (" ]", "]"),
        (" ,", ","),
        (" ::", "::"),
        (":: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
    ] {
        line = line.replace(wide, narrow);
    }
    line
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;

    /// The lines of a crate `x` of these files.
    fn lines(files: &[(&str, &str)]) -> Result<Vec<String>> {
        let read = |path: &Path| {
            let mut files = files.iter();
            let found = files.find(|(name, _)| Path::new(name) == path);
            found
                .map(|(_, text)| (*text).to_owned())
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        listing(&Module::all_of("x", &read)?)
    }

    fn of(text: &str) -> Vec<String> {
        lines(&[("lib.rs", text)]).unwrap()
    }

    #[test]
    fn each_public_item_is_a_line() {
        let text = "
            /// Documented.
            pub const A: [u8; 2] = [1, 2];
            pub static S: &str = \"\";
            pub type T<'a> = Option<&'a u8>;
            pub const fn f<R>(mut a: u8, b: &mut R) -> Result<R, ()> where R: Copy { todo(a) }
            #[must_use]
            pub async fn g() {}
            fn private() {}
            pub(crate) fn ours() {}
            const _: () = ();
        ";
        assert_eq!(
            of(text),
            [
                "x::A  pub const A: [u8; 2] = _",
                "x::S  pub static S: &str = _",
                "x::T  pub type T<'a> = Option<&'a u8>",
                "x::f  pub const fn f<R>(a: u8, b: &mut R) -> Result<R, ()> where R: Copy,",
                "x::g  #[must_use] pub async fn g()",
            ]
        );
    }

    #[test]
    fn types_show_what_can_be_seen_of_them() {
        let text = "
            #[derive(Debug)]
            #[derive(Clone, serde::Serialize)]
            #[cfg_attr(feature = \"json\", derive(Eq))]
            pub struct Open { #[doc = \"x\"] pub a: u8, pub b: Vec<u8> }
            pub struct Closed { pub a: u8, b: u8 }
            pub struct Tuple(pub u8, u16);
            pub struct Unit;
            #[non_exhaustive]
            #[repr(u8)]
            pub enum Kind<'a> { #[error(\"x\")] One = 3, Two(#[from] io::Error), Three { a: &'a str } }
            struct Hidden { pub a: u8 }
        ";
        assert_eq!(
            of(text),
            [
                "x::Closed  pub struct Closed (more fields)",
                "x::Closed::a  pub a: u8",
                "x::Kind  #[non_exhaustive] #[repr(u8)] pub enum Kind<'a>",
                "x::Kind::One  One = 3",
                "x::Kind::Three  Three { a: &'a str }",
                "x::Kind::Two  Two(#[from] io::Error)",
                "x::Open  #[cfg_attr(feature = \"json\", derive(Eq))]",
                "x::Open  #[derive(Clone, Debug, serde::Serialize)]",
                "x::Open  pub struct Open",
                "x::Open::a  pub a: u8",
                "x::Open::b  pub b: Vec<u8>",
                "x::Tuple  pub struct Tuple(pub u8, _)",
                "x::Unit  pub struct Unit",
            ]
        );
    }

    #[test]
    fn implementations_are_listed_with_what_users_notice() {
        let text = "
            pub struct Iter<'a>(&'a u8);
            impl<'a> Iter<'a> {
                pub const N: usize = 3;
                pub(crate) fn ours() {}
                pub fn next_back(mut self) -> u8 { 0 }
                #[cfg(test)]
                pub fn for_test() {}
            }
            impl Iterator for Iter<'_> { type Item = u8; fn next(&mut self) -> Option<u8> { None } }
            impl From<Iter<'_>> for u8 { fn from(_: Iter<'_>) -> u8 { 0 } }
            pub trait Face: Copy { const C: u8; type Out; fn must(&self); fn may(&self) -> u8 { 7 } }
            struct Hidden;
            impl Hidden { pub fn f() {} }
            impl Face for Hidden {}
            trait Inner {}
            impl Inner for Iter<'_> {}
        ";
        assert_eq!(
            of(text),
            [
                "x::Face  pub trait Face: Copy",
                "x::Face::C  const C: u8",
                "x::Face::Out  type Out",
                "x::Face::may  fn may(&self) -> u8 {}",
                "x::Face::must  fn must(&self)",
                "x::Iter  impl Iterator for Iter<'_> { type Item = u8; }",
                "x::Iter  pub struct Iter<'a>(_)",
                "x::Iter::N  impl<'a> Iter<'a>: pub const N: usize = _",
                "x::Iter::next_back  impl<'a> Iter<'a>: pub fn next_back(self) -> u8",
                "x::u8  impl From<Iter<'_>> for u8",
            ]
        );
    }

    #[test]
    fn modules_are_followed_into_their_files_with_their_conditions() {
        let files = [
            (
                "lib.rs",
                "mod a; #[cfg(feature = \"b\")] pub mod b; pub mod inline { pub fn i() {} mod deep; }
                 #[cfg(test)] mod tests; pub use a::{A, Other as Name, sub::*};",
            ),
            ("a.rs", "pub mod sub; pub struct A;"),
            ("a/sub.rs", "pub fn s() {}"),
            ("b/mod.rs", "#[cfg(unix)] pub fn u() {} mod c { pub fn v() {} }"),
            ("inline/deep.rs", "pub fn d() {}"),
        ];
        assert_eq!(
            lines(&files).unwrap(),
            [
                "x::*  pub use a::sub::*",
                "x::A  pub use a::A",
                "x::Name  pub use a::Other",
                "x::a::A  pub struct A",
                "x::a::sub  pub mod sub",
                "x::a::sub::s  pub fn s()",
                "x::b  #[cfg(feature = \"b\")] pub mod b",
                "x::b::c::v  #[cfg(feature = \"b\")] pub fn v()",
                "x::b::u  #[cfg(feature = \"b\")] #[cfg(unix)] pub fn u()",
                "x::inline  pub mod inline",
                "x::inline::deep::d  pub fn d()",
                "x::inline::i  pub fn i()",
            ]
        );
        let error = format!("{:#}", lines(&files[..1]).unwrap_err());
        assert!(
            error.starts_with("at `mod a`: cannot read a/mod.rs"),
            "{error}"
        );
    }

    #[test]
    fn what_macros_make_is_not_lost() {
        let text = "
            macro_rules! number { ($(#[$doc:meta])* $name:ident) => { pub struct $name(pub u8); }; }
            macro_rules! unused { () => {}; }
            #[macro_export]
            macro_rules! open { () => {}; }
            number! {
                /// Documentation is no part of it.
                A
            }
            pub struct S;
            impl S { number!(B); }
        ";
        assert_eq!(
            of(text),
            [
                "x::S  pub struct S",
                "x::S::number  number! { B }",
                "x::number  macro_rules! number { ($ (# [$ doc : meta]) * $ name : ident) => \
                 { pub struct $ name (pub u8) ; } ; }",
                "x::number  number! { A }",
                "x::open  #[macro_export] macro_rules! open { () => { } ; }",
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in [
            "extern crate std;",
            "pub union U { a: u8 }",
            "extern \"C\" { pub fn f(); }",
            "#[path = \"y.rs\"] mod y;",
        ] {
            let error = format!("{:#}", lines(&[("lib.rs", text)]).unwrap_err());
            assert!(error.contains("not understood here"), "{text}: {error}");
        }
    }
}

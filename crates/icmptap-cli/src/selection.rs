//! Which events of a capture are wanted: what the module decides of those that it sees.

use icmptap::{Families, Family, Filter, Hook, Hooks, TypeSet, event::EventRef};

use crate::{args::Selection, types};

#[derive(Debug)]
pub(crate) struct Selector {
    hooks: Option<Hooks>,
    families: Option<Families>,
    /// Of ICMP and of ICMPv6.
    types: Option<(TypeSet, TypeSet)>,
    interface: Option<String>,
    filter: Option<Filter>,
}

/// The hooks, families and types that the user wants.
pub(crate) struct Sets {
    pub(crate) hooks: Option<Hooks>,
    pub(crate) families: Option<Families>,
    pub(crate) types: Option<(TypeSet, TypeSet)>,
}

impl Sets {
    pub(crate) fn of(args: &Selection) -> anyhow::Result<Self> {
        let hooks = args.hooks.iter().map(|hook| Hook::from(*hook));
        let hooks = (!args.hooks.is_empty()).then(|| hooks.collect());
        let families = args.families.iter().map(|family| Family::from(*family));
        let mut families = (!args.families.is_empty()).then(|| families.collect());
        let mut sets = None;
        if !args.types.is_empty() {
            let (icmp, icmpv6, having) = types::sets(&args.types, families)?;
            sets = Some((icmp, icmpv6));
            families = Some(having);
        }
        Ok(Self {
            hooks,
            families,
            types: sets,
        })
    }
}

impl Selector {
    pub(crate) fn new(args: &Selection, filter: Option<Filter>) -> anyhow::Result<Self> {
        let Sets {
            hooks,
            families,
            types,
        } = Sets::of(args)?;
        Ok(Self {
            hooks,
            families,
            types,
            interface: args.interface.clone(),
            filter,
        })
    }

    /// Whether it is wanted. `is_by` says whether it came or leaves by the interface of
    /// this name. Where the hook is not known, no hook is the one that is wanted.
    pub(crate) fn wants(&self, event: &EventRef<'_>, is_by: impl FnOnce(&str) -> bool) -> bool {
        let at_hook = |hooks: Hooks| event.hook().is_some_and(|hook| hooks.contains(hook));
        let of_family = |families: Families| families.contains(event.family());
        let of_type = |(icmp, icmpv6): &(TypeSet, TypeSet)| {
            let set = match event.family() {
                Family::Ipv6 => icmpv6,
                _ => icmp,
            };
            match event.icmp_type_and_code() {
                Some((icmp_type, _)) => set.contains(icmp_type),
                None => *set == TypeSet::ALL,
            }
        };
        self.hooks.is_none_or(at_hook)
            && self.families.is_none_or(of_family)
            && self.types.as_ref().is_none_or(of_type)
            && self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(event))
            && self.interface.as_deref().is_none_or(is_by)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use icmptap_proto::testing::{Record, icmpv4};

    use super::*;
    use crate::{
        args::{Cli, Command},
        text::tests::with_event,
    };

    fn wants(options: &[&str], record: Record) -> bool {
        let args = ["icmptap", "read", "x"].iter().chain(options);
        let Command::Read(args) = Cli::try_parse_from(args).unwrap().command else {
            panic!("not read")
        };
        let selector = Selector::new(&args.selection, None).unwrap();
        with_event(record, |event| selector.wants(event, |name| name == "eth0"))
    }

    /// A later fragment has no type: only who wants all has it.
    #[test]
    fn what_has_no_type_is_of_all_types() {
        let ping = || Record::of_ipv4(icmpv4(8, 0, [0, 7, 0, 1], &[]));
        let later = || Record {
            flags: 2 | 4,
            ..ping()
        };
        assert!(wants(&[], ping()) && wants(&[], later()));
        assert!(wants(&["--type", "8"], ping()));
        assert!(!wants(&["--type", "8"], later()));
        assert!(!wants(&["--type", "neighbor-solicitation"], ping()));
        assert!(wants(&["--hook", "input,prerouting", "-i", "eth0"], ping()));
        assert!(!wants(&["--hook", "input"], ping()));
        assert!(!wants(&["-i", "eth1"], ping()));
        assert!(!wants(&["--family", "ipv6"], ping()));
    }
}

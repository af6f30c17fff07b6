//! The parameters of a subscription that are not what everybody has, in words.

use icmptap::{IfIndex, RateLimit, Sampling, TypeSet, Verdict, reply::Parameters};

use crate::{interfaces::escaped, types};

/// Such as `icmp types echo-reply+echo-request, interface eth0, 1 in 10`;
/// nothing if there is nothing special about them. `name` gives the name of an
/// interface.
pub(crate) fn special(
    parameters: &Parameters,
    mut name: impl FnMut(IfIndex) -> Option<String>,
) -> String {
    let mut words = Vec::new();
    if parameters.icmp_types != TypeSet::ALL {
        words.push(format!(
            "icmp types {}",
            types::ipv4_words(&parameters.icmp_types)
        ));
    }
    if parameters.icmpv6_types != TypeSet::ALL {
        words.push(format!(
            "icmpv6 types {}",
            types::ipv6_words(&parameters.icmpv6_types)
        ));
    }
    if let Some(index) = parameters.interface {
        let name = name(index).map(|name| escaped(&name));
        words.push(format!(
            "interface {}",
            name.unwrap_or_else(|| format!("if{index}"))
        ));
    }
    match parameters.filter_len {
        0 => {}
        len => words.push(format!("filter of {len} instructions")),
    }
    if parameters.sampling != Sampling::ALL {
        words.push(parameters.sampling.to_string());
    }
    if parameters.rate_limit != RateLimit::NONE {
        words.push(format!("at most {}", parameters.rate_limit));
    }
    if parameters.verdict != Verdict::Accept {
        words.push(parameters.verdict.to_string());
    }
    if parameters.all_netns {
        words.push("every netns".to_owned());
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use icmptap::Snaplen;
    use icmptap_proto::{
        FamilyId, nlmsg,
        request::{self, SubscribeOptions},
    };

    use super::*;

    /// A request reads like its answer.
    fn words(options: &mut SubscribeOptions) -> String {
        options.hooks = Some(icmptap::Hooks::PREROUTING);
        options.families = Some(icmptap::Families::ALL);
        options.snaplen = Some(Snaplen(576));
        options.batch = Some(icmptap::BatchSize(3776));
        options.flush_interval = Some(icmptap::FlushInterval { us: 1000 });
        let bytes = request::subscribe(FamilyId(1), 1, options);
        let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
        let parameters = Parameters::decode(&message.generic().unwrap()).unwrap();
        special(&parameters, |index| match index.0 {
            2 => Some("eth0".to_owned()),
            5 => Some("a\x1b[31mb\u{202e}".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn what_is_special_is_said() {
        assert_eq!(words(&mut SubscribeOptions::default()), "");
        let mut options = SubscribeOptions::default();
        options.icmp_types = Some([0, 8].into_iter().collect());
        options.icmpv6_types = Some(TypeSet::NONE);
        options.interface = Some(IfIndex(2));
        options.sampling = Some(Sampling { one_in: 10 });
        options.rate_limit = Some(RateLimit { per_second: 500 });
        options.verdict = Some(Verdict::Drop);
        options.all_netns = true;
        assert_eq!(
            words(&mut options),
            "icmp types echo-reply+echo-request, icmpv6 types none, interface eth0, 1 in 10, \
             at most 500/s, drop, every netns"
        );
        let mut options = SubscribeOptions::default();
        options.interface = Some(IfIndex(3));
        assert_eq!(words(&mut options), "interface if3");
        options.interface = Some(IfIndex(5));
        assert_eq!(words(&mut options), r"interface a\u{1b}[31mb\u{202e}");
    }
}

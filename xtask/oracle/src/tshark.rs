//! What tshark dissects, in the words of `icmptap listen -o json`: for a packet,
//! the value of each key that its event should have.

use super::tree::Tree;
use super::{Family, Fields};

/// `None` if it is not ICMP: the tap has no event for it.
///
/// `layers` is what `tshark -T json` has under that name.
pub(super) fn read(layers: &Tree) -> Option<Fields> {
    let ip = Ip::of(layers)?;
    let (protocol, name) = match ip.family {
        Family::V4 => (1, "icmp"),
        Family::V6 => (58, "icmpv6"),
    };
    if ip.protocol != protocol {
        return None;
    }
    let mut fields = Fields::default();
    fields.put("family", ip.family.name());
    fields.put("src", ip.src?);
    fields.put("dst", ip.dst?);
    fields.put("ttl", ip.ttl);
    fields.put("len", ip.len);
    fields.put("caplen", ip.len);
    fields.put("truncated", false);
    let later = ip.fragment.is_some_and(|offset| offset > 0);
    let short = ip.len.saturating_sub(ip.header_len) < 8;
    fields.put("malformed", short && !later);
    if let Some(offset) = ip.fragment {
        fields.put("fragment_offset", offset);
    }
    if let Some(vlan) = layers.tree("vlan") {
        fields.copy("vlan.id", vlan, "vlan.id");
        fields.copy("vlan.priority", vlan, "vlan.priority");
    }

    let message = layers.tree(name);
    let status = message.and_then(|message| message.number(&format!("{name}.checksum.status")));
    fields.put("checksum", checksum(status));
    icmp(&mut fields, layers, ip.family);
    Some(fields)
}

/// The ICMP message among the layers, if its type and code are there.
fn icmp(fields: &mut Fields, layers: &Tree, family: Family) {
    let name = match family {
        Family::V4 => "icmp",
        Family::V6 => "icmpv6",
    };
    let Some(message) = layers.tree(name) else {
        return;
    };
    let number = |what| u8::try_from(message.number(&format!("{name}.{what}"))?).ok();
    if let (Some(number), Some(code)) = (number("type"), number("code")) {
        fields.put("icmp.type", number);
        fields.put("icmp.code", code);
        match family {
            Family::V4 => v4(fields, number, message),
            Family::V6 => v6(fields, number, code, message),
        }
    }
}

/// `PROTO_CHECKSUM_E_…` of Wireshark's `epan/proto.h`.
fn checksum(status: Option<u64>) -> &'static str {
    match status {
        Some(0) => "bad",
        Some(1) => "good",
        _ => "unknown",
    }
}

/// What counts in an IP header with its extension headers.
struct Ip<'a> {
    family: Family,
    src: Option<&'a str>,
    dst: Option<&'a str>,
    len: u64,
    header_len: u64,
    ttl: u64,
    protocol: u64,
    /// Of a fragment: its offset in bytes.
    fragment: Option<u64>,
}

impl<'a> Ip<'a> {
    /// The first of the layers that is IP.
    fn of(layers: &'a Tree) -> Option<Self> {
        let (name, tree) = layers
            .subtrees()
            .find(|(name, _)| matches!(*name, "ip" | "ipv6"))?;
        if name == "ipv6" {
            return Self::v6(tree);
        }
        let mut ip = Self::v4(tree)?;
        // In IPv4 it is a layer of its own.
        if let Some(header) = layers.tree("ah").filter(|_| ip.protocol == 51) {
            ip.step_over_authentication(header)?;
        }
        Some(ip)
    }

    fn v4(tree: &'a Tree) -> Option<Self> {
        // Wireshark's field counts in units of 8 bytes, as the header does.
        let offset = tree.number("ip.frag_offset")? * 8;
        let more = tree
            .tree("ip.flags_tree")
            .and_then(|flags| flags.number("ip.flags.mf"))
            == Some(1);
        Some(Self {
            family: Family::V4,
            src: tree.text("ip.src"),
            dst: tree.text("ip.dst"),
            len: tree.number("ip.len")?,
            header_len: tree.number("ip.hdr_len")?,
            ttl: tree.number("ip.ttl")?,
            protocol: tree.number("ip.proto")?,
            fragment: (offset > 0 || more).then_some(offset),
        })
    }

    fn v6(tree: &'a Tree) -> Option<Self> {
        let mut ip = Self {
            family: Family::V6,
            src: tree.text("ipv6.src"),
            dst: tree.text("ipv6.dst"),
            len: 40 + tree.number("ipv6.plen")?,
            header_len: 40,
            ttl: tree.number("ipv6.hlim")?,
            protocol: tree.number("ipv6.nxt")?,
            fragment: None,
        };
        for (name, header) in tree.subtrees() {
            let name = name.strip_prefix("ipv6.").unwrap_or(name);
            let field = |what: &str| header.number(&format!("ipv6.{name}.{what}"));
            let (len, next) = match name {
                "hopopts" | "dstopts" | "routing" => (field("len_oct"), field("nxt")),
                "ah" => {
                    ip.step_over_authentication(header)?;
                    continue;
                }
                "fraghdr" => {
                    let (offset, more) = (field("offset")? * 8, field("more") == Some(1));
                    // Otherwise it divides nothing (RFC 6946).
                    ip.fragment = (offset > 0 || more).then_some(offset);
                    (Some(8), field("nxt"))
                }
                _ => continue,
            };
            ip.header_len += len?;
            ip.protocol = next?;
        }
        Some(ip)
    }

    fn step_over_authentication(&mut self, header: &Tree) -> Option<()> {
        // Counted in words of 4 bytes, less two (RFC 4302).
        self.header_len += (header.number("ah.length")? + 2) * 4;
        self.protocol = header.number("ah.next_header")?;
        Some(())
    }
}

fn v4(fields: &mut Fields, number: u8, message: &Tree) {
    fields.copy("icmp.id", message, "icmp.ident");
    match number {
        42 => {
            fields.copy("icmp.seq", message, "icmp.ext.echo.seq");
            fields.flag("icmp.local", message, "icmp.ext.echo.req.local");
        }
        43 => extended_reply(fields, message, "icmp"),
        _ => fields.copy("icmp.seq", message, "icmp.seq"),
    }
    fields.copy("icmp.mtu", message, "icmp.mtu");
    fields.copy("icmp.gateway", message, "icmp.redir_gw");
    fields.copy("icmp.pointer", message, "icmp.pointer");
    for what in ["originate", "receive", "transmit"] {
        fields.copy(
            &format!("icmp.times.{what}"),
            message,
            &format!("icmp.{what}_timestamp"),
        );
    }
    fields.copy("icmp.mask", message, "icmp.address_mask");
    fields.copy("icmp.lifetime", message, "icmp.lifetime");
    let addresses = message.texts("icmp.router_address");
    let preferences = message.texts("icmp.pref_level");
    for (nth, (address, preference)) in addresses.zip(preferences).enumerate() {
        fields.put(&format!("icmp.routers.{nth}.address"), address);
        fields.put(&format!("icmp.routers.{nth}.preference"), preference);
    }
    quote(fields, message);
    extensions(fields, message);
}

fn v6(fields: &mut Fields, number: u8, code: u8, message: &Tree) {
    fields.copy("icmp.id", message, "icmpv6.echo.identifier");
    match number {
        160 => {
            fields.copy("icmp.seq", message, "icmpv6.ext.echo.seq");
            fields.flag("icmp.local", message, "icmpv6.ext.echo.req.local");
        }
        161 => extended_reply(fields, message, "icmpv6"),
        _ => fields.copy("icmp.seq", message, "icmpv6.echo.sequence_number"),
    }
    fields.copy("icmp.mtu", message, "icmpv6.mtu");
    fields.copy("icmp.pointer", message, "icmpv6.pointer");
    match number {
        130..=132 => listeners(fields, number, message),
        133..=137 => neighbours(fields, number, message),
        143 => report(fields, message),
        141 | 142 => neighbour_options(fields, message),
        144..=147 => mobile(fields, message),
        148 | 149 => certification_path(fields, message),
        155 => rpl(fields, code, message),
        _ => (),
    }
    quote(fields, message);
    extensions(fields, message);
}

fn extended_reply(fields: &mut Fields, message: &Tree, name: &str) {
    let field = |what: &str| format!("{name}.ext.echo.{what}");
    fields.copy("icmp.seq", message, &field("seq"));
    fields.copy("icmp.state", message, &field("rsp.state"));
    for flag in ["active", "ipv4", "ipv6"] {
        fields.flag(
            &format!("icmp.{flag}"),
            message,
            &field(&format!("rsp.{flag}")),
        );
    }
}

/// The quoted packet: its layers lie beside the message's fields, those of a
/// redirected one beside the option's.
fn quote(fields: &mut Fields, message: &Tree) {
    let place = message
        .trees("icmpv6.opt")
        .find(|option| option.tree("ipv6").is_some())
        .unwrap_or(message);
    let Some(ip) = Ip::of(place) else { return };
    let (Some(src), Some(dst)) = (ip.src, ip.dst) else {
        return;
    };
    fields.put("icmp.quote.src", src);
    fields.put("icmp.quote.dst", dst);
    fields.put("icmp.quote.protocol", ip.protocol);
    fields.put("icmp.quote.len", ip.len);
    fields.put("icmp.quote.ttl", ip.ttl);
    fields.put("icmp.quote.fragment_offset", ip.fragment.unwrap_or(0));
    let (layer, prefix) = match ip.protocol {
        6 => ("tcp", "tcp"),
        17 => ("udp", "udp"),
        33 => ("dccp", "dccp"),
        132 => ("sctp", "sctp"),
        136 => ("udplite", "udp"),
        1 => return quoted_icmp(fields, place, Family::V4),
        58 => return quoted_icmp(fields, place, Family::V6),
        _ => return,
    };
    let Some(transport) = place.tree(layer) else {
        return;
    };
    fields.copy(
        "icmp.quote.src_port",
        transport,
        &format!("{prefix}.srcport"),
    );
    fields.copy(
        "icmp.quote.dst_port",
        transport,
        &format!("{prefix}.dstport"),
    );
    fields.copy("icmp.quote.tcp_seq", transport, "tcp.seq");
}

/// A quoted message is read like any other.
fn quoted_icmp(fields: &mut Fields, place: &Tree, family: Family) {
    let mut quoted = Fields::default();
    icmp(&mut quoted, place, family);
    for (key, value) in quoted.0 {
        fields.put(&format!("icmp.quote.{key}"), value);
    }
}

fn extensions(fields: &mut Fields, message: &Tree) {
    let Some(structure) = message.tree("icmp.ext") else {
        return;
    };
    let status = structure.number("icmp.ext.checksum.status");
    fields.put("icmp.extensions.checksum", checksum(status));
    let objects = structure
        .subtrees()
        .filter(|(_, object)| object.text("icmp.ext.class").is_some());
    for (nth, (_, object)) in objects.enumerate() {
        let key = |what: &str| format!("icmp.extensions.objects.{nth}.{what}");
        fields.copy(&key("class"), object, "icmp.ext.class");
        fields.copy(&key("ctype"), object, "icmp.ext.ctype");
        let labels = object
            .subtrees()
            .filter(|(_, label)| label.text("icmp.mpls.label").is_some());
        for (nth, (_, label)) in labels.enumerate() {
            let key = |what: &str| key(&format!("labels.{nth}.{what}"));
            fields.copy(&key("label"), label, "icmp.mpls.label");
            fields.copy(&key("traffic_class"), label, "icmp.mpls.exp");
            fields.flag(&key("bottom"), label, "icmp.mpls.s");
            fields.copy(&key("ttl"), label, "icmp.mpls.ttl");
        }
        let role = object
            .tree("icmp.ext.ctype_tree")
            .and_then(|parts| parts.number("icmp.int_info.role"));
        if let Some(role) = role {
            let words = ["incoming", "incoming-sub-ip", "outgoing", "next-hop"];
            fields.put(&key("role"), words[role as usize & 3]);
        }
        fields.copy(&key("index"), object, "icmp.int_info.index");
        fields.copy(&key("mtu"), object, "icmp.int_info.mtu");
        fields.copy(&key("name"), object, "icmp.int_ident.name");
        fields.copy(&key("index"), object, "icmp.int_ident.index");
        fields.copy(&key("address"), object, "icmp.int_ident.ipv4");
        fields.copy(&key("address"), object, "icmp.int_ident.ipv6");
        fields.bytes(&key("data"), object, "icmp.ext.data");
        for (_, part) in object.subtrees() {
            fields.copy(&key("address"), part, "icmp.int_info.ipv4");
            fields.copy(&key("address"), part, "icmp.int_info.ipv6");
            fields.copy(&key("name"), part, "icmp.int_info.name");
        }
    }
}

fn neighbours(fields: &mut Fields, number: u8, message: &Tree) {
    match number {
        134 => {
            fields.copy("icmp.hop_limit", message, "icmpv6.nd.ra.cur_hop_limit");
            if let Some(flags) = message.tree("icmpv6.nd.ra.flag_tree") {
                for (key, name) in [
                    ("managed", "m"),
                    ("other", "o"),
                    ("home_agent", "h"),
                    ("proxy", "p"),
                ] {
                    fields.flag(
                        &format!("icmp.{key}"),
                        flags,
                        &format!("icmpv6.nd.ra.flag.{name}"),
                    );
                }
                fields.preference("icmp.preference", flags, "icmpv6.nd.ra.flag.prf");
            }
            fields.copy("icmp.lifetime", message, "icmpv6.nd.ra.router_lifetime");
            fields.copy("icmp.reachable_ms", message, "icmpv6.nd.ra.reachable_time");
            fields.copy("icmp.retrans_ms", message, "icmpv6.nd.ra.retrans_timer");
        }
        135 => fields.copy("icmp.target", message, "icmpv6.nd.ns.target_address"),
        136 => {
            fields.copy("icmp.target", message, "icmpv6.nd.na.target_address");
            if let Some(flags) = message.tree("icmpv6.nd.na.flag_tree") {
                for (key, name) in [("router", "r"), ("solicited", "s"), ("override", "o")] {
                    fields.flag(
                        &format!("icmp.{key}"),
                        flags,
                        &format!("icmpv6.nd.na.flag.{name}"),
                    );
                }
            }
        }
        137 => {
            fields.copy("icmp.target", message, "icmpv6.nd.rd.target_address");
            fields.copy(
                "icmp.destination",
                message,
                "icmpv6.rd.na.destination_address",
            );
        }
        _ => (),
    }
    neighbour_options(fields, message);
}

fn neighbour_options(fields: &mut Fields, message: &Tree) {
    for (nth, option) in message.trees("icmpv6.opt").enumerate() {
        neighbour_option(fields, nth, option);
    }
}

fn mobile(fields: &mut Fields, message: &Tree) {
    fields.copy("icmp.id", message, "icmpv6.mip6.identifier");
    fields.list(
        "icmp.home_agents",
        message,
        "icmpv6.mip6.home_agent_address",
    );
    if let Some(flags) = message.tree("icmpv6.mip6.flag_tree") {
        fields.flag("icmp.managed", flags, "icmpv6.mip6.flag.m");
        fields.flag("icmp.other", flags, "icmpv6.mip6.flag.o");
    }
    neighbour_options(fields, message);
}

fn certification_path(fields: &mut Fields, message: &Tree) {
    fields.copy("icmp.id", message, "icmpv6.send.identifier");
    fields.copy("icmp.component", message, "icmpv6.send.component");
    fields.copy("icmp.all_components", message, "icmpv6.send.all_components");
    neighbour_options(fields, message);
}

fn rpl(fields: &mut Fields, code: u8, message: &Tree) {
    let Some(name) = ["dis", "dio", "dao", "daoack"].get(usize::from(code)) else {
        return;
    };
    for (key, what) in [
        ("instance", "instance"),
        ("version", "version"),
        ("rank", "rank"),
        ("trigger", "dtsn"),
        ("dodag", "dagid"),
        ("dodag", "dodagid"),
        ("sequence", "sequence"),
        ("status", "status"),
    ] {
        let field = format!("icmpv6.rpl.{name}.{what}");
        fields.copy(&format!("icmp.rpl.{key}"), message, &field);
    }
    if let Some(flags) = message.tree("icmpv6.rpl.dio.flag_tree") {
        fields.flag("icmp.rpl.grounded", flags, "icmpv6.rpl.dio.flag.g");
        fields.copy("icmp.rpl.mode", flags, "icmpv6.rpl.dio.flag.mop");
        fields.copy(
            "icmp.rpl.preference",
            flags,
            "icmpv6.rpl.dio.flag.preference",
        );
    }
    if let Some(flags) = message.tree("icmpv6.rpl.dao.flag_tree") {
        fields.flag(
            "icmp.rpl.wants_acknowledgement",
            flags,
            "icmpv6.rpl.dao.flag.k",
        );
    }
    let options = message
        .trees("icmpv6.opt")
        .filter(|option| option.number("icmpv6.rpl.opt.type") > Some(1));
    for (nth, option) in options.enumerate() {
        let key = format!("icmp.rpl.options.{nth}.type");
        fields.copy(&key, option, "icmpv6.rpl.opt.type");
    }
}

fn neighbour_option(fields: &mut Fields, nth: usize, option: &Tree) {
    let key = |what: &str| format!("icmp.options.{nth}.{what}");
    fields.copy(&key("type"), option, "icmpv6.opt.type");
    fields.copy(&key("address"), option, "icmpv6.opt.linkaddr");
    fields.copy(&key("mtu"), option, "icmpv6.opt.mtu");
    fields.copy(&key("prefix"), option, "icmpv6.opt.prefix");
    fields.copy(&key("prefix_len"), option, "icmpv6.opt.prefix.length");
    fields.copy(&key("valid"), option, "icmpv6.opt.prefix.valid_lifetime");
    fields.copy(
        &key("preferred"),
        option,
        "icmpv6.opt.prefix.preferred_lifetime",
    );
    if let Some(flags) = option.tree("icmpv6.opt.prefix.flag_tree") {
        fields.flag(&key("on_link"), flags, "icmpv6.opt.prefix.flag.l");
        fields.flag(&key("autonomous"), flags, "icmpv6.opt.prefix.flag.a");
        fields.flag(&key("router_address"), flags, "icmpv6.opt.prefix.flag.r");
    }
    if let Some(flags) = option.tree("icmpv6.opt.route_info.flag_tree") {
        fields.preference(
            &key("preference"),
            flags,
            "icmpv6.opt.route_info.flag.route_preference",
        );
    }
    fields.copy(&key("lifetime"), option, "icmpv6.opt.route_lifetime");
    fields.copy(&key("lifetime"), option, "icmpv6.opt.rdnss.lifetime");
    fields.list(&key("servers"), option, "icmpv6.opt.rdnss");
    fields.copy(&key("lifetime"), option, "icmpv6.opt.dnssl.lifetime");
    fields.list(&key("domains"), option, "icmpv6.opt.dnssl");
    fields.copy(&key("uri"), option, "icmpv6.opt.captive_portal");
    // In units of 8 seconds (RFC 8781).
    if let Some(lifetime) = option.number("icmpv6.opt.pref64.scaled_lifetime") {
        fields.put(&key("lifetime"), lifetime * 8);
    }
    fields.copy(&key("prefix"), option, "icmpv6.opt.pref64.prefix");
    if let Some(code) = option.number("icmpv6.opt.pref64.plc") {
        let lengths = [96, 64, 56, 48, 40, 32];
        fields.put(&key("prefix_len"), lengths[code as usize % 6]);
    }
    fields.list(&key("addresses"), option, "icmpv6.opt.ipv6_address");
    fields.copy(&key("status"), option, "icmpv6.opt.aro.status");
    fields.bytes(&key("owner"), option, "icmpv6.opt.aro.eui64");
    if let Some(minutes) = option.number("icmpv6.opt.aro.registration_lifetime") {
        fields.put(&key("lifetime"), minutes * 60);
    }
    fields.bytes(&key("key_hash"), option, "icmpv6.opt.rsa.key_hash");
    fields.copy(&key("seconds"), option, "icmpv6.opt.timestamp");
    fields.copy(&key("name_type"), option, "icmpv6.opt.name_type");
    fields.copy(&key("name"), option, "icmpv6.opt.name_type.fqdn");
    fields.bytes(&key("data"), option, "icmpv6.opt.nonce");
    fields.bytes(&key("data"), option, "icmpv6.data");
    // What icmptap leaves as bytes. Those that are reserved are zero.
    if let Some(flags) = option.number("icmpv6.opt.efo") {
        fields.put(&key("data"), format!("{flags:04x}00000000"));
    }
    if let Some(interval) = option.number("icmpv6.opt.advertisement_interval") {
        fields.put(&key("data"), format!("0000{interval:08x}"));
    }
    if let (Some(preference), Some(lifetime)) = (
        option.number("icmpv6.opt.home_agent_preference"),
        option.number("icmpv6.opt.home_agent_lifetime"),
    ) {
        fields.put(&key("data"), format!("0000{preference:04x}{lifetime:04x}"));
    }
}

fn listeners(fields: &mut Fields, number: u8, message: &Tree) {
    fields.copy("icmp.group", message, "icmpv6.mld.multicast_address");
    if number != 130 {
        return;
    }
    for name in ["delay", "code"] {
        fields.copy(
            "icmp.max_response_ms",
            message,
            &format!("icmpv6.mld.maximum_response_{name}"),
        );
    }
    if let Some(flags) = message.tree("icmpv6.mld.flag_tree") {
        fields.flag("icmp.suppress", flags, "icmpv6.mld.flag.s");
        fields.copy("icmp.robustness", flags, "icmpv6.mld.flag.qrv");
    }
    fields.copy("icmp.interval", message, "icmpv6.mld.qqi");
    fields.list("icmp.sources", message, "icmpv6.mld.source_address");
}

fn report(fields: &mut Fields, message: &Tree) {
    for (nth, record) in message.trees("icmpv6.mldr.mar").enumerate() {
        let key = |what: &str| format!("icmp.records.{nth}.{what}");
        fields.copy(&key("type"), record, "icmpv6.mldr.mar.record_type");
        fields.copy(&key("group"), record, "icmpv6.mldr.mar.multicast_address");
        fields.list(&key("sources"), record, "icmpv6.mldr.mar.source_address");
    }
}

impl Fields {
    /// What `tree` has under `name`, if it has; numbers in decimal.
    fn copy(&mut self, key: &str, tree: &Tree, name: &str) {
        match (tree.number(name), tree.text(name)) {
            (Some(number), _) => self.put(key, number),
            (None, Some(text)) => self.put(key, text),
            (None, None) => (),
        }
    }

    /// The same, of bytes: hexadecimal without tshark's colons.
    fn bytes(&mut self, key: &str, tree: &Tree, name: &str) {
        if let Some(text) = tree.text(name) {
            self.put(key, text.replace(':', ""));
        }
    }

    /// The same, of a bit.
    fn flag(&mut self, key: &str, tree: &Tree, name: &str) {
        if let Some(bit) = tree.number(name) {
            self.put(key, bit == 1);
        }
    }

    /// The same, of all that are there.
    fn list(&mut self, key: &str, tree: &Tree, name: &str) {
        for (nth, text) in tree.texts(name).enumerate() {
            self.put(&format!("{key}.{nth}"), text);
        }
    }

    /// The same, of RFC 4191's two bits.
    fn preference(&mut self, key: &str, tree: &Tree, name: &str) {
        if let Some(bits) = tree.number(name) {
            let word = ["medium", "high", "reserved", "low"].get(bits as usize);
            self.put(key, word.copied().unwrap_or("?"));
        }
    }
}

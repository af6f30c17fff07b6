// Made by `cargo xtask gen-bindings`. Do not edit.

pub const NETLINK_GENERIC: u32 = 16;
pub const NLM_F_REQUEST: u32 = 1;
pub const NLM_F_MULTI: u32 = 2;
pub const NLM_F_ACK: u32 = 4;
pub const NLM_F_DUMP_INTR: u32 = 16;
pub const NLM_F_DUMP: u32 = 768;
pub const NLM_F_CAPPED: u32 = 256;
pub const NLM_F_ACK_TLVS: u32 = 512;
pub const NLMSG_ERROR: u32 = 2;
pub const NLMSG_DONE: u32 = 3;
pub const NETLINK_NO_ENOBUFS: u32 = 5;
pub const NETLINK_CAP_ACK: u32 = 10;
pub const NETLINK_EXT_ACK: u32 = 11;
pub const NLA_F_NESTED: u32 = 32768;
pub const NLA_F_NET_BYTEORDER: u32 = 16384;
pub const GENL_ID_CTRL: u32 = 16;
pub const ICMPTAP_GENL_NAME: &::core::ffi::CStr = c"icmptap";
pub const ICMPTAP_GENL_VERSION: u32 = 1;
pub const ICMPTAP_SCHEMA_VERSION: u32 = 3;
pub const ICMPTAP_TYPES_LEN: u32 = 32;
pub const ICMPTAP_FAMILY_IPV4: u32 = 1;
pub const ICMPTAP_FAMILY_IPV6: u32 = 2;
pub const ICMPTAP_F_TRUNCATED: u32 = 1;
pub const ICMPTAP_F_FRAGMENT: u32 = 2;
pub const ICMPTAP_F_NO_ICMP: u32 = 4;
pub const ICMPTAP_F_MALFORMED: u32 = 8;
pub const ICMPTAP_F_VLAN: u32 = 16;
pub const ICMPTAP_F_VLAN_AD: u32 = 32;
pub const ICMPTAP_CSUM_SHIFT: u32 = 8;
pub const ICMPTAP_CSUM_MASK: u32 = 768;
pub const ICMPTAP_CSUM_NONE: u32 = 0;
pub const ICMPTAP_CSUM_UNNECESSARY: u32 = 1;
pub const ICMPTAP_CSUM_COMPLETE: u32 = 2;
pub const ICMPTAP_CSUM_PARTIAL: u32 = 3;
pub const NL_IMP2: u32 = 31;
pub const IMP2_U_PID: u32 = 0;
pub const IMP2_K_MSG: u32 = 1;
pub const IMP2_CLOSE: u32 = 2;
pub type __u8 = ::core::ffi::c_uchar;
pub type __u16 = ::core::ffi::c_ushort;
pub type __u32 = ::core::ffi::c_uint;
pub type __u64 = ::core::ffi::c_ulonglong;
pub type __be32 = __u32;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct nlmsghdr {
    pub nlmsg_len: __u32,
    pub nlmsg_type: __u16,
    pub nlmsg_flags: __u16,
    pub nlmsg_seq: __u32,
    pub nlmsg_pid: __u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of nlmsghdr"][::core::mem::size_of::<nlmsghdr>() - 16usize];
    ["Alignment of nlmsghdr"][::core::mem::align_of::<nlmsghdr>() - 4usize];
    ["Offset of field: nlmsghdr::nlmsg_len"][::core::mem::offset_of!(nlmsghdr, nlmsg_len) - 0usize];
    ["Offset of field: nlmsghdr::nlmsg_type"]
        [::core::mem::offset_of!(nlmsghdr, nlmsg_type) - 4usize];
    ["Offset of field: nlmsghdr::nlmsg_flags"]
        [::core::mem::offset_of!(nlmsghdr, nlmsg_flags) - 6usize];
    ["Offset of field: nlmsghdr::nlmsg_seq"][::core::mem::offset_of!(nlmsghdr, nlmsg_seq) - 8usize];
    ["Offset of field: nlmsghdr::nlmsg_pid"]
        [::core::mem::offset_of!(nlmsghdr, nlmsg_pid) - 12usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct nlmsgerr {
    pub error: ::core::ffi::c_int,
    pub msg: nlmsghdr,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of nlmsgerr"][::core::mem::size_of::<nlmsgerr>() - 20usize];
    ["Alignment of nlmsgerr"][::core::mem::align_of::<nlmsgerr>() - 4usize];
    ["Offset of field: nlmsgerr::error"][::core::mem::offset_of!(nlmsgerr, error) - 0usize];
    ["Offset of field: nlmsgerr::msg"][::core::mem::offset_of!(nlmsgerr, msg) - 4usize];
};
pub const NLMSGERR_ATTR_MSG: u32 = 1;
pub const NLMSGERR_ATTR_OFFS: u32 = 2;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct nlattr {
    pub nla_len: __u16,
    pub nla_type: __u16,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of nlattr"][::core::mem::size_of::<nlattr>() - 4usize];
    ["Alignment of nlattr"][::core::mem::align_of::<nlattr>() - 2usize];
    ["Offset of field: nlattr::nla_len"][::core::mem::offset_of!(nlattr, nla_len) - 0usize];
    ["Offset of field: nlattr::nla_type"][::core::mem::offset_of!(nlattr, nla_type) - 2usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct genlmsghdr {
    pub cmd: __u8,
    pub version: __u8,
    pub reserved: __u16,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of genlmsghdr"][::core::mem::size_of::<genlmsghdr>() - 4usize];
    ["Alignment of genlmsghdr"][::core::mem::align_of::<genlmsghdr>() - 2usize];
    ["Offset of field: genlmsghdr::cmd"][::core::mem::offset_of!(genlmsghdr, cmd) - 0usize];
    ["Offset of field: genlmsghdr::version"][::core::mem::offset_of!(genlmsghdr, version) - 1usize];
    ["Offset of field: genlmsghdr::reserved"]
        [::core::mem::offset_of!(genlmsghdr, reserved) - 2usize];
};
pub const CTRL_CMD_GETFAMILY: u32 = 3;
pub const CTRL_ATTR_FAMILY_ID: u32 = 1;
pub const CTRL_ATTR_FAMILY_NAME: u32 = 2;
pub const CTRL_ATTR_VERSION: u32 = 3;
pub const NF_INET_PRE_ROUTING: u32 = 0;
pub const NF_INET_LOCAL_IN: u32 = 1;
pub const NF_INET_FORWARD: u32 = 2;
pub const NF_INET_LOCAL_OUT: u32 = 3;
pub const NF_INET_POST_ROUTING: u32 = 4;
pub const NFPROTO_IPV4: u32 = 2;
pub const NFPROTO_IPV6: u32 = 10;
pub const ICMPTAP_CMD_UNSPEC: u32 = 0;
pub const ICMPTAP_CMD_GET_INFO: u32 = 1;
pub const ICMPTAP_CMD_SUBSCRIBE: u32 = 2;
pub const ICMPTAP_CMD_UNSUBSCRIBE: u32 = 3;
pub const ICMPTAP_CMD_FLUSH: u32 = 4;
pub const ICMPTAP_CMD_EVENTS: u32 = 5;
pub const ICMPTAP_CMD_GET_SUBSCRIPTION: u32 = 6;
pub const ICMPTAP_CMD_GET_STATS: u32 = 7;
pub const __ICMPTAP_CMD_MAX: u32 = 8;
pub const ICMPTAP_CMD_MAX: u32 = 7;
pub const ICMPTAP_INFO_UNSPEC: u32 = 0;
pub const ICMPTAP_INFO_MODULE_VERSION: u32 = 1;
pub const ICMPTAP_INFO_SCHEMA_VERSION: u32 = 2;
pub const ICMPTAP_INFO_BOOT_ID: u32 = 3;
pub const ICMPTAP_INFO_HOOKS: u32 = 4;
pub const ICMPTAP_INFO_FAMILIES: u32 = 5;
pub const ICMPTAP_INFO_SNAPLEN_MAX: u32 = 6;
pub const ICMPTAP_INFO_BATCH_MIN: u32 = 7;
pub const ICMPTAP_INFO_BATCH_MAX: u32 = 8;
pub const ICMPTAP_INFO_FLUSH_MAX_US: u32 = 9;
pub const ICMPTAP_INFO_FILTER_MAX: u32 = 10;
pub const ICMPTAP_INFO_MAX_BYTES: u32 = 11;
pub const ICMPTAP_INFO_PAD: u32 = 12;
pub const __ICMPTAP_INFO_MAX: u32 = 13;
pub const ICMPTAP_INFO_MAX: u32 = 12;
pub const ICMPTAP_SUB_UNSPEC: u32 = 0;
pub const ICMPTAP_SUB_HOOKS: u32 = 1;
pub const ICMPTAP_SUB_FAMILIES: u32 = 2;
pub const ICMPTAP_SUB_SNAPLEN: u32 = 3;
pub const ICMPTAP_SUB_BATCH: u32 = 4;
pub const ICMPTAP_SUB_FLUSH_US: u32 = 5;
pub const ICMPTAP_SUB_COUNTERS: u32 = 6;
pub const ICMPTAP_SUB_ICMP_TYPES: u32 = 7;
pub const ICMPTAP_SUB_ICMPV6_TYPES: u32 = 8;
pub const ICMPTAP_SUB_IFINDEX: u32 = 9;
pub const ICMPTAP_SUB_FILTER: u32 = 10;
pub const ICMPTAP_SUB_FILTER_LEN: u32 = 11;
pub const ICMPTAP_SUB_SAMPLE: u32 = 12;
pub const ICMPTAP_SUB_RATE: u32 = 13;
pub const ICMPTAP_SUB_VERDICT: u32 = 14;
pub const ICMPTAP_SUB_ALL_NETNS: u32 = 15;
pub const ICMPTAP_SUB_PORTID: u32 = 16;
pub const ICMPTAP_SUB_PROTOCOL: u32 = 17;
pub const ICMPTAP_SUB_NETNS: u32 = 18;
pub const ICMPTAP_SUB_PID: u32 = 19;
pub const ICMPTAP_SUB_COMM: u32 = 20;
pub const ICMPTAP_SUB_ID: u32 = 21;
pub const ICMPTAP_SUB_BYTES: u32 = 22;
pub const ICMPTAP_SUB_TAPS_MISSING: u32 = 23;
pub const ICMPTAP_SUB_PAD: u32 = 24;
pub const __ICMPTAP_SUB_MAX: u32 = 25;
pub const ICMPTAP_SUB_MAX: u32 = 24;
pub const ICMPTAP_VERDICT_ACCEPT: u32 = 0;
pub const ICMPTAP_VERDICT_DROP: u32 = 1;
pub const __ICMPTAP_VERDICT_MAX: u32 = 2;
pub const ICMPTAP_VERDICT_MAX: u32 = 1;
pub const ICMPTAP_COUNTER_UNSPEC: u32 = 0;
pub const ICMPTAP_COUNTER_PAD: u32 = 1;
pub const ICMPTAP_COUNTER_MATCHED: u32 = 2;
pub const ICMPTAP_COUNTER_DELIVERED: u32 = 3;
pub const ICMPTAP_COUNTER_LOST_OVERRUN: u32 = 4;
pub const ICMPTAP_COUNTER_LOST_NOMEM: u32 = 5;
pub const ICMPTAP_COUNTER_QUEUED: u32 = 6;
pub const ICMPTAP_COUNTER_LOST_RATELIMIT: u32 = 7;
pub const ICMPTAP_COUNTER_SAMPLED_OUT: u32 = 8;
pub const __ICMPTAP_COUNTER_MAX: u32 = 9;
pub const ICMPTAP_COUNTER_MAX: u32 = 8;
pub const ICMPTAP_STATS_UNSPEC: u32 = 0;
pub const ICMPTAP_STATS_CPU: u32 = 1;
pub const ICMPTAP_STATS_NETNS: u32 = 2;
pub const ICMPTAP_STATS_SUBSCRIPTIONS: u32 = 3;
pub const ICMPTAP_STATS_COUNTERS: u32 = 4;
pub const ICMPTAP_STATS_BYTES: u32 = 5;
pub const ICMPTAP_STATS_BYTES_TOTAL: u32 = 6;
pub const ICMPTAP_STATS_PAD: u32 = 7;
pub const __ICMPTAP_STATS_MAX: u32 = 8;
pub const ICMPTAP_STATS_MAX: u32 = 7;
#[repr(C, packed(4))]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct icmptap_batch {
    pub hdrlen: __u16,
    pub reserved: __u16,
    pub cpu: __u32,
    pub count: __u32,
    pub seq: __u64,
    pub lost: __u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of icmptap_batch"][::core::mem::size_of::<icmptap_batch>() - 28usize];
    ["Alignment of icmptap_batch"][::core::mem::align_of::<icmptap_batch>() - 4usize];
    ["Offset of field: icmptap_batch::hdrlen"]
        [::core::mem::offset_of!(icmptap_batch, hdrlen) - 0usize];
    ["Offset of field: icmptap_batch::reserved"]
        [::core::mem::offset_of!(icmptap_batch, reserved) - 2usize];
    ["Offset of field: icmptap_batch::cpu"][::core::mem::offset_of!(icmptap_batch, cpu) - 4usize];
    ["Offset of field: icmptap_batch::count"]
        [::core::mem::offset_of!(icmptap_batch, count) - 8usize];
    ["Offset of field: icmptap_batch::seq"][::core::mem::offset_of!(icmptap_batch, seq) - 12usize];
    ["Offset of field: icmptap_batch::lost"]
        [::core::mem::offset_of!(icmptap_batch, lost) - 20usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct icmptap_record {
    pub len: __u32,
    pub hdrlen: __u16,
    pub flags: __u16,
    pub time_ns: __u64,
    pub caplen: __u32,
    pub origlen: __u32,
    pub netns: __u32,
    pub iif: __u32,
    pub oif: __u32,
    pub mark: __u32,
    pub vlan_tci: __u16,
    pub icmp_offset: __u16,
    pub family: __u8,
    pub hook: __u8,
    pub icmp_type: __u8,
    pub icmp_code: __u8,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of icmptap_record"][::core::mem::size_of::<icmptap_record>() - 48usize];
    ["Alignment of icmptap_record"][::core::mem::align_of::<icmptap_record>() - 8usize];
    ["Offset of field: icmptap_record::len"][::core::mem::offset_of!(icmptap_record, len) - 0usize];
    ["Offset of field: icmptap_record::hdrlen"]
        [::core::mem::offset_of!(icmptap_record, hdrlen) - 4usize];
    ["Offset of field: icmptap_record::flags"]
        [::core::mem::offset_of!(icmptap_record, flags) - 6usize];
    ["Offset of field: icmptap_record::time_ns"]
        [::core::mem::offset_of!(icmptap_record, time_ns) - 8usize];
    ["Offset of field: icmptap_record::caplen"]
        [::core::mem::offset_of!(icmptap_record, caplen) - 16usize];
    ["Offset of field: icmptap_record::origlen"]
        [::core::mem::offset_of!(icmptap_record, origlen) - 20usize];
    ["Offset of field: icmptap_record::netns"]
        [::core::mem::offset_of!(icmptap_record, netns) - 24usize];
    ["Offset of field: icmptap_record::iif"]
        [::core::mem::offset_of!(icmptap_record, iif) - 28usize];
    ["Offset of field: icmptap_record::oif"]
        [::core::mem::offset_of!(icmptap_record, oif) - 32usize];
    ["Offset of field: icmptap_record::mark"]
        [::core::mem::offset_of!(icmptap_record, mark) - 36usize];
    ["Offset of field: icmptap_record::vlan_tci"]
        [::core::mem::offset_of!(icmptap_record, vlan_tci) - 40usize];
    ["Offset of field: icmptap_record::icmp_offset"]
        [::core::mem::offset_of!(icmptap_record, icmp_offset) - 42usize];
    ["Offset of field: icmptap_record::family"]
        [::core::mem::offset_of!(icmptap_record, family) - 44usize];
    ["Offset of field: icmptap_record::hook"]
        [::core::mem::offset_of!(icmptap_record, hook) - 45usize];
    ["Offset of field: icmptap_record::icmp_type"]
        [::core::mem::offset_of!(icmptap_record, icmp_type) - 46usize];
    ["Offset of field: icmptap_record::icmp_code"]
        [::core::mem::offset_of!(icmptap_record, icmp_code) - 47usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct packet_info {
    pub src: __be32,
    pub dest: __be32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of packet_info"][::core::mem::size_of::<packet_info>() - 8usize];
    ["Alignment of packet_info"][::core::mem::align_of::<packet_info>() - 4usize];
    ["Offset of field: packet_info::src"][::core::mem::offset_of!(packet_info, src) - 0usize];
    ["Offset of field: packet_info::dest"][::core::mem::offset_of!(packet_info, dest) - 4usize];
};

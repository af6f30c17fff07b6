# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_icmptap_global_optspecs
    string join \n h/help V/version
end

function __fish_icmptap_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_icmptap_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_icmptap_using_subcommand
    set -l cmd (__fish_icmptap_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c icmptap -n "__fish_icmptap_needs_command" -s h -l help -d 'Print help'
complete -c icmptap -n "__fish_icmptap_needs_command" -s V -l version -d 'Print version'
complete -c icmptap -n "__fish_icmptap_needs_command" -f -a "listen" -d 'Print ICMP messages as the kernel sees them, and losses'
complete -c icmptap -n "__fish_icmptap_needs_command" -f -a "read" -d 'Print the ICMP messages in captures of icmptap and other programs'
complete -c icmptap -n "__fish_icmptap_needs_command" -f -a "subscriptions" -d 'Print all subscriptions with their owners, settings and counters'
complete -c icmptap -n "__fish_icmptap_needs_command" -f -a "stats" -d 'Print how many packets were matched, delivered and lost'
complete -c icmptap -n "__fish_icmptap_needs_command" -f -a "info" -d 'Print the kernel module\'s version, limits and capabilities'
complete -c icmptap -n "__fish_icmptap_needs_command" -f -a "types" -d 'Print the names and numbers of ICMP types that --type accepts'
complete -c icmptap -n "__fish_icmptap_needs_command" -f -a "imp2" -d 'Print the source and destination of ICMP packets, over the IMP2 protocol'
complete -c icmptap -n "__fish_icmptap_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -s o -l output -d 'Output format; default: text, or pcapng with --write' -r -f -a "text\t'Human-readable lines'
json\t'One JSON object per line'
pcapng\t'A capture with all metadata and losses'
pcap\t'A capture with packets and times only, readable by every program'"
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -s w -l write -d 'Write the events to this file as pcapng, or as pcap if its name ends in .pcap or with -o pcap; `-`: stdout' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -s C -l rotate-size -d 'With --write: start a new file when this one is larger than this many millions of bytes (or K, M or G: 1024-based); FILE1, FILE2 and so on' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -s G -l rotate-time -d 'With --write: start a new file after this many seconds. FILE may contain strftime(3) conversions such as %H%M%S; if not, it is overwritten' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -s W -l rotate-files -d 'With -C: limit the number of files, then overwrite from the first. With -G: stop after this many files' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -s c -l count -d 'Stop after this many events' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l time -d 'Timestamp at the start of a line of text' -r -f -a "clock\t'The time of day'
date\t'Date and time of day'
delta\t'Seconds since the previous line; negative if events of CPUs are out of order'
epoch\t'Seconds since 1970, in UTC'"
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l color -l colour -d 'When to colour lines of text: errors, redirects, neighbour discovery, multicast listener messages, and problems of a packet. `auto`: on a terminal, unless NO_COLOR is set' -r -f -a "auto\t''
always\t''
never\t''"
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l duration -d 'Stop after this time' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l hook -d 'Netfilter hooks; separate several with commas' -r -f -a "prerouting\t''
input\t''
forward\t''
output\t''
postrouting\t''"
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l family -d 'Address families; separate several with commas' -r -f -a "ipv4\t''
ipv6\t''"
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l type -d 'ICMP types, by number or by name, of either family (see `icmptap types`): echo-request,packet-too-big,3' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -s i -l interface -d 'Only packets that enter or leave by this interface of the network namespace; for a port of a bridge or an interface in a VRF, the bridge\'s or VRF\'s name matches more packets' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l filter -d 'The same as FILTER, as one argument' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l snaplen -d 'Capture at most this many bytes of each packet, from its IP header on' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l sample -d 'Deliver every Nth matching packet; the others are counted as sampled out' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l rate -d 'Deliver at most this many events per second; the others are counted as lost' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l batch -d 'Size of a full batch of events' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l flush-interval -d 'Longest time an event may wait in a batch; 0: no batching' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l rcvbuf -d 'Size of the receive buffer, such as 512K or 16M' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -s n -l numeric -d 'Print interfaces and network namespaces as numbers'
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -s v -l verbose -d 'Print more about each packet as text: captured length, TTL, mark, whether the checksum is good, and the kernel\'s checksum state'
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -s q -l quiet -d 'Suppress the first line and the counters at the end; losses and errors still go to stderr'
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l all-netns -d 'Capture in every network namespace, including those created later; not with --interface, since an interface belongs to a single namespace'
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -l drop -d 'Drop matching packets while this command runs'
complete -c icmptap -n "__fish_icmptap_using_subcommand listen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -s o -l output -d 'Output format; default: text, or pcapng with --write' -r -f -a "text\t'Human-readable lines'
json\t'One JSON object per line'
pcapng\t'A capture with all metadata and losses'
pcap\t'A capture with packets and times only, readable by every program'"
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -s w -l write -d 'Write the events to this file as pcapng, or as pcap if its name ends in .pcap or with -o pcap; `-`: stdout' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -s C -l rotate-size -d 'With --write: start a new file when this one is larger than this many millions of bytes (or K, M or G: 1024-based); FILE1, FILE2 and so on' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -s G -l rotate-time -d 'With --write: start a new file after this many seconds. FILE may contain strftime(3) conversions such as %H%M%S; if not, it is overwritten' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -s W -l rotate-files -d 'With -C: limit the number of files, then overwrite from the first. With -G: stop after this many files' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -s c -l count -d 'Stop after this many events' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -l time -d 'Timestamp at the start of a line of text' -r -f -a "clock\t'The time of day'
date\t'Date and time of day'
delta\t'Seconds since the previous line; negative if events of CPUs are out of order'
epoch\t'Seconds since 1970, in UTC'"
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -l color -l colour -d 'When to colour lines of text: errors, redirects, neighbour discovery, multicast listener messages, and problems of a packet. `auto`: on a terminal, unless NO_COLOR is set' -r -f -a "auto\t''
always\t''
never\t''"
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -l hook -d 'Netfilter hooks; separate several with commas' -r -f -a "prerouting\t''
input\t''
forward\t''
output\t''
postrouting\t''"
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -l family -d 'Address families; separate several with commas' -r -f -a "ipv4\t''
ipv6\t''"
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -l type -d 'ICMP types, by number or by name, of either family (see `icmptap types`): echo-request,packet-too-big,3' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -s i -l interface -d 'Only packets that enter or leave by this interface of the network namespace; for a port of a bridge or an interface in a VRF, the bridge\'s or VRF\'s name matches more packets' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -l filter -d 'The same as FILTER, as one argument' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -s n -l numeric -d 'Print interfaces and network namespaces as numbers'
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -s v -l verbose -d 'Print more about each packet as text: captured length, TTL, mark, whether the checksum is good, and the kernel\'s checksum state'
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -s q -l quiet -d 'Suppress the first line and the counters at the end; losses and errors still go to stderr'
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -l netns -d 'Print the network namespace of each packet'
complete -c icmptap -n "__fish_icmptap_using_subcommand read" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c icmptap -n "__fish_icmptap_using_subcommand subscriptions" -s o -l output -d 'Output format' -r -f -a "text\t'Human-readable lines'
json\t'One JSON object per line'"
complete -c icmptap -n "__fish_icmptap_using_subcommand subscriptions" -l all-netns -d 'Include those of every network namespace'
complete -c icmptap -n "__fish_icmptap_using_subcommand subscriptions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c icmptap -n "__fish_icmptap_using_subcommand stats" -s o -l output -d 'Output format' -r -f -a "text\t'Human-readable lines'
json\t'One JSON object per line'"
complete -c icmptap -n "__fish_icmptap_using_subcommand stats" -s w -l watch -d 'Repeat every second, or at the given interval, with rates per second since the last time; until Ctrl-C' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand stats" -s c -l count -d 'With --watch: stop after this many repetitions' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand stats" -l per-cpu -d 'One line for each CPU'
complete -c icmptap -n "__fish_icmptap_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c icmptap -n "__fish_icmptap_using_subcommand info" -s o -l output -d 'Output format' -r -f -a "text\t'Human-readable lines'
json\t'One JSON object per line'"
complete -c icmptap -n "__fish_icmptap_using_subcommand info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c icmptap -n "__fish_icmptap_using_subcommand types" -s o -l output -d 'Output format' -r -f -a "text\t'Human-readable lines'
json\t'One JSON object per line'"
complete -c icmptap -n "__fish_icmptap_using_subcommand types" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c icmptap -n "__fish_icmptap_using_subcommand imp2" -s o -l output -d 'Output format' -r -f -a "text\t'Human-readable lines'
json\t'One JSON object per line'"
complete -c icmptap -n "__fish_icmptap_using_subcommand imp2" -s c -l count -d 'Stop after this many packets' -r
complete -c icmptap -n "__fish_icmptap_using_subcommand imp2" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c icmptap -n "__fish_icmptap_using_subcommand help; and not __fish_seen_subcommand_from listen read subscriptions stats info types imp2 help" -f -a "listen" -d 'Print ICMP messages as the kernel sees them, and losses'
complete -c icmptap -n "__fish_icmptap_using_subcommand help; and not __fish_seen_subcommand_from listen read subscriptions stats info types imp2 help" -f -a "read" -d 'Print the ICMP messages in captures of icmptap and other programs'
complete -c icmptap -n "__fish_icmptap_using_subcommand help; and not __fish_seen_subcommand_from listen read subscriptions stats info types imp2 help" -f -a "subscriptions" -d 'Print all subscriptions with their owners, settings and counters'
complete -c icmptap -n "__fish_icmptap_using_subcommand help; and not __fish_seen_subcommand_from listen read subscriptions stats info types imp2 help" -f -a "stats" -d 'Print how many packets were matched, delivered and lost'
complete -c icmptap -n "__fish_icmptap_using_subcommand help; and not __fish_seen_subcommand_from listen read subscriptions stats info types imp2 help" -f -a "info" -d 'Print the kernel module\'s version, limits and capabilities'
complete -c icmptap -n "__fish_icmptap_using_subcommand help; and not __fish_seen_subcommand_from listen read subscriptions stats info types imp2 help" -f -a "types" -d 'Print the names and numbers of ICMP types that --type accepts'
complete -c icmptap -n "__fish_icmptap_using_subcommand help; and not __fish_seen_subcommand_from listen read subscriptions stats info types imp2 help" -f -a "imp2" -d 'Print the source and destination of ICMP packets, over the IMP2 protocol'
complete -c icmptap -n "__fish_icmptap_using_subcommand help; and not __fish_seen_subcommand_from listen read subscriptions stats info types imp2 help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'

# Run as root in a guest that has the packages and one kernel. $1: their version,
# $2: icmptap-dkms of a later one, $3: that version.
set -eu

loaded() {
	cat /sys/module/icmptap/version
}

fail() {
	echo "FAILED: $*"
	exit 1
}

# Until somebody listens.
wait_for_listener() {
	for second in $(seq 60); do
		if icmptap subscriptions | grep -q prerouting; then
			return
		fi
		sleep 1
	done
	fail "nobody listens"
}

# The family's name loads the module.
[ ! -e /sys/module/icmptap ] || fail "it is loaded before anybody asks for it"
icmptap info
[ "$(loaded)" = "$1" ] || fail "loaded is $(loaded)"
modprobe -r icmptap
modprobe icmptap

icmptap listen > /tmp/heard &
listener=$!
wait_for_listener
ping -c 2 127.0.0.1

# An upgrade while somebody listens.
dpkg -i "$2" > /tmp/upgrade 2>&1 || { cat /tmp/upgrade; fail "dpkg"; }
cat /tmp/upgrade
grep -q 'another version of icmptap is still loaded' /tmp/upgrade || fail "it does not say so"
[ "$(loaded)" = "$1" ] || fail "loaded is $(loaded)"
! modprobe -r icmptap 2>/dev/null || fail "unloaded while somebody listens"
ping -c 1 127.0.0.1
kill -INT "$listener"
wait "$listener" || fail "listen ended with $?"
cat /tmp/heard
# On lo each passes prerouting once.
[ "$(grep -c 'prerouting .* echo-request' /tmp/heard)" = 3 ] || fail "not three requests"
[ "$(grep -c 'prerouting .* echo-reply' /tmp/heard)" = 3 ] || fail "not three replies"

# Nobody listens any more.
modprobe -r icmptap
[ ! -e /sys/module/icmptap ] || fail "still loaded"
modprobe icmptap_imp2
[ "$(loaded)" = "$3" ] || fail "loaded is $(loaded)"
icmptap listen --count 2 > /tmp/heard &
listener=$!
wait_for_listener
ping -c 1 127.0.0.1
wait "$listener" || fail "listen ended with $?"
grep -q echo-request /tmp/heard || fail "no request"
modprobe -r icmptap_imp2 icmptap
[ ! -e /sys/module/icmptap ] || fail "still loaded"
dkms status -m icmptap

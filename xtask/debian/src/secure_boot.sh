# Run as root in a guest with Secure Boot, whose firmware has the key that DKMS signs with.
set -eu

fail() {
	echo "FAILED: $*"
	dmesg | grep -i 'secure\|lockdown\|locked down\|x\.509' || true
	exit 1
}

dmesg | grep -qi 'secure boot enabled' || fail "no Secure Boot"
dmesg | grep -q 'Kernel is locked down from EFI Secure Boot' || fail "the kernel is not locked down"

for module in unsigned otherwise-signed; do
	! insmod "/root/$module.ko" 2> /tmp/refused || fail "$module was taken"
	cat /tmp/refused
	[ ! -e /sys/module/icmptap ] || fail "$module is loaded"
done

modprobe icmptap || fail "DKMS's module was refused"
icmptap listen --count 2 > /tmp/heard &
listener=$!
for second in $(seq 60); do
	icmptap subscriptions | grep -q prerouting && break
	sleep 1
done
ping -c 1 127.0.0.1
wait "$listener" || fail "listen ended with $?"
grep echo-request /tmp/heard || fail "no request"
modprobe -r icmptap

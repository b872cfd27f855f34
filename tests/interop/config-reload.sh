#!/usr/bin/env bash
# A changed configuration comes into force under load: fio over NBD, fio over NBD -> our initiator
# -> our target, and QEMU over iSCSI; with a LUN added and one removed, exports and portals coming and
# going. No session that the change does not touch is dropped; a wrong file changes nothing.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires fio qemu-img iscsi-inq nbdinfo
fio --enghelp=nbd >/dev/null 2>&1 || { echo "fio has no nbd engine"; [ -z "${NO_SKIPS:-}" ] || exit 1; exit 77; }

if [ -n "${SOAK:-}" ]; then seconds=300; else seconds=6; fi
iqn=iqn.2026-11.test:reload
port=$(free_port)
extra=$(free_port)
conf=$tmp/gw.conf
truncate -s 4M "$tmp/third.img"

# The part that stays, and the two that take turns.
write_conf() {	# LINES OF THE FILE, OF THE TARGET
	cat >"$conf" <<-END
	threads = 2
	nbd = "unix:$tmp/nbd.sock"
	auth-group all { auth-type = none }
	portal-group main { listen = 127.0.0.1:$port; tag = 1; discovery-auth-group = all }
	device busy { uri = mem:64M }
	nbd-export busy { device = mem:64M }
	target $iqn {
		auth-group = all
		portal-group = main
		lun 0 { device = busy }
		$2
	}
	$1
	END
}
before() {
	write_conf "nbd-export second { device = mem:2M }" "lun 1 { device = mem:3M }"
}
after() {
	write_conf "target-queue-depth = 8
	nbd-max-requests = 4
	target-nop-interval = 1
	debug = conn
	nbd-export third { device = file:$tmp/third.img; description = new }
	portal-group extra { listen = 127.0.0.1:$extra; tag = 2; discovery-auth-group = all }
	target $iqn.more { auth-group = all; portal-group = extra; lun 0 { device = mem:1M } }" \
		"portal-group = extra; lun 2 { device = file:$tmp/third.img; serial = third }"
}

# What systemd would hear.
notify=$tmp/notify.sock
python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(s.recv(4096).decode().replace("\n", " "), flush=True)
' "$notify" >"$tmp/notify.txt" &
cleanup_fn "kill $! 2>/dev/null"
heard=$!
wait_for $heard test -S "$notify"

before
export NOTIFY_SOCKET="$notify"
start_gateway -c "$conf"
unset NOTIFY_SOCKET
log=$tmp/gateway.1.log
target=$gateway_pid
lun=iscsi://127.0.0.1:$port/$iqn
start_gateway -n "unix:$tmp/chain.sock" "$lun/0"
chain=$gateway_pid

reloads=0
reload() {
	reloads=$((reloads + 1))
	hang_up $target "$log" 'gw.conf: reloaded'
}
refuse() { hang_up $target "$log" 'the configuration before stays in force'; }

# Until $tmp/stop is there, however long the changes take here; what is dropped fails the run it is in.
load() {	# NAME SOCKET
	until [ -e "$tmp/stop" ]; do
		fio --name="$1" --ioengine=nbd --uri="nbd+unix:///?socket=$2" --rw=randrw --bs=4k-64k --size=64m \
			--iodepth=16 --verify=crc32c --verify_state_save=0 --verify_backlog=64 --time_based \
			--runtime=3 --aux-path="$tmp" --output="$tmp/fio.$1.log" || exit 1
	done &
	loads="$loads $!"
	cleanup_fn "kill $! 2>/dev/null"
}
loads=
load direct "$tmp/nbd.sock"
load chain "$tmp/chain.sock"
# (Not iscsi-perf: it loses count of its requests with the first unit attention.)
qemu-img bench -c 2000000000 -d 16 -s 4k --image-opts \
	"driver=iscsi,transport=tcp,portal=127.0.0.1:$port,target=$iqn,lun=0,initiator-name=$iqn:qemu" \
	>"$tmp/qemu.log" 2>&1 &
qemu=$!
cleanup_fn "kill $qemu 2>/dev/null"
wait_for $target grep -q "$iqn:qemu: normal session" "$log"

size() { nbdinfo --size "nbd+unix:///$1?socket=$tmp/nbd.sock" 2>/dev/null; }
there() { iscsi-inq "$1" >/dev/null 2>&1; }
gone() { ! "$@"; }

end=$(($(date +%s) + seconds))
until [ $reloads -gt 2 ] && [ "$(date +%s)" -ge $end ]; do
	[ "$(size second)" = 2097152 ] && gone size third && there "$lun/1" && gone there "$lun/2" &&
		gone there "iscsi://127.0.0.1:$extra/$iqn/0" || fail "before the change"
	after
	reload
	[ "$(size third)" = 4194304 ] && gone size second && gone there "$lun/1" && there "$lun/2" &&
		there "iscsi://127.0.0.1:$extra/$iqn/2" && there "iscsi://127.0.0.1:$extra/$iqn.more/0" ||
		fail "after the change"
	before
	reload
done

# What is wrong changes nothing, and is told with file and line; nor does what does not open.
echo 'no-such-key = 1' >>"$conf"
refuse
line=$(wc -l <"$conf")
grep -q "nbd-iscsi-gateway: $conf:$line: unknown key \"no-such-key\"" "$log" || fail "the reason is missing"
write_conf 'nbd-export bad { device = file:/none/such.img }' ''
refuse
grep -q 'file:/none/such.img: No such file or directory' "$log" || fail "the reason is missing"
write_conf "nbd = \"127.0.0.1:$port\"" ''
refuse
[ "$(size second)" = 2097152 ] && there "$lun/1" || fail "a wrong file has changed something"

# The load is there to the end, and so are the sessions of QEMU and of the chain from the beginning.
for pid in $loads $qemu; do
	kill -0 $pid || { cat "$tmp"/*.log >&2; fail "a load has ended early"; }
done
[ "$(grep -c "$iqn:qemu: " "$log")" = 1 ] || fail "QEMU's session has not stayed"
! grep -q 'gateway.initiator.*: connection ended' "$log" || fail "the chain's session has not stayed"
kill $qemu
: >"$tmp/stop"
for pid in $loads; do
	wait $pid || { cat "$tmp"/fio.*.log >&2; fail "a load has failed"; }
done
grep -h 'IOPS=' "$tmp"/fio.*.log
echo "$reloads reloads under load"

kill -TERM $target
wait $target || fail "exit status $?"
wait_for $heard grep -q STOPPING=1 "$tmp/notify.txt"
changes=$((reloads + 3))
sed 's/ MONOTONIC_USEC=[0-9]*$//' "$tmp/notify.txt" >"$tmp/heard.txt"
{
	echo READY=1
	for i in $(seq $changes); do printf 'RELOADING=1\nREADY=1\n'; done
	echo STOPPING=1
} | diff - "$tmp/heard.txt" || fail "systemd has heard something else"

#!/usr/bin/env bash
# How many NBD clients there may be: --nbd-max-connections holds over all workers, and a reload changes
# it. Where nothing but descriptors bounds them, whoever comes when these are used up waits, at no
# cost of time, and is served when there are some again; and so are initiators.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3 nbdinfo iscsi-inq

cat >"$tmp/gw.conf" <<END
threads = 2
nbd-max-connections = 3
nbd = "127.0.0.1:0"
nbd-export disk { device = mem:1M }
END
start_gateway --config="$tmp/gw.conf"
log=$tmp/gateway.1.log
size() { [ "$(nbdinfo --size "$nbd_uri" 2>/dev/null)" = 1048576 ]; }

# COUNT of clients that have chosen an export, until $hold_pid ends.
hold() {
	PYTHONPATH=$srcdir/interop python3 -B - "${nbd_uri#nbd://}" "$1" >"$tmp/held" <<-'END' &
	import sys, time
	from nbd_client import Client, Settings
	Settings.server, Settings.export = sys.argv[1], "disk"
	clients = [Client() for _ in range(int(sys.argv[2]))]
	for c in clients:
	    c.go()
	print("held", flush=True)
	time.sleep(1000)
	END
	hold_pid=$!
	cleanup_fn end_process $hold_pid
	wait_for $hold_pid grep -q held "$tmp/held"
}

hold 3
! size || fail "a fourth client is let in"
grep -q 'an NBD client is refused: there are 3 (nbd-max-connections)' "$log" || fail "not told"
sed -i 's/^nbd-max-connections.*/nbd-max-connections = 4/' "$tmp/gw.conf"
hang_up $gateway_pid "$log" 'gw.conf: reloaded'
size || fail "a fourth client is refused after the limit is 4"
sed -i 's/^nbd-max-connections.*/nbd-max-connections = 2/' "$tmp/gw.conf"
hang_up $gateway_pid "$log" 'gw.conf: reloaded'
kill -0 $hold_pid || fail "a lower limit has dropped somebody"
! size || fail "another client is let in above the lower limit"
end_process $hold_pid
wait_for $gateway_pid size

# No more descriptors.
printf '#!/bin/sh\nulimit -n 64\nexec "%s" "$@"\n' "$gateway" >"$tmp/few"
chmod +x "$tmp/few"
gateway=$tmp/few
start_gateway --threads=1 -n 127.0.0.1:0 -i 127.0.0.1:0 mem:1M
python3 "$srcdir/interop/nbd_waiting.py" $gateway_pid "${nbd_uri#nbd://}" 100
grep -q 'accepting pauses: Too many open files' "$tmp/gateway.2.log" || fail "not told of the descriptors"
wait_for $gateway_pid size
iscsi-inq "$iscsi_uri" >/dev/null || fail "initiators are forgotten"
kill $gateway_pid
wait $gateway_pid || fail "exit status $?"

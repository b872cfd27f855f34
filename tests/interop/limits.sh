#!/usr/bin/env bash
# The limits of what is served hold: the CmdSN window that an initiator sees, and what an NBD connection
# has in flight at a slow device. A reload changes them.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3 nbdkit nbdcopy

# DEPTH: the window that an idle session sees.
window() {
	[ "$(PYTHONPATH=$srcdir/interop python3 -B - "$iscsi_uri" <<-'END'
	import sys
	from iscsi_rules import *
	Settings.parse(sys.argv[1])
	with session() as c:
	    itt = c.ping()
	    p = c.get(NOP_IN, itt)
	    print(p.max_cmd_sn - p.exp_cmd_sn + 1 & 0xffffffff)
	END
	)" = "$1" ] || fail "the window is not $1"
}

cat >"$tmp/gw.conf" <<END
target-queue-depth = 5
auth-group all { auth-type = none }
portal-group pg { listen = "127.0.0.1:0"; discovery-auth-group = all }
target iqn.2026-11.test:limits { auth-group = all; lun 0 { device = mem:1M } }
END
start_gateway --config="$tmp/gw.conf"
window 5
sed -i 's/^target-queue-depth.*/target-queue-depth = 6/' "$tmp/gw.conf"
hang_up $gateway_pid "$tmp/gateway.1.log" 'gw.conf: reloaded'
window 6

# The most reads that nbdkit has seen at once, in the file "most", of 16 that are asked for.
start_nbdkit --filter=log --filter=delay pattern 4M rdelay=100ms logfile="$tmp/reads" logappend=true
most_at_once() {
	: >"$tmp/reads"
	start_gateway --threads=1 --nbd=127.0.0.1:0 "$@" "$peer_uri"
	nbdcopy --connections=1 --requests=16 --request-size=262144 "$nbd_uri" null:
	most=$(awk '/\.\.\.Read/ { n--; next } / Read/ { if (++n > most) most = n } END { print most + 0 }' \
		"$tmp/reads")
}
most_at_once --nbd-max-requests=2
[ "$most" = 2 ] || fail "--nbd-max-requests=2: $most at once"
most_at_once --nbd-max-bytes=1M
[ "$most" = 4 ] || fail "--nbd-max-bytes=1M: $most at once of 256K"
most_at_once
[ "$most" -gt 4 ] || fail "without limits: $most at once"
echo "$most reads at once without limits"

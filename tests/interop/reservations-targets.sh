#!/usr/bin/env bash
# One unit that two targets show, both in one portal group: to persistent reservations an initiator
# is another nexus at each of them, over a kill and over a reload that brings a third target.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3
port=$(free_port)
conf=$tmp/gateway.conf

write_conf() {	# TARGET...
	cat >"$conf" <<-END
	threads = 2
	auth-group all { auth-type = none }
	portal-group here { listen = 127.0.0.1:$port; tag = 7; discovery-auth-group = all }
	device disk { uri = mem:16M }
	END
	for target in "$@"; do
		echo "target iqn.2026-11.test:$target { auth-group = all; portal-group = here; lun 0 { device = disk } }"
	done >>"$conf"
}

step() {
	python3 "$srcdir/interop/reservations_targets.py" "127.0.0.1:$port" "$1" || fail "$1"
}

write_conf one two
start_gateway -c "$conf" --state-dir="$tmp/state"
step reserve
step reserved
kill -9 "$gateway_pid"
wait "$gateway_pid" 2>/dev/null || :
start_gateway -c "$conf" --state-dir="$tmp/state"
step reserved

write_conf three one two
step watch >"$tmp/watch" &
watch=$!
wait_for $watch grep -q waiting "$tmp/watch"
hang_up "$gateway_pid" "$tmp/gateway.$gateways.log" 'gateway.conf: reloaded'
wait $watch || fail "watch"
step third

# Devices that were NBD exports only get names of their own when a target shows them.
write_conf three one two
more() {
	cat >>"$conf" <<-END
	device first { uri = mem:1M }
	device second { uri = mem:1M }
	nbd-export first { device = first }
	nbd-export second { device = second }
	END
}
more
hang_up "$gateway_pid" "$tmp/gateway.$gateways.log" 'gateway.conf: reloaded'
write_conf three one two
more
echo "target iqn.2026-11.test:late { auth-group = all; portal-group = here; lun 0 { device = first }; lun 1 { device = second } }" >>"$conf"
hang_up "$gateway_pid" "$tmp/gateway.$gateways.log" 'gateway.conf: reloaded'
step names

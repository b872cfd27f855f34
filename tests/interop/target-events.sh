#!/usr/bin/env bash
# What a target has to say of its own accord. When initiators have to go (RFC 7143 11.9) they are asked
# to log out, then told that they are dropped; within the time that the process has when it ends. When
# their LUNs change, each of these says so once.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3
port=$(free_port)
conf=$tmp/gateway.conf

write_conf() {	# TARGET...; LUNs but for LUN 0 are in $more
	cat >"$conf" <<-END
	threads = 2
	target-logout-timeout = 2
	auth-group all { auth-type = none }
	portal-group here { listen = 127.0.0.1:$port; tag = 1; discovery-auth-group = all }
	END
	for target in "$@"; do
		echo "target iqn.2026-11.test:$target { auth-group = all; portal-group = here; lun 0 { device = mem:1M }; $more }"
	done >>"$conf"
}

# STEP COMMAND...: carried out when the initiator of the step is there.
step() {
	local step=$1 watch
	shift
	python3 "$srcdir/interop/target_events.py" "127.0.0.1:$port" "$step" >"$tmp/$step" &
	watch=$!
	wait_for $watch grep -q waiting "$tmp/$step"
	"$@"
	wait $watch || fail "$step"
}

more="lun 1 { device = mem:2M }"
write_conf stays goes
start_gateway -c "$conf"
more="lun 1 { device = mem:2M }; lun 2 { device = mem:3M }"
write_conf stays goes
step inventory kill -HUP "$gateway_pid"
write_conf stays
step removal kill -HUP "$gateway_pid"
step end kill -TERM "$gateway_pid"
wait "$gateway_pid" || fail "the gateway ends with $?"
! grep -q 'some peers did not leave' "$tmp/gateway.1.log" || fail "not within the time that initiators have"

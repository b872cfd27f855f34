#!/usr/bin/env bash
# The plugin and a target that is killed: clients do not notice, or as soon as they were promised.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires nbdkit nbdinfo qemu-io
[ -z "${SANITIZED:-}" ] || { echo "nbdkit itself is not built with the sanitizer"; exit 0; }
kills=${KILLS:-2}

ready() {	# nbdkit has a pid file before it has logged in
	nbdinfo --size "$peer_uri" >/dev/null
}
under_fire() {	# COMMAND: it kills the target and starts it again
	"$nbd_model" -c 4 -d 32 -t $((kills * 3)) "$peer_uri" >"$tmp/model.log" 2>&1 &
	local model=$!
	cleanup_fn end_process $model
	for _ in $(seq "$kills"); do
		"$@"
		ready
		read_it 0
		kill -0 $model || { cat "$tmp/model.log"; fail "the client has ended"; }
	done
	wait $model || { cat "$tmp/model.log"; fail "nbd_model"; }
	cat "$tmp/model.log"
}
read_it() {	# OFFSET: it ends when the target is there again
	qemu-io -f raw "$peer_uri" -c "read $1 4k" >"$tmp/qemu-io.log" 2>&1
	grep -q '4 KiB' "$tmp/qemu-io.log"
}
wait_for_log() {	# PATTERN: what the latest nbdkit says
	wait_for $peer_pid grep -q "$1" "$tmp/nbdkit.$peers.log"
}

start_tgtd 64M
for filter in '' --filter=retry; do
	start_nbdkit -t 64 $filter "$plugin" "$tgt_uri" sessions=2
	ready
	under_fire restart_tgtd
	end_process $peer_pid
done

# Our own daemon as the target, killed and started again at the same port.
own_port=$(free_port)
truncate -s 64M "$tmp/own.img"
own_target() {
	start_gateway -i 127.0.0.1:$own_port "file:$tmp/own.img"
}
restart_own() {
	kill -9 $gateway_pid
	wait $gateway_pid 2>/dev/null || :
	own_target
}
own_target
start_nbdkit -t 64 "$plugin" "$iscsi_uri"
ready
under_fire restart_own
end_process $peer_pid

# Beyond the time that was promised a request fails; the retry filter asks once more.
start_nbdkit "$plugin" "$tgt_uri" outage-timeout=1
ready
kill_tgtd
! timeout 60 qemu-io -f raw "$peer_uri" -c 'read 0 4k' >"$tmp/qemu-io.log" 2>&1 || fail "read from nowhere"
grep -q 'Input/output error' "$tmp/qemu-io.log" || { cat "$tmp/qemu-io.log"; fail "not EIO"; }
run_tgtd
until read_it 0; do sleep 0.1; done
end_process $peer_pid
start_nbdkit --filter=retry "$plugin" "$tgt_uri" outage-timeout=1 retry-delay=1 retries=8
ready
kill_tgtd
read_it 4k & reader=$!
wait_for_log 'error: the path to the logical unit is lost'	# it has failed once
run_tgtd
wait $reader || { cat "$tmp/qemu-io.log"; fail "the retry filter did not help"; }
end_process $peer_pid

# Who goes, client or nbdkit, does not wait for the end of an outage that may never come.
start_nbdkit -v "$plugin" "$tgt_uri" outage-timeout=-1
ready
kill_tgtd
timeout 2 qemu-io -f raw "$peer_uri" -c 'read 0 4k' >/dev/null 2>&1 || :
read_it 8k & reader=$!
wait_for_log 'pread count=4096 offset=8192'
end_process $peer_pid
wait $peer_pid || fail "nbdkit did not end by itself: status $?"
! wait $reader || fail "read from nowhere"

# Between requests none of nbdkit's threads waits, and the target's pings are answered all the same.
start_gateway -i 127.0.0.1:0 --target-nop-interval=1 --target-nop-timeout=3 --debug=iscsi.pdu mem:64M
start_nbdkit "$plugin" "$iscsi_uri"
ready
read_it 0
wait_for $gateway_pid has_more_than 1 "$tmp/gateway.$gateways.log" '< NOP-Out .*itt=0xffffffff'
! grep -q 'no answer to NOP-In' "$tmp/gateway.$gateways.log" || fail "the target was not answered"
read_it 4k

#!/usr/bin/env bash
# The target is killed and comes back, its connections are cut, it stalls: NBD clients of the
# daemon, and of nbdkit with the plugin, see no error and nothing but their own data.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
. "$srcdir/interop/outage.sh"
kills=1 cuts=5 stall=2 away=5 peers_and_fronts="tgtd+daemon own+plugin"
[ -z "${SOAK:-}" ] || { kills=20 cuts=200 stall=20 away=10 peers_and_fronts="tgtd+daemon own+daemon tgtd+plugin own+plugin"; }
peers_and_fronts=${CHAINS:-$peers_and_fronts}

# The target: two disks at $target_port. Sets target_pid.
run_target() {
	if [ "$peer" = tgtd ]; then
		run_tgtd
		target_pid=$tgt_pid
	else
		"$gateway" -T 2 -i 127.0.0.1:$target_port -t $tgt_iqn -P "$tmp/own.pid" "file:$tmp/own.0" "file:$tmp/own.1" \
			2>>"$tmp/own.log" &
		target_pid=$!
		wait_for $target_pid test -s "$tmp/own.pid"
	fi
}
kill_target() {
	if [ "$peer" = tgtd ]; then
		kill_tgtd
	else
		kill -9 $target_pid 2>/dev/null || :
		wait $target_pid 2>/dev/null || :
		rm -f "$tmp/own.pid"
	fi
}
start_target() {
	if [ "$peer" = tgtd ]; then
		start_tgtd 32M 2
		target_pid=$tgt_pid target_port=${tgt_portal#*:} first=1
	else
		target_port=$(free_port) first=0
		truncate -s 32M "$tmp/own.0" "$tmp/own.1"
		cleanup_fn kill_target
		run_target
	fi
}
start_front() {
	local url=iscsi://127.0.0.1:$proxy_port/$tgt_iqn
	if [ "$front" = daemon ]; then
		start_gateway -T 2 -n unix:"$tmp/front.sock" a=$url/$first b=$url/$((first + 1))
		front_pid=$gateway_pid
		start_clients "nbd+unix:///a?socket=$tmp/front.sock" "nbd+unix:///b?socket=$tmp/front.sock"
	else
		start_nbdkit -t 64 "$plugin" "$url" sessions=2
		front_pid=$peer_pid
		wait_for $front_pid nbdinfo --size "nbd+unix:///lun$first?socket=$peer_socket" >/dev/null
		start_clients "nbd+unix:///lun$first?socket=$peer_socket" \
			"nbd+unix:///lun$((first + 1))?socket=$peer_socket"
	fi
}

for chain in $peers_and_fronts; do
	peer=${chain%+*} front=${chain#*+}
	[ "$front" = daemon ] || requires nbdkit
	[ "$front" = daemon ] || [ -z "${SANITIZED:-}" ] || continue	# nbdkit is not built with it
	start_target
	start_proxy $target_port $cuts
	start_front
	for _ in $(seq $kills); do
		they_work $front_pid
		kill_target
		run_target
	done
	they_work $front_pid
	kill -STOP $target_pid
	sleep $stall
	kill -CONT $target_pid
	they_work $front_pid
	kill_target
	idle_cpu $front_pid $away
	run_target
	they_work $front_pid
	kill -USR1 $proxy_pid
	wait_for_cuts $cuts $front_pid
	they_work $front_pid
	stop_clients "$chain: $cuts cuts, $kills kills, stalled for $stall s"
	end_process $front_pid
	kill $proxy_pid
	kill_target
done

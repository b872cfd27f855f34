#!/usr/bin/env bash
# The NBD server behind our target is killed and comes back, stalls, and fails requests by
# chance: initiators (ours, and libiscsi in qemu) see no lie, lose nothing that was
# flushed, and keep their sessions.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
. "$srcdir/interop/outage.sh"
requires nbdkit qemu-img
kills=3 stall=2 away=3 seconds=3
[ -z "${SOAK:-}" ] || { kills=20 stall=20 away=10 seconds=60; }

mkdir "$tmp/disks"
truncate -s 32M "$tmp/disks/a" "$tmp/disks/b" "$tmp/disks/c" "$tmp/disks/d"
cleanup_fn kill_server
start_server() {	# [error filter's parameters]
	rm -f "$tmp/server.sock" "$tmp/server.pid"
	nbdkit -f -U "$tmp/server.sock" -P "$tmp/server.pid" --filter=error file dir="$tmp/disks" \
		error-rate=0 "$@" 2>>"$tmp/nbdkit.log" &
	server_pid=$!
	wait_for $server_pid test -s "$tmp/server.pid"
}
kill_server() {
	kill -9 $server_pid 2>/dev/null || :
	wait $server_pid 2>/dev/null || :
}
start_server
server="nbd+unix:///%?socket=$tmp/server.sock"

start_gateway -T 2 -i 127.0.0.1:0 "a=${server/\%/a}" "b=${server/\%/b}" "c=${server/\%/c}" "d=${server/\%/d}"
target=${iscsi_uri%/*} target_pid=$gateway_pid target_log=$tmp/gateway.$gateways.log
start_gateway -T 2 -n unix:"$tmp/front.sock" "a=$target/0" "b=$target/1" "d=$target/3"
front="nbd+unix:///%?socket=$tmp/front.sock"
sessions=$(grep -c 'normal session' "$target_log")

start_clients "${front/\%/a}" "${front/\%/b}"
random_image "$tmp/image" 32M
# Slow enough to be under way all the time.
qemu-img convert -n -r $((16 / kills + 1))M -f raw -O raw "$tmp/image" "$target/2" &
copy=$!
cleanup_fn "kill $copy 2>/dev/null || :"
for _ in $(seq $kills); do
	they_work $target_pid
	kill_server
	start_server
done
they_work $target_pid
wait $copy || fail "qemu-img"
qemu-img compare -q -f raw -F raw "$tmp/image" "$target/2" || fail "what qemu-img wrote is not there"
kill -STOP $server_pid
sleep $stall
kill -CONT $server_pid
they_work $target_pid
kill_server
idle_cpu $target_pid $away
start_server
they_work $target_pid
stop_clients "$kills kills, stalled for $stall s"

# Errors are passed on, and nothing else happens because of them.
kill_server
start_server error-rate=1%
"$tools/flush_model" -e -c 4 -t $seconds "${front/\%/d}" || fail "flush_model"

# libiscsi's two sessions of qemu-img, one each, are the only others.
[ "$(grep -c 'normal session' "$target_log")" -eq $((sessions + 2)) ] || fail "a session was made anew"
[ "$(grep -c 'connection ended' "$target_log")" -eq 2 ] || fail "a session was dropped"

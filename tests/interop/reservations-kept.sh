#!/usr/bin/env bash
# Persistent reservations survive the death of the gateway, however it dies, if there is a
# state directory: APTPL. ROUNDS=n: how often it is killed amid changes.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3
state=$tmp/state

start() {
	start_gateway -T 2 -i 127.0.0.1:0 -t iqn.2026-11.test:kept "$@" mem:16M
}

die() {
	kill -9 "$gateway_pid"
	wait "$gateway_pid" 2>/dev/null || :
}

step() {
	python3 "$srcdir/interop/reservations_kept.py" "$iscsi_uri" "$1" || fail "$1"
}

# Without a place to keep them, nothing is promised.
start
step refused
die

start --state-dir="$state"
step free
step reserve
die
start --state-dir="$state"
step reserved
end_process "$gateway_pid"
start --state-dir="$state"
step reserved

# Two gateways do not write to one directory.
! "$gateway" -i 127.0.0.1:0 --state-dir="$state" mem:1M 2>"$tmp/second.log" || fail "two of them"
grep -q -- "--state-dir=$state: another gateway keeps its state there" "$tmp/second.log"

step forget
die
start --state-dir="$state"
step free

# Amid changes: what was acknowledged is there, or what came next; nothing else.
for _ in $(seq "${ROUNDS:-8}"); do
	rm -f "$tmp/acknowledged"
	python3 "$srcdir/interop/reservations_kept.py" "$iscsi_uri" churn >"$tmp/acknowledged" &
	churn=$!
	wait_for $churn test -s "$tmp/acknowledged"
	sleep 0.0$((RANDOM % 100))
	die
	wait $churn
	start --state-dir="$state"
	last=$(tail -n 1 "$tmp/acknowledged") now=$(step key)
	[ "$now" = "$last" ] || [ "$now" = $((last + 1)) ] ||
		fail "key $last was acknowledged, $now is there"
done
echo "killed ${ROUNDS:-8} times amid changes, the last at key $last"

# What cannot be read is not made use of, is told, and is kept for somebody to look at.
die
file=$(echo "$state"/*.reservations)
sed -i 's/registration/registrations/' "$file"
start --state-dir="$state"
step free
grep -q "reservations of LUN 0 are lost" "$tmp/gateway.$gateways.log" || fail "nothing is said"
[ -s "$file.bad" ] || fail "$file.bad is not there"

# A directory that cannot be used is the end, not a surprise later.
! "$gateway" -i 127.0.0.1:0 --state-dir="$tmp/gateway.1.log" mem:1M 2>"$tmp/third.log" ||
	fail "a file for a directory"
grep -q -- "--state-dir=$tmp/gateway.1.log: Not a directory" "$tmp/third.log"

#!/usr/bin/env bash
# The plugin in nbdkit under valgrind: no invalid access, nothing lost, with load, an outage and an
# open that fails.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires nbdkit valgrind nbdinfo nbdcopy
[ -z "${SANITIZED:-}" ] || { echo "a sanitizer and valgrind do not go together"; exit 0; }

# What nbdkit and its libraries keep to their end is not ours, nor what nbdkit itself does not free
# when it is stopped amid requests; definite losses of ours are reported.
cat >"$tmp/suppressions" <<-END
	{
	   allocated by nbdkit itself
	   Memcheck:Leak
	   match-leak-kinds: definite
	   fun:*alloc
	   obj:*/bin/nbdkit
	}
END
checked() {
	timeout 120 valgrind --quiet --suppressions="$tmp/suppressions" --error-exitcode=99 --exit-on-first-error=no --leak-check=full \
		--errors-for-leak-kinds=definite --show-leak-kinds=definite --fair-sched=yes \
		nbdkit "$@"
}
served() {	# COMMAND ARG...
	local said
	said=$1
	shift
	checked -U - -t 4 "$@" --run "$said" 2>"$tmp/valgrind.log" || fail "status $?"
	! grep '^==' "$tmp/valgrind.log" || fail "valgrind"
}

start_tgtd 16M 2
export nbd_model
served '"$nbd_model" -c 2 -d 16 -n 300 "$uri" && nbdinfo --list "$uri" >/dev/null' \
	"$plugin" "${tgt_uri%/1}" sessions=2
served 'nbdcopy "$uri" /dev/null && nbdinfo --map "$uri" >/dev/null' "$plugin" "$tgt_uri" digest=both

! checked "$plugin" "${tgt_uri%/1}/7" 2>"$tmp/valgrind.log" || fail "LUN 7 exists"
! grep '^==' "$tmp/valgrind.log" || fail "valgrind: an open that fails"

# The target goes; what waits for it is given up when nbdkit is told to stop.
checked -f -U "$tmp/socket" -P "$tmp/pid" "$plugin" "$tgt_uri" 2>"$tmp/valgrind.log" &
pid=$!
cleanup_fn end_process $pid
wait_for $pid test -s "$tmp/pid"
nbdinfo --size "nbd+unix:///?socket=$tmp/socket" >/dev/null
kill_tgtd
nbdcopy "nbd+unix:///?socket=$tmp/socket" /dev/null 2>/dev/null & client=$!
wait_for $pid grep -q 'session lost' "$tmp/valgrind.log"
kill "$(cat "$tmp/pid")"
wait $pid || fail "status $?"
! wait $client || fail "read from nowhere"
! grep '^==' "$tmp/valgrind.log" || fail "valgrind: stopped in an outage"

#!/usr/bin/env bash
# Every suite of libiscsi's test tool, by two paths, against memory, nbdkit and qcow2; what
# needs another kind of unit, against that, too. Nothing may fail or hang, and no test may be
# skipped everywhere but those in iscsi-test-cu.skips.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires iscsi-test-cu qemu-img
skips=$srcdir/interop/iscsi-test-cu.skips
suites=$(iscsi-test-cu -l | sed -n 's/^ALL\.\([^.]*\)$/\1/p')

# SUITE: sort the tests that its log tells of into those that ran and those that did not.
note_tests() {
	awk -v suite="$1" -v ran="$tmp/ran" -v skipped="$tmp/skipped" '
		function note() { if (name) print suite "." name >>(skip ? skipped : ran); name = "" }
		/^ *Test: / { note(); name = $2; skip = 0 }
		/\[SKIPPED\]/ { skip = 1 }
		/^(passed|FAILED)/ { note() }
		END { note() }' "$tmp/suite.$1.log"
}

# DEVICE [OPTION...] -- SUITE...: each in a process of its own, because the tool carries state
# from suite to suite.
run_suites() {
	local args=()
	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	echo "${args[*]}:"
	start_gateway -i 127.0.0.1:0 "${args[@]}"
	for suite; do
		iscsi_suite "$suite" "$iscsi_uri" "$iscsi_uri"
		note_tests "$suite"
	done
}

run_suites mem:64M -- $suites
start_nbdkit memory 64M
run_suites "$peer_uri" -- $suites
qemu-img create -q -f qcow2 "$tmp/disk.qcow2" 64M
start_qemu_nbd -f qcow2 --discard=unmap "$tmp/disk.qcow2"
run_suites "$peer_uri" -- $suites

# Several logical blocks to a physical one; not GetLBAStatus, which then confuses the two.
start_nbdkit --filter=blocksize-policy memory 64M blocksize-minimum=4096 blocksize-preferred=4096
run_suites "$peer_uri" -- CompareAndWrite WriteSame10 WriteSame16
run_suites --read-only mem:64M -- ReadOnly

# NAME: is there a line for it?
is_listed() {
	local pattern
	while read -r pattern _; do
		[[ $1 == $pattern ]] && return 0
	done < <(grep -v -e '^#' -e '^$' "$skips")
	return 1
}

sort -u -o "$tmp/ran" "$tmp/ran"
sort -u "$tmp/skipped" | comm -23 - "$tmp/ran" >"$tmp/never"
echo "$(wc -l <"$tmp/ran") tests ran, $(wc -l <"$tmp/never") never did"
while read -r name; do
	is_listed "$name" || fail "$name is skipped everywhere"
done <"$tmp/never"
while read -r name; do
	! is_listed "$name" || fail "$name runs, but is in $skips"
done <"$tmp/ran"

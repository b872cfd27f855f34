#!/usr/bin/env bash
# Every suite of libiscsi's test tool, by two paths (as two initiators), against memory, nbdkit and
# qcow2, with blocks of 512 and 4096 bytes; what needs another kind of unit, against that. Nothing
# may fail or hang, and no test may be skipped everywhere but those in iscsi-test-cu.skips.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires iscsi-test-cu qemu-img
skips=$srcdir/interop/iscsi-test-cu.skips
suite_options='-d -S'	# it may write, and sanitize

suites=$(iscsi-test-cu -l | sed -n 's/^ALL\.\([^.]*\)$/\1/p' | grep -v '^Sanitize$')

# SUITE: sort the tests that its log tells of into those that ran and those that did not.
note_tests() {
	awk -v suite="$1" -v ran="$tmp/ran" -v skipped="$tmp/skipped" '
		function note() { if (name) print suite "." name >>(skip ? skipped : ran); name = "" }
		/^ *Test: / { note(); name = $2; skip = 0 }
		/\[SKIPPED\]/ { skip = 1 }
		/^(passed|FAILED)/ { note() }
		END { note() }' "$tmp/suite.$1.log"
}

runs=
paths=2
# NAME OPTION... DEVICE -- SUITE...: each suite in a process of its own, because the tool carries
# state from suite to suite. All runs at the same time, because some tests only wait.
run_suites() {
	local name=$1 args=()
	shift
	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	start_gateway -i 127.0.0.1:0 "${args[@]}"
	(
		mkdir "$tmp/$name"
		tmp=$tmp/$name
		for suite; do
			iscsi_suite "$suite" "$iscsi_uri" $([ $paths = 1 ] || echo "$iscsi_uri")
			note_tests "$suite"
		done
	) >"$tmp/$name.out" 2>&1 &
	runs="$runs $name:$!"
}

run_suites memory mem:64M -- $suites
run_suites memory-4096 --block-size=4096 mem:64M -- $suites
start_nbdkit memory 64M
run_suites nbdkit "$peer_uri" -- $suites
qemu-img create -q -f qcow2 "$tmp/disk.qcow2" 64M
start_qemu_nbd -f qcow2 --discard=unmap "$tmp/disk.qcow2"
run_suites qcow2 "$peer_uri" -- $suites
if [ -n "${SOAK:-}" ]; then
	qemu-img create -q -f qcow2 "$tmp/disk-4096.qcow2" 64M
	start_qemu_nbd -f qcow2 --discard=unmap "$tmp/disk-4096.qcow2"
	run_suites qcow2-4096 --block-size=4096 "$peer_uri" -- $suites
fi

# It waits for minutes, and, with a second path, for the end of a reservation that it leaves there.
paths=1
run_suites sanitize mem:64M -- Sanitize
run_suites sanitize-4096 --block-size=4096 mem:64M -- Sanitize
start_nbdkit memory 64M
run_suites sanitize-nbdkit "$peer_uri" -- Sanitize
paths=2

# Several logical blocks to a physical one; not GetLBAStatus, which then asks for one block and
# expects the status of another.
start_nbdkit --filter=blocksize-policy memory 64M blocksize-minimum=4096 blocksize-preferred=4096
run_suites nbdkit-physical-4096 "$peer_uri" -- CompareAndWrite WriteSame10 WriteSame16

# Of a unit that is read-only, all that reads, and what the rest does when it may not write; not
# what then takes its own writes for done.
run_suites read-only --read-only mem:64M -- ReadOnly
suite_options=
for suite in $suites; do
	case $suite in PrinReadKeys | Prout* | Sanitize* | WriteVerify*) ;; *) readers="${readers:-} $suite" ;; esac
done
run_suites readers --read-only mem:64M -- $readers

for run in $runs; do
	status=0
	wait "${run#*:}" || status=$?
	echo "${run%:*}:"
	cat "$tmp/${run%:*}.out"
	[ $status -eq 0 ] || fail "${run%:*}: exit status $status"
done

# NAME: is there a line for it?
is_listed() {
	local pattern
	while read -r pattern _; do
		[[ $1 == $pattern ]] && return 0
	done < <(grep -v -e '^#' -e '^$' "$skips")
	return 1
}

sort -u "$tmp"/*/ran >"$tmp/ran"
sort -u "$tmp"/*/skipped | comm -23 - "$tmp/ran" >"$tmp/never"
echo "$(wc -l <"$tmp/ran") tests ran, $(wc -l <"$tmp/never") never did"
while read -r name; do
	is_listed "$name" || fail "$name is skipped everywhere"
done <"$tmp/never"
while read -r name; do
	! is_listed "$name" || fail "$name runs, but is in $skips"
done <"$tmp/ran"

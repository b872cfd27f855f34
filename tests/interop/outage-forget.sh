#!/usr/bin/env bash
# A target, and an NBD server, that lose their caches: what was flushed is always there; what
# was not is written again from the write log, where there is one, or a flush says that it
# may be gone. Never neither.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
seconds=2
[ -z "${SOAK:-}" ] || seconds=60

start_forgetful() {	# [OPTION...]: sets disk_pid, disk_iscsi, disk_nbd
	local iscsi_port nbd_port
	iscsi_port=$(free_port)
	nbd_port=$(free_port)
	rm -f "$tmp/disk.pid"
	"$tools/forgetful" -i "$iscsi_port" -n "$nbd_port" -s 16 -P "$tmp/disk.pid" "$@" >"$tmp/disk.log" &
	disk_pid=$!
	cleanup_fn end_process $disk_pid
	wait_for $disk_pid test -s "$tmp/disk.pid"
	disk_iscsi=iscsi://127.0.0.1:$iscsi_port/iqn.2026-11.test:forgetful/0
	disk_nbd=nbd://127.0.0.1:$nbd_port
}

logins() {
	grep -c 'logged in again' "$tmp/gateway.$gateways.log" || :
}

# SIGNAL PAUSE [OPTION...]: the model against $nbd_uri, while the disk gets the signal again and again.
# USR2 ends the sessions of both workers: they are to be back before the pause.
check_flushes() {
	local signal=$1 pause=$2 model due=0
	shift 2
	"$tools/flush_model" -c 4 -t $seconds "$@" "$nbd_uri" >"$tmp/model.log" 2>&1 &
	model=$!
	cleanup_fn end_process $model
	while kill -0 $model 2>/dev/null; do
		sleep $pause
		kill -"$signal" $disk_pid
		[ "$signal" = USR1 ] || due=$((due + 2))
		while kill -0 $model 2>/dev/null && [ "$(logins)" -lt $due ]; do sleep 0.05; done
	done
	wait $model || { cat "$tmp/model.log"; fail "flush_model, SIG$signal $*"; }
	end_process $disk_pid
	end_process $gateway_pid
	echo "SIG$signal $*: $(cat "$tmp/model.log" "$tmp/disk.log")"
	grep -q '^forgetful: [1-9]' "$tmp/disk.log" || fail "nothing was ever forgotten"
}
some_failed() {
	grep -q ', [1-9][0-9]* of them or of FUA failed' "$tmp/model.log" || fail "no flush ever failed"
	grep -q 'may be lost: the next flush will fail' "$tmp/gateway.$gateways.log" || fail "the log says nothing"
}
written_again() {
	grep -q 'were written again' "$tmp/gateway.$gateways.log" || fail "nothing was written again"
}

# NBD clients, and the target resets; with its sessions living on, and with all of them cut.
start_forgetful
start_gateway -T 2 -n 127.0.0.1:0 "$disk_iscsi"
check_flushes USR1 0.2
some_failed
start_forgetful
start_gateway -T 2 -n 127.0.0.1:0 --write-log=8M "$disk_iscsi"
check_flushes USR1 0.2 -x
written_again
start_forgetful
start_gateway -T 2 -n 127.0.0.1:0 --write-log=8M "$disk_iscsi"
check_flushes USR2 0.5 -x -t 8		# a session is back after two seconds (DefaultTime2Wait)
written_again

# The target says that the power was gone (29/01), instead of a reset (29/04).
start_forgetful -p
start_gateway -T 2 -n 127.0.0.1:0 --debug=iscsi.session,scsi.cdb "$disk_iscsi"
check_flushes USR1 0.2
some_failed
grep -q '29/01' "$tmp/gateway.$gateways.log" || fail "no 29/01 was seen"
start_forgetful -p
start_gateway -T 2 -n 127.0.0.1:0 --write-log=8M "$disk_iscsi"
check_flushes USR1 0.2 -x
written_again

# The NBD server dies; nothing but the end of the connection tells.
start_forgetful
start_gateway -T 2 -n 127.0.0.1:0 "$disk_nbd"
check_flushes USR1 0.2 -x
written_again
start_forgetful
start_gateway -T 2 -n 127.0.0.1:0 --shared=lun0 "$disk_nbd"
check_flushes USR1 0.2
some_failed

# The same behind our target, which tells its initiators: ours, that fails a flush then, or has a
# log of its own.
start_forgetful
start_gateway -T 2 -i 127.0.0.1:0 --shared=lun0 "$disk_nbd"
start_gateway -T 2 -n 127.0.0.1:0 "$iscsi_uri"
check_flushes USR1 0.2
some_failed
start_forgetful
start_gateway -T 2 -i 127.0.0.1:0 "$disk_nbd"
start_gateway -T 2 -n 127.0.0.1:0 "$iscsi_uri"
check_flushes USR1 0.2 -x

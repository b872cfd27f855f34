#!/usr/bin/env bash
# The Linux kernel as an initiator of our target, while what is behind the target, the target
# itself, and the paths to it come and go: its filesystems and databases see nothing of it.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
. "$srcdir/interop/guest.sh"
. "$srcdir/interop/san.sh"
requires nbdkit
times=1
[ -z "${SOAK:-}" ] || times=20 guest_seconds=3600
start_san "one two"
log_in one 0 near far
in_guest 'dmesg -c >/dev/null'
they_work /dev/near /dev/far

# The NBD server is killed: the session stays, and the kernel hears nothing of it.
for _ in $(seq $times); do
	kill_far
	start_far
	they_work
done
kernel_says

# It stalls for longer than a command may take: the command is aborted once it has come to an end,
# and is done again. (What is done before has the time that it takes here.)
kill -STOP $far_pid
in_guest <<-END
echo 1 >/sys/module/libiscsi/parameters/debug_libiscsi_eh
echo 1 >/far/device/timeout
begin stalled dd if=/dev/far of=/dev/null bs=4k count=1 iflag=direct
until_it_is eval "dmesg | grep iscsi_eh_abort"
echo 30 >/far/device/timeout
END
kill -CONT $far_pid
in_guest <<-END
until_it_is eval "dmesg | grep 'abort success'"
finish stalled
echo 0 >/sys/module/libiscsi/parameters/debug_libiscsi_eh
dmesg -c >/dev/null
END
they_work
kernel_says

# A unit, and the whole target, is reset by one who wants it so. (Until that is done the initiator
# itself rejects the commands that come, has them done later, and sends no more data of writes.)
in_guest 'sg_reset -d /dev/far; sg_reset -t /dev/far'
they_work
kernel_says 'sd 0:0:0:.: Power-on or device reset occurred' '?task .op [15] itt '
stop_work

# The target is killed: what is in flight is sent again over the next connection.
they_work /dev/far
for _ in $(seq $times); do
	restart_target
	they_work
	kernel_says 'connection[0-9]*:0: detected conn error' ' 0:0:0:.: Power-on or device reset occurred'
done
stop_work

# Two paths. One is taken out of service: the kernel is asked to log out, and does; then it comes
# back. The unit tells by the other that its ports have changed.
log_in two 1 near.2 far.2
in_guest <<-END
echo 2 >/sys/class/iscsi_session/session2/recovery_tmo
dmsetup create both --table "0 131072 multipath 1 queue_if_no_path 1 alua 1 1 round-robin 0 2 1 \
	\$(cat /far/dev) 1 \$(cat /far.2/dev) 1"
dmsetup mknodes
END
kernel_says ' 1:0:0:.: Power-on or device reset occurred'
they_work /dev/mapper/both
reload one
wait_for $target_pid target_said 'asked to log out' 1
wait_for $target_pid target_said 'connection ended: logged out' 1
in_guest 'until_it_is eval "dmsetup status both | grep \" F \""'
they_work
kernel_says 'session recovery timed out' 'Failing path' 'sd 0:0:0:.: Inquiry data has changed' '?sd 1:0:0:.: Inquiry data' \
	'?rejecting I/O to offline device' '?I/O error, dev sd' '?FAILED Result'
reload "one two"
in_guest <<-END
until_it_is grep -x LOGGED_IN /sys/class/iscsi_session/session2/state
dmsetup message both 0 reinstate_path \$(cat /far.2/dev)
END
they_work
stop_work
[[ $(in_guest 'dmsetup status both') != *" F "* ]] || fail "a path has not come back"
kernel_says 'Reinstating path' ' 1:0:0:.: Power-on or device reset occurred' \
	'sd 0:0:0:.: Inquiry data has changed' '?sd 1:0:0:.: Inquiry data'

in_guest 'dmsetup remove both; iscsiadm -m session --logout >/tmp/logout'
kernel_says
stop_guest
stop_target

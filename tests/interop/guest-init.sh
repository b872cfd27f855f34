#!/bin/busybox sh
# Process 1 of the guest of guest.sh: loads its modules, and runs the scripts that come over the
# second serial line, a line of base64 each, until an empty one. The answer is what they print,
# and "=STATUS". For them, beside what /functions has:
#
#	begin NAME COMMAND...	in the background
#	under_way NAME		it has not ended yet
#	finish NAME		waits until it has; its status, and what it printed if that is not 0
#	until_it_is COMMAND...	waits until a command succeeds
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /mnt /tmp /run /etc
/bin/busybox --install /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

# Some only make use of what a processor may have (crc32c-intel): what needs them tells.
for module in $(cat /modules); do insmod "$module"; done

begin() {
	local name=$1
	shift
	rm -f "/tmp/$name.status"
	(set +e; "$@" </dev/null >"/tmp/$name.log" 2>&1; echo $? >"/tmp/$name.new"
	 mv "/tmp/$name.new" "/tmp/$name.status") &
}

under_way() {
	[ ! -e "/tmp/$1.status" ]
}

# Subshells, so that what is traced is not what they wait for.
finish() (
	set +x
	while under_way "$1"; do usleep 50000; done
	[ "$(cat "/tmp/$1.status")" = 0 ] || { cat "/tmp/$1.log"; return 1; }
)

until_it_is() (
	set +x
	until "$@" >/dev/null 2>&1; do usleep 50000; done
)

[ ! -e /functions ] || . /functions
exec </dev/ttyS1 >/dev/ttyS1
stty raw -echo
echo "=0"
while read -r script && [ -n "$script" ]; do
	script=$(echo "$script" | base64 -d)
	(set -ex; eval "$script") 2>/dev/console
	printf '\n=%d\n' $?
done
poweroff -f

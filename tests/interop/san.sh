# Sourced by guest-initiator*.sh: a target of ours, and a guest (guest.sh) whose kernel is its
# initiator: iscsi_tcp below sd, and open-iscsi. CHAP in both directions, digests of everything.
#
#	start_san PORTALS LUN...	the target, and the guest, which has not logged in yet. Portals are
#				"one" or "one two"; LUNs beside 0 (near: memory) and 1 (far: an NBD
#				server, 4096 bytes per block) are lines of the configuration.
#	reload PORTALS LUN...	another configuration comes into force
#	restart_target		killed as it stands, and started again
#	stop_target		ended, without a complaint
#	start_far, kill_far	the NBD server. It fails writes (ENOSPC) while $tmp/full exists, and reads
#				(EIO) while $tmp/broken does.
#	log_in PORTAL HOST NAME...	the guest has another SCSI host, of this number, with these LUNs from 0 on
#	disk HOST LUN NAME	waits for that disk: it is /dev/NAME, and what sysfs has of it is in /NAME
#	kernel_says [PATTERN...] what it has complained of since the last time: this (and perhaps what
#				?PATTERN stands for), and nothing else
#	they_work [DISK...]	the guest writes, reads and compares, until stop_work; when this returns it
#				has got through once more on every disk

iqn=iqn.2026-11.test:san
one=$(free_port)
two=$(free_port)
conf=$tmp/gw.conf
san_log=$tmp/gateway.log

for name in host target; do
	(umask 077 && printf 'secret of the %s' $name >"$tmp/$name")
done
mkdir "$tmp/disks"
truncate -s 64M "$tmp/disks/far"

far_pid=
cleanup_fn kill_far
start_far() {
	rm -f "$tmp/far.sock" "$tmp/far.pid"
	nbdkit -f -U "$tmp/far.sock" -P "$tmp/far.pid" --filter=error file dir="$tmp/disks" \
		error-pwrite=ENOSPC error-pwrite-rate=100% error-pwrite-file="$tmp/full" \
		error-pread=EIO error-pread-rate=100% error-pread-file="$tmp/broken" 2>>"$tmp/far.log" &
	far_pid=$!
	wait_for $far_pid test -s "$tmp/far.pid"
}
kill_far() {
	kill -9 $far_pid 2>/dev/null || :
	wait $far_pid 2>/dev/null || :
}

configure() {	# PORTALS LUN...
	local portal tag=0
	cat <<-END
	threads = 2
	auth-group host {
		chap-mutual {
			user = host; secret-file = "$tmp/host"
			mutual-user = target; mutual-secret-file = "$tmp/target"
		}
	}
	END
	for portal in $1; do
		tag=$((tag + 1))
		echo "portal-group $portal { listen = 127.0.0.1:${!portal}; tag = $tag; discovery-auth-group = host }"
	done
	echo "target $iqn {"
	printf 'portal-group = %s\n' $1
	shift
	cat <<-END
		auth-group = host
		lun 0 { device = mem:64M; serial = near }
		lun 1 { device = "nbd+unix:///far?socket=$tmp/far.sock"; block-size = 4096; serial = far }
		$*
	}
	END
}

target_pid=
cleanup_fn kill_target
start_target() {
	rm -f "$tmp/gw.pid"
	"$gateway" -P "$tmp/gw.pid" -c "$conf" 2>>"$san_log" &
	target_pid=$!
	wait_for $target_pid test -s "$tmp/gw.pid"
}
kill_target() {
	kill -9 $target_pid 2>/dev/null || :
	wait $target_pid 2>/dev/null || :
}
restart_target() {
	kill_target
	start_target
}
stop_target() {
	kill -TERM $target_pid
	wait $target_pid || fail "the target's exit status: $?"
}

target_said() {	# PATTERN TIMES
	[ "$(grep -c "$1" "$san_log")" -ge "$2" ]
}
reload() {
	configure "$@" >"$conf"
	hang_up $target_pid "$san_log" 'gw.conf: reloaded'
}

start_san() {
	start_far
	configure "$@" >"$conf"
	start_target
	guest_modules virtio_net iscsi_tcp crc32c sd_mod sg ext4 scsi_dh_alua dm-multipath dm-round-robin
	guest_programs iscsid iscsiadm sg_persist sg_reset sg_vpd blkdiscard mkfs.ext4 dmsetup
	mkdir -p "$guest_root/etc/iscsi" "$guest_root/run/lock/iscsi"
	echo InitiatorName=$iqn:linux >"$guest_root/etc/iscsi/initiatorname.iscsi"
	echo root:x:0:0::/:/bin/sh >"$guest_root/etc/passwd"
	for name in discovery.sendtargets node.session; do
		cat <<-END
		$name.auth.authmethod = CHAP
		$name.auth.chap_algs = SHA3-256,SHA256,SHA1,MD5
		$name.auth.username = host
		$name.auth.password = secret of the host
		$name.auth.username_in = target
		$name.auth.password_in = secret of the target
		END
	done >"$guest_root/etc/iscsi/iscsid.conf"
	# The user network of qemu has no window scaling, and may never hear of a closed window that it is
	# open again: with that much room it is never closed. And a busy machine is not a dead target.
	cat >>"$guest_root/etc/iscsi/iscsid.conf" <<-END
	node.conn[0].iscsi.HeaderDigest = CRC32C
	node.conn[0].iscsi.DataDigest = CRC32C
	node.session.iscsi.InitialR2T = No
	node.session.iscsi.ImmediateData = Yes
	node.conn[0].tcp.window_size = 4194304
	node.conn[0].timeo.noop_out_timeout = 60
	node.session.timeo.replacement_timeout = 120
	node.session.scan = auto
	END
	san_functions >"$guest_root/functions"
	start_guest -netdev user,id=lan -device virtio-net-pci,netdev=lan,romfile=
	in_guest <<-END
	echo 8388608 >/proc/sys/net/core/rmem_max
	ip addr add 10.0.2.15/24 dev eth0
	ip link set eth0 up
	head -c 1048576 /dev/urandom >/pattern
	for i in 1 2 3 4; do cat /pattern; done >/large
	iscsid
	dmesg -c >/dev/null
	END
}

# A round of the work: small writes one by one, and as many at a time as the kernel likes.
san_functions() {
	cat <<-'END'
	work() {
		set +x
		until [ -e /tmp/stop ]; do
			dd if=/pattern of="$1" bs=16k oflag=direct seek=512 &&
				dd if=/pattern of="$1" bs=1M conv=fsync seek=16 || return 1
			for start in 8 16; do
				dd if="$1" bs=256k count=4 iflag=direct skip=$((start * 4)) | cmp - /pattern || return 1
			done
			echo >>"/tmp/${1##*/}.rounds"
		done
	}
	rounds() {
		cat "/tmp/${1##*/}.rounds" 2>/dev/null | wc -l
	}
	got_through() (
		set +x
		before=$(rounds "$1")
		while [ "$(rounds "$1")" -le "$before" ]; do
			under_way "${1##*/}" || { finish "${1##*/}"; return 1; }
			usleep 50000
		done
	)
	END
}

working=
they_work() {
	local disk
	for disk; do in_guest "begin ${disk##*/} work $disk"; done
	working="$working $*"
	in_guest "for disk in $working; do got_through \$disk; done"
}

stop_work() {
	in_guest "touch /tmp/stop; for disk in $working; do finish \${disk##*/}; done; rm /tmp/stop"
	working=
}

log_in() {
	local portal=$1 host=$2 lun=0
	shift 2
	in_guest <<-END
	iscsiadm -m node -T $iqn -p 10.0.2.2:${!portal} -o new >/tmp/login
	iscsiadm -m node -T $iqn -p 10.0.2.2:${!portal} --login >>/tmp/login
	END
	for name; do
		disk $host $lun "$name"
		lun=$((lun + 1))
	done
}

disk() {
	in_guest <<-END
	until_it_is ls /sys/class/scsi_device/$1:0:0:$2/device/block
	ln -sfn /sys/class/scsi_device/$1:0:0:$2/device/block/* /$3
	ln -sf /dev/\$(basename /sys/class/scsi_device/$1:0:0:$2/device/block/*) /dev/$3
	END
}

# Warnings and worse, and lesser lines of certain words, of what is between the network and the
# filesystem.
kernel_says() {
	local pattern
	in_guest 'dmesg -cr' >"$tmp/dmesg"
	sed -nE 's/^<([0-6])>\[ *[0-9.]*\] +/\1 /p' "$tmp/dmesg" |
		grep -E '^. ([a-z]*scsi|sd |sd[a-z]+:|connection|session|alua|device-mapper|EXT4|blk|critical|.*I/O)' |
		grep -Ei '^[0-4]|sense|error|fail|tim(ed|ing) out|reject|abort|offline' >"$tmp/said" || :
	for pattern; do
		grep -qE "${pattern#\?}" "$tmp/said" || [ "${pattern#\?}" != "$pattern" ] ||
			fail "the kernel does not say: $pattern"
		sed -i -E "\\#${pattern#\?}#d" "$tmp/said"
	done
	[ ! -s "$tmp/said" ] || { cat "$tmp/said" >&2; fail "the kernel complains"; }
}

#!/usr/bin/env bash
# The Linux kernel as an initiator of our target: what it makes of our units, what a host does with
# them on an ordinary day, and what it has to say of that.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
. "$srcdir/interop/guest.sh"
. "$srcdir/interop/san.sh"
requires nbdkit e2fsck
sealed="lun 300 { device = mem:1M; read-only = yes; serial = sealed }"
third="lun 3 { device = file:$tmp/third; serial = third }"
truncate -s 8M "$tmp/third"
start_san "one two" "$sealed"

# Discovery, with CHAP of its own. We tell of the address that the portal has on our side.
in_guest "iscsiadm -m discovery -t st -p 10.0.2.2:$one" | sort >"$tmp/found"
printf '%s\n' "127.0.0.1:$one,1 $iqn" "127.0.0.1:$two,2 $iqn" | sort | diff - "$tmp/found" || fail "discovery"
in_guest "iscsiadm -m discoverydb -t st -p 10.0.2.2:$one -o delete"
log_in one 0 near far
# REPORT LUNS has numbers beyond 255 in flat space addressing, and Linux shows what it has.
disk 0 $((0x4000 + 300)) sealed
kernel_says ' 0:0:0:[0-9]*: Power-on or device reset occurred'
agreed() {	# SESSION WHAT...
	local what
	in_guest "iscsiadm -m session -r $1 -P 2" >"$tmp/session"
	for what in 'username_in: target' "${@:2}"; do
		grep -q "$what" "$tmp/session" || fail "not agreed on: $what"
	done
}
agreed 1 'HeaderDigest: CRC32C' 'DataDigest: CRC32C' 'ImmediateData: Yes' 'InitialR2T: No'

# FILE VALUE lines: what sd made of READ CAPACITY, the VPD pages B0, B1 and B2, and MODE SENSE.
sysfs() {
	cat >"$tmp/expected"
	in_guest "$(awk '{ print "echo " $1 " $(cat " $1 ")" }' "$tmp/expected")" |
		diff "$tmp/expected" - || fail "the kernel sees something else"
}
sysfs <<-END
/near/size 131072
/near/ro 0
/near/device/vendor NBDISCSI
/near/device/access_state active/optimized
/near/queue/logical_block_size 512
/near/queue/physical_block_size 512
/near/queue/minimum_io_size 4096
/near/queue/rotational 0
/near/queue/write_cache write through
/near/queue/discard_granularity 4096
/near/queue/discard_max_hw_bytes 536870912
/near/queue/write_zeroes_max_bytes 33553920
/far/size 131072
/far/ro 0
/far/device/access_state active/optimized
/far/queue/logical_block_size 4096
/far/queue/physical_block_size 4096
/far/queue/minimum_io_size 4096
/far/queue/rotational 0
/far/queue/write_cache write back
/far/queue/fua 1
/far/queue/discard_granularity 4096
/far/queue/discard_max_hw_bytes 4294967296
/far/queue/write_zeroes_max_bytes 268431360
/sealed/size 2048
/sealed/ro 1
END
in_guest <<-END
[ "\$(cat /far/device/scsi_disk/*/provisioning_mode)" = unmap ]
[ "\$(cat /far/device/scsi_disk/*/zeroing_mode)" = writesame_16_unmap ]
# The longest transfer that B0 allows, and one that it does not.
for disk in near far; do
	echo 16384 >/\$disk/queue/max_sectors_kb
	if echo 16385 >/\$disk/queue/max_sectors_kb; then exit 1; fi
done
END

# Many at a time and one by one, then commands of some megabytes each.
they_work /dev/near /dev/far
stop_work
in_guest <<-END
for disk in near far; do
	dd if=/large of=/dev/\$disk bs=4M oflag=direct
	dd if=/dev/\$disk bs=4M count=1 iflag=direct | cmp - /large
done
END
kernel_says

# What is discarded reads as zeroes, and takes no room; what is zeroed (the kernel wants it to stay
# allocated: WRITE SAME without UNMAP) just that. The neighbours stay as they are.
in_guest sync
before=$(stat -c %b "$tmp/disks/far")
in_guest <<-END
for disk in near far; do
	/bin/blkdiscard -o 1048576 -l 1048576 /dev/\$disk
	/bin/blkdiscard -z -o 2097152 -l 1048576 /dev/\$disk
	dd if=/large of=/tmp/expected bs=1M
	dd if=/dev/zero of=/tmp/expected bs=1M seek=1 count=2 conv=notrunc
	dd if=/dev/\$disk bs=1M count=4 iflag=direct | cmp - /tmp/expected
done
END
# A MiB less, whatever else the filesystem takes to know where the rest of it is.
less=$((before - $(stat -c %b "$tmp/disks/far")))
[ $less -gt 1024 ] && [ $less -lt 3072 ] || fail "not given back, or not kept: $less sectors less"

in_guest <<-END
mkfs.ext4 -q /dev/far
mount -o discard /dev/far /mnt
cp /large /bin/busybox /mnt
sync
rm /mnt/busybox
fstrim /mnt
umount /mnt
mount -o ro /dev/far /mnt
cmp /large /mnt/large
umount /mnt
END
kernel_says

# Another path to the same units, where nothing is sent unasked and nothing has a digest.
in_guest 'sed -i "s/CRC32C/None/; s/R2T = No/R2T = Yes/; s/Data = Yes/Data = No/" /etc/iscsi/iscsid.conf'
log_in two 1 near.2 far.2
disk 1 $((0x4000 + 300)) sealed.2
kernel_says ' 1:0:0:[0-9]*: Power-on or device reset occurred'
agreed 2 'HeaderDigest: None' 'DataDigest: None' 'ImmediateData: No' 'InitialR2T: Yes'
they_work /dev/near.2 /dev/far.2
stop_work
kernel_says

# They are the same, and who holds them is the same by both.
[ "$(in_guest 'cat /near/device/wwid')" = "$(in_guest 'cat /near.2/device/wwid')" ] || fail "another unit"
in_guest <<-END
sg_vpd -p di_lu /dev/near >/tmp/one
sg_vpd -p di_lu /dev/near.2 | cmp - /tmp/one
sg_persist -n -o --register --param-sark=a1 /dev/near
sg_persist -n -o --register --param-sark=b2 /dev/near.2
sg_persist -n -o --reserve --param-rk=a1 --prout-type=5 /dev/near
sg_persist -n -o --preempt --param-rk=b2 --param-sark=a1 --prout-type=5 /dev/near.2
[ \$(sg_persist -n -i -k /dev/near.2 | grep -c '^ *0x') = 1 ]
dd if=/pattern of=/dev/near.2 bs=4k count=1 oflag=direct
dd if=/dev/near of=/dev/null bs=4k count=1 iflag=direct
if dd if=/pattern of=/dev/near bs=4k count=1 oflag=direct; then exit 1; fi
sg_persist -n -o --clear --param-rk=b2 /dev/near.2
dd if=/pattern of=/dev/near bs=4k count=1 oflag=direct
END
kernel_says 'Parameters changed' 'FAILED Result' \
	'critical (nexus|reservation conflict) error, dev sd., sector 0 '

# A unit comes by a reload, grows, and goes.
reload "one two" "$sealed" "$third"
in_guest 'dd if=/dev/near of=/dev/null bs=4k count=1 iflag=direct; iscsiadm -m session --rescan >/tmp/rescan'
disk 0 3 third
disk 1 3 third.2
kernel_says 'LUN assignments on this target have changed' ' .:0:0:3: Power-on or device reset occurred'
sysfs <<<'/third/size 16384'
truncate -s 16M "$tmp/third"
in_guest 'echo 1 >/third/device/rescan'
kernel_says 'sd 0:0:0:3: Capacity data has changed'
sysfs <<<'/third/size 32768'
in_guest 'echo 1 >/third/device/delete; echo 1 >/third.2/device/delete'
reload "one two" "$sealed"
in_guest 'dd if=/dev/near of=/dev/null bs=4k count=1 iflag=direct; iscsiadm -m session --rescan >/tmp/rescan'
kernel_says 'LUN assignments on this target have changed'

# What the device says of its troubles comes through, and it is as good as before after that.
: >"$tmp/full"
in_guest 'dd if=/pattern of=/dev/far bs=4k count=1 oflag=direct seek=2000 2>&1 || :' >"$tmp/dd"
rm "$tmp/full"
grep -q 'No space left on device' "$tmp/dd" || fail "no space: $(cat "$tmp/dd")"
: >"$tmp/broken"
in_guest 'dd if=/dev/far of=/dev/null bs=4k count=1 iflag=direct skip=2000 2>&1 || :' >"$tmp/dd"
rm "$tmp/broken"
kernel_says 'FAILED Result' 'Sense Key' 'Add. Sense: Space allocation failed write protect' \
	'critical space allocation error, dev sd., sector 16000 ' \
	'Add. Sense: Unrecovered read error' 'critical medium error, dev sd., sector 16000 '
they_work /dev/far
stop_work

in_guest 'iscsiadm -m session --logout >/tmp/logout'
kernel_says
stop_guest
stop_target
[ "$(grep -c 'normal session' "$san_log")" = 2 ] &&
	[ "$(grep -c 'connection ended: logged out' "$san_log")" = 2 ] ||
	fail "a session has not lived from its login to its logout"
e2fsck -fn "$tmp/disks/far" >"$tmp/e2fsck.log" 2>&1 || fail "e2fsck"

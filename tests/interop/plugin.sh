#!/usr/bin/env bash
# nbdkit with the plugin: what it says of itself, and the same LUN through it and seen directly.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires nbdkit nbdinfo nbdcopy qemu-img qemu-io fio
[ -z "${SANITIZED:-}" ] || { echo "nbdkit itself is not built with the sanitizer"; exit 0; }

nbdkit "$plugin" --dump-plugin >"$tmp/dump"
for field in name=iscsi magic_config_key=url thread_model=parallel has_block_size=1 iscsi_max_luns=256; do
	grep -qx "$field" "$tmp/dump" || fail "--dump-plugin does not say $field"
done

# --help and the manual page name the same keys, and the manual page all fields and debug flags.
pod=$abs_top_srcdir/nbdkit-plugin/nbdkit-iscsi-plugin.pod
nbdkit "$plugin" --help | sed -n '/^serve the disks/,$s/^\[\{0,1\}\([a-z0-9-]*\)=.*/\1/p' | sort -u >"$tmp/help.keys"
sed -n '/^=head1 PARAMETERS/,/^=back/s/^=item .\{0,1\}B<\([a-z0-9-]*\)=.*/\1/p' "$pod" | sort -u >"$tmp/pod.keys"
[ "$(wc -l <"$tmp/pod.keys")" -ge 20 ] || fail "no keys in $pod"
diff "$tmp/help.keys" "$tmp/pod.keys" || fail "--help and the manual page name different keys"
sed -n 's/^\(iscsi_[a-z_]*=\).*/B<\1/p' "$tmp/dump" | while read -r field; do
	grep -qF "$field" "$pod" || fail "the manual page does not name $field"
done
nm -D --defined-only "$plugin" | sed -n 's/.* iscsi_debug_//p' | sort >"$tmp/flags"
sed -n 's/^=item B<-D iscsi\.\([a-z]*\)=1>/\1/p' "$pod" | sort | diff "$tmp/flags" - || fail "debug flags"

# Two sessions to tgtd: copies in and out, random load, deep queues.
start_tgtd 64M
start_nbdkit -t 64 "$plugin" "$tgt_uri" sessions=2
nbdinfo "$peer_uri" >"$tmp/info"
for line in 'can_multi_conn: true' 'can_fua: true' 'can_fast_zero: true' 'can_cache: true' \
		'can_trim: true' 'is_rotational: false' 'block_size_preferred: 4096' \
		'export-size: 67108864 (64M)'; do
	grep -q "$line" "$tmp/info" || { cat "$tmp/info"; fail "nbdinfo does not say $line"; }
done
random_image "$tmp/in.img" 64M
nbdcopy --flush "$tmp/in.img" "$peer_uri"
qemu-img compare -f raw -F raw "$tmp/in.img" "$tgt_uri"
nbdinfo --map "$peer_uri" | grep -q 'hole,zero' || fail "no holes where nothing was written"
nbdcopy "$peer_uri" - | cmp - "$tmp/in.img"
"$nbd_model" -c 4 -d 64 -n "${OPERATIONS:-6000}" -o "$tmp/model.img" "$peer_uri"
qemu-img compare -f raw -F raw "$tmp/model.img" "$tgt_uri"
"$nbd_model" -c 2 -d 16 -g 1 -n "${OPERATIONS:-3000}" "$peer_uri"
fio_verify "$peer_uri" --rw=randrw --bs=4k-64k --iodepth=64 --io_size=24M --size=64M
end_process $peer_pid

# --run; checksums; read-only; what is traced.
nbdkit -U - "$plugin" "$tgt_uri" digest=both --run 'nbdcopy "$uri" -' | cmp - "$tgt_file.1"
nbdkit -r -U - "$plugin" "$tgt_uri" --run 'nbdinfo "$uri"' | grep -q 'is_read_only: true' || fail "-r"
start_gateway -r -i 127.0.0.1:0 mem:1M
nbdkit -U - "$plugin" "$iscsi_uri" --run 'nbdinfo --is read-only "$uri"' || fail "a LUN that is write protected"
said() {	# FILE: but for words of numbers and paths, and how often; nbdkit itself says more or less
	sed 's|[^ ]*[0-9/][^ ]*||g' "$1" | sort -u
}
for flag in $(grep -v session "$tmp/flags"); do	# of which there is news only in an outage
	nbdkit -v -D iscsi.$flag=1 -U - "$plugin" "$tgt_uri" --run 'nbdinfo --map "$uri"' \
		>/dev/null 2>"$tmp/trace.$flag"
	nbdkit -v -U - "$plugin" "$tgt_uri" --run 'nbdinfo --map "$uri"' >/dev/null 2>>"$tmp/no-trace"
	[ -n "$(comm -13 <(said "$tmp/no-trace") <(said "$tmp/trace.$flag"))" ] ||
		fail "-D iscsi.$flag=1 shows nothing"
done

# Our own target.
truncate -s 64M "$tmp/own.img"
start_gateway -i 127.0.0.1:0 "file:$tmp/own.img"
start_nbdkit "$plugin" "$iscsi_uri" sessions=2
"$nbd_model" -c 4 -d 32 -n "${OPERATIONS:-6000}" -o "$tmp/model.img" "$peer_uri"
cmp "$tmp/model.img" "$tmp/own.img"
nbdcopy --flush "$tmp/in.img" "$peer_uri"
cmp "$tmp/in.img" "$tmp/own.img"

# What is to be persistent is asked of the unit, when the client asks for it and not before.
nbdkit -v -D iscsi.cdb=1 -U - "$plugin" "$iscsi_uri" --run 'qemu-io -t writeback -f raw "$uri" \
	-c "write 8k 4k" -c "write -f 16k 4k" -c "write -z -f 64k 64k" -c "write -z 256k 64k"' \
	>/dev/null 2>"$tmp/fua.trace"
sed -n 's/.*\(WRITE(16)\|SYNCHRONIZE CACHE(16)\)\(.*\) blocks.*/\1\2/p' "$tmp/fua.trace" |
	diff - /dev/fd/3 3<<-END || fail "FUA"
	WRITE(16) lba=0x10
	WRITE(16) fua=1 lba=0x20
	SYNCHRONIZE CACHE(16) lba=0x80
END

# An error is seen before nbdkit goes into the background, and names the reason.
refused() {	# REASON ARG...
	local reason=$1 said
	shift
	! said=$(nbdkit "$plugin" "$@" 2>&1) || fail "accepted: $*"
	case $said in *"$reason"*) ;; *) fail "$*: $said" ;; esac
}
refused 'login refused: 0203' "${tgt_uri%/1}x/1"
refused 'LUN 7 does not exist' "${tgt_uri%/1}/7"
refused 'not a disk' "${tgt_uri%/1}/0"
refused 'Connection refused' "iscsi://127.0.0.1:$(free_port)/$tgt_iqn/1"
refused 'url=iscsi://' lun=1
refused 'iscsi://' url=nbd://localhost/
refused 'the URL names LUN 1' "$tgt_uri" lun=2
refused 'lun=16384' "$tgt_uri" lun=16384
refused 'there are two URLs' "$tgt_uri" "$tgt_uri"
refused 'sessions=0' "$tgt_uri" sessions=0
refused 'digest=md5' "$tgt_uri" digest=md5
refused 'outage-timeout=-2' "$tgt_uri" outage-timeout=-2
refused 'initiator-name=me' "$tgt_uri" initiator-name=me
refused 'queue-depth=0' "$tgt_uri" queue-depth=0
refused 'immediate-data=maybe: neither yes nor no' "$tgt_uri" immediate-data=maybe
refused 'max-burst-length=511: not a number from 512' "$tgt_uri" max-burst-length=511
refused '"md4" is not md5' "$tgt_uri" chap-algorithms=md5,md4
refused 'there is a CHAP user, and no secret' "$tgt_uri" user=alice
refused 'there is a CHAP secret, and no user' "$tgt_uri" password=secret-of-alice
refused 'needs a user and a secret of our own' "$tgt_uri" mutual-password=secret-of-target
refused 'the same secret is used in both directions' "$tgt_uri" user=a password=x mutual-password=x
refused "unknown parameter \"luns\"" "$tgt_uri" luns=1
refused 'iscsi://me%...@127' "iscsi://me%secret@127.0.0.1/$tgt_iqn/1"

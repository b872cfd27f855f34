#!/usr/bin/env bash
# The plugin's exports: every disk of a target by its LUN, or the one that was asked for.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires nbdkit nbdinfo qemu-io python3
[ -z "${SANITIZED:-}" ] || { echo "nbdkit itself is not built with the sanitizer"; exit 0; }

exports() {	# URI: name and description of each
	nbdinfo --list --json "$1" | python3 -c '
import json, sys
for export in json.load(sys.stdin)["exports"]:
    print(export["export-name"], export.get("description", "-"), sep=": ")'
}
size_of() {	# EXPORT
	nbdinfo --size "nbd+unix:///$1?socket=$peer_socket"
}
expect() {	# WHAT EXPECTED GOT
	[ "$2" = "$3" ] || fail "$1: expected \"$2\", got \"$3\""
}

start_tgtd 64M 4
target=${tgt_uri%/1}

# tgtd's LUN 0 is a controller: no disk, no export.
start_nbdkit "$plugin" "$target"
expect "names" "lun1 lun2 lun3 lun4" "$(exports "$peer_uri" | sed 's/:.*//' | tr '\n' ' ' | sed 's/ $//')"
[ "$(exports "$peer_uri" | grep -c 'IET VIRTUAL-DISK')" = 4 ] || fail "descriptions do not name the product"
[ "$(exports "$peer_uri" | sed 's/.*, //' | sort -u | wc -l)" = 4 ] || fail "descriptions do not name the unit"
for export in '' lun1 lun4; do expect "size of '$export'" 67108864 "$(size_of "$export")"; done
for export in lun0 lun5 lun01 LUN1 lun 1 lun1x; do
	! size_of "$export" 2>/dev/null || fail "export $export exists"
done

# Every name is a unit of its own; none is the first one.
for lun in 1 2 3 4; do
	qemu_io -f raw "nbd+unix:///lun$lun?socket=$peer_socket" -c "write -P $lun 0 64k" -c flush
done
for lun in 1 2 3 4; do
	expect "first byte of LUN $lun" $lun "$(od -An -tu1 -N1 "$tgt_file.$lun" | tr -d ' ')"
done
qemu_io -f raw "$peer_uri" -c 'read -P 1 0 64k'	# the default is LUN 1

# Clients come and go without a word to the target.
sessions() {
	tgtadm -C $tgt_number --mode conn --op show --tid 1 | grep '^Session' | sort | tr '\n' ' '
}
before=$(sessions)
for lun in 1 2 3 4 1 2 3 4; do size_of lun$lun >/dev/null; done
expect "sessions" "$before" "$(sessions)"
end_process $peer_pid
no_sessions() { [ -z "$(sessions)" ]; }
wait_for $tgt_pid no_sessions

# lun=, the URL's LUN, the exportname filter.
for arguments in "$target lun=3" "$target/3" "$target/3 lun=3"; do
	start_nbdkit "$plugin" $arguments
	expect "names" lun3 "$(exports "$peer_uri" | sed 's/:.*//')"
	qemu_io -f raw "$peer_uri" -c 'read -P 3 0 64k'
	! size_of lun1 2>/dev/null || fail "lun1 is served, too"
	end_process $peer_pid
done
start_nbdkit --filter=exportname "$plugin" "$target" default-export=lun4 exportname-list=explicit \
	exportname=lun2 exportname=lun4
expect "names" "lun2 lun4" "$(exports "$peer_uri" | sed 's/:.*//' | tr '\n' ' ' | sed 's/ $//')"
qemu_io -f raw "$peer_uri" -c 'read -P 4 0 64k'
end_process $peer_pid

# Before TLS nobody learns what there is.
psk=$tmp/keys.psk
echo "alice:00112233445566778899aabbccddeeff" >"$psk"
secret_uri() {
	echo "nbds+unix://alice@/?socket=$peer_socket&tls-psk-file=$psk"
}
start_nbdkit --tls=require --tls-psk="$psk" "$plugin" "$target"
! exports "$peer_uri" 2>/dev/null || fail "listed without TLS"
expect "exports by TLS" 4 "$(exports "$(secret_uri)" | wc -l)"
end_process $peer_pid
start_nbdkit --tls=on --tls-psk="$psk" --filter=tls-fallback "$plugin" "$target"
! exports "$peer_uri" 2>/dev/null | grep lun || fail "listed without TLS"
expect "exports by TLS" 4 "$(exports "$(secret_uri)" | wc -l)"

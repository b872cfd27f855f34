#!/usr/bin/env bash
# nbdkit with the plugin: the same LUN, with and without filters, and what it says of itself.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires nbdkit nbdinfo nbdcopy qemu-img
[ -z "${SANITIZED:-}" ] || { echo "nbdkit itself is not built with the sanitizer"; exit 0; }

nbdkit "$plugin" --dump-plugin | grep -q '^name=iscsi$' || fail "--dump-plugin"
nbdkit "$plugin" --dump-plugin | grep -q '^magic_config_key=url$' || fail "no magic key"

# --help and the manual page name the same keys.
pod=$abs_top_srcdir/nbdkit-plugin/nbdkit-iscsi-plugin.pod
nbdkit "$plugin" --help | sed -n 's|^\[\{0,1\}\([a-z][a-z-]*\)=.*|\1|p' | sort >"$tmp/help.keys"
sed -n 's/^=item .\{0,1\}B<\([a-z-]*\)=>.*/\1/p' "$pod" | sort >"$tmp/pod.keys"
diff "$tmp/help.keys" "$tmp/pod.keys" || fail "--help and the manual page name different keys"

start_tgtd 64M
start_nbdkit "$plugin" "$tgt_uri" sessions=2
nbdinfo "$peer_uri" | grep -q 'can_multi_conn: true' || fail "no multi-conn"
random_image "$tmp/in.img" 64M
nbdcopy --flush "$tmp/in.img" "$peer_uri"
qemu-img compare -f raw -F raw "$tmp/in.img" "$tgt_uri"
nbdcopy "$peer_uri" - | cmp - "$tmp/in.img"
"$nbd_model" -c 4 -d 32 -n "${OPERATIONS:-6000}" -o "$tmp/model.img" "$peer_uri"
qemu-img compare -f raw -F raw "$tmp/model.img" "$tgt_uri"
"$nbd_model" -c 2 -d 16 -g 1 -n "${OPERATIONS:-3000}" "$peer_uri"
end_process $peer_pid

for filter in cow blocksize retry readahead cache; do
	start_nbdkit --filter=$filter "$plugin" "$tgt_uri"
	"$nbd_model" -c 1 -d 16 -n 1000 "$peer_uri"
	end_process $peer_pid
done

# An error is seen before nbdkit goes into the background, and names the reason.
! said=$(nbdkit "$plugin" "${tgt_uri%/1}x/1" 2>&1) || fail "a target that does not exist"
case $said in *"login refused: 0203"*) ;; *) fail "$said" ;; esac

#!/usr/bin/env bash
# nbdkit's filters over the plugin: the data is right through each of them, and through a pile.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires nbdkit nbdcopy qemu-img
[ -z "${SANITIZED:-}" ] || { echo "nbdkit itself is not built with the sanitizer"; exit 0; }
operations=${OPERATIONS:-1000}

start_tgtd 32M 2
random_image "$tmp/in.img" 32M

through() {	# FILTER [PARAMETER]...
	local filters= filter
	for filter in $(echo "$1" | tr , ' '); do filters="$filters --filter=$filter"; done
	shift
	# shellcheck disable=SC2086 # several words
	start_nbdkit -t 64 $filters "$plugin" "${tgt_uri%/1}" "$@"
	"$nbd_model" -c 2 -d 64 -n "$operations" -o "$tmp/model.img" "$peer_uri"
	# The cache does not see what is trimmed below it: read it, whatever its extents are.
	nbdcopy --no-extents "$peer_uri" - | cmp - "$tmp/model.img"
	nbdcopy --flush "$tmp/in.img" "$peer_uri"
	nbdcopy "$peer_uri" - | cmp - "$tmp/in.img"
	end_process $peer_pid
}
arrived() {	# by which the unit has what was written
	qemu-img compare -f raw -F raw "$tmp/in.img" "$tgt_uri" >/dev/null || fail "$1: the unit differs"
}

for filter in retry readahead stats exportname retry-request blocksize-policy multi-conn \
		cacheextents fua log nozero noextents; do
	case $filter in
	stats) through stats statsfile="$tmp/stats" ;;
	log) through log logfile="$tmp/log" ;;
	exportname) through exportname exportname=lun1 default-export=lun1 ;;
	*) through $filter ;;
	esac
	arrived $filter
done
grep -q 'write:' "$tmp/stats" || fail "no statistics"
through blocksize minblock=4k maxdata=64k maxlen=1M
arrived blocksize
through cache cache=writethrough
arrived "cache=writethrough"
through cache cache=writeback
arrived "cache=writeback, flushed"
through cache,readahead,retry,stats statsfile="$tmp/stats"
arrived "a pile of filters"

# What is written through cow stays there.
sum=$(md5sum <"$tgt_file.1")
through cow
through cow,cache,readahead
[ "$sum" = "$(md5sum <"$tgt_file.1")" ] || fail "cow: the unit was written to"

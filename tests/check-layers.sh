#!/bin/sh
# Imports point down: no file includes a header of a higher layer, nor one that is neither
# its neighbour nor the core's (include/). So the core cannot come to need the daemon, nor
# the plugin. Usage: check-layers.sh [TREE]
set -euf
cd "${1:-$(dirname "$0")/..}"

# A line per layer: number, modules. The first line with a pattern that fits a file's name,
# without its suffix, has it. A file on no line is an error: it has no place in the house.
layers='
0 list min need utf8 log pool loop thread offload
1 field field_inline bhs keys keys_value negotiation option_value crc32c nbd_wire
2 cdb cdb_table sense scsi_data mode port_group vpd errmap
3 lu blk blk_* range_lock write_log write_log_*
4 stream conn conn_* login chap chap_* tls tls_*
5 initiator initiator_* iscsi_url discovery scsi_*
5 access access_* target target_* lu_shared lu_nexus lu_ports disk_* reservation reservation_* sanitize_mark transport_id rsoc export device nbd_* file_blk file_io mem mem_blk mail_blk
6 main gateway gateway_* conf conf_* accounts import import_* ucl ucl_* discover discover_* address uri front worker listener captive instance plugin plugin_* engine engine_*
'

# Sets $layer to that of the file $1.
find_layer() {
	module=${1##*/}
	module=${module%.[ch]}
	while read -r layer patterns; do
		for pattern in $patterns; do
			# shellcheck disable=SC2254 # it is a pattern
			case $module in $pattern) return 0 ;; esac
		done
	done <<-END
		$layers
	END
	layer=
	return 1
}

imports() {
	sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\(.*\)".*/\1/p' "$1"
}

errors=0
error() {
	echo "$*" >&2
	errors=$((errors + 1))
}

files=$(find include gateway nbdkit-plugin -name '*.[ch]' | sort)
[ -n "$files" ] || error "no sources in $PWD"
for file in $files; do
	find_layer "$file" || { error "$file is in no layer"; continue; }
	own=$layer
	for header in $(imports "$file"); do
		if [ "$header" = config.h ]; then
			continue
		elif [ ! -f "${file%/*}/$header" ] && [ ! -f "include/$header" ]; then
			error "$file imports $header, which is neither beside it nor in include/"
		elif ! find_layer "$header"; then
			error "$file imports $header, which is in no layer"
		elif [ "$layer" -gt "$own" ]; then
			error "$file (layer $own) imports $header (layer $layer)"
		fi
	done
done
[ "$errors" -eq 0 ]

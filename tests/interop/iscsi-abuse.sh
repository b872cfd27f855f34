#!/usr/bin/env bash
# A thousand logins that stop half way take less than 16 MiB together, while real initiators are
# served; more of them than there may be push each other out, not those who are served.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3
start_gateway -T 2 -i 127.0.0.1:0 mem:16M
# Sanitizers hold on to what is freed, and pad what is not.
most=16384
[ -z "${SANITIZED:-}" ] || most=262144
python3 "$srcdir/interop/iscsi_half_logins.py" "$iscsi_uri" 1000 $gateway_pid $most
python3 "$srcdir/interop/iscsi_half_logins.py" "$iscsi_uri" 2500 $gateway_pid $most
kill $gateway_pid
wait $gateway_pid || fail "exit status $?"

#!/bin/sh
# The programs that the tests talk to: SIPp, sipsak, baresip. None of these packages starts a service.
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

missing=
for pair in sipp:sip-tester sipsak:sipsak baresip:baresip-core; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # one word a package
    apt_need "testing" $missing
fi

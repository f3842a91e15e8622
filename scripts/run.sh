#!/bin/sh
# openserd in the foreground, its log on this terminal, workers forked. Ctrl-C stops it.
#
#   scripts/run.sh [ARGUMENTS OF openserd]     CFG names another script than cfg/openser.cfg
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

scripts/venv.sh
cfg=${CFG:-cfg/openser.cfg}
say "starting openserd on $cfg; Ctrl-C stops it"
cat <<EOF
   From a second terminal, register a phone by hand and look at it:
       sipsak -U -C sip:alice@127.0.0.1:5070 -s sip:alice@127.0.0.1 -x 600
       .venv/bin/openserctl ul show
       .venv/bin/openserctl ps
EOF
exec .venv/bin/openserd -f "$cfg" -DD -E "$@"

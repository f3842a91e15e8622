#!/bin/sh
# openserd in the foreground, its log on this terminal, workers forked. Ctrl-C stops it.
#
#   scripts/run.sh [ARGUMENTS OF openserd]     CFG names another script than cfg/openser.cfg
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

scripts/venv.sh
cfg=${CFG:-cfg/openser.cfg}
case $cfg in
*sqlite-auth.cfg)
    database=$PWD/run/openser.db
    if [ ! -f "$database" ]; then
        say "making the database $database"
        mkdir -p run
        .venv/bin/openserdbctl --url "sqlite:///$database" create
    fi
    set -- -A "DB_URL=\"sqlite:///$database\"" "$@"
    add="DB_PATH=$database .venv/bin/openserctl add alice@127.0.0.1 secret"
    phone="sipsak -U -C sip:alice@127.0.0.1:5070 -s sip:alice@127.0.0.1 -x 600 -a secret"
    ;;
*)
    add=
    phone="sipsak -U -C sip:alice@127.0.0.1:5070 -s sip:alice@127.0.0.1 -x 600"
    ;;
esac
say "starting openserd on $cfg; Ctrl-C stops it"
cat <<EOF
   From a second terminal, ${add:+add a user, then }register a phone by hand and look at it:
EOF
[ -z "$add" ] || echo "       $add"
cat <<EOF
       $phone
       .venv/bin/openserctl ul show
       .venv/bin/openserctl ps
EOF
exec .venv/bin/openserd -f "$cfg" -DD -E "$@"

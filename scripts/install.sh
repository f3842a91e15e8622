#!/bin/sh
# openserd and openserctl for good, in a virtual environment of their own. Root's default one is linked into
# /usr/local/sbin, with a first script in /usr/local/etc/openser.
#
#   scripts/install.sh [PREFIX]     the environment's folder, /opt/openserd when not named
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

default=/opt/openserd
prefix=${1:-$default}
if [ ! -x "$prefix/bin/python" ]; then
    python=${PYTHON:-/usr/bin/python3.11}
    [ -x "$python" ] || python=python3
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "$python is older than Python 3.11"
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || apt_need "a virtual environment" python3-venv
    say "virtual environment $prefix with $python"
    "$python" -m venv "$prefix"
fi
say "installing openserd into $prefix"
"$prefix/bin/python" -m pip install -qq --disable-pip-version-check --upgrade .
if [ "$(id -u)" -eq 0 ] && [ "$prefix" = $default ]; then
    etc=/usr/local/etc/openser
    for program in openserd openserctl openserdbctl openser_mysql.sh openser_postgresql.sh openser_dbtext.sh; do
        ln -sf "$prefix/bin/$program" "/usr/local/sbin/$program"
    done
    if [ ! -e $etc/openser.cfg ]; then
        mkdir -p $etc
        cp cfg/openser.cfg $etc/openser.cfg
    fi
    say "linked into /usr/local/sbin; the script is $etc/openser.cfg"
else
    say "done: $prefix/bin/openserd -f cfg/openser.cfg"
fi

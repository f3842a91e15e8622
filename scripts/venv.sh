#!/bin/sh
# The private environment .venv with openserd in it (editable: a change of the source needs no new install).
#
#   scripts/venv.sh [EXTRAS]     EXTRAS as in setup.cfg: nothing, or for example "test"
#
# PYTHON names another interpreter. Quick when nothing changed: .venv/installed tells what it was made from.
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

extras=${1:-}
venv=.venv
stamp=$venv/installed

# Debian's python3.11 first (the build that is measured), then the newest python3 that is new enough.
find_python() {
    for candidate in "${PYTHON:-}" /usr/bin/python3.11 \
        python3.15 python3.14 python3.13 python3.12 python3.11 python3; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
}

# A change of these files asks for a new install; an environment with more extras serves a plain run as well.
is_current() {
    [ -x $venv/bin/openserd ] && [ -f $stamp ] || return 1
    installed_extras=$(head -n 1 $stamp)
    [ -z "$extras" ] || [ "$extras" = "$installed_extras" ] || return 1
    cat setup.cfg pyproject.toml | cmp -s - $stamp.files
}

if is_current; then
    exit 0
fi

if [ ! -x $venv/bin/pip ]; then
    python=$(find_python)
    if [ -z "$python" ]; then
        apt_need "openserd (Python 3.11 or newer)" python3 python3-venv
        python=$(find_python)
        [ -n "$python" ] || die "no Python 3.11 or newer; name one with PYTHON=/path/to/python3"
    fi
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        case $python in
            /usr/bin/*) apt_need "a private environment" python3-venv ;;
            *) die "$python has no ensurepip; name another interpreter with PYTHON=/path/to/python3" ;;
        esac
    fi
    say "private environment $venv with $python"
    "$python" -m venv --clear $venv
fi

say "installing openserd${extras:+ with what its extra \"$extras\" needs} into $venv"
$venv/bin/python -m pip install -qq --disable-pip-version-check --editable ".${extras:+[$extras]}"
# The wheels of pyodbc bring no driver manager since 5.5.
if [ "$extras" = test ] && ! $venv/bin/python -c 'import pyodbc' >/dev/null 2>&1; then
    apt_need "the Python package pyodbc" libodbc2
fi
printf '%s\n' "$extras" >$stamp
cat setup.cfg pyproject.toml >$stamp.files

#!/bin/sh
# The programs that the tests talk to: SIPp, sipsak, baresip, linphonec, MariaDB, PostgreSQL, ODBC drivers. The tests
# start servers of their own; those that the packages bring are kept from starting.
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

# Installs packages while nothing that they bring may start.
quiet_install() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt_need "testing databases" "$@"
}

missing=
for pair in sipp:sip-tester sipsak:sipsak baresip:baresip-core; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
# Without these some tests are skipped: no reason to stop whoever cannot install them.
optional=
command -v linphonec >/dev/null 2>&1 || optional="$optional linphone-cli"
command -v mariadbd >/dev/null 2>&1 || optional="$optional mariadb-server"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || optional="$optional postgresql"
for driver in mariadb:libmaodbc postgresql:psqlodbcw; do
    ls /usr/lib/*/odbc/"${driver##*:}".so >/dev/null 2>&1 || optional="$optional odbc-${driver%%:*}"
done
ls /usr/lib/*/odbc/libsqlite3odbc.so >/dev/null 2>&1 || optional="$optional libsqliteodbc"
if [ -n "$optional" ] && [ "$(id -u)" -ne 0 ]; then
    say "tests of databases and of one phone will be skipped; they need:$optional"
    optional=
fi
if [ -n "$optional" ]; then
    quiet_install $optional
fi

if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # one word a package
    apt_need "testing" $missing
fi

#!/bin/sh
# The programs that the tests talk to: SIPp, sipsak, baresip, MariaDB, PostgreSQL, ODBC drivers. The tests start servers
# of their own; those that the packages bring are kept from starting.
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
# Without these the tests of databases are skipped: no reason to stop whoever cannot install them.
databases=
command -v mariadbd >/dev/null 2>&1 || databases="$databases mariadb-server"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || databases="$databases postgresql"
for driver in mariadb:libmaodbc postgresql:psqlodbcw; do
    ls /usr/lib/*/odbc/"${driver##*:}".so >/dev/null 2>&1 || databases="$databases odbc-${driver%%:*}"
done
ls /usr/lib/*/odbc/libsqlite3odbc.so >/dev/null 2>&1 || databases="$databases libsqliteodbc"
if [ -n "$databases" ] && [ "$(id -u)" -ne 0 ]; then
    say "tests of databases will be skipped; they need:$databases"
    databases=
fi
if [ -n "$databases" ]; then
    quiet_install $databases
fi

if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # one word a package
    apt_need "testing" $missing
fi

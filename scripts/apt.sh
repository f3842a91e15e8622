# Sourced by the other scripts: Debian packages, installed when root and named when not.

say() {
    printf '== %s\n' "$*"
}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# apt_need WHAT PACKAGE...: install the packages that WHAT needs, or say the one command that does.
apt_need() {
    what=$1
    shift
    if ! command -v apt-get >/dev/null 2>&1; then
        die "$what needs these Debian packages or what your system calls them: $*"
    fi
    if [ "$(id -u)" -ne 0 ]; then
        die "$what needs Debian packages; install them with:
    sudo apt-get install --no-install-recommends $*"
    fi
    say "$what: installing $*"
    if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
        apt-get update -q
    fi
    apt_install "$@" || {
        say "once more with fresh package lists"
        apt-get update -q
        apt_install "$@"
    }
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" </dev/null
}

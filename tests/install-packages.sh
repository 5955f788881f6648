#!/usr/bin/env bash
# Installs the Debian packages that are named, if any are; or says which they are, where there is no apt.
set -euo pipefail

[ $# -gt 0 ] || exit 0
command -v apt-get >/dev/null || {
    echo "the tests need these Debian packages, or what your system has for them: $*" >&2
    exit 1
}
root=()
[ "$(id -u)" = 0 ] || root=(sudo)
"${root[@]}" apt-get update -qq
# RUNLEVEL keeps the servers of the packages from starting: the tests start servers of their own.
"${root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@"

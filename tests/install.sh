#!/usr/bin/env bash
# Installs the programs that the tests have as peers, and a C compiler for a TLS provider; does
# nothing where all are there. Debian and its kin.
set -euo pipefail

packages=()
while read -r program package; do
    command -v "$program" >/dev/null || packages+=("$package")
done <<END
cc build-essential
chromium-headless-shell chromium-headless-shell
cmake cmake
curl curl
go golang-go
javac default-jdk-headless
openssl openssl
python3 python3
redis-server redis-server
END
[ ${#packages[@]} -gt 0 ] || exit 0

root=()
[ "$(id -u)" = 0 ] || root=(sudo)
command -v apt-get >/dev/null || {
    echo "the tests need these Debian packages, or what your system has for them: ${packages[*]}" >&2
    exit 1
}
"${root[@]}" apt-get update -qq
# The tests start a Redis of their own: RUNLEVEL keeps that of the package from starting.
"${root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${packages[@]}"

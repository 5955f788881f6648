#!/usr/bin/env bash
# Installs the programs that the tests have as peers, a C compiler for TLS libraries, and the headers
# of OpenSSL; does nothing where all are there. Debian and its kin.
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
h2load nghttp2-client
javac default-jdk-headless
openssl openssl
pkg-config pkg-config
python3 python3
redis-server redis-server
END
pkg-config --exists openssl 2>/dev/null || packages+=(libssl-dev)
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

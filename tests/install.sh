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
"$(dirname "$0")/install-packages.sh" "${packages[@]}"

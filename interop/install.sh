#!/usr/bin/env bash
# Installs the peers of the suite, and what it takes to build those that are built. Debian and its
# kin; as root.
set -euo pipefail

packages=(
    # Programs that are peers as they are.
    curl gnutls-bin haproxy libnginx-mod-stream libnss3-tools nginx openssl stunnel4 wget
    # What runs or builds the programs in peers/.
    default-jdk-headless golang-go nodejs python3
    # For the Rust crates: OpenSSL's headers, and what BoringSSL and s2n-tls are built with.
    build-essential cmake libclang-dev libssl-dev pkg-config
)
apt-get update
# The servers are started by the suite alone.
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-upgrade --no-install-recommends "${packages[@]}"

#!/usr/bin/env bash
# Installs the programs that the probe is tested against; does nothing where all are there. Debian and
# its kin.
set -euo pipefail
PATH="$PATH:/usr/sbin:/usr/local/sbin"

packages=()
while read -r program package; do
    command -v "$program" >/dev/null || packages+=("$package")
done <<END
dovecot dovecot-core
exim4 exim4-daemon-light
haproxy haproxy
mariadbd mariadb-server
nginx nginx-light
openssl openssl
prosody prosody
python3 python3
slapd slapd
stunnel stunnel4
vsftpd vsftpd
END
for protocol in imap pop3 managesieve; do
    package=dovecot-${protocol}d
    dpkg -s "$package" >/dev/null 2>&1 || packages+=("$package")
done
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || packages+=(postgresql)
"$(dirname "$0")/../../../tests/install-packages.sh" "${packages[@]}"

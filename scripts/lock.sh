#!/usr/bin/env bash
# Writes requirements.lock anew: every dependency of pyproject.toml by hash, for all platforms and Pythons that we
# support, no release younger than a week (most poisoned releases are found within days).
set -euo pipefail

cd "$(dirname "$0")/.."
command -v uv >/dev/null 2>&1 || { echo 'keyturn: uv is needed to write the lock' >&2; exit 1; }
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --exclude-newer '7 days' \
  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade \
  --group dev pyproject.toml --output-file requirements.lock

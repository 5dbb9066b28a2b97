#!/usr/bin/env bash
# Makes .venv from requirements.lock, every file checked against its hash, and the checkout itself as an editable install.
# Does nothing when neither the lock, nor pyproject.toml, nor the Python, nor the place of the checkout has changed, and
# what the tests fetch and build beside it is there, or cannot be had.
set -euo pipefail

cd "$(dirname "$0")/.."
scripts/packages.sh
python=$(scripts/python.sh)

exec 9<. # two commands at once make one environment
flock 9

"$python" -m scripts.postgresql17
"$python" -m scripts.azure_cli

stamp=.venv/keyturn-stamp
want=$({ "$python" -VV; pwd; sha256sum requirements.lock pyproject.toml; } | sha256sum | cut -d' ' -f1)

pip() {
  .venv/bin/python -m pip --quiet --no-input --disable-pip-version-check "$@"
}

if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
  echo "keyturn: making .venv from $("$python" -V) and requirements.lock (about a minute)" >&2
  "$python" -m venv --clear .venv
  pip install --no-cache-dir --require-hashes --only-binary :all: --no-deps --requirement requirements.lock
  pip install --no-cache-dir --no-deps --no-build-isolation --editable .
  .venv/bin/python -m pip check >/dev/null
  echo "$want" >"$stamp"
fi

.venv/bin/python -m scripts.emulators # its pip may fetch a Go

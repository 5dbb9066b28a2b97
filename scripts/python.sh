#!/usr/bin/env bash
# Prints the Python that the virtual environment is made from: the first on PATH that is 3.11 or newer and can make one.
set -euo pipefail

fit='import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
for name in "${KEYTURN_PYTHON:-python3}" python3.13 python3.12 python3.11 /usr/bin/python3; do
  if command -v "$name" >/dev/null 2>&1 && "$name" -c "$fit" >/dev/null 2>&1; then
    "$name" -c 'import sys; print(sys.executable)'
    exit 0
  fi
done
[ -n "${KEYTURN_PYTHON_QUIET:-}" ] || echo 'keyturn: no Python 3.11 to 3.13 with venv on PATH: apt-get install python3-venv' >&2
exit 1

#!/usr/bin/env bash
# Calls a model and shows each answer and how long it took; see scripts/calls.sh --help.
here=$(cd "$(dirname "$0")" && pwd)
python="$here/../.venv/bin/python"
[ -x "$python" ] || python=python3
exec "$python" "$here/calls.py" "$@"

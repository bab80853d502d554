#!/usr/bin/env bash
# Shows how many prediction events are stored, per model, role and version; fails when there are none.
here=$(cd "$(dirname "$0")" && pwd)
case "${1:-}" in
  -h|--help) echo "Usage: scripts/check_events.sh [--json]    how many prediction events are stored, per role and version"; exit 0 ;;
esac
[ -x "$here/../.venv/bin/understudy" ] || { echo "Not installed yet: run scripts/up" >&2; exit 2; }
cd "$here/.." && exec .venv/bin/understudy events "$@"

# Sourced by the other scripts: finds a Python, makes .venv and installs a lock file into it. Safe to repeat.
# bash 3.2 (macOS) is enough.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV="$ROOT/.venv"
PYTHON="$VENV/bin/python"

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# Prints the newest Python the lock supports; explains in one command what to do when there is none.
find_python() {
  local name newest="" version
  for name in python3.13 python3.12 python3.11 python3 python; do
    version=$("$name" -c 'import sys; print("%d%02d" % sys.version_info[:2])' 2>/dev/null) || continue
    if [ "$version" -ge 311 ] && [ "$version" -le 313 ]; then printf '%s\n' "$name"; return; fi
    newest="$name ($("$name" -V 2>&1))"
  done
  [ -n "$newest" ] && say "Found $newest, but Understudy runs on Python 3.11, 3.12 or 3.13." >&2
  if [ "$(uname -s)" = Darwin ]; then die "Install one: brew install python@3.12"; fi
  die "Install one: sudo apt install python3.11 python3.11-venv    (Fedora: sudo dnf install python3.12)"
}

# Makes .venv unless there is one that runs.
make_venv() {
  local python version
  "$PYTHON" -c 'import pip' 2>/dev/null && return
  python=$(find_python) || exit 1
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    die "This $python lacks the venv module. Install it: sudo apt install python$version-venv"
  say "Making .venv with $("$python" -V)"
  "$python" -m venv --clear "$VENV" || die "Could not make $VENV: see the lines above."
}

# installed LOCK: whether .venv already holds exactly this lock file and this project.
installed() {
  [ -x "$PYTHON" ] && [ "$(cat "$VENV/.installed-$(basename "$1" .txt)" 2>/dev/null)" = "$(stamp "$1")" ]
}

stamp() { printf '%s %s' "$(cksum < "$1")" "$(cksum < "$ROOT/pyproject.toml")"; }

# install LOCK: brings .venv to exactly this lock file. What pip has already installed is kept, so a cut-off one resumes.
install() {
  local lock="$1" total
  installed "$lock" && return
  make_venv
  total=$(grep -c '^[A-Za-z0-9]' "$lock")
  say "Installing up to $total locked packages into .venv (a few minutes the first time; safe to interrupt and repeat)"
  "$PYTHON" -m pip install --disable-pip-version-check --require-hashes -r "$lock" 2>&1 | progress "$total" ||
    die "The installation failed (see the lines above). Check the network, then run the same command again: it resumes."
  "$PYTHON" -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e "$ROOT" ||
    die "Installing the project itself failed; see the lines above."
  stamp "$lock" > "$VENV/.installed-$(basename "$lock" .txt)"
}

# Counts pip's lines; passes warnings and errors on. Fails when pip did.
progress() {
  awk -v total="$1" '
    /^(Collecting|Requirement already satisfied)/ { n++; if (n % 20 == 0) { print "  " n " of about " total " packages found"; fflush() } next }
    /^Installing collected/ { print "  unpacking (the longest step)"; fflush(); next }
    /^(ERROR|WARNING: Retry|error)/ { print; if (/^ERROR|^error/) failed = 1; fflush() }
    END { exit failed }'
  local codes=("${PIPESTATUS[@]}")
  return "${codes[0]}"
}

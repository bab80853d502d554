# Sourced by the other scripts: finds a Python, makes .venv and installs a lock file into it. Safe to repeat.
# bash 3.2 (macOS) is enough.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV="$ROOT/.venv"
[ ! -d "$VENV" ] || VENV=$(cd "$VENV" && pwd -P)
PYTHON="$VENV/bin/python"

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# Prints the newest Python the lock supports, one that can make environments if there is one; else explains what to do.
find_python() {
  local name path version other="" bare=""
  for name in python3.13 python3.12 python3.11 python3 python; do
    # All of that name on PATH: a version manager's shim may stand there and not run.
    while IFS= read -r path; do
      version=$("$path" -c 'import sys; print("%d%02d" % sys.version_info[:2])' 2>/dev/null </dev/null) || continue
      if [ "$version" -lt 311 ] || [ "$version" -gt 313 ]; then other="$path"; continue; fi
      if "$path" -c 'import venv, ensurepip' >/dev/null 2>&1 </dev/null; then say "$path"; return; fi
      [ -n "$bare" ] || bare="$path"
    done <<PATHS
$(type -a -p "$name"; printf '%s\n' "$HOME/.local/bin/$name")
PATHS
  done
  if [ -n "$bare" ]; then
    version=$("$bare" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    die "$bare cannot make environments (no venv module). Install it: $(as_root apt-get install -y "python$version-venv")"
  fi
  [ -z "$other" ] || say "Found $other ($("$other" -V 2>&1)), but Understudy runs on Python 3.11, 3.12 or 3.13." >&2
  die "Install one: $(python_command)"
}

as_root() { if [ "$(id -u)" = 0 ]; then say "$*"; else say "sudo $*"; fi; }

# Prints the one command that installs a supported Python on this system.
python_command() {
  local version
  if [ "$(uname -s)" = Darwin ] && command -v brew >/dev/null; then say "brew install python@3.13"; return; fi
  for version in 3.13 3.12 3.11; do
    if [ -n "$(apt-cache show "python$version-venv" 2>/dev/null)" ]; then
      as_root apt-get install -y "python$version" "python$version-venv"; return
    fi
  done
  if command -v dnf >/dev/null; then as_root dnf install -y python3.13; return; fi
  say "pipx run uv python install 3.13    (any other way to a Python 3.11 to 3.13 does as well)"
}

# Whether .venv runs, and was made in this place: its programs know it by its full path.
venv_runs() {
  "$PYTHON" -c '' 2>/dev/null </dev/null && head -n 3 "$VENV/bin/pip" 2>/dev/null | grep -qF "$PYTHON"
}

# Makes .venv unless there is one that runs.
make_venv() {
  local python
  [ -w "$ROOT" ] || die "You may not write in $ROOT: run this as its owner, or in a copy of your own."
  venv_runs && "$PYTHON" -m pip --version >/dev/null 2>&1 && return
  [ ! -L "$ROOT/.venv" ] || die "$ROOT/.venv is a link to an environment that does not run: remove the link."
  python=$(find_python) || exit 1
  [ ! -d "$VENV" ] || say "The .venv here is unfinished, broken or moved: making it again."
  say "Making .venv with $("$python" -V)"
  "$python" -m venv --clear "$VENV" || die "Could not make $VENV: see the lines above."
}

# installed LOCK: whether .venv already holds exactly this lock file and this project.
installed() {
  [ "$(cat "$VENV/.installed-$(basename "$1" .txt)" 2>/dev/null)" = "$(stamp "$1")" ] && venv_runs
}

stamp() { printf '%s %s' "$(cksum < "$ROOT/$1")" "$(cksum < "$ROOT/pyproject.toml")"; }

# install LOCK: brings .venv to exactly this lock file. What is already installed is kept, so a cut-off one goes on.
install() {
  installed "$1" && return
  make_venv
  "$PYTHON" "$ROOT/scripts/install.py" "$ROOT/$1" || exit $?
  stamp "$1" > "$VENV/.installed-$(basename "$1" .txt)"
}

"""scripts/up: what is installed starts without pip, what is moved or unfinished is made again."""

import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def complete(clone: Path, lock: str = "requirements") -> Path:
    """A .venv as after an installation; its installation fails, so that it would be seen."""
    bin_folder = clone / ".venv" / "bin"
    executable(bin_folder / "python", 'case "$*" in *install.py*) echo "INSTALL $*"; exit 3 ;; *) exit 0 ;; esac')
    executable(bin_folder / "pip", f'\'\'\'exec\' "{bin_folder}/python" "$0" "$@"')
    executable(bin_folder / "understudy", 'echo "started: $*"')
    stamp = subprocess.run(
        ["bash", "-c", f". scripts/environment.sh; stamp {lock}.txt"], cwd=clone, capture_output=True, check=True
    ).stdout
    (clone / ".venv" / f".installed-{lock}").write_bytes(stamp)
    return bin_folder


@pytest.mark.parametrize("lock", ["requirements", "requirements-dev"])
def test_a_complete_environment_starts_without_pip(clone: Path, run: Run, lock: str) -> None:
    complete(clone, lock)
    done = run("bash", clone / "scripts" / "up", "--detach")
    assert (done.returncode, done.stdout, done.stderr) == (0, "started: up --detach\n", "")


def test_a_changed_lock_is_installed(clone: Path, run: Run) -> None:
    complete(clone)
    with (clone / "requirements.txt").open("a") as file:
        file.write("# another lock\n")
    done = run("bash", clone / "scripts" / "up", API_PORT=free_port(), MLFLOW_UI="false")
    assert (done.returncode, done.stdout) == (
        3,
        f"INSTALL {clone}/scripts/install.py {clone}/requirements.txt\n",
    )


def test_a_moved_environment_is_made_again(
    clone: Path, run: Run, programs: Callable[..., Path], tmp_path: Path
) -> None:
    complete(clone)
    moved = clone.rename(tmp_path / "elsewhere")
    fake = f'case "$*" in *preflight*) exit 0 ;; "-m venv"*) echo "MADE $*"; exit 1 ;; *) exec {sys.executable} "$@" ;; esac'
    done = run("bash", moved / "scripts" / "up", path=programs(python3_11=fake))
    assert done.returncode == 1
    assert "unfinished, broken or moved" in done.stdout
    assert f"MADE -m venv --clear {moved}/.venv" in done.stdout


def test_an_environment_behind_a_link_is_never_cleared(clone: Path, run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").touch()
    (clone / ".venv").symlink_to(other)
    done = run("bash", "-c", f". {shlex.quote(str(clone / 'scripts' / 'environment.sh'))}; make_venv")
    assert done.returncode == 1
    assert "is a link to an environment that does not run" in done.stderr
    assert (other / "precious").exists()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


def test_a_taken_port_is_named_before_anything_is_installed(clone: Path, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = run("bash", clone / "scripts" / "up", API_PORT=str(port), MLFLOW_UI="false")
    assert done.returncode == 1
    assert f"Port {port} is taken by " in done.stderr
    assert "or run API_PORT=" in done.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("name", ["up", "test", "check", "prove", "calls.sh", "check_events.sh"])
def test_help_is_shown_without_an_installation(clone: Path, run: Run, name: str) -> None:
    done = run("bash", clone / "scripts" / name, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: scripts/" + name in done.stdout.lower()
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("name", ["up", "test", "check", "prove", "calls.sh", "check_events.sh"])
def test_scripts_stay_thin_and_run_on_bash_3(clone: Path, name: str) -> None:
    text = (clone / "scripts" / name).read_text()
    assert len(text.splitlines()) <= 60
    assert not [word for word in ("mapfile", "readarray", "declare -A", "^^}", ",,}", "|&", "${!") if word in text]

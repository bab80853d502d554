"""Which Python is taken, and the one command that is advised where none will do."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

BROKEN_SHIM = "echo 'version not set' >&2; exit 127"


def python(version: str, *, venv: bool = True) -> str:
    """A Python that knows its version, and whether it can make environments."""
    major, minor = version.split(".")
    number = major + minor.zfill(2)
    return f"""
case "$*" in
  *venv*) exit {0 if venv else 1} ;;
  *%02d*) echo {number} ;;
  -V) echo "Python {version}.1" ;;
  *%d.%d*) echo {version} ;;
esac"""


@pytest.fixture
def find(
    clone: Path, programs: Callable[..., Path], run: Callable[..., subprocess.CompletedProcess[str]]
) -> Callable[..., tuple[int, str, str]]:
    def call(**texts: str) -> tuple[int, str, str]:
        folder = programs(**texts)
        script = f". {shlex.quote(str(clone / 'scripts' / 'environment.sh'))}; find_python"
        done = run("bash", "-euo", "pipefail", "-c", script, path=folder)
        return done.returncode, done.stdout.strip().rpartition("/")[2], done.stderr

    return call


Find = Callable[..., tuple[int, str, str]]


def test_the_newest_supported_python_is_taken(find: Find) -> None:
    assert find(python3_11=python("3.11"), python3_12=python("3.12"), python3=python("3.14"))[:2] == (0, "python3.12")


def test_a_shim_that_does_not_run_is_passed_over(find: Find) -> None:
    assert find(python3_13=BROKEN_SHIM, python3_11=python("3.11"))[:2] == (0, "python3.11")


def test_the_plain_name_will_do(find: Find) -> None:
    assert find(python3=python("3.12"))[:2] == (0, "python3")


def test_a_python_behind_a_broken_shim_of_the_same_name_is_found(find: Find, tmp_path: Path) -> None:
    behind = tmp_path / ".local" / "bin" / "python3.13"
    behind.parent.mkdir(parents=True)
    behind.write_text(f"#!/bin/sh\n{python('3.13')}\n")
    behind.chmod(0o755)
    assert find(python3_13=BROKEN_SHIM, python3_11=python("3.11"))[:2] == (0, "python3.13")


def test_a_python_without_venv_gives_way_to_an_older_one_that_has_it(find: Find) -> None:
    assert find(python3_13=python("3.13", venv=False), python3_11=python("3.11"))[:2] == (0, "python3.11")


def test_a_lone_python_without_venv_names_the_package_to_install(find: Find) -> None:
    code, _, said = find(python3_11=python("3.11", venv=False), id="echo 1000")
    assert code == 1
    assert "sudo apt-get install -y python3.11-venv" in said


def test_root_is_not_told_to_use_sudo(find: Find) -> None:
    assert "sudo" not in find(python3_11=python("3.11", venv=False), id="echo 0")[2]


def test_only_too_new_is_said_with_its_version_and_one_command(find: Find) -> None:
    code, _, said = find(python3=python("3.14"), id="echo 1000", uname="echo Linux")
    assert code == 1
    assert "Python 3.14.1" in said
    assert "runs on Python 3.11, 3.12 or 3.13" in said
    assert said.count("Install one:") == 1
    assert "uv python install 3.13" in said


def test_none_at_all_gives_the_command_of_this_debian(find: Find, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "apt-cache").write_text('#!/bin/sh\ncase "$2" in python3.12-venv) echo found ;; esac\n')
    (folder / "apt-cache").chmod(0o755)
    code, _, said = find(id="echo 1000")
    assert code == 1
    assert said.strip() == "Install one: sudo apt-get install -y python3.12 python3.12-venv"


def test_none_at_all_on_fedora_names_dnf(find: Find) -> None:
    assert find(id="echo 1000", dnf="exit 0")[2].strip() == "Install one: sudo dnf install -y python3.13"


def test_none_at_all_on_a_mac_names_brew(find: Find) -> None:
    assert find(uname="echo Darwin", brew="exit 0")[2].strip() == "Install one: brew install python@3.13"


def test_the_python_of_this_test_is_one_of_the_supported() -> None:
    assert (3, 11) <= sys.version_info[:2] <= (3, 13)

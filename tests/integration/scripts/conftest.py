"""The scripts, copied into a folder of their own, with programs on PATH that only pretend."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# What the scripts call; nothing else is on PATH, so that this machine's Pythons stay out of it.
TOOLS = ("bash", "basename", "cat", "cksum", "dirname", "env", "grep", "head", "id", "ls", "mkdir", "uname")

Run = subprocess.CompletedProcess[str]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone: scripts, lock files, pyproject.toml; no .venv."""
    folder = tmp_path / "my clone"
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Callable[..., Path]:
    """`programs(name="script text")` makes a PATH folder of the basic tools and these."""

    def make(**texts: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (folder / tool).unlink(missing_ok=True)
            (folder / tool).symlink_to(found)
        for name, text in texts.items():
            executable(folder / name.replace("_", "."), text)
        return folder

    return make


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    """Runs a command with a PATH and a HOME of the test's own."""

    def start(*command: object, path: Path | None = None, stdin: str = "", **environment: str) -> Run:
        basic = {"PATH": str(path or os.environ["PATH"]), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [str(word) for word in command],
            env={**basic, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return start

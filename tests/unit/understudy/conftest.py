"""No test of this folder sees the developer's own environment or .env."""

import os
from pathlib import Path

import pytest

from understudy.all_settings import all_settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in {setting.name for setting in all_settings()} & set(os.environ):
        monkeypatch.delenv(name)
    return tmp_path

"""The two ways of answering /predict under one suite, each a real process."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from serving.key_file import create_key

IRIS = {"sepal length (cm)": 5.1, "sepal width (cm)": 3.5, "petal length (cm)": 1.4, "petal width (cm)": 0.2}
TRIP = {"hour": 20, "carrier": "AA", "distance km": 900.5, "wet": True}


@pytest.fixture(scope="session", params=["true", "false"], ids=["fast-path", "fastapi"])
def fast_path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def plain(start_api: Callable[..., Any], fast_path: str) -> Any:
    return start_api(FAST_PATH=fast_path, MAX_BODY_BYTES="100000", MAX_BATCH_ROWS="50", MAX_JSON_DEPTH="6")


@pytest.fixture
def api(plain: Any) -> Any:
    """Open, three models, small limits. `events()` begins with the test."""
    plain.events()
    return plain


@pytest.fixture(scope="session")
def keyed_process(start_api: Callable[..., Any], fast_path: str) -> tuple[Any, dict[str, str]]:
    keys: dict[str, str] = {}

    def prepare(data_dir: Path) -> None:
        for name, scopes in {
            "caller": ("predict",),
            "labeller": ("feedback",),
            "scraper": ("metrics",),
            "player": ("predict", "feedback", "simulate"),
        }.items():
            keys[name] = create_key(data_dir / "api-keys.json", name, scopes, now=datetime.now(UTC))  # type: ignore[arg-type]

    started = start_api(prepare, FAST_PATH=fast_path, MODELS="iris,absent", EXTRA_FIELDS="ignore")
    return started, keys


@pytest.fixture
def keyed(keyed_process: tuple[Any, dict[str, str]]) -> tuple[Any, dict[str, str]]:
    """Keys needed, unknown fields ignored, and a model named that has no production version."""
    keyed_process[0].events()
    return keyed_process


@pytest.fixture
def iris() -> dict[str, float]:
    """A setosa: class 0."""
    return dict(IRIS)


@pytest.fixture
def trip() -> dict[str, Any]:
    """A late one."""
    return dict(TRIP)

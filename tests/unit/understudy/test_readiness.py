import json
import shlex

import pytest

from serving.settings import ServingSettings
from understudy.errors import FrontDoorError
from understudy.readiness import Reply, base_url, curl_line, model_names


def test_the_curl_line_survives_the_shell() -> None:
    example = {"carrier": "it's", "dep_delay": None, "origin": "Zürich"}

    words = shlex.split(curl_line("http://127.0.0.1:8000", example, needs_key=False))

    assert words[:3] == ["curl", "-s", "http://127.0.0.1:8000/predict"]
    assert json.loads(words[-1]) == example


def test_the_curl_line_has_a_place_for_the_key_where_one_is_needed() -> None:
    assert "YOUR_KEY" in curl_line("http://x", {}, needs_key=True)
    assert "YOUR_KEY" not in curl_line("http://x", {}, needs_key=False)


@pytest.mark.parametrize(
    ("listens_on", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("10.1.2.3", "http://10.1.2.3:8000"),
    ],
)
def test_the_url_can_be_called_from_this_machine(listens_on: str, url: str) -> None:
    assert base_url(listens_on, 8000) == url


def test_models_are_named_without_alias_and_version() -> None:
    settings = ServingSettings(models=("flights", "iris@live", "churn/7"))

    assert model_names(settings) == ["flights", "iris", "churn"]


@pytest.mark.parametrize("models", [(), ("a b",), ("flights", "flights@shadow")])
def test_models_that_cannot_be_read_are_refused_by_name(models: tuple[str, ...]) -> None:
    with pytest.raises(FrontDoorError, match="MODELS"):
        model_names(ServingSettings(models=models))


def test_an_answer_that_is_no_json_is_an_empty_document() -> None:
    assert Reply(500, "<html>").document() == {}
    assert Reply(200, "[1]").document() == {}
    assert Reply(200, '{"a": 1}').document() == {"a": 1}

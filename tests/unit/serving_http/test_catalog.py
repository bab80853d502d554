"""Which version answers, and how one table of roles gives way to the next."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from serving.bundle import Problem, RoleTable, publish_role_table
from serving.catalog import Catalog
from serving.errors import NotReadyError, UnknownModelError
from serving.signature import Column


@pytest.fixture
def iris(shelf: Callable[..., Any]) -> Any:
    stocked = shelf("iris")
    for version in "123":
        stocked.add("iris", version)
    return stocked


def production(shelf: Any) -> str:
    return str(shelf.catalog.production().bundle.model_version)


def test_a_newer_table_is_taken_over_whole(iris: Any) -> None:
    iris.publish("iris", 1, production="1", shadow="2")
    iris.catalog.refresh("iris")
    iris.publish("iris", 2, production="2", shadow="1")
    before = iris.catalog.models["iris"]
    iris.catalog.refresh("iris")

    assert before.roles["production"].bundle.model_version == "1"
    assert production(iris) == "2"
    assert iris.catalog.models["iris"].roles["shadow"].bundle.model_version == "1"


@pytest.mark.parametrize("generation", [1, 2])
def test_a_generation_never_goes_back_nor_stays(iris: Any, generation: int) -> None:
    iris.publish("iris", 2, production="2")
    iris.catalog.refresh("iris")
    iris.publish("iris", generation, production="1")
    iris.catalog.refresh("iris")

    assert production(iris) == "2"


@pytest.mark.parametrize("text", ["", "{", '{"model_name": 1}'])
def test_a_broken_table_keeps_the_old_until_it_is_mended(iris: Any, text: str) -> None:
    iris.publish("iris", 1, production="1")
    iris.catalog.refresh("iris")
    (iris.folder / "iris" / "roles.json").write_text(text)
    iris.touch("iris")
    for _ in range(2):
        with pytest.raises(ValueError, match=r".+"):
            iris.catalog.refresh("iris")
        assert production(iris) == "1"
    iris.publish("iris", 2, production="2")
    iris.catalog.refresh("iris")

    assert production(iris) == "2"


def test_a_bundle_that_does_not_open_keeps_the_old_and_is_tried_again(iris: Any) -> None:
    iris.publish("iris", 1, production="1")
    iris.catalog.refresh("iris")
    iris.refused.add("2-abc")
    iris.publish("iris", 2, production="2")
    with pytest.raises(OSError, match="cannot open 2-abc"):
        iris.catalog.refresh("iris")
    assert production(iris) == "1"
    iris.refused.clear()
    iris.catalog.refresh("iris")

    assert production(iris) == "2"


def test_engines_that_go_on_are_kept_and_the_others_given_back(iris: Any) -> None:
    iris.publish("iris", 1, production="1", shadow="2")
    assert iris.catalog.refresh("iris") == []
    iris.publish("iris", 2, production="2", shadow="3")
    unused = iris.catalog.refresh("iris")

    assert iris.opened == ["1-abc", "2-abc", "3-abc"]
    assert [engine.folder.name for engine in unused] == ["1-abc"]
    assert iris.catalog.refresh("iris") == []


def test_an_unchanged_table_is_not_read_again(iris: Any) -> None:
    iris.publish("iris", 1, production="1")
    iris.catalog.refresh("iris")
    first = iris.catalog.models["iris"]
    iris.catalog.refresh("iris")

    assert iris.catalog.models["iris"] is first


def test_each_role_lets_the_columns_of_the_others_pass(shelf: Callable[..., Any]) -> None:
    iris = shelf("iris")
    iris.add("iris", "1", Column("x", "float"))
    iris.add("iris", "2", Column("x", "float"), Column("colour", "string", nullable=True))
    iris.publish("iris", 1, production="1", shadow="2")
    iris.catalog.refresh("iris")

    codec = iris.catalog.production().codec
    assert codec.try_flat(b'{"x": 1, "colour": "red"}') is not None
    assert codec.try_flat(b'{"x": 1}') is not None
    assert codec.try_flat(b'{"x": 1, "color": "red"}') is None


def test_what_is_not_there_is_told_by_what_is(shelf: Callable[..., Any]) -> None:
    both = shelf("iris", "trips")
    both.add("iris", "1")
    both.publish("iris", 1, shadow="1")
    both.catalog.refresh("iris")
    both.catalog.refresh("trips")

    with pytest.raises(NotReadyError, match="'iris' has no production version yet; set its production alias"):
        both.catalog.production()
    with pytest.raises(NotReadyError, match="'trips' has no production version yet: the loader has published none"):
        both.catalog.production("trips")
    with pytest.raises(UnknownModelError, match="no model named 'roses' is served here; served: iris, trips"):
        both.catalog.production("roses")
    with pytest.raises(UnknownModelError, match="loaded versions: 1"):
        both.catalog.direct("iris", role=None, version="2")
    with pytest.raises(UnknownModelError, match="roles: shadow"):
        both.catalog.direct("iris", role="candidate", version=None)
    assert both.catalog.direct("iris", role="shadow", version=None).bundle.model_version == "1"


def test_a_caller_is_told_why_there_is_no_production_version(tmp_path: Path) -> None:
    problem = Problem("production", "1", "compile", "log it with a signature", datetime(2026, 11, 21, tzinfo=UTC))
    table = RoleTable(model_name="iris", generation=1, published_at=problem.at, problems=[problem])
    (tmp_path / "iris").mkdir()
    publish_role_table(tmp_path / "iris", table)
    catalog = Catalog(tmp_path, ("iris",), lambda folder: pytest.fail(f"nothing to open in {folder}"))
    catalog.refresh("iris")

    with pytest.raises(NotReadyError, match="'iris' has no production version yet: log it with a signature"):
        catalog.production()

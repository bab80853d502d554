"""A model's own JSON Schemas."""

from collections.abc import Callable
from typing import Any

import pytest

from serving.openapi import answer_schema, row_schema
from serving.signature import Column


@pytest.fixture
def bundle(shelf: Callable[..., Any]) -> Callable[..., Any]:
    def make(*columns: Column, classes: list[Any] | None = None) -> Any:
        stocked = shelf("toy")
        stocked.add("toy", "1", *columns, classes=classes)
        stocked.publish("toy", 1, production="1")
        stocked.catalog.refresh("toy")
        return stocked.catalog.production().bundle

    return make


def test_a_row_needs_every_column_and_takes_null_where_the_decoder_does(bundle: Callable[..., Any]) -> None:
    schema = row_schema(
        bundle(
            Column("a b", "float"), Column("n", "integer"), Column("s", "string", nullable=True), Column("w", "boolean")
        )
    )

    assert schema["required"] == ["a b", "n", "s", "w"]
    assert [one["type"] for one in schema["properties"].values()] == [
        ["number", "null"],
        "integer",
        ["string", "null"],
        "boolean",
    ]
    assert schema["additionalProperties"] is False


def test_an_answer_lists_the_classes_or_is_a_number(bundle: Callable[..., Any]) -> None:
    schema = answer_schema(bundle(classes=["late", "on time"]))

    assert schema["properties"]["prediction"]["items"] == {"enum": ["late", "on time"]}
    assert "probabilities" in schema["properties"]


def test_a_regressor_answers_numbers_only(bundle: Callable[..., Any]) -> None:
    schema = answer_schema(bundle())

    assert schema["properties"]["prediction"]["items"] == {"type": "number"}
    assert "probabilities" not in schema["properties"]

"""A model's input columns, typed."""

from typing import Literal

import msgspec


class Column(msgspec.Struct, frozen=True):
    """One input column.

    Attributes:
        kind: `float` (null allowed, becomes NaN), `integer`, `boolean`, `string`.
        nullable: Whether null is allowed; always true for `float`.
        dtype: The type the model was logged with (`double`, `float`, `long`, `integer`, `string`, `boolean`),
            to rebuild its DataFrame.
    """

    name: str
    kind: Literal["float", "integer", "boolean", "string"]
    nullable: bool = False
    dtype: str = "double"


class Signature(msgspec.Struct, frozen=True):
    """The columns in the model's order. `positional`: the model was trained without names (columns are "0", "1", …)."""

    columns: tuple[Column, ...]
    positional: bool = False

    @property
    def number_columns(self) -> tuple[Column, ...]:
        """Columns of `Rows.numbers`, in its order."""
        return tuple(column for column in self.columns if column.kind != "string")

    @property
    def string_columns(self) -> tuple[Column, ...]:
        """Columns of `Rows.strings`, in its order."""
        return tuple(column for column in self.columns if column.kind == "string")

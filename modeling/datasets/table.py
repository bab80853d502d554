"""Any CSV or Parquet file with a named target."""

import difflib
from pathlib import Path

import pandas as pd

from modeling.datasets.dataset import Dataset, Task
from modeling.errors import DataError, RequestError

SUFFIXES = (".csv", ".csv.gz", ".csv.zip", ".parquet")
# A whole-number target with more values than this is a quantity, not a set of classes.
_MOST_CLASSES = 50


def load_table(path: Path, target: str, *, event_time: str | None = None, label_known_at: str | None = None) -> Dataset:
    """Reads a file; every other column is a feature.

    Rows without a target are left out. The task follows from the target: a number with a fraction, or with
    more than 50 values, is regression.

    Args:
        path: A CSV (also gzip or zip) or Parquet file.
        target: Column to predict.
        event_time: Column saying when a row happened; ISO 8601, taken as UTC where it has no offset.
        label_known_at: Column saying when the target became known.

    Raises:
        RequestError: A named column is not in the file; the message lists those that are.
        DataError: The file cannot be read, or holds no row with a target.
    """
    frame = _read(path)
    for column in (target, event_time, label_known_at):
        if column is not None:
            _require_column(frame, column, path)
    frame = frame.dropna(subset=[target]).reset_index(drop=True)
    if frame.empty:
        raise DataError(f"{path.name} holds no row whose {target!r} is filled")
    for column in (event_time, label_known_at):
        if column is not None:
            frame[column] = _utc(frame[column], path)
    if event_time is not None:
        frame = frame.sort_values(event_time, kind="stable", ignore_index=True)
    frame[target], task = _target(frame[target])
    return Dataset(
        name=path.name.split(".")[0],
        description=f"The file {path.name}",
        frame=frame,
        target=target,
        task=task,
        features=tuple(str(name) for name in frame.columns if name not in {target, event_time, label_known_at}),
        event_time=event_time,
        label_known_at=label_known_at,
    )


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"no file {path}")
    try:
        frame = pd.read_parquet(path) if path.name.endswith(".parquet") else pd.read_csv(path)
    except (ValueError, OSError, ImportError) as error:  # pandas' parser and pyarrow's errors are ValueErrors
        raise DataError(f"{path.name} cannot be read as a table: {error}") from error
    frame = frame.apply(_plain_column).set_axis([str(name) for name in frame.columns], axis="columns")
    if frame.columns.has_duplicates:
        twice = sorted(set(frame.columns[frame.columns.duplicated()]))
        raise DataError(f"{path.name} has columns of the same name: {', '.join(twice)}")
    return frame


def _plain_column(column: pd.Series) -> pd.Series:
    """Booleans with gaps become numbers (null is NaN), pandas' categories become strings."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype("str")
    if column.dtype == "object" and pd.api.types.is_bool_dtype(column.dropna().infer_objects()):
        return column.astype("float64")
    return column


def _require_column(frame: pd.DataFrame, column: str, path: Path) -> None:
    if column not in frame.columns:
        close = difflib.get_close_matches(column, frame.columns, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise RequestError(f"{path.name} has no column {column!r}{hint}; it has {', '.join(frame.columns)}")


def _utc(column: pd.Series, path: Path) -> pd.Series:
    try:
        times = pd.to_datetime(column, utc=True, format="ISO8601" if column.dtype == "str" else None)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path.name}: column {column.name!r} is not a time (ISO 8601): {error}") from error
    if times.isna().any():
        raise DataError(f"{path.name}: column {column.name!r} lacks a time in {int(times.isna().sum())} rows")
    return times


def _target(column: pd.Series) -> tuple[pd.Series, Task]:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return column, "classifier"
    whole = bool((column % 1 == 0).all())
    if not whole or column.nunique() > _MOST_CLASSES:
        return column.astype("float64"), "regressor"
    return column.astype("int64"), "classifier"

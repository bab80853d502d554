"""Columns of a reference profile: frozen bins, and how values are folded into them.

Two folds of one column are merged by adding their counts. How a column is folded, by kind (the last two
slots of every layout are `unseen` and `missing`):

    number       edges e[0] < … < e[k-1] make k+1 bins: below e[0], [e[0], e[1]), …, from e[k-1] on.
                 The first and the last are tails: beyond any finite value of the reference, so 0 in the
                 reference unless it held infinite ones (more than 1e100 in size counts as infinite).
    category     one bin per category; anything else is `unseen`.
    text         bins of its length in characters; its words are counted apart (`TextProfile`).
    identifier   one bin for whatever there is: only the share of missing values says something.
    time         as identifier.
"""

import math
from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from versioning.profile_values import (
    Dtype,
    Kind,
    Values,
    category_text,
    dtype_of,
    guess_kind,
    plain_values,
    present_values,
    words_of,
)

Counts = NDArray[np.int64]

QUANTILE_BINS = 260
MAX_CATEGORIES = 256
COARSE_BINS = 16
# Squares and sums of larger numbers overflow, and JSON has no infinity: they count as infinite.
_LARGEST = 1e100
_VOCABULARY = 5_000
_PHI_BLOCK_ROWS = (200, 800, 3_200)
_LEAST_PHI_BLOCKS = 8


class TextProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The words of a text column.

    Attributes:
        token_edges: Edges of the bins of the number of words; as a number's.
        token_counts: Rows per such bin, `len(token_edges) + 1` of them.
        vocabulary: CRC-32 of the words seen twice or more, the 5,000 most frequent, ascending; the words
            themselves are not kept.
        tokens: Words in the reference.
        unseen_tokens: Those of them not in `vocabulary`.
    """

    token_edges: list[float]
    token_counts: list[int]
    vocabulary: list[int]
    tokens: int
    unseen_tokens: int


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the reference.

    Attributes:
        name: The feature's name; `prediction` and `score` for the model's answers.
        kind: How it is folded; guessed (`guess_kind`) or said by the owner.
        dtype: Type of its values in JSON.
        rows: Rows of the reference this column was counted over (n_ref), missing ones included.
        edges: Of numbers and texts: the frozen bin edges, ascending.
        categories: Of categories: the values as text (`category_text`), most frequent first; at most 256,
            rarer ones count as unseen.
        counts: Rows per slot, laid out as the module says; they add up to `rows`.
        sum: Of numbers: sum of the finite values; with `sum_squares` and `finite` gives mean and variance.
        sum_squares: Of numbers: sum of their squares.
        finite: Of numbers: how many finite values there were.
        phi_by_rows: Variance inflation: block size in rows to the mean chi-square per degree of freedom of
            the reference's own consecutive blocks (in event-time order) against the whole, on the coarse
            bins, never below 1. 1: rows are as good as independent. Empty without event time or with too
            few rows.
        importance: Share of what the model's answers rest on, all columns adding up to 1; None when unknown.
        text: Of texts only.
    """

    name: str
    kind: Kind
    dtype: Dtype
    rows: int
    counts: list[int]
    edges: list[float] = []
    categories: list[str] = []
    sum: float = 0.0
    sum_squares: float = 0.0
    finite: int = 0
    phi_by_rows: dict[int, float] = {}
    importance: float | None = None
    text: TextProfile | None = None

    @property
    def unseen(self) -> int:
        """Reference rows whose value was too rare to be a category of its own."""
        return self.counts[-2]

    @property
    def missing(self) -> int:
        """Reference rows without a value."""
        return self.counts[-1]


def profile_column(
    name: str, values: Values, *, kind: Kind | None = None, ordered: bool = False, importance: float | None = None
) -> ColumnProfile:
    """Freezes the bins of one column and counts its values.

    Args:
        name: Of the column.
        values: One per row; None and NaN are missing.
        kind: None guesses it.
        ordered: Whether the rows stand in event-time order, so that phi can be measured.
        importance: Its share, if known.
    """
    dtype = dtype_of(values)
    kind = kind or guess_kind(name, values)
    edges = quantile_edges(_measure(kind, values)) if kind in {"number", "text"} else []
    finite = _finite(values) if kind == "number" else np.empty(0)
    draft = ColumnProfile(
        name=name,
        kind=kind,
        dtype=dtype,
        rows=len(values),
        counts=[],
        edges=edges,
        categories=_frequent(values) if kind == "category" else [],
        sum=math.fsum(finite),
        sum_squares=math.fsum(finite**2),
        finite=len(finite),
        importance=importance,
        text=_profile_text(values) if kind == "text" else None,
    )
    slots = slots_of(draft, values)
    counts = np.bincount(slots, minlength=slot_count(draft))
    phi = _phi_by_rows(slots, counts) if ordered else {}
    return msgspec.structs.replace(draft, counts=counts.tolist(), phi_by_rows=phi)


def slot_count(column: ColumnProfile) -> int:
    """Length of the column's layout, `unseen` and `missing` included."""
    bins = {"number": len(column.edges) + 1, "text": len(column.edges) + 1, "category": len(column.categories)}
    return bins.get(column.kind, 1) + 2


def slots_of(column: ColumnProfile, values: Values) -> NDArray[np.int64]:
    """The slot each value falls into.

    >>> column = profile_column("colour", ["red", "red", "blue", None])
    >>> slots_of(column, ["blue", "green", None]).tolist()
    [1, 2, 3]
    """
    slots = slot_count(column)
    if column.kind == "category":
        known = {category: slot for slot, category in enumerate(column.categories)}
        texts = (category_text(value) for value in plain_values(values))
        found = (slots - 1 if text is None else known.get(text, slots - 2) for text in texts)
        return np.fromiter(found, dtype=np.int64, count=len(values))
    measure = _measure(column.kind, values)
    found_bins = np.searchsorted(np.asarray(column.edges, dtype=np.float64), measure, side="right")
    return np.where(np.isnan(measure), slots - 1, found_bins).astype(np.int64)


def fold(column: ColumnProfile, values: Values) -> Counts:
    """Counts values in the column's slots; add two folds to merge them.

    >>> column = profile_column("colour", ["red", "red", "blue", None])
    >>> fold(column, ["blue", "green", None]).tolist()
    [0, 1, 1, 1]
    """
    return np.bincount(slots_of(column, values), minlength=slot_count(column)).astype(np.int64)


def coarse_groups(counts: Sequence[int] | Counts, bins: int = COARSE_BINS) -> NDArray[np.int64]:
    """Merges slots into at most `bins` groups of about equal reference weight, neighbours together.

    `unseen` and `missing` stay groups of their own; empty tails join their neighbours.

    Args:
        counts: Of the reference, in the column's layout.
        bins: At least 3.

    Returns:
        The group of each slot, numbered from 0 without gaps.
    """
    body = np.asarray(counts[:-2], dtype=np.float64)
    middle = (np.cumsum(body) - body / 2) / max(body.sum(), 1.0)
    groups = np.minimum((middle * (bins - 2)).astype(np.int64), bins - 3)
    return np.unique(np.concatenate([groups, [bins - 2, bins - 1]]), return_inverse=True)[1]


def quantile_edges(numbers: NDArray[np.float64], bins: int = QUANTILE_BINS) -> list[float]:
    """Edges that cut the finite numbers into at most `bins` bins of about equal weight, plus two empty tails.

    Edges are values that occurred, except the last, which is the next float after the largest.
    """
    finite = numbers[np.abs(numbers) <= _LARGEST]
    if not len(finite):
        return []
    distinct = np.unique(finite)
    if len(distinct) > bins:
        distinct = np.unique(np.quantile(finite, np.arange(bins) / bins, method="inverted_cdf"))
    return [*distinct.tolist(), float(np.nextafter(finite.max(), np.inf))]


def _profile_text(values: Values) -> TextProfile:
    rows = words_of(present_values(values))
    often = Counter(word for row in rows for word in row)
    vocabulary = sorted(word for word, times in often.most_common(_VOCABULARY) if times > 1)
    known = set(vocabulary)
    lengths = np.asarray([len(row) for row in rows], dtype=np.float64)
    edges = quantile_edges(lengths)
    return TextProfile(
        token_edges=edges,
        token_counts=np.bincount(np.searchsorted(edges, lengths, side="right"), minlength=len(edges) + 1).tolist(),
        vocabulary=vocabulary,
        tokens=often.total(),
        unseen_tokens=sum(times for word, times in often.items() if word not in known),
    )


def _measure(kind: Kind, values: Values) -> NDArray[np.float64]:
    """The number a value is binned by; NaN where it is missing. Kinds without bins have 0 for whatever is there."""
    if kind == "number":
        return np.asarray(values, dtype=np.float64)
    present = ((text, value) for value in plain_values(values) for text in (category_text(value),))
    if kind == "text":
        numbers = (math.nan if text is None else float(len(text)) for text, _ in present)
    else:
        numbers = (math.nan if text in {None, "NaT"} else 0.0 for text, _ in present)
    return np.fromiter(numbers, dtype=np.float64, count=len(values))


def _finite(values: Values) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    return numbers[np.abs(numbers) <= _LARGEST]


def _frequent(values: Values) -> list[str]:
    texts = Counter(text for value in plain_values(values) if (text := category_text(value)) is not None)
    by_weight = sorted(texts, key=lambda text: (-texts[text], text))
    return by_weight[:MAX_CATEGORIES]


def _phi_by_rows(slots: NDArray[np.int64], counts: Counts) -> dict[int, float]:
    sizes = [size for size in _PHI_BLOCK_ROWS if len(slots) >= size * _LEAST_PHI_BLOCKS]
    groups = coarse_groups(counts)[slots]
    return {size: _phi(groups, size) for size in sizes}


def _phi(groups: NDArray[np.int64], block_rows: int) -> float:
    """Mean Pearson chi-square of consecutive blocks against the whole, per degree of freedom (McCullagh and Nelder, 4.5)."""
    weights = np.bincount(groups) / len(groups)
    used = weights > 0
    blocks = groups[: len(groups) // block_rows * block_rows].reshape(-1, block_rows)
    expected = weights[used] * block_rows
    observed = np.stack([np.bincount(block, minlength=len(weights))[used] for block in blocks])
    chi_square = ((observed - expected) ** 2 / expected).sum(axis=1).mean()
    # A block is part of the whole it is compared with, which lowers its chi-square by this factor.
    freedom = max(int(used.sum()) - 1, 1) * (1 - block_rows / len(groups))
    return max(1.0, round(float(chi_square / freedom), 4))

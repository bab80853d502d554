"""A figure beside its bar."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One measured figure and the bar it must reach."""

    name: str
    value: float
    bar: float
    kind: Literal["at most", "at least"]
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the bar is reached."""
        return self.value <= self.bar if self.kind == "at most" else self.value >= self.bar

    def line(self) -> str:
        """For people."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name}: {number(self.value)}{unit} ({self.kind} {number(self.bar)}{unit}) {'met' if self.met else 'NOT MET'}"


@dataclass
class Result:
    """Everything one proof found.

    Attributes:
        notes: What was measured besides, e.g. absolute figures and the noise of the machine.
    """

    name: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def met(self) -> bool:
        """Whether every bar is reached."""
        return bool(self.figures) and all(figure.met for figure in self.figures)


def number(value: float) -> str:
    """Three significant digits, whole numbers in full.

    >>> [number(value) for value in (0.61234, 1.5, 12345.6, 0.0)]
    ['0.612', '1.5', '12,346', '0']
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def spread(values: Sequence[float]) -> str:
    """Minimum, median and maximum."""
    ordered = sorted(values)
    return f"{number(ordered[0])} / {number(median(ordered))} / {number(ordered[-1])}"


def median(values: Sequence[float]) -> float:
    """Middle value."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2

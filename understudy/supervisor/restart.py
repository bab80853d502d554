"""How long to wait before a dead child is started again."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RestartPolicy:
    """First restart at once, then doubling pauses; a child that ran steadily starts afresh.

    Attributes:
        base_seconds: Pause before the second restart in a row.
        max_seconds: Longest pause.
        steady_seconds: A child that lived so long is not counted as failing.
    """

    base_seconds: float = 0.5
    max_seconds: float = 30.0
    steady_seconds: float = 60.0

    def failures(self, failures_before: int, lived_seconds: float) -> int:
        """How many deaths in a row there are, after one at the age of `lived_seconds`."""
        return 1 if lived_seconds >= self.steady_seconds else failures_before + 1

    def pause_seconds(self, failures: int) -> float:
        """Pause after the given number of deaths in a row.

        >>> [RestartPolicy().pause_seconds(n) for n in (1, 2, 3, 4, 100)]
        [0.0, 0.5, 1.0, 2.0, 30.0]
        """
        if failures <= 1:
            return 0.0
        return float(min(self.max_seconds, self.base_seconds * 2 ** min(failures - 2, 32)))

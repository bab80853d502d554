"""How much a caller may ask, and how much a worker takes on. Pure: time is an argument, in monotonic seconds.

Body size, rows and depth are checked where they are first known: `fast_path.read_body`, `protocol.predict_body`
and `protocol.json_body`.
"""

from dataclasses import dataclass

from serving.errors import ShedError


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """A token bucket per key: `per_second` requests in the long run, a second's worth at once.

    Args:
        per_second: Requests a second each key may make; 0 is no limit.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._size = max(per_second, 1.0)
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key: str, now: float) -> None:
        """Takes one request of a key (a name from the key file: few, so all are kept).

        Raises:
            ShedError: The key is over its rate; says when the next request will be taken.
        """
        if not self._per_second:
            return
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._size, now)
        bucket.tokens = min(self._size, bucket.tokens + (now - bucket.filled_at) * self._per_second)
        bucket.filled_at = now
        if bucket.tokens < 1.0:
            raise ShedError(
                f"more than {self._per_second:g} requests a second with this key: slow down",
                (1.0 - bucket.tokens) / self._per_second,
            )
        bucket.tokens -= 1.0


class InFlight:
    """How many requests a worker holds at once; more would only wait, so they are turned away."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.count = 0

    def enter(self) -> None:
        """Counts a request in; `leave` must follow.

        Raises:
            ShedError: The worker is full; the request was not counted.
        """
        if self.count >= self._most:
            raise ShedError(f"{self._most} requests are in flight in this worker: try again", 1.0)
        self.count += 1

    def leave(self) -> None:
        """Counts a request out."""
        self.count -= 1

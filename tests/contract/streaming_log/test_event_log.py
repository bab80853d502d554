"""What every EventLog promises. Offsets may have gaps and partitions any name: only order is asserted."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streaming.errors import EventTooLargeError, LogUnavailableError
from streaming.ids import derived_event_id
from streaming.log import EventLog, EventReader, LogRecord

OpenLog = Callable[[], EventLog]

PATIENCE_SECONDS = 10.0
QUIET_SECONDS = 0.3


def read(reader: EventReader, count: int) -> list[LogRecord]:
    """Polls until `count` records came; fewer only when the log stays silent."""
    records: list[LogRecord] = []
    while len(records) < count:
        found = reader.poll(1000, PATIENCE_SECONDS)
        if not found:
            break
        records += found
    return records


def values(records: Iterable[LogRecord]) -> list[bytes]:
    return [record.value for record in records]


def offsets_after(records: Iterable[LogRecord]) -> dict[str, int]:
    return {record.partition: record.offset + 1 for record in records}


def event_received(at: datetime) -> bytes:
    milliseconds = int(at.timestamp() * 1000)
    origin = f"{milliseconds:012x}"
    event_id = derived_event_id(f"{origin[:8]}-{origin[8:]}-7000-8000-000000000000", "m")
    return b'{"type":"prediction","event_id":"%s"}' % event_id.encode()


def test_events_are_read_in_the_order_and_with_the_bytes_they_were_appended(open_log: OpenLog) -> None:
    writer = open_log().writer()
    writer.append([[b"a", b"b"], [b"c"]])
    writer.append([["d-\N{SNOWMAN}".encode()], [b""]])

    records = read(open_log().reader("g"), 5)

    assert [b"a", b"b", b"c", "d-\N{SNOWMAN}".encode(), b""] == values(records)
    assert len({record.partition for record in records}) == 1


def test_offsets_of_a_partition_increase(open_log: OpenLog) -> None:
    writer = open_log().writer()
    for number in range(10):
        writer.append([[b"%d" % number, b"x"]])

    offsets = [record.offset for record in read(open_log().reader("g"), 20)]

    assert sorted(set(offsets)) == offsets


def test_an_append_of_nothing_is_nothing(open_log: OpenLog) -> None:
    writer = open_log().writer()
    writer.append([])
    writer.append([[], []])
    writer.append([[], [b"a"], []])

    assert values(read(open_log().reader("g"), 1)) == [b"a"]


def test_one_event_too_large_keeps_the_whole_append_out(open_log: OpenLog) -> None:
    writer = open_log().writer()
    writer.append([[b"x" * 4096]])
    with pytest.raises(EventTooLargeError, match="MAX_EVENT_BYTES"):
        writer.append([[b"before"], [b"fine", b"x" * 4097]])
    writer.append([[b"after"]])

    assert values(read(open_log().reader("g"), 2)) == [b"x" * 4096, b"after"]


def test_poll_returns_no_more_than_asked_for(open_log: OpenLog) -> None:
    open_log().writer().append([[b"%d" % number for number in range(10)]])
    reader = open_log().reader("g")

    batches = [reader.poll(3, PATIENCE_SECONDS) for _ in range(4)]

    assert [len(batch) for batch in batches] == [3, 3, 3, 1]


def test_poll_returns_empty_handed_when_nothing_comes(open_log: OpenLog) -> None:
    reader = open_log().reader("g")

    assert reader.poll(10, 0.0) == []
    assert reader.poll(10, 0.05) == []


def test_what_was_not_committed_is_read_again(open_log: OpenLog) -> None:
    open_log().writer().append([[b"a"], [b"b"], [b"c"]])
    first = open_log().reader("g")
    records = read(first, 3)
    first.commit(offsets_after(records[:1]))
    first.close()

    assert values(read(open_log().reader("g"), 2)) == [b"b", b"c"]


def test_a_commit_never_moves_backwards(open_log: OpenLog) -> None:
    open_log().writer().append([[b"a"], [b"b"], [b"c"]])
    first = open_log().reader("g")
    records = read(first, 3)
    first.commit(offsets_after(records[:2]))
    first.commit(offsets_after(records[:1]))
    first.close()

    second = open_log().reader("g")

    assert values(read(second, 1)) == [b"c"]
    assert offsets_after(records[:2]) == second.committed()


def test_a_group_that_had_read_everything_goes_on_with_what_comes_after(open_log: OpenLog) -> None:
    writer = open_log().writer()
    writer.append([[b"a"]])
    first = open_log().reader("g")
    first.commit(offsets_after(read(first, 1)))
    first.close()
    second = open_log().reader("g")
    second.poll(10, 0.0)
    writer.append([[b"b"]])

    assert values(read(second, 1)) == [b"b"]


def test_groups_do_not_disturb_each_other(open_log: OpenLog) -> None:
    open_log().writer().append([[b"a"], [b"b"]])
    one, other = open_log().reader("one"), open_log().reader("other")
    one.commit(offsets_after(read(one, 2)))

    assert values(read(other, 2)) == [b"a", b"b"]
    assert other.committed() == {}


def test_lag_is_what_is_not_committed(open_log: OpenLog) -> None:
    open_log().writer().append([[b"a"], [b"b"], [b"c"]])
    reader = open_log().reader("g")
    records = read(reader, 3)

    assert list(reader.lag().values()) == [3]
    reader.commit(offsets_after(records[:2]))
    assert list(reader.lag().values()) == [1]
    reader.commit(offsets_after(records))
    assert sum(reader.lag().values()) == 0


def test_each_writer_has_a_partition_and_its_order_is_kept(open_log: OpenLog) -> None:
    writers = [open_log().writer(), open_log().writer()]
    for number in range(20):
        writers[number % 2].append([[b"%d" % number]])

    by_partition: dict[str, list[int]] = defaultdict(list)
    for record in read(open_log().reader("g"), 20):
        by_partition[record.partition].append(int(record.value))

    assert [list(range(0, 20, 2)), list(range(1, 20, 2))] == sorted(by_partition.values())


def test_a_partition_that_appears_while_reading_is_read(open_log: OpenLog) -> None:
    open_log().writer().append([[b"early"]])
    reader = open_log().reader("g")
    read(reader, 1)
    open_log().writer().append([[b"late"]])

    assert values(read(reader, 1)) == [b"late"]


def test_no_busy_partition_starves_another(open_log: OpenLog) -> None:
    for name in (b"one", b"other"):
        open_log().writer().append([[name]] * 5000)

    records = open_log().reader("g").poll(1000, PATIENCE_SECONDS)

    assert set(values(records)) == {b"one", b"other"}


def test_partitions_are_committed_one_by_one(open_log: OpenLog) -> None:
    for name in (b"one", b"other"):
        open_log().writer().append([[name]])
    first = open_log().reader("g")
    records = read(first, 2)
    for record in records:
        first.commit(offsets_after([record]))
    first.close()

    second = open_log().reader("g")

    assert second.committed() == offsets_after(records)
    assert second.poll(10, QUIET_SECONDS) == []


def test_what_a_closed_writer_appended_stays(open_log: OpenLog) -> None:
    writer = open_log().writer()
    writer.append([[b"a"]])
    writer.close()
    writer.close()
    with pytest.raises(LogUnavailableError, match="closed"):
        writer.append([[b"b"]])

    assert values(read(open_log().reader("g"), 1)) == [b"a"]


def test_a_closed_reader_hands_the_group_on(open_log: OpenLog) -> None:
    open_log().writer().append([[b"a"]])
    first, second = open_log().reader("g"), open_log().reader("g")
    first.commit(offsets_after(read(first, 1)))
    open_log().writer().append([[b"b"]])
    first.close()
    first.close()

    assert first.poll(10, 0.0) == []
    assert values(read(second, 1)) == [b"b"]


def test_a_new_group_may_start_at_a_receive_time(open_log: OpenLog) -> None:
    now = datetime.now(UTC)
    writer = open_log().writer()
    writer.append([[event_received(now - timedelta(hours=hours))] for hours in (5, 4, 3, 2, 1)])

    records = read(open_log().reader("g", start=now - timedelta(hours=2, minutes=30)), 2)

    assert [event_received(now - timedelta(hours=hours)) for hours in (2, 1)] == values(records)


def test_a_start_in_the_future_shows_nothing_old_and_everything_new(open_log: OpenLog) -> None:
    now = datetime.now(UTC)
    writer = open_log().writer()
    writer.append([[event_received(now)]])
    reader = open_log().reader("g", start=now + timedelta(hours=1))

    assert reader.poll(10, QUIET_SECONDS) == []
    writer.append([[event_received(now + timedelta(hours=2))]])
    assert [event_received(now + timedelta(hours=2))] == values(read(reader, 1))


def test_a_start_does_not_move_a_group_that_has_committed(open_log: OpenLog) -> None:
    now = datetime.now(UTC)
    events = [event_received(now - timedelta(hours=hours)) for hours in (3, 2, 1)]
    open_log().writer().append([[event] for event in events])
    first = open_log().reader("g")
    first.commit(offsets_after(read(first, 3)[:1]))
    first.close()

    assert events[1:] == values(read(open_log().reader("g", start=now), 2))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 2), st.lists(st.integers(0, 3), max_size=4)),
        st.tuples(st.just("poll"), st.integers(1, 5)),
        st.tuples(st.just("commit")),
        st.tuples(st.just("reopen")),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_nothing_acked_is_lost_or_reordered_whatever_is_polled_committed_and_reopened(
    open_log: OpenLog, steps: list[tuple[str, object, object]], request: pytest.FixtureRequest
) -> None:
    story = Story(open_log)
    for step in steps:
        story.play(step)
    story.finish()

    assert story.appended == story.effects


class Story:
    """Appends by several writers, read by a group that is now and then thrown away and opened again."""

    groups_opened = 0

    def __init__(self, open_log: OpenLog) -> None:
        Story.groups_opened += 1
        self.log = open_log()
        self.group = f"story-{Story.groups_opened}"
        self.writers = [self.log.writer() for _ in range(3)]
        self.marker = b"%d/" % Story.groups_opened
        self.reader = self.log.reader(self.group)
        self.number = 0
        self.appended: dict[bytes, list[int]] = defaultdict(list)
        self.effects: dict[bytes, list[int]] = defaultdict(list)
        self.uncommitted: list[LogRecord] = []

    def play(self, step: tuple[object, ...]) -> None:
        match step:
            case ("append", int(writer), list(sizes)):
                self.append(writer, sizes)
            case ("poll", int(limit)):
                self.uncommitted += self.reader.poll(limit, 0.0)
            case ("commit",):
                self.commit()
            case ("reopen",):
                self.uncommitted = []
                self.reader.close()
                self.reader = self.log.reader(self.group)

    def append(self, writer: int, sizes: list[int]) -> None:
        numbers = iter(range(self.number, self.number + sum(sizes)))
        groups = [[self.marker + b"%d:%d" % (writer, next(numbers)) for _ in range(size)] for size in sizes]
        self.writers[writer].append(groups)
        self.appended[b"%d" % writer] += range(self.number, self.number + sum(sizes))
        self.number += sum(sizes)

    def commit(self) -> None:
        self.reader.commit(offsets_after(self.uncommitted))
        for record in self.uncommitted:
            if record.value.startswith(self.marker):
                writer, _, number = record.value.removeprefix(self.marker).partition(b":")
                self.effects[writer].append(int(number))
        self.uncommitted = []

    def finish(self) -> None:
        self.play(("reopen",))
        outstanding = sum(map(len, self.appended.values())) - sum(map(len, self.effects.values()))
        mine = 0
        while mine < outstanding:
            records = self.reader.poll(1000, PATIENCE_SECONDS)
            if not records:
                break
            mine += sum(record.value.startswith(self.marker) for record in records)
            self.uncommitted += records
        self.commit()
        for writer in self.writers:
            writer.close()
        self.reader.close()
        self.appended = {writer: numbers for writer, numbers in self.appended.items() if numbers}

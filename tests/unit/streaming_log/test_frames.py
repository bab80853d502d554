"""Any truncation or corruption leaves exactly the intact frames."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import EventTooLargeError
from streaming.segments.frames import (
    HEADER_BYTES,
    MAGIC,
    decode_run,
    encode_block,
    find_frame,
    frame_at,
    last_frame,
)

EVENT = st.text(alphabet=st.characters(exclude_characters="\n", codec="utf-8"), max_size=12).map(str.encode)
GROUPS = st.lists(st.lists(EVENT, max_size=3), min_size=1, max_size=4)
WRITES = st.lists(GROUPS, min_size=1, max_size=5)


class Written(NamedTuple):
    """Bytes of several writes, and for each frame where it ends, its events, and whether it closes its write."""

    data: bytes
    frames: list[tuple[int, list[bytes], bool]]


def written(writes: list[list[list[bytes]]], first: int = 0) -> Written:
    data, sequence = b"", first
    frames: list[tuple[int, list[bytes], bool]] = []
    for groups in writes:
        filled = [group for group in groups if group]
        for index, group in enumerate(filled):
            end = (frames[-1][0] if frames else 0) + HEADER_BYTES + len(b"\n".join(group))
            frames.append((end, group, index == len(filled) - 1))
        block = encode_block(groups, sequence, 1000)
        sequence += block.events
        data += block.data
    return Written(data, frames)


def events(frames: list[tuple[int, list[bytes], bool]]) -> list[bytes]:
    return [event for _, group, _ in frames for event in group]


@given(WRITES, st.integers(0, 2**63))
def test_what_is_encoded_is_decoded(writes: list[list[list[bytes]]], first: int) -> None:
    data, frames = written(writes, first)

    assert decode_run(data, first) == (events(frames), len(data))


@given(WRITES, st.data())
def test_a_truncated_log_yields_the_whole_frames_before_the_cut(
    writes: list[list[list[bytes]]], draw: st.DataObject
) -> None:
    data, frames = written(writes)
    cut = draw.draw(st.integers(0, len(data)))
    whole = [frame for frame in frames if frame[0] <= cut]

    assert decode_run(data[:cut], 0).values == events(whole)


@given(WRITES, st.data())
def test_a_truncated_live_log_yields_whole_writes_only(writes: list[list[list[bytes]]], draw: st.DataObject) -> None:
    data, frames = written(writes)
    cut = draw.draw(st.integers(0, len(data)))
    whole = [frame for frame in frames if frame[0] <= cut]
    while whole and not whole[-1][2]:
        whole.pop()

    assert decode_run(data[:cut], 0, closing=True).values == events(whole)


@given(WRITES, st.data())
def test_a_changed_byte_costs_its_frame_and_no_other(writes: list[list[list[bytes]]], draw: st.DataObject) -> None:
    data, frames = written(writes)
    if not data:
        return
    place = draw.draw(st.integers(0, len(data) - 1))
    damaged = bytearray(data)
    damaged[place] ^= draw.draw(st.integers(1, 255))
    hit = next(index for index, frame in enumerate(frames) if place < frame[0])
    following = len(events(frames[: hit + 1]))

    run = decode_run(bytes(damaged), 0)
    resumed = find_frame(bytes(damaged), run.used, len(run.values))

    assert run.values == events(frames[:hit])
    if hit == len(frames) - 1:
        assert resumed is None
    else:
        assert resumed is not None
        assert (resumed.start, resumed.first) == (frames[hit][0], following)


@given(st.binary(max_size=200))
def test_junk_is_never_a_frame(junk: bytes) -> None:
    assert decode_run(junk, 0) == ([], 0)
    assert decode_run(MAGIC + junk, 0) == ([], 0)
    assert find_frame(junk + MAGIC + junk, 0, 0) is None


def test_a_frame_of_another_version_is_not_understood() -> None:
    block = bytearray(encode_block([[b"a"]], 0, 10).data)
    block[8] += 1

    assert frame_at(bytes(block), 0) is None


def test_decoding_stops_at_a_sequence_out_of_turn() -> None:
    data = encode_block([[b"a"]], 0, 10).data + encode_block([[b"c"]], 2, 10).data

    assert decode_run(data, 0).values == [b"a"]


def test_decoding_stops_at_the_ceiling() -> None:
    data = encode_block([[b"a"], [b"b"], [b"c"]], 0, 10).data

    assert decode_run(data, 0, ceiling=2).values == [b"a", b"b"]


def test_the_last_frame_is_found_from_the_end() -> None:
    data = encode_block([[b"a"], [b"b"]], 5, 10).data + encode_block([[b"c"], [b"d"]], 7, 10).data[:-1]

    last, closing = last_frame(data, closing=False), last_frame(data, closing=True)

    assert last is not None
    assert closing is not None
    assert (last.first, closing.first) == (7, 6)


def test_an_event_may_be_as_large_as_the_limit_and_no_larger() -> None:
    assert encode_block([[b"x" * 10], [b"y", b"x" * 10]], 0, 10).events == 3
    for groups in ([[b"x" * 11]], [[b"y"], [b"x" * 11]], [[b"y", b"x" * 11]]):
        with pytest.raises(EventTooLargeError, match="11 bytes exceeds MAX_EVENT_BYTES=10"):
            encode_block(groups, 0, 10)


def test_a_raw_newline_among_several_events_is_a_defect() -> None:
    with pytest.raises(ValueError, match="raw newline"):
        encode_block([[b"a\n", b"b"]], 0, 10)


def test_a_lone_event_may_contain_a_newline() -> None:
    assert decode_run(encode_block([[b"a\nb"]], 0, 10).data, 0).values == [b"a\nb"]


def test_a_search_passes_over_frames_of_earlier_sequences() -> None:
    data = encode_block([[b"a"]], 3, 10).data + encode_block([[b"b"]], 9, 10).data

    found = find_frame(data, 0, 4)

    assert found is not None
    assert found.first == 9

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.engines.frames import PING, Call, Reply, call_of, decode_call, decode_reply, frame, rows_of, split_frame
from serving.engines.model_batches import answer, take_batch
from serving.rows import Answers, Rows

POISON = 666.0


def call(*values: float) -> Call:
    return call_of(Rows(np.array(values, dtype=np.float64).reshape(-1, 1), [()] * len(values)))


def doubled(rows: Rows) -> Answers:
    if (rows.numbers == POISON).any():
        raise ValueError("poison")
    return Answers((rows.numbers[:, 0] * 2).tolist(), [[value] for value in rows.numbers[:, 0]])


calls = st.lists(st.lists(st.sampled_from([1.0, 2.0, 3.0, POISON]), max_size=4), min_size=1, max_size=8)


@given(calls)
def test_every_caller_gets_what_it_would_get_alone(values: list[list[float]]) -> None:
    together = answer([call(*row) for row in values], doubled)

    assert together == [answer([call(*row)], doubled)[0] for row in values]


def test_one_bad_caller_harms_no_other() -> None:
    good, bad, other = answer([call(1.0), call(2.0, POISON), call(3.0)], doubled)

    assert (good.predictions, other.predictions) == ([2.0], [6.0])
    assert bad.error == "ValueError: poison"


def test_a_model_that_answers_too_few_rows_harms_no_neighbour() -> None:
    def forgetful(rows: Rows) -> Answers:
        if len(rows) > 1:
            raise ValueError("short")
        return Answers([1.0], None)

    assert [reply.predictions for reply in answer([call(1.0), call(2.0)], forgetful)] == [[1.0], [1.0]]


def test_a_ping_reaches_no_model() -> None:
    assert answer([PING], lambda rows: pytest.fail("asked")) == [Reply()]


@pytest.mark.parametrize(
    ("rows", "limit", "expected"), [([1, 1, 1], 10, 3), ([4, 4, 4], 8, 2), ([20, 1], 8, 1), ([3, 20], 8, 1)]
)
def test_a_batch_takes_what_fits_and_at_least_one_call(rows: list[int], limit: int, expected: int) -> None:
    assert take_batch([Call(count, b"", ()) for count in rows], limit) == expected


@given(
    st.lists(
        st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False), st.none() | st.text(max_size=5)), max_size=5
    ),
    st.integers(1, 7),
)
def test_a_call_survives_the_wire_in_pieces_of_any_size(rows: list[tuple[float, float, str | None]], size: int) -> None:
    given_rows = Rows(np.array([row[:2] for row in rows], dtype=np.float64).reshape(-1, 2), [(row[2],) for row in rows])
    sent = frame(call_of(given_rows)) * 2
    received = bytearray()
    arrived = []

    for start in range(0, len(sent), size):
        received += sent[start : start + size]
        while (body := split_frame(received)) is not None:
            arrived.append(decode_call(body))

    assert len(arrived) == 2
    if rows:
        back = rows_of(arrived[1])
        assert np.array_equal(back.numbers, given_rows.numbers)
        assert [tuple(row) for row in back.strings] == given_rows.strings


def test_labels_come_back_in_their_own_types() -> None:
    reply = Reply(["a", 1, 2.5, True], [[0.25, 0.75]])

    body = split_frame(bytearray(frame(reply)))

    assert body is not None
    assert decode_reply(body) == reply
    assert [type(value) for value in decode_reply(body).predictions] == [str, int, float, bool]


def test_a_length_of_a_stranger_is_refused() -> None:
    with pytest.raises(ValueError, match="a frame of"):
        split_frame(bytearray(b"GET / HTTP/1.1\r\n".replace(b"GET ", b"\xff\xff\xff\xff")))

"""The harness itself: a figure that falls short must be seen to fall short."""

from pathlib import Path

import pytest
from prove import write as page
from prove.bars import Figure, Result, median


@pytest.mark.parametrize(
    ("value", "kind", "met"),
    [
        (0, "at most", True),
        (1, "at most", False),
        (1, "at least", True),
        (0, "at least", False),
        (0.5, "at most", True),
    ],
)
def test_a_figure_is_met_up_to_its_bar(value: float, kind: str, met: bool) -> None:
    bar = 0.5 if value == 0.5 else (0 if kind == "at most" else 1)

    assert Figure("rows lost", value, bar, kind).met is met  # type: ignore[arg-type]  # a parameter is a str


def test_a_result_with_one_figure_short_is_not_met() -> None:
    good, short = Figure("kills", 20, 20, "at least"), Figure("rows lost", 1, 0, "at most")

    assert Result("proof", [good]).met
    assert not Result("proof", [good, short]).met
    assert "NOT MET" in short.line()


def test_a_proof_that_measured_nothing_is_not_met() -> None:
    assert not Result("proof").met


def test_the_median_of_an_even_count_lies_between() -> None:
    assert median([4.0, 1.0, 3.0, 2.0]) == 2.5


def test_writing_again_replaces_only_the_own_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "benchmarks.md")
    page.PAGE.write_text("# Figures\n")

    page.write(Result("first", [Figure("speed", 1, 2, "at most", "s")], ["quiet"]))
    page.write(Result("second", [Figure("size", 7, 8, "at most", "MB")]))
    page.write(Result("first", [Figure("speed", 3, 2, "at most", "s")]))

    text = page.PAGE.read_text()
    assert text.startswith("# Figures\n")
    assert "| speed | 3 s | at most 2 s | **not met** |" in text
    assert "| size | 7 MB | at most 8 MB | met |" in text
    assert text.count("## first") == 1
    assert "quiet" not in text

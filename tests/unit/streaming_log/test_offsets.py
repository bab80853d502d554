from pathlib import Path

import pytest

from streaming.segments.offsets import GroupOffsets


def test_a_commit_that_cannot_be_written_is_no_commit(tmp_path: Path) -> None:
    (tmp_path / "host-1").mkdir()
    file = tmp_path / ".groups" / "g.json"
    offsets = GroupOffsets(tmp_path, "g")
    offsets.activate()
    file.mkdir()
    offsets.commit({"host-1": 2})
    assert offsets.committed() == {}
    file.rmdir()
    offsets.commit({"host-1": 2})
    assert GroupOffsets(tmp_path, "g").committed() == {"host-1": 2}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"host-1": null}'])
def test_an_unreadable_file_means_that_everything_is_read_again(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".groups").mkdir()
    (tmp_path / ".groups" / "g.json").write_bytes(content)

    assert GroupOffsets(tmp_path, "g").committed() == {}


@pytest.mark.parametrize("group", ["", "a/b", ".hidden"])
def test_a_group_name_that_is_no_file_name_is_refused(tmp_path: Path, group: str) -> None:
    with pytest.raises(ValueError, match="group name"):
        GroupOffsets(tmp_path, group)

import json
import logging
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.auth import Authenticator, is_loopback, require_safe
from serving.errors import ForbiddenError, SetupError, UnauthenticatedError
from serving.key_file import create_key, list_keys, revoke_key

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "api-keys.json"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_secret_is_random_and_only_its_digest_is_kept(path: Path) -> None:
    first = create_key(path, "ci", ["predict"], now=NOW)
    second = create_key(path, "phone", ["predict", "feedback"], now=NOW)

    assert first != second
    assert first.startswith("us_")
    assert len(first) == 46
    assert first not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [(key.name, key.scopes, key.created_at) for key in list_keys(path)] == [
        ("ci", ("predict",), NOW),
        ("phone", ("predict", "feedback"), NOW),
    ]


@pytest.mark.parametrize("form", ["Bearer {}", "bearer   {} ", "{}"])
def test_a_key_is_taken_as_bearer_or_by_itself(path: Path, form: str) -> None:
    header = form.format(create_key(path, "ci", ["predict"], now=NOW)).encode()
    authenticator = Authenticator(path)

    assert [authenticator.check(header, "predict").name for _ in range(2)] == ["ci", "ci"]


def test_a_key_opens_only_its_scopes(path: Path) -> None:
    secret = create_key(path, "ci", ["predict", "metrics"], now=NOW).encode()

    with pytest.raises(ForbiddenError, match=r"'ci' lacks the scope 'admin' \(it has: metrics, predict\)"):
        Authenticator(path).check(secret, "admin")


@pytest.mark.parametrize("header", [None, b"", b"us_wrong", b"Basic dTpw", b"Bearer", b"\xff" * 10_000])
def test_anything_but_a_known_key_is_refused(path: Path, header: bytes | None) -> None:
    create_key(path, "ci", ["predict"], now=NOW)

    with pytest.raises(UnauthenticatedError, match="API key"):
        Authenticator(path).check(header, "predict")


def test_a_digest_is_not_a_key(path: Path) -> None:
    create_key(path, "ci", ["predict"], now=NOW)

    with pytest.raises(UnauthenticatedError):
        Authenticator(path).check(list_keys(path)[0].sha256.encode(), "predict")


def test_a_new_key_is_known_and_a_revoked_one_refused_within_a_second(path: Path, clock: Clock) -> None:
    old = create_key(path, "old", ["predict"], now=NOW).encode()
    authenticator = Authenticator(path, clock=clock)
    authenticator.check(old, "predict")

    new = create_key(path, "new", ["predict"], now=NOW).encode()
    revoke_key(path, "old")
    clock.now = 1.0

    assert authenticator.check(new, "predict").name == "new"
    with pytest.raises(UnauthenticatedError):
        authenticator.check(old, "predict")


def test_without_keys_anyone_may_call_until_the_first_key_exists(path: Path, clock: Clock) -> None:
    authenticator = Authenticator(path, clock=clock)
    assert authenticator.check(None, "admin").name == "anyone"

    create_key(path, "ci", ["predict"], now=NOW)
    clock.now = 1.0

    with pytest.raises(UnauthenticatedError):
        authenticator.check(None, "predict")


@pytest.mark.parametrize("lost", [lambda path: revoke_key(path, "ci"), lambda path: path.unlink()])
def test_losing_all_keys_closes_a_running_server_instead_of_opening_it(path: Path, clock: Clock, lost: object) -> None:
    secret = create_key(path, "ci", ["predict"], now=NOW).encode()
    authenticator = Authenticator(path, clock=clock)

    assert callable(lost)
    lost(path)
    clock.now = 1.0

    for header in (None, secret):
        with pytest.raises(UnauthenticatedError):
            authenticator.check(header, "predict")


def test_a_damaged_file_leaves_the_last_keys_in_force_and_is_logged(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    secret = create_key(path, "ci", ["predict"], now=NOW).encode()
    authenticator = Authenticator(path, clock=clock)

    path.write_bytes(b'{"keys": [')
    clock.now = 1.0

    assert authenticator.check(secret, "predict").name == "ci"
    assert [record.message for record in caplog.records] == ["keys_not_reloaded"]


@pytest.mark.parametrize("text", ["", "[]", '{"keys": [{"name": "a"}]}', "\ufeff", '{"kyes": []}'])
def test_a_damaged_file_stops_the_start(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)

    with pytest.raises(SetupError, match=r"api-keys\.json cannot be read"):
        Authenticator(path)


def test_a_file_others_may_read_is_warned_about(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    create_key(path, "ci", ["predict"], now=NOW)
    path.chmod(0o644)

    with caplog.at_level(logging.WARNING):
        Authenticator(path)

    assert [record.message for record in caplog.records] == ["key_file_readable_by_others"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_key(path: Path, host: str) -> None:
    require_safe(host, Authenticator(path))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "example.org", "localhost.example.org"])
def test_other_addresses_need_a_key(path: Path, host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(SetupError, match="understudy keys create"):
        require_safe(host, Authenticator(path))

    create_key(path, "ci", ["predict"], now=NOW)
    require_safe(host, Authenticator(path))


@pytest.mark.parametrize(
    ("name", "scopes", "text"),
    [
        ("ci", ["predict"], "a key named 'ci' already"),
        (" ", ["predict"], "cannot name a key"),
        ("a\n", ["predict"], "cannot name a key"),
        ("b", [], "without a scope"),
        ("b", ["predict", "root"], "no scope 'root': choose from predict"),
    ],
)
def test_a_key_that_cannot_be_made_says_why(path: Path, name: str, scopes: list[str], text: str) -> None:
    create_key(path, "ci", ["predict"], now=NOW)

    with pytest.raises(SetupError, match=text):
        create_key(path, name, scopes, now=NOW)  # type: ignore[arg-type]  # what a command line may pass


def test_revoking_an_unknown_key_names_the_known_ones(path: Path) -> None:
    create_key(path, "ci", ["predict"], now=NOW)

    with pytest.raises(SetupError, match="no key named 'cii'; keys: ci"):
        revoke_key(path, "cii")


def test_keys_made_at_once_are_all_kept(path: Path) -> None:
    threads = [
        threading.Thread(target=create_key, args=(path, str(i), ["predict"]), kwargs={"now": NOW}) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(key.name for key in list_keys(path)) == [str(i) for i in range(8)]


def test_the_file_is_json_a_person_can_read(path: Path) -> None:
    create_key(path, "ci", ["predict"], now=NOW)

    assert json.loads(path.read_text())["keys"][0]["created_at"] == "2026-11-21T00:00:00Z"


def test_the_memory_of_headers_is_bounded(path: Path) -> None:
    secret = create_key(path, "ci", ["predict"], now=NOW).encode()
    authenticator = Authenticator(path)

    for blanks in range(400):
        for form in (b"Bearer ", b"bearer ", b"BEARER ", b"bEARER "):
            authenticator.check(form + b" " * blanks + secret, "predict")

    assert len(authenticator._known_headers) <= 1024

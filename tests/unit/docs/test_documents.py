"""What the documents mention exists: files, scripts, commands and their options, settings, proofs, links."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from understudy.all_settings import all_settings
from understudy.cli.app import app

ROOT = Path(__file__).parents[3]
NAMES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/benchmarks.md")
FOLDERS = ("streaming", "versioning", "modeling", "serving", "understudy", "tests", "scripts", "docs", ".ci")
# Words in the form of a setting that are none.
NO_SETTINGS = {"SCHEMA_VERSION", "SCHED_IDLE", "API_KEY"}


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def code_spans(text: str) -> Iterator[str]:
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def code_lines(text: str) -> Iterator[str]:
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        yield from (line.partition(" #")[0].strip() for line in block.splitlines() if line.strip())


def commands(text: str) -> Iterator[list[str]]:
    for line in (*code_spans(text), *code_lines(text)):
        words = line.removeprefix(".venv/bin/").split()
        if words[:1] == ["understudy"] and len(words) > 1 and re.fullmatch(r"[a-z_]+", words[1]):
            yield words[1:]


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files(name: str) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", text_of(name))
    assert [link for link in links if not ((ROOT / name).parent / link).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_paths_and_modules_exist(name: str) -> None:
    text = text_of(name)
    spans = {span.split()[0].rstrip("/") for span in (*code_spans(text), *code_lines(text)) if span.split()}
    paths = [span for span in spans if span.split("/")[0] in FOLDERS and "/" in span and "*" not in span]
    assert paths or name in {"CHANGELOG.md", "docs/benchmarks.md"}
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_module_named_on_the_map_stands_in_its_folder() -> None:
    rows = re.findall(r"^\| `([a-z_/]+)/` \| (.*) \|$", text_of("ARCHITECTURE.md"), flags=re.MULTILINE)
    missing = [
        f"{folder}/{module}"
        for folder, words in rows
        for module in re.findall(r"`([a-z0-9_]+\.py)`", words)
        if not (ROOT / folder / module).exists()
    ]
    assert len(rows) > 8
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_their_options_exist(name: str) -> None:
    wrong = [" ".join(words) for words in commands(text_of(name)) if not command_exists(words)]
    assert wrong == []


def command_exists(words: list[str]) -> bool:
    known = get_command(app)
    while words and not words[0].startswith("-") and hasattr(known, "commands"):
        if words[0] not in known.commands:
            return False
        known, words = known.commands[words[0]], words[1:]
    options = {option for parameter in known.params for option in parameter.opts} | {"--help"}
    return all(word.partition("=")[0] in options for word in words if word.startswith("--"))


def test_a_command_that_does_not_exist_is_seen() -> None:
    assert not command_exists(["fly"])
    assert not command_exists(["keys", "borrow"])
    assert not command_exists(["status", "--colour"])
    assert command_exists(["keys", "create", "shop", "--scope", "predict"])


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_settings(name: str) -> None:
    known = {setting.name for setting in all_settings()} | NO_SETTINGS
    named = {
        match
        for span in (*code_spans(text_of(name)), *code_lines(text_of(name)))
        for match in re.findall(r"(?<![\w-])([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?![\w-])", span)
    }
    assert named - known == set()


def test_there_is_a_section_for_every_proof() -> None:
    proofs = re.findall(
        r'^    "([a-z-]+)": "', (ROOT / "tests/performance/prove/__main__.py").read_text(), re.MULTILINE
    )
    page = text_of("docs/benchmarks.md")
    assert proofs
    assert [proof for proof in proofs if f"<!-- prove:{proof} -->" not in page] == []
    assert [proof for proof in proofs if f"<!-- /prove:{proof} -->" not in page] == []


def test_the_default_ports_are_those_of_the_settings() -> None:
    defaults = {setting.name: setting.default for setting in all_settings()}
    text = text_of("README.md")
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", text)) == {str(defaults["API_PORT"]), str(defaults["MLFLOW_PORT"])}

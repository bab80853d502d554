from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from understudy.all_settings import SECTIONS, all_settings
from understudy.env_example import env_example

ROOT = Path(__file__).parents[3]


def test_env_example_is_what_the_settings_say() -> None:
    written = (ROOT / ".env.example").read_text(encoding="utf-8")

    assert written == env_example(), "run: python -m understudy.env_example"


def test_every_setting_is_explained_in_a_sentence() -> None:
    unexplained = [setting.name for setting in all_settings() if not setting.description.strip().endswith(".")]

    assert unexplained == []


def test_one_name_has_one_default_everywhere() -> None:
    defaults: dict[str, set[str]] = {}
    for _, settings in SECTIONS:
        for name, value in settings.model_construct().model_dump().items():
            written = ",".join(value) if isinstance(value, tuple) else str(value)
            defaults.setdefault(name, set()).add(written)

    assert {name: values for name, values in defaults.items() if len(values) > 1} == {}


def test_the_defaults_uncommented_are_the_defaults() -> None:
    lines = [
        line.removeprefix("#") if line.startswith("#") and "=" in line else "" for line in env_example().splitlines()
    ]
    values = dotenv_values(stream=StringIO("\n".join(line for line in lines if line[:1].isupper())))

    for setting in all_settings():
        assert values[setting.name] == setting.default

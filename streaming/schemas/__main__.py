"""Writes the schemas; refuses to change one incompatibly."""

import sys
from pathlib import Path

from streaming.schemas import FOLDER, committed, generated, incompatibilities, text


def main(folder: Path = FOLDER) -> int:
    """Returns 0 when the files are up to date, 1 when they would change incompatibly (nothing is written then)."""
    kept = committed(folder)
    new = generated()
    problems = [
        f"{name}: {problem}"
        for name, schema in new.items()
        for problem in incompatibilities(kept.get(name, {}), schema)
    ]
    if problems:
        sys.stderr.write(
            "\n".join([*problems, "raise SCHEMA_VERSION in streaming/events.py, or keep the fields"]) + "\n"
        )
        return 1
    for name, schema in new.items():
        (folder / name).write_text(text(schema), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

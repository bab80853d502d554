"""What a person sees while something takes its time: one line per thing done, a bar where there is a terminal."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn


class Story:
    """Lines, warnings and bars on standard output; without a terminal a bar becomes a line per step.

    `to_stderr` keeps standard output for JSON.
    """

    def __init__(self, *, to_stderr: bool = False) -> None:
        self._console = Console(file=sys.stderr if to_stderr else sys.stdout, highlight=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """Prints a line at once."""
        self._console.print(line, markup=False)
        self._console.file.flush()

    def warn(self, line: str) -> None:
        """Prints a line that asks for attention."""
        self._console.print(f"! {line}", style="yellow", markup=False)
        self._console.file.flush()

    def bar(self, text: str, total: float = 1.0) -> "Bar":
        """A bar for as long as the `with` block lasts."""
        return Bar(self._console, text, total)


class Bar:
    """How far one thing is."""

    def __init__(self, console: Console, text: str, total: float) -> None:
        self._console = console
        self._text = text
        self._total = total
        self._said = ""
        self._task: TaskID | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        if not self._console.is_terminal:
            self._console.print(self._text, markup=False)
            self._console.file.flush()
        self._progress.start()
        self._task = self._progress.add_task(self._text, total=self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def to(self, done: float, text: str = "") -> None:
        """Moves the bar to `done` of the total, and says what is being done now."""
        assert self._task is not None
        description = f"{self._text}: {text}" if text else self._text
        self._progress.update(self._task, completed=done, description=description)
        if text and text != self._said and not self._console.is_terminal:
            self._console.print(f"  {text}", markup=False)
            self._console.file.flush()
        self._said = text

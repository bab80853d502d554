"""The command `understudy`: one module per command or small group of commands.

    app        the commands and their help texts; imports nothing of ours until a command runs
    output     tables, --json, problems and exit codes
    (others)   one command each; they may import what they need, for nobody else pays

Rule: reads settings, calls the applications, prints. Exit codes: 0 fine, 1 callers are affected or a check failed,
2 the command cannot be carried out as given.
"""

import sys


def main() -> int:
    """Entry point of `understudy` and `python -m understudy`."""
    if sys.argv[1:2] == ["run"] and len(sys.argv) > 2 and not sys.argv[2].startswith("-"):
        return _run(sys.argv[2], sys.argv[3:])
    from understudy.cli.app import run_command

    return run_command()


def _run(role: str, arguments: list[str]) -> int:
    from understudy.cli.problems import explain
    from understudy.run import run_role

    try:
        return run_role(role, arguments)
    except Exception as error:  # noqa: BLE001 - the outermost guard: ours are told in words, any other goes on
        return explain(error)

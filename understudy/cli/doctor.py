"""doctor: one line per thing that must be right, with its fix."""

from understudy.cli.output import print_table
from understudy.doctor import examine


def show(*, as_json: bool) -> int:
    """Prints every check, the failed first; 1 when one failed."""
    checks = sorted(examine(), key=lambda check: check.ok)
    rows = [
        {
            "check": check.name,
            "ok": "yes" if check.ok else "NO",
            "found": check.found,
            "fix": "" if check.ok else check.fix,
        }
        for check in checks
    ]
    print_table(rows, as_json=as_json, empty="")
    return 0 if all(check.ok for check in checks) else 1

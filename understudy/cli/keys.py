"""keys: who may call the API, and what they may do."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from serving.key_file import Scope, create_key, list_keys, revoke_key
from serving.settings import ServingSettings
from understudy.cli.output import print_json, print_table
from understudy.story import Story


def create(name: str, scopes: Sequence[str], *, as_json: bool) -> int:
    """Makes a key and prints its secret, this once."""
    path = ServingSettings().keys_file
    first = not list_keys(path)
    secret = create_key(path, name, cast("Sequence[Scope]", scopes), now=datetime.now(UTC))
    story = Story(to_stderr=True)
    if as_json:
        print_json({"name": name, "scopes": list(scopes), "key": secret})
    else:
        Story().say(secret)
        story.say("Keep it now: it is stored as a digest only and cannot be shown again.")
        story.say(f"Use it: -H 'authorization: Bearer {secret[:6]}…'")
    if first:
        story.say("It is the first key: within a second calls without one are refused.")
    return 0


def show(*, as_json: bool) -> int:
    """Prints the keys' names and scopes."""
    rows = [
        {"name": key.name, "scopes": list(key.scopes), "created": key.created_at}
        for key in list_keys(ServingSettings().keys_file)
    ]
    print_table(
        rows, as_json=as_json, empty="No keys: on loopback anyone may call. Make one: understudy keys create NAME"
    )
    return 0


def revoke(name: str) -> int:
    """Takes a key away."""
    path = ServingSettings().keys_file
    revoke_key(path, name)
    story = Story()
    story.say(f"Revoked {name}: running workers refuse it within a second.")
    if not list_keys(path):
        story.say("It was the last key: running workers refuse everybody until you make another or start them again.")
    return 0

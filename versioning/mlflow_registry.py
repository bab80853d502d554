"""MlflowRegistry: Registry on an MLflow 3 server, or on a database file of its own."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from versioning.errors import ConflictError, NotFoundError
from versioning.mlflow_edge import active_store, open_client, translated
from versioning.registry import REASON_MAX_CHARACTERS, ModelVersion, RoleChange, check_alias, check_model_name
from versioning.settings import VersioningSettings

_log = logging.getLogger("understudy.versioning")
_PAGE = 200
_CHANGE_KEY = "understudy.change."


class MlflowRegistry:
    """Thread-safe, as MlflowClient is."""

    def __init__(self, settings: VersioningSettings) -> None:
        self._settings = settings
        self._client = open_client(settings)

    def models(self) -> list[str]:
        with translated(self._settings):
            found = _all_pages(lambda token: self._client.search_registered_models(max_results=_PAGE, page_token=token))
            return sorted(model.name for model in found)

    def versions(self, model_name: str) -> list[ModelVersion]:
        self._model(model_name)
        condition = f"name='{model_name}'"
        with translated(self._settings, f"model {model_name!r}"):
            found = _all_pages(
                lambda token: self._client.search_model_versions(condition, max_results=_PAGE, page_token=token)
            )
            return sorted(map(_version, found), key=lambda version: int(version.model_version))

    def version(self, model_name: str, model_version: str) -> ModelVersion:
        what = f"model {model_name!r} version {model_version!r}"
        if not model_version.isdecimal():
            raise NotFoundError(f"{what}: versions are numbers")
        with translated(self._settings, what):
            return _version(self._client.get_model_version(model_name, model_version))

    def aliases(self, model_name: str) -> Mapping[str, str]:
        return {alias: str(version) for alias, version in self._model(model_name).aliases.items()}

    def register(
        self, model_name: str, source: str, *, run_id: str | None = None, tags: Mapping[str, str] | None = None
    ) -> ModelVersion:
        check_model_name(model_name)
        self._create_model(model_name)
        with translated(self._settings, f"model {model_name!r}"), active_store(self._settings):
            created = self._client.create_model_version(
                model_name, source, run_id=run_id, tags=dict(tags or {}), model_id=_logged_model_id(source)
            )
            return _version(created)

    def set_alias(self, model_name: str, alias: str, model_version: str) -> None:
        check_alias(alias)
        # MLflow itself lets an alias point to a version that is not there.
        self.version(model_name, model_version)
        with translated(self._settings, f"model {model_name!r}"):
            self._client.set_registered_model_alias(model_name, alias, model_version)

    def delete_alias(self, model_name: str, alias: str) -> None:
        if alias in self.aliases(model_name):
            with translated(self._settings, f"model {model_name!r}"):
                self._client.delete_registered_model_alias(model_name, alias)

    def record_change(self, model_name: str, change: RoleChange) -> None:
        self._model(model_name)
        at = change.at.astimezone(UTC)
        key = f"{_CHANGE_KEY}{at:%Y%m%dT%H%M%S.%f}.{uuid4().hex[:8]}"
        value = {
            "at": at.isoformat(),
            "model_version": change.model_version,
            "kind": change.kind,
            "reason": change.reason[:REASON_MAX_CHARACTERS],
        }
        with translated(self._settings, f"model {model_name!r}"):
            self._client.set_registered_model_tag(model_name, key, json.dumps(value))

    def history(self, model_name: str) -> list[RoleChange]:
        return list(_changes(self._model(model_name).tags))

    def _model(self, model_name: str) -> Any:
        with translated(self._settings, f"model {model_name!r}"):
            return self._client.get_registered_model(model_name)

    def _create_model(self, model_name: str) -> None:
        try:
            self._model(model_name)
        except NotFoundError:
            try:
                with translated(self._settings, f"model {model_name!r}"):
                    self._client.create_registered_model(model_name)
            except ConflictError:
                return  # somebody else was quicker: it is there


def _all_pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = search(token)
        yield from page
        token = page.token
        if not token:
            return


def _version(found: Any) -> ModelVersion:
    return ModelVersion(
        model_name=found.name,
        model_version=str(found.version),
        source=found.source or "",
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        run_id=found.run_id or None,
        tags=dict(found.tags or {}),
    )


def _logged_model_id(source: str) -> str | None:
    name = source.removeprefix("models:/")
    return name if name != source and name.startswith("m-") and "/" not in name else None


def _changes(tags: Mapping[str, str]) -> Iterator[RoleChange]:
    for key in sorted(key for key in tags if key.startswith(_CHANGE_KEY)):
        try:
            yield _change(json.loads(tags[key]))
        except (ValueError, KeyError, TypeError):
            # Somebody edited it by hand: one unreadable change must not block every promotion from then on.
            _log.warning("unreadable_role_change", extra={"tag": key})


def _change(value: Mapping[str, Any]) -> RoleChange:
    at = datetime.fromisoformat(value["at"])
    return RoleChange(at, value["model_version"], value["kind"], value.get("reason", ""))

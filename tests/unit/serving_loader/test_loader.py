from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any, Literal

import msgspec
import pytest

from serving.bundle import Bundle, LatencyProfile, RoleTable, read_role_table
from serving.loader.builds import Builds
from serving.loader.loader import Loader, LoaderParts
from serving.loader.shelf import Shelf
from serving.loader.specs import ModelSpec
from serving.signature import Column, Signature
from versioning.errors import ArtifactError, ForbiddenModelError, RegistryUnavailableError
from versioning.memory import MemoryRegistry
from versioning.registry import ModelVersion, Registry

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class AtOnce(Executor):
    """Runs a build when it is asked for, or when `release` is called."""

    def __init__(self) -> None:
        self.held: list[Callable[[], None]] | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 a future holds whatever was raised
                future.set_exception(error)

        if self.held is None:
            run()
        else:
            self.held.append(run)
        return future

    def release(self) -> None:
        held, self.held = self.held or [], None
        for run in held:
            run()


class Processes:
    def __init__(self) -> None:
        self.kept: set[Path] = set()
        self.alive = True
        self.ended = 0

    def keep(self, bundles: set[Path], /) -> None:
        self.kept = bundles

    def ready(self, folder: Path, /) -> bool:
        return self.alive and folder in self.kept

    def failures(self, folder: Path, /) -> int:
        return self.ended


@dataclass
class World:
    folder: Path
    registry: MemoryRegistry = field(default_factory=lambda: MemoryRegistry(lambda: NOW))
    executor: AtOnce = field(default_factory=AtOnce)
    processes: Processes = field(default_factory=Processes)
    errors: dict[str, Exception] = field(default_factory=dict)
    engines: dict[str, Literal["onnx", "process"]] = field(default_factory=dict)
    built: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    down: bool = False
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.folder)
        for run in ("a", "b", "c"):
            self.registry.register("churn", "models:/x", run_id=run)
        self.registry.set_alias("churn", "production", "1")
        self.loader = self.new_loader()

    def new_loader(self, spec: ModelSpec | None = None, keep_unused: int = 5) -> Loader:
        parts = LoaderParts(
            registry=self.open,
            shelf=self.shelf,
            builds=Builds(self.build, self.executor, Event()),
            processes=self.processes,
            report_change=lambda registry, name, version: self.seen.append(version),
        )
        specs = [spec or ModelSpec("churn", "production")]
        return Loader(specs, parts, shadow_aliases=("shadow",), keep_unused=keep_unused)

    def open(self) -> Registry:
        if self.down:
            raise RegistryUnavailableError("down")
        return self.registry

    def build(self, version: ModelVersion) -> None:
        self.built.append(version.model_version)
        if version.model_version in self.errors:
            raise self.errors[version.model_version]
        engine = self.engines.get(version.model_version, "onnx")
        with self.shelf.draft("churn") as draft:
            bundle = Bundle(
                model_name="churn",
                model_version=version.model_version,
                digest=version.model_version * 64,
                engine=engine,
                task="regressor",
                signature=Signature((Column("x", "float"),)),
                example={"x": 1.0},
                latency=LatencyProfile({}),
                created_at=self.now,
                run_id=version.run_id,
            )
            (draft / "out").mkdir()
            (draft / "out" / "bundle.json").write_bytes(msgspec.json.encode(bundle))
            (draft / "out" / ("model.onnx" if engine == "onnx" else "model")).write_bytes(b"model")
            self.shelf.put(draft / "out")

    def poll(self, seconds: float = 5.0) -> RoleTable:
        self.now += timedelta(seconds=seconds)
        self.loader.poll(self.now)
        self.loader.settle(self.now)
        return self.table()

    def table(self) -> RoleTable:
        table = read_role_table(self.folder / "churn")
        assert table is not None
        return table

    def roles(self) -> dict[str, str]:
        return {role: entry.model_version for role, entry in self.table().roles.items()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_promotion_and_the_way_back_are_published_without_building_again(world: World) -> None:
    world.registry.set_alias("churn", "shadow", "2")
    world.poll()
    assert world.roles() == {"production": "1", "shadow": "2"}

    world.registry.set_alias("churn", "production", "2")
    world.registry.set_alias("churn", "shadow", "1")
    world.poll()
    assert world.roles() == {"production": "2", "shadow": "1"}

    world.registry.set_alias("churn", "production", "1")
    world.registry.delete_alias("churn", "shadow")
    table = world.poll()
    assert world.roles() == {"production": "1"}
    assert sorted(world.built) == ["1", "2"]
    assert table.generation == 3


def test_nothing_new_publishes_nothing(world: World) -> None:
    first = world.poll()

    assert world.poll() == first


@pytest.mark.parametrize(
    ("error", "error_type"),
    [(ForbiddenModelError("set ALLOW_PICKLE=churn"), "forbidden_model"), (ArtifactError("corrupt"), "artifact")],
)
def test_a_version_that_fails_leaves_the_old_one_and_says_why(world: World, error: Exception, error_type: str) -> None:
    world.poll()
    world.errors["2"] = error

    world.registry.set_alias("churn", "production", "2")
    table = world.poll()

    assert world.roles() == {"production": "1"}
    assert [(problem.role, problem.model_version, problem.error_type) for problem in table.problems] == [
        ("production", "2", error_type)
    ]
    assert table.problems[0].message == str(error)


def test_a_failed_version_is_tried_again_with_growing_pauses_and_is_no_news_each_time(world: World) -> None:
    world.poll()
    world.errors["2"] = ArtifactError("corrupt")
    world.registry.set_alias("churn", "production", "2")
    first = world.poll()

    for _ in range(22):
        world.poll(5.0)

    assert world.built.count("2") == 4  # at once, then after 15, 30 and 60 s, when a poll comes by
    assert world.table() == first

    del world.errors["2"]
    world.poll(600)
    assert world.roles() == {"production": "2"}
    assert world.table().problems == []


def test_one_failing_role_does_not_hold_back_the_others(world: World) -> None:
    world.registry.set_alias("churn", "shadow", "2")
    world.errors["2"] = ArtifactError("corrupt")

    table = world.poll()

    assert world.roles() == {"production": "1"}
    assert [problem.role for problem in table.problems] == ["shadow"]


def test_a_compiled_version_goes_live_while_another_compiles(world: World) -> None:
    world.registry.set_alias("churn", "shadow", "2")
    world.poll()
    world.executor.held = []
    world.registry.set_alias("churn", "shadow", "3")
    world.registry.set_alias("churn", "production", "2")

    world.poll()
    assert world.roles() == {"production": "2", "shadow": "2"}

    world.executor.release()
    world.loader.settle(world.now)
    assert world.roles() == {"production": "2", "shadow": "3"}


def test_with_the_registry_down_a_restarted_loader_keeps_what_is_published(world: World) -> None:
    before = world.poll()
    world.down = True
    world.loader = world.new_loader()
    world.loader.resume(world.now)

    assert world.poll() == before


def test_a_registry_that_fails_later_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.poll()

    def fail(_name: str) -> dict[str, str]:
        raise RegistryUnavailableError("timed out")

    monkeypatch.setattr(world.registry, "aliases", fail)

    assert world.poll() == before


def test_a_removed_production_alias_keeps_answering_and_is_a_problem(world: World) -> None:
    world.poll()
    world.registry.delete_alias("churn", "production")

    table = world.poll()

    assert world.roles() == {"production": "1"}
    assert [problem.error_type for problem in table.problems] == ["no_production"]


def test_an_unknown_model_is_a_problem_not_a_crash(world: World) -> None:
    world.loader = world.new_loader(ModelSpec("nobody", "production"))

    world.loader.poll(world.now)

    table = read_role_table(world.folder / "nobody")
    assert table is not None
    assert [problem.error_type for problem in table.problems] == ["not_found"]


def test_a_fixed_version_ignores_the_alias(world: World) -> None:
    world.loader = world.new_loader(ModelSpec("churn", "production", "3"))

    world.poll()

    assert world.roles() == {"production": "3"}


def test_a_process_bundle_is_published_once_its_process_answers(world: World) -> None:
    world.poll()
    world.engines["2"] = "process"
    world.processes.alive = False
    world.registry.set_alias("churn", "production", "2")

    world.poll()
    assert world.roles() == {"production": "1"}
    assert {folder.name for folder in world.processes.kept} == {"2-222222222222"}

    world.processes.ended = 1
    assert [problem.error_type for problem in world.poll().problems] == ["model_process"]

    world.processes.alive = True
    world.poll()
    assert world.roles() == {"production": "2"}
    assert world.table().problems == []


def test_a_published_process_that_restarts_changes_no_role(world: World) -> None:
    world.engines["1"] = "process"
    world.poll()
    world.poll()
    before = world.table()
    assert world.roles() == {"production": "1"}

    world.processes.alive = False
    world.processes.ended = 3

    assert world.poll() == before


def test_the_old_process_outlives_the_swap_until_workers_have_seen_it(world: World) -> None:
    world.engines["1"] = "process"
    world.poll()
    world.poll()
    world.registry.set_alias("churn", "production", "2")

    world.poll()
    assert {folder.name for folder in world.processes.kept} == {"1-111111111111"}

    world.poll(60)
    assert world.processes.kept == set()


def test_unused_bundles_beyond_the_newest_few_are_deleted(world: World) -> None:
    world.loader = world.new_loader(keep_unused=1)
    for version in ("1", "2", "3"):
        world.registry.set_alias("churn", "production", version)
        world.poll(60)
    assert len(list((world.folder / "churn").glob("[0-9]*"))) == 3  # workers may still be asking the second
    world.poll(60)

    assert sorted(path.name for path in (world.folder / "churn").glob("[0-9]*")) == ["2-222222222222", "3-333333333333"]


def test_a_model_registered_anew_under_an_old_number_is_not_mistaken_for_the_old_one(world: World) -> None:
    world.poll()
    world.registry = MemoryRegistry(lambda: NOW)
    world.registry.register("churn", "models:/y", run_id="another")
    world.registry.set_alias("churn", "production", "1")
    world.errors["1"] = ArtifactError("not the digest seen first")
    world.loader = world.new_loader()

    table = world.poll()

    assert world.roles() == {"production": "1"}
    assert [problem.message for problem in table.problems] == ["not the digest seen first"]


def test_a_damaged_bundle_is_built_again(world: World) -> None:
    world.poll()
    (world.folder / "churn" / "1-111111111111" / "bundle.json").write_bytes(b"{")
    world.loader = world.new_loader()
    world.loader.resume(world.now)

    world.poll()

    assert world.built == ["1", "1"]
    assert world.shelf.find("churn", "1") is not None


def test_leftovers_of_a_killed_build_are_swept(world: World) -> None:
    world.poll()
    left = world.folder / "churn" / ".draft-1234"
    left.mkdir()

    world.new_loader().resume(world.now)

    assert not left.exists()

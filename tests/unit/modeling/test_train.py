"""From a request to a registered version, over the twins of runs and registry."""

from itertools import pairwise
from pathlib import Path

import pytest

from modeling.datasets.dataset import Dataset
from modeling.errors import RequestError
from modeling.first_models import FIRST_MODEL_TAG, first_models_wanted, train_first_models
from modeling.fit import Recipe
from modeling.split import Months
from modeling.train import TrainRequest, train, train_on
from versioning.errors import RegistryUnavailableError
from versioning.memory import MemoryRegistry
from versioning.memory_tracking import MemoryTracking
from versioning.profile import decode
from versioning.tracking import (
    DATASET_TAG,
    MODEL_KIND_TAG,
    PROFILE_FILE,
    TARGET_TAG,
    TASK_TAG,
    TRAINED_FROM_TAG,
    TRAINED_UNTIL_TAG,
)


def test_a_trained_model_is_a_candidate_with_everything_about_it_on_record() -> None:
    tracking, registry = MemoryTracking(), MemoryRegistry()
    trained = train(TrainRequest("iris", Recipe("logistic", seed=3)), tracking, registry)
    assert trained.version == registry.version("iris", "1")
    assert registry.aliases("iris") == {}
    assert trained.version.run_id is not None
    run = tracking.read_run(trained.version.run_id)
    assert run.metrics == trained.metrics
    assert run.metrics["evaluation_accuracy_low"] < run.metrics["evaluation_accuracy"]
    assert (run.params["model"], run.params["seed"], run.params["train_rows"]) == ("logistic", "3", "90")
    assert (run.tags[DATASET_TAG], run.tags[TARGET_TAG], run.tags[TASK_TAG]) == ("iris", "target", "classifier")
    assert TRAINED_UNTIL_TAG not in run.tags
    content = tracking.read_file(trained.version.run_id, PROFILE_FILE, limit_bytes=10**7)
    assert content is not None
    assert decode(content) == trained.fitted.profile


def test_flights_are_trained_by_months_and_say_until_when(flights: Dataset) -> None:
    tracking, registry = MemoryTracking(), MemoryRegistry()
    tenth = flights.with_frame(flights.frame.iloc[::10])
    months = Months(train=("2013-04",), val=("2013-05",), test=("2013-06",))
    trained = train_on(tenth, TrainRequest("flights", Recipe("logistic"), months), tracking, registry)
    assert trained.version.tags[TRAINED_FROM_TAG].startswith("2013-04-01T")
    assert trained.version.tags[TRAINED_UNTIL_TAG].startswith("2013-06-30T23")
    assert trained.metrics["evaluation_accuracy"] > 0.85
    profile = trained.fitted.profile
    assert profile.last_event_time is not None
    assert profile.last_event_time.month == 4
    assert profile.features[3].phi_by_rows


def test_a_role_is_given_only_when_asked() -> None:
    registry = MemoryRegistry()
    request = TrainRequest("iris", Recipe("forest"), model_name="flowers", as_role="shadow")
    trained = train(request, MemoryTracking(), registry)
    assert registry.aliases("flowers") == {"shadow": trained.version.model_version}
    assert trained.role == "shadow"


def test_a_csv_is_trained_on_by_its_target(tmp_path: Path) -> None:
    path = tmp_path / "churn.csv"
    rows = "".join(f"{number},{'ab'[number % 2]},{'yes' if number % 2 else 'no'}\n" for number in range(60))
    path.write_text("age,plan,churned\n" + rows)
    trained = train(TrainRequest(str(path), Recipe("logistic"), target="churned"), MemoryTracking(), MemoryRegistry())
    assert trained.version.model_name == "churn"
    assert trained.metrics["evaluation_accuracy"] == 1.0


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (TrainRequest("titanic", Recipe("logistic")), "flights, iris"),
        (TrainRequest("iris", Recipe("svm")), "logistic, forest, boosting"),
        (TrainRequest("iris", Recipe("logistic"), target="species"), "'target', not 'species'"),
        (TrainRequest("iris", Recipe("logistic"), Months(train=("2013-01",))), "no event time"),
    ],
)
def test_what_is_not_there_is_refused_with_the_choices_and_leaves_nothing_behind(
    request_: TrainRequest, says: str
) -> None:
    registry = MemoryRegistry()
    with pytest.raises(RequestError, match=says):
        train(request_, MemoryTracking(), registry)
    assert registry.models() == []


def test_the_first_models_get_production_and_shadow(few_flights: Dataset) -> None:
    tracking, registry = MemoryTracking(), MemoryRegistry()
    told: list[float] = []
    made = train_first_models(tracking, registry, progress=lambda fraction, _text: told.append(fraction))
    assert [version.tags[MODEL_KIND_TAG] for version in made] == ["logistic", "boosting"]
    assert registry.aliases("flights") == {"production": "1", "shadow": "2"}
    assert all(early <= late for early, late in pairwise(told))
    assert (told[0], told[-1]) == (0.0, 1.0)
    assert train_first_models(tracking, registry) == []


def test_a_start_cut_off_before_the_first_role_was_given_does_not_train_twice(few_flights: Dataset) -> None:
    tracking, registry = MemoryTracking(), MemoryRegistry()
    request = TrainRequest("flights", Recipe("logistic"), tags={FIRST_MODEL_TAG: "true"})
    train_on(few_flights, request, tracking, registry)
    assert first_models_wanted(registry)
    made = train_first_models(tracking, registry)
    assert [version.tags[MODEL_KIND_TAG] for version in made] == ["boosting"]
    assert registry.aliases("flights") == {"production": "1", "shadow": "2"}


def test_a_role_taken_away_stays_away(few_flights: Dataset) -> None:
    tracking, registry = MemoryTracking(), MemoryRegistry()
    train_first_models(tracking, registry)
    registry.delete_alias("flights", "shadow")
    assert not first_models_wanted(registry)
    assert train_first_models(tracking, registry) == []


class _CutOff(MemoryRegistry):
    """Ends the first start when its second version is to be registered."""

    cut = True

    def register(self, model_name: str, source: str, *, run_id=None, tags=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 -- as inherited
        if self.cut and model_name in self.models():
            self.cut = False
            raise RegistryUnavailableError("gone")
        return super().register(model_name, source, run_id=run_id, tags=tags)


def test_a_start_cut_off_between_the_models_goes_on_with_the_second(few_flights: Dataset) -> None:
    tracking, registry = MemoryTracking(), _CutOff()
    with pytest.raises(RegistryUnavailableError):
        train_first_models(tracking, registry)
    made = train_first_models(tracking, registry)
    assert [version.tags[MODEL_KIND_TAG] for version in made] == ["boosting"]
    assert registry.aliases("flights") == {"production": "1", "shadow": "2"}


@pytest.mark.parametrize("model_name", ["flights", "churn"])
def test_a_registry_with_somebodys_models_is_left_alone(model_name: str) -> None:
    registry = MemoryRegistry()
    registry.register(model_name, "s3://somewhere")
    assert not first_models_wanted(registry)
    assert train_first_models(MemoryTracking(), registry) == []
    assert registry.aliases(model_name) == {}

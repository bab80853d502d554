"""train: one model from the zoo, logged in a run and registered."""

from modeling.fit import Recipe
from modeling.split import Months
from modeling.train import TrainedVersion, TrainRequest, train
from understudy.cli.output import print_json, print_table
from understudy.story import Story
from versioning.connect import open_registry, open_tracking
from versioning.settings import VersioningSettings

__all__ = ["Months", "Recipe", "TrainRequest", "train_model"]


def train_model(request: TrainRequest, *, as_json: bool) -> int:
    """Trains with a bar, then prints the version and its figures."""
    settings, story = VersioningSettings(), Story(to_stderr=as_json)
    with story.bar("Training") as bar:
        bar.to(0.0, "Opening the registry")
        trained = train(request, open_tracking(settings), open_registry(settings), bar.to)
    if as_json:
        print_json(_document(trained))
    else:
        _tell(trained, story)
    return 0


def _document(trained: TrainedVersion) -> dict[str, object]:
    return {
        "model": trained.version.model_name,
        "version": trained.version.model_version,
        "role": trained.role,
        "run": trained.version.run_id,
        "metrics": dict(trained.metrics),
    }


def _tell(trained: TrainedVersion, story: Story) -> None:
    version = trained.version
    role = trained.role or "a candidate: nobody is answered by it yet"
    story.say(f"{version.model_name} version {version.model_version} is registered ({role}).\n")
    print_table(_figures(trained), as_json=False, empty="")
    if trained.role is None:
        story.say(f"\nLet it answer: understudy promote {version.model_name} {version.model_version}")


def _figures(trained: TrainedVersion) -> list[dict[str, object]]:
    """The metrics of the test part, each with its interval."""
    metrics, prefix = trained.metrics, "evaluation_"
    names = [name for name in metrics if name.startswith(prefix) and not name.endswith(("_low", "_high"))]
    return [
        {
            "metric": name.removeprefix(prefix),
            "test": metrics[name],
            "low": metrics.get(f"{name}_low"),
            "high": metrics.get(f"{name}_high"),
        }
        for name in names
    ]

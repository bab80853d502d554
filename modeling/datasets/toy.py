"""iris, breast_cancer, diabetes: small tables that come with scikit-learn; they have no time."""

from typing import Any

import pandas as pd

from modeling.datasets.dataset import Dataset, Task


def load_iris() -> Dataset:
    """Three kinds of iris by four measurements, 150 rows."""
    from sklearn.datasets import load_iris as load  # noqa: PLC0415 -- scikit-learn takes a second to import

    return _dataset(load(as_frame=True), "iris", "Which of three irises is it, by petals and sepals?", "classifier")


def load_breast_cancer() -> Dataset:
    """569 tumours by thirty measurements."""
    from sklearn.datasets import load_breast_cancer as load  # noqa: PLC0415 -- as above

    return _dataset(load(as_frame=True), "breast_cancer", "Is the tumour malignant (0) or benign (1)?", "classifier")


def load_diabetes() -> Dataset:
    """442 patients by ten measurements; the target is a number."""
    from sklearn.datasets import load_diabetes as load  # noqa: PLC0415 -- as above

    return _dataset(load(as_frame=True), "diabetes", "How far has the disease gone after one year?", "regressor")


def _dataset(bunch: Any, name: str, description: str, task: Task) -> Dataset:
    frame: pd.DataFrame = bunch.frame
    names = tuple(str(label) for label in bunch.target_names) if task == "classifier" else ()
    return Dataset(
        name=name,
        description=description,
        frame=frame,
        target="target",
        task=task,
        features=tuple(frame.columns.drop("target")),
        class_names=names,
    )

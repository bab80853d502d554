"""How much of a model's answers rests on each feature."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_MOST_ROWS = 2_000
_LEAST_ROWS = 200
# Rows times features: bounds the time, whatever the width of the data.
_MOST_CELLS = 60_000
_SMALLEST_PROBABILITY = 1e-15


def permutation_importance(model: Any, x: pd.DataFrame, y: NDArray[Any], *, seed: int) -> dict[str, float]:
    """Rise of the mean loss when one column's values are dealt out anew (Breiman, 2001); below 0 is noise.

    The loss is the log-loss where the model has probabilities, else the share of wrong labels, and the
    squared error for regressors. At most 2,000 rows are used, fewer for wide data.

    Args:
        model: A fitted scikit-learn model.
        x: Rows the model was not trained on.
        y: Their truth; rows of a class the model never saw are left out.
        seed: Of the sample and the deal.
    """
    random = np.random.default_rng(seed)
    if hasattr(model, "classes_"):
        known = np.isin(y, model.classes_)
        x, y = x[known], y[known]
    rows = min(len(x), _MOST_ROWS, max(_LEAST_ROWS, _MOST_CELLS // max(x.shape[1], 1)))
    chosen = random.permutation(len(x))[:rows]
    x, y = x.iloc[chosen], y[chosen]
    if not rows:
        return {}
    before = _loss(model, x, y)
    return {str(name): _loss(model, _dealt(x, name, random), y) - before for name in x.columns}


def _dealt(x: pd.DataFrame, name: str, random: np.random.Generator) -> pd.DataFrame:
    return x.assign(**{str(name): x[name].iloc[random.permutation(len(x))].set_axis(x.index)})


def _loss(model: Any, x: pd.DataFrame, y: NDArray[Any]) -> float:
    if not hasattr(model, "classes_"):
        return float(np.mean((model.predict(x) - y) ** 2))
    if not hasattr(model, "predict_proba"):
        return float(np.mean(model.predict(x) != y))
    chosen = model.predict_proba(x)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return float(-np.log(np.maximum(chosen, _SMALLEST_PROBABILITY)).mean())

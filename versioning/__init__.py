"""Which model is what: versions, roles by alias, runs, artifacts, trust, reference profiles.

    registry     Registry: the protocol; memory is its twin, mlflow_registry the real one
    roles        who is production and shadow, promote, roll back (pure over Registry)
    tracking     runs: parameters, metrics, files and models of a training; memory_tracking, mlflow_tracking
    connect      opens the registry and the runs the settings name
    artifacts    a version's files, fetched by boto3 (s3) or from disk, digested and pinned (pins)
    mlmodel      what a model says about itself, read without mlflow
    trust        what may be loaded: skops types, pickle by permission; mlflow_pyfunc for what only MLflow loads
    profile      the reference profile of a model's training data (pure numpy)

Rule: imports nothing of ours, and one client library per adapter module; mlflow only in mlflow_*, boto3 in s3.
"""

"""Which model is what: versions, roles by alias, runs, artifacts, trust, reference profiles.

    registry     Registry: the protocol; memory is its twin, mlflow_registry the real one
    tracking     runs: parameters, metrics and files of a training
    artifacts    a model's files, fetched by boto3 (s3://) or from disk
    trust        what may be loaded: digests, skops types, pickle by permission
    profile      the reference profile of a model's training data (pure numpy)

Rule: imports nothing of ours, and one client library per adapter module.
"""

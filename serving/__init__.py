"""Answers requests with the production model, and records every answer.

    app          FastAPI: routes, OpenAPI, errors → HTTP;  fast_path  the same answers without its overhead
    predict      the hot path: decode → one matrix a tick → append → answer
    protocol/    bodies in, bodies out: flat, records, split, V2 (pure)
    signature    typed rows and field errors (pure);  rows  what an engine is given and gives back
    engines/     onnx in this process, `process` for what is not ONNX
    bundle       a compiled model on disk and the role table that points to it
    loader       registry → bundle;  compile  sklearn → ONNX, with the proof that both answer alike
    shadow       reads the log, answers again with another version
    auth limits  who may call, and how much

Rule: imports streaming and versioning only. API workers never import mlflow, sklearn or skops.
"""

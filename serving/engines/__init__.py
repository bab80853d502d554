"""What runs a model: `onnx` in this process, `process` behind a socket."""

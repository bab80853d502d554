"""What can go wrong while a model is compiled.

CompileError              the model cannot be served at all; the old bundle stays
└── CompileTimeoutError   the child took too long and was ended

NotConvertibleError       no proven ONNX form; the engine `process` serves the original (its message is the reason)
"""


class CompileError(Exception):
    """The model cannot be loaded, cannot answer its own example, or its bundle cannot be written."""

    error_type: str = "compile"


class CompileTimeoutError(CompileError):
    """The compile child did not end in time."""

    error_type = "compile_timeout"


class NotConvertibleError(Exception):
    """The model has no ONNX form that answers alike; says why, in words for the user."""

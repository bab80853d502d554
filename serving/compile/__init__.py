"""A logged model → a bundle folder, with the proof that both answer alike. Runs in a child process.

    child        the parent's side: start, wait, end the compile child;  __main__  the child
    request      what is asked and what comes back, as JSON
    build        load → convert → prove → measure → write the folder
    source       MLmodel → Signature, example
    convert      scikit-learn → ONNX with one input per column;  trees linear imputer  our own, exact;  writer  how they write
    graph        one matrix per type in place of the columns;  strings  look-ups in place of strings
    parity_rows  the rows of the proof;  parity  the comparison
    outcome      what a model answers with that cannot be looked into
    nulls        what null means to the model, found by asking it
    measure      the latency profile

Rule: only the compile child imports scikit-learn, skl2onnx and onnx; `child` and `request` are free of them.
"""

"""HTTP routes, by who calls them: predict, MLflow's scoring protocol, Open Inference V2, feedback, operations."""

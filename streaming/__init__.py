"""Events, the log that never loses them, and the readers that carry them on.

    events  ids  codec      what is recorded, and its bytes
    log                     EventLog: the protocol of every log, with its in-memory twin in memory_log
      segments/             the log on local disk: the API's ack, embedded and full stack alike
    loop                    read ≤ 1,000 records or 1 s → effect → offset, for every reader
    store                   EventStore: where events are found again; sqlite is the embedded one
    indexer  deadletter     log → store; what the store can never take
      private_columns       what neither of them ever sees
    retention  reconcile    what may go; proof that acked = stored + dead-lettered + expired
    recovery  housekeeping  the indexer's start and its pauses;  embedded wires segments and sqlite

Rule: imports nothing of ours, and one client library per adapter module.
"""

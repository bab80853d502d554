"""`scripts/prove NAME`: every figure the project promises, measured beside what it is compared with.

    bars        a figure, its bar, and whether it is met
    system      a real Understudy in a folder of its own, pinned to cores
    load        wrk, and what it measured;  echo  the bare ASGI application that figures are ratios to
    write       figures into docs/benchmarks.md
    (others)    one bar each: throughput, no_loss_smoke, footprint, ci

Figures are ratios from interleaved runs in one session: the machines here are shared and noisy.
"""

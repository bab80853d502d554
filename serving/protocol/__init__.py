"""Bodies in, bodies out: each module translates one shape to rows and answers back. Pure: no clock, no I/O."""

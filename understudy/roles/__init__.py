"""One short file per process: read the settings, wire the parts, run until told to stop."""

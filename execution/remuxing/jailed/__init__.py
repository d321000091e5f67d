"""Part that runs inside the jail: it imports the standard library, PyAV and its own modules only."""

"""GPUs: telemetry, trial encodes, session slots, circuit breakers, and the choice of a device."""

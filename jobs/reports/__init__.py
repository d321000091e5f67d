"""Reads: what clients, operators, Prometheus and the admin get to know of jobs and of the platform."""

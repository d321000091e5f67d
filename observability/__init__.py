"""Logs, metrics, health checks and liveness."""

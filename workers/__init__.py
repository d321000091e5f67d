"""Carrying steps out: Celery tasks of a few lines, the step runner, one module per kind of step, nodes."""

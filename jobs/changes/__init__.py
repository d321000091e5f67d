"""Writes shared by all changes of a job: row locks, state moves, events, cache invalidation, and removal of objects."""

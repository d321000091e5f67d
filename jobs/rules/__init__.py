"""Rules of jobs and steps as tables and pure functions: states, kinds, rank, retry, progress. No rows, no clock."""

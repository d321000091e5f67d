"""What moves jobs on: people who ask for something, steps that are done, and steps that failed."""

"""The HTTP API of jobs: requests, views and responses."""

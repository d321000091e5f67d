"""The lifecycle of jobs: requests of clients, inspection, steps that are done or failed, retries and resumption."""

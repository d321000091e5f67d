"""Reads of jobs for the API and the admin: documents, progress, plans."""

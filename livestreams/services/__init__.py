"""Writes to live streams: by their owners, by publishers through ingest servers, by workers, and by the watch.

Locks go livestream, video, job, step. A broadcast is written under the lock of its live stream.
"""

"""Abort a connection that may wait for a database for ever."""

import os
import socket
from contextlib import suppress

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper


def abort_connection(database: BaseDatabaseWrapper) -> None:
    """Shut down a connection that another thread may be waiting on: its call then raises, as if the server had gone.

    No timeout of the server's can do this where the server, or the network to it, is silent.
    """
    session = database.connection
    if session is not None:
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(session.fileno())) as copy:
            copy.shutdown(socket.SHUT_RDWR)

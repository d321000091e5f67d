"""Set Django up when this module is imported: for a process that runs no pytest."""

import django

django.setup()

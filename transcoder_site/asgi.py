"""The ASGI application: the streaming routes (uploads, events) in front of Django."""

import gc
import logging
import os
from ipaddress import ip_network

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "transcoder_site.settings")

django.setup(set_prefix=False)  # before the models are imported

from django.conf import settings  # noqa: E402
from django.db import connections  # noqa: E402

from access.wiring import party_turns  # noqa: E402
from api.connections import BoundedHttp  # noqa: E402
from api.threads import THREADS, DjangoInThreads  # noqa: E402
from configuration import require_secret_key, startup_warnings  # noqa: E402
from transcoder_site.routes import site  # noqa: E402

require_secret_key(settings.TRANSCODER)

# Only the API pools connections: it has more threads than connections. Workers fork, which a pool's threads do not
# survive.
_pool = {"min_size": 0, "max_size": settings.TRANSCODER.database.database_pool_size, "timeout": 10}
connections.settings["default"]["OPTIONS"]["pool"] = _pool

for warning in startup_warnings(os.environ):  # not in commands, whose output programs may read
    logging.getLogger(__name__).warning(warning, extra={"event": "setting_without_effect"})

BoundedHttp.named_proxies = tuple(ip_network(text) for text in settings.TRANSCODER.site.trusted_proxies)

application = site(DjangoInThreads(party_turns(threads=THREADS)), settings.TRANSCODER.site)

gc.freeze()  # what is loaded by now stays, so that no collection has to visit it

"""The ASGI application that an ASGI server runs: the streaming upload route in front of Django."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "transcoder_site.settings")

_django = get_asgi_application()  # before the models are imported

from api.asgi import BodyLimit  # noqa: E402
from jobs.wiring import on_uploaded  # noqa: E402
from videos.wiring import upload_route  # noqa: E402

MOST_BODY_BYTES = 1 << 20
"""The largest body of any other request: they are JSON documents, and Django spools bodies to disk."""

application = upload_route(BodyLimit(_django, max_bytes=MOST_BODY_BYTES), on_uploaded=on_uploaded)

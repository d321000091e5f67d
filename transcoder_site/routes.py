"""The ASGI applications of the site, one in front of the other."""

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from access.wiring import party_turns, repeated_refusals
from api.asgi import App, BodyLimit
from api.cross_origin import CrossOrigin
from api.prefix import UrlPrefix
from api.request_log import RequestLog
from api.threads import THREADS
from configuration import SiteConfig
from events.streams.wiring import event_streams
from jobs.endpoints.tus import tus_upload_open
from jobs.reports.event_documents import event_documents, job_ended
from jobs.wiring import on_upload_recorded, on_uploaded
from livestreams.playback.wiring import live_streams
from transcoder_site.probes import answer_alive
from videos.uploads.wiring import upload_routes

MAX_BODY_BYTES = 1 << 20
"""Limit of the body of all other requests, which are JSON documents. Each is read into memory as a whole."""


def site(django: App, config: SiteConfig) -> App:
    """Put the streaming routes (uploads, events) and what concerns every request in front of Django."""
    limited = BodyLimit(django, max_bytes=MAX_BODY_BYTES)
    turns = party_turns(threads=THREADS)  # those of Django's threads are others
    events = event_streams(limited, turns, documents=event_documents, job_ended=job_ended)
    uploads = upload_routes(
        events, turns, on_uploaded=on_uploaded, tus_opens=tus_upload_open, on_upload_recorded=on_upload_recorded
    )
    streaming = live_streams(repeated_refusals(uploads))
    shared = RequestLog(CrossOrigin(answer_alive(streaming), origins=config.cors_origins))
    proxied: App = ProxyHeadersMiddleware(UrlPrefix(shared, config.url_prefix), list(config.trusted_proxies))  # type: ignore[assignment, arg-type]  # its types name each kind of message
    return proxied

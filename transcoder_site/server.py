"""Serve the API: `python -m transcoder_site.server --host HOST --port PORT`.

uvicorn with bounds of connections and requests.
"""

import argparse

import uvicorn

from api.connections import BoundedHttp


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m transcoder_site.server", description="Serve the API.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on")
    parser.add_argument("--workers", type=int, help="number of processes; WEB_CONCURRENCY or 1 without")
    parser.add_argument("--grace-seconds", type=int, default=25, help="seconds that open requests have at the end")
    options = parser.parse_args()
    uvicorn.run(
        "transcoder_site.asgi:application",
        host=options.host,
        port=options.port,
        workers=options.workers,
        http=BoundedHttp,
        log_config=None,  # its lines go through ours, as JSON and without playback tokens
        access_log=False,  # api.request_log writes it
        proxy_headers=False,  # transcoder_site.routes reads them, from the proxies that are named
        timeout_graceful_shutdown=options.grace_seconds,
    )


if __name__ == "__main__":
    main()

"""ASGI middleware for a site below a path of its host."""

from django.urls import set_script_prefix

from api.asgi import App, Receive, Scope, Send


class UrlPrefix:
    """Tells the application its prefix (`root_path`), whether a proxy has cut it off the path or not.

    No path of ours begins with a prefix (see `SiteConfig`), so that the two are different. Requests without a proxy,
    such as probes, need no prefix either.
    """

    def __init__(self, app: App, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._prefix:
            path: str = scope["path"]
            if path == self._prefix or path.startswith(f"{self._prefix}/"):  # but /vodka is no path below /vod
                path = path.removeprefix(self._prefix) or "/"
            scope = {**scope, "path": self._prefix + path, "root_path": self._prefix}
            set_script_prefix(f"{self._prefix}/")  # for URLs that are built in front of Django's handler
        await self._app(scope, receive, send)

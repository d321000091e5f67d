"""Settings of what answers requests: the site, uploads, playback, and what one owner may have of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from urllib.parse import urlsplit

from configuration.declaration import GIB, setting

SECRET_KEY_CHARACTERS = 50  # required by Django's deployment check


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """Access to the web site."""

    secret_key: str = setting(
        "", secret=True, help="Signs playback tokens. At least 50 random characters; for API and dispatcher only."
    )
    debug: bool = setting(default=False, help="Show tracebacks to clients. Never use it in production.")
    allowed_hosts: tuple[str, ...] = setting(
        ("localhost", "127.0.0.1"), help="Host names of the API, separated by commas."
    )
    public_url: str = setting(
        "",
        help="URL at which clients reach the API, with the path of a prefix, if there is one: the base of all absolute"
        " URLs. Its host and its origin are accepted, too. Empty: taken from each request.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        help="Addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: 10.1.0.7,…",
    )
    cors_origins: tuple[str, ...] = setting(
        (), help="Origins whose pages may use the API from a browser, with an API key: https://app.example.org,…"
    )
    https: bool = setting(default=True, help="Serve HTTPS only: plain HTTP is redirected, HSTS is sent.")
    hsts_seconds: int = setting(31_536_000, minimum=0, help="Time for which browsers use HTTPS only (HSTS).")
    log_level: str = setting(
        "INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="Minimum severity of log lines."
    )

    def secret_key_problems(self) -> Iterator[str]:
        """Yield a sentence if the key is missing or short. Processes that sign nothing have none."""
        if len(self.secret_key) < SECRET_KEY_CHARACTERS:
            yield (
                f"TRANSCODER_SECRET_KEY (or TRANSCODER_SECRET_KEY_FILE) must have at least"
                f" {SECRET_KEY_CHARACTERS} characters, got {len(self.secret_key)}"
            )

    def problems(self) -> Iterator[str]:
        if self.secret_key:
            yield from self.secret_key_problems()
        if self.public_url and (problem := _public_url_problem(self.public_url)):
            yield f"TRANSCODER_PUBLIC_URL {problem}, got {self.public_url!r}"
        for text in self.trusted_proxies:
            try:
                ip_network(text)
            except ValueError as error:
                yield f"TRANSCODER_TRUSTED_PROXIES: {error}"
        for text in self.cors_origins:
            if not _ORIGIN.fullmatch(text):
                yield f"TRANSCODER_CORS_ORIGINS must be origins such as https://app.example.org, got {text!r}"

    @property
    def url_prefix(self) -> str:
        """Path below which proxies publish the API, such as `/vod`; empty: none."""
        return urlsplit(self.public_url).path.rstrip("/")

    @property
    def public_origin(self) -> str:
        """Scheme, host and port of the public URL; empty: none is configured."""
        url = urlsplit(self.public_url)
        return f"{url.scheme}://{url.netloc.lower()}" if self.public_url else ""

    @property
    def public_host(self) -> str:
        """Host of the public URL without its port, an IPv6 address in brackets; empty: none is configured."""
        host = urlsplit(self.public_url).hostname or ""
        return f"[{host}]" if ":" in host else host


_OWN_PATHS = (
    "admin", "api", "health", "healthz", "livestreams", "metrics", "play", "readyz", "static", "streams", "videos",
    "watch",
)  # fmt: skip
"""First parts of our own paths. A prefix must not begin with one of them."""
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")


def _base_problem(text: str) -> str:
    """Say what the base of other URLs must be and is not. Empty: nothing."""
    url = urlsplit(text)
    if url.scheme not in {"http", "https"}:
        return "must begin with http:// or https://"
    if not _ORIGIN.fullmatch(f"{url.scheme}://{url.netloc.lower()}"):
        return "must name a host and perhaps a port"
    if url.query or url.fragment or not _PREFIX.fullmatch(url.path):
        return "must end after a path of letters, digits and ._~-"
    return ""


def _public_url_problem(text: str) -> str:
    """Say what a public URL must be and is not. Empty: nothing."""
    if problem := _base_problem(text):
        return problem
    url = urlsplit(text)
    if url.path.split("/")[1:2] and url.path.split("/")[1] in _OWN_PATHS:
        return f"must not have a path that begins with one of our own ({', '.join(_OWN_PATHS)})"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadConfig:
    """Limits of uploads."""

    max_upload_bytes: int = setting(
        50 * GIB,
        minimum=1,
        maximum=10_000 * 5 * GIB,
        help="Maximum size of a video. Parts of one with more than 10,000 of TRANSCODER_UPLOAD_PART_BYTES are larger.",
    )
    max_concurrent_uploads: int = setting(
        32,
        minimum=1,
        help="Maximum number of parallel uploads to one API process. Each uses the memory of one part.",
    )
    import_networks: tuple[str, ...] = setting(
        (),
        help="Internal networks that videos may be imported from, also by plain HTTP: 10.1.0.0/16,… Everybody with an"
        " API key can then read the videos there. Those in TRANSCODER_SOURCE_NETWORKS are among them.",
    )

    def problems(self) -> Iterator[str]:
        for text in self.import_networks:
            try:
                ip_network(text)
            except ValueError as error:
                yield f"TRANSCODER_IMPORT_NETWORKS: {error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackConfig:
    """Delivery of segments and files to players."""

    playback_delivery: str = setting(
        "redirect",
        choices=("redirect", "proxy"),
        help="Redirect players to the store, or send the bytes through the API.",
    )
    playback_token_seconds: int = setting(
        86_400, minimum=60, help="Lifetime of a playback URL. It must be longer than the longest video."
    )
    playback_public_base: str = setting(
        "",
        help="URL below which a CDN or a public bucket serves outputs under their keys: players are redirected there,"
        " without a signature. Empty: to presigned URLs of the store.",
    )
    playback_origins: tuple[str, ...] = setting(
        (), help="Origins whose pages may play and frame videos: https://app.example.org,… Empty: all."
    )

    def problems(self) -> Iterator[str]:
        base = self.playback_public_base
        if base and (problem := _base_problem(base)):
            yield f"TRANSCODER_PLAYBACK_PUBLIC_BASE {problem}, got {base!r}"
        if base and self.playback_delivery == "proxy":
            yield "TRANSCODER_PLAYBACK_PUBLIC_BASE is of no use while TRANSCODER_PLAYBACK_DELIVERY is proxy"
        for text in self.playback_origins:
            if not _ORIGIN.fullmatch(text):
                yield f"TRANSCODER_PLAYBACK_ORIGINS must be origins such as https://app.example.org, got {text!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """Redis for data that may be lost at any time: the response cache and the rate limits."""

    cache_url: str = setting(
        "redis://127.0.0.1:6379/1",
        secret=True,
        help="redis://:password@host:port/number. Empty: no cache, and each process counts rates for itself.",
    )
    enable_cache: bool = setting(default=True, help="Cache responses. Rate limits do not depend on it.")
    cache_ttl_seconds: int = setting(
        300, minimum=1, help="Upper bound of the time to live of cached responses, which is 2 to 30 s."
    )
    cache_timeout_seconds: float = setting(
        0.1, minimum=0.01, maximum=5, help="Time without a reply after which Redis is not used for a second."
    )

    def problems(self) -> Iterator[str]:
        if self.cache_url and urlsplit(self.cache_url).scheme not in {"redis", "rediss"}:
            yield "TRANSCODER_CACHE_URL must begin with redis:// or rediss://"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerConfig:
    """Limits of one owner at a time, however many keys it uses."""

    max_owner_keys: int = setting(100, minimum=1, help="API keys that work. Commands of manage.py may create more.")
    max_owner_jobs: int = setting(1000, minimum=1, help="Jobs that are not over.")
    max_owner_uploads: int = setting(8, minimum=1, help="Parallel uploads to one API process.")
    max_owner_open_uploads: int = setting(100, minimum=1, help="Uploads in parts that are not complete.")
    max_owner_event_streams: int = setting(200, minimum=1, help="Open event streams of one API process.")
    max_owner_requests: int = setting(
        4, minimum=1, help="Requests that one API process handles at a time; more wait for them, up to 128."
    )
    max_owner_stored_bytes: int = setting(
        0, minimum=0, help="Bytes that an owner may store, of owners without a quota of their own. 0: no limit."
    )
    max_owner_source_minutes: int = setting(
        0, minimum=0, help="Minutes of sources that an owner may add in a month of UTC. 0: no limit."
    )
    source_retention_days: int = setting(
        0, minimum=0, help="Days after which sources are deleted, unless a request or the owner says else. 0: never."
    )
    output_retention_days: int = setting(
        0, minimum=0, help="Days after which the outputs of a job are deleted. 0: never."
    )

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RateConfig:
    """Rate limits. A minute's worth of requests may come at once. 0: no limit."""

    rate_read_per_minute: int = setting(6000, minimum=0, help="Reading requests of one owner, event streams included.")
    rate_write_per_minute: int = setting(600, minimum=0, help="Writing requests of one owner.")
    rate_upload_per_minute: int = setting(120, minimum=0, help="Uploads of one owner.")
    rate_part_per_minute: int = setting(
        6000, minimum=0, help="Parts of uploads of one owner that are sent through the API."
    )
    rate_live_per_minute: int = setting(120, minimum=0, help="Requests of one owner for live streams.")
    rate_plan_per_minute: int = setting(120, minimum=0, help="Plans and dry runs of one owner.")
    rate_address_per_minute: int = setting(
        300, minimum=0, help="Requests from one network address without a working API key."
    )
    rate_play_per_minute: int = setting(
        6000, minimum=0, help="Requests for playlists, segments and files of videos from one network address."
    )
    rate_login_per_minute: int = setting(
        10, minimum=0, help="Login attempts from one network address; ten times as many with one name."
    )

    def problems(self) -> Iterator[str]:
        yield from ()

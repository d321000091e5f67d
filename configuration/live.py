"""Settings of live streams, which the relay serves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from configuration.declaration import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfig:
    """Live streams over HTTP, which the relay fetches, converts and serves."""

    source_networks: tuple[str, ...] = setting(
        (),
        help="Internal networks that live streams may be fetched from, such as those of receivers in the same house:"
        " 192.168.1.0/24,… Everybody with a key for live streams can then watch what is served there. Videos may be"
        " imported from them, too.",
    )
    relay_host: str = setting("127.0.0.1", help="Address that the relay listens on.")
    relay_port: int = setting(8090, minimum=0, maximum=65_535, help="Port that the relay listens on. 0: any free one.")
    relay_max_sessions: int = setting(
        16, minimum=1, maximum=1000, help="Sources that one relay converts at a time, whatever the number of viewers."
    )
    relay_max_sessions_per_owner: int = setting(8, minimum=1, help="Those of them that one owner opened.")
    relay_max_sessions_per_host: int = setting(
        8,
        minimum=1,
        help="Those of an owner that come from one host. Receivers often have a few tuners only: those of all owners,"
        " if the host is an address in TRANSCODER_SOURCE_NETWORKS.",
    )
    relay_start_seconds: float = setting(
        15.0, minimum=1, maximum=120, help="Time limit from a request to the first byte of its stream."
    )
    relay_linger_seconds: float = setting(
        0.0, minimum=0, maximum=600, help="Time that a conversion goes on for after its last viewer has left."
    )
    relay_fallback: str = setting(
        "passthrough",
        choices=("none", "cpu", "audio", "passthrough"),
        help="How far a conversion may fall back when no GPU can take it: not at all, to the CPU, then to converting"
        " the audio only, then to passing the source through.",
    )
    relay_remux: str = setting(
        "auto",
        choices=("auto", "native", "ffmpeg"),
        help="What converts audio only: our own process, ffmpeg, or the other one when the first cannot.",
    )

    def problems(self) -> Iterator[str]:
        for text in self.source_networks:
            try:
                ip_network(text)
            except ValueError as error:
                yield f"TRANSCODER_SOURCE_NETWORKS: {error}"

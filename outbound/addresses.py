"""Addresses that requests to servers of other people may go to: never into our own network."""

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from outbound.errors import REFUSED
from outbound.lookups import Lookups, process_lookups

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HTTP_PORT, _HTTPS_PORT = 80, 443
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "64:ff9b:1::/48", "3fff::/20", "fec0::/10",
    )
)  # fmt: skip
"""Shared, special, test and site-local networks that Python does not call private everywhere."""


class AddressRefused(Exception):
    """A request would have gone where it must not, or nowhere."""


class NameUnanswered(AddressRefused):
    """No name server answers for a host at present: nobody knows where the request would go."""


def is_public(address: Address) -> bool:
    """Return True for an address on the open internet, also where it is wrapped into another one."""
    inner = _unwrapped(address)
    if inner != address:
        return is_public(inner)
    special = (
        address.is_multicast or address.is_reserved or address.is_unspecified or any(address in net for net in _NEVER)
    )
    return address.is_global and not special


def _unwrapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def networks_read(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read networks such as 10.1.0.0/16. Raises ValueError."""
    return tuple(ipaddress.ip_network(text.strip()) for text in texts)


@dataclass(frozen=True, slots=True)
class Reach:
    """Networks that requests may go to: anywhere public by HTTPS, and into these networks also by plain HTTP.

    `plain`: anywhere public by plain HTTP, too, for what is nobody's secret. `party`: who names the hosts; only so many
    of one party are looked up at a time. Empty: nobody in particular.
    """

    networks: tuple[Network, ...] = ()
    lookups: Lookups = field(default_factory=Lookups, compare=False)
    is_public: Callable[[Address], bool] = is_public
    plain: bool = False
    party: str = ""

    def of(self, party: object) -> "Reach":
        """Return the same for hosts that somebody names, say an owner."""
        return replace(self, party=str(party))

    @property
    def schemes(self) -> tuple[str, ...]:
        """Schemes of URLs that may be reached. Elsewhere than in named networks anybody could read along."""
        return ("https", "http") if self.networks or self.plain else ("https",)

    def addresses(
        self,
        host: str,
        port: int,
        *,
        plain: bool,
        ends_at: float,
        on_wait: Callable[[], object] = lambda: None,
    ) -> list[Address]:
        """Resolve a host name. Raises AddressRefused unless all of it may be reached; TimeoutError; as `on_wait`."""
        try:
            found = self.lookups.find(host, port, ends_at, party=self.party, on_wait=on_wait)
        except (socket.gaierror, UnicodeError) as error:
            unanswered = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
            raise (NameUnanswered if unanswered else AddressRefused)(REFUSED) from error
        addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
        if not addresses or not all(self._allows(address, plain=plain) for address in addresses):
            raise AddressRefused(REFUSED)
        return list(dict.fromkeys(addresses))

    def refuses(self, url: str, *, seconds: float) -> bool:
        """Return True for a URL whose host does not exist or must not be reached; False where nobody says in time."""
        parts = urlsplit(url)
        plain = parts.scheme == "http"
        port = parts.port or (_HTTP_PORT if plain else _HTTPS_PORT)
        try:
            self.addresses(parts.hostname or "", port, plain=plain, ends_at=time.monotonic() + seconds)
        except (NameUnanswered, TimeoutError):
            return False
        except AddressRefused:
            return True
        return False

    def _allows(self, address: Address, *, plain: bool) -> bool:
        named = any(address in network for network in self.networks if network.version == address.version)
        return named or (self.is_public(address) and (self.plain or not plain))


def reach_into(networks: Iterable[str], *, plain: bool = False) -> Reach:
    """Return the reach of this process: everything public, and these networks. Raises ValueError."""
    return Reach(networks_read(networks), process_lookups(), plain=plain)

"""Network addresses of clients, as limits count them."""

import ipaddress

_IPV6_SITE_BITS = 64
"""Prefix length of the network of one IPv6 client."""


def client_network(address: str) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((parsed, _IPV6_SITE_BITS), strict=False)) if parsed.version == 6 else address  # noqa: PLR2004

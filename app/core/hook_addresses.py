"""Where webhooks may go: to public addresses over TLS, and to what the installation allows."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from app.core.errors import InvalidInput

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_LOOPBACK = ip_address("127.0.0.1")


def networks(text: str) -> tuple[Network, ...]:
    """Networks out of text such as ``10.1.0.0/16, ::1``. Raises ``ValueError``, naming the part."""
    parts = text.replace(",", " ").split()
    return tuple(ip_network(part) for part in parts)


def checked_address(address: Address, scheme: str, allowed: tuple[Network, ...]) -> Address:
    """The address to connect to. Raises ``InvalidInput`` where webhooks may not go."""
    # ::ffff:127.0.0.1 is 127.0.0.1 to the network.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    meant = mapped or address
    if any(meant in network for network in allowed):
        return meant
    if not _is_public(meant):
        raise InvalidInput(
            f"{meant} is no public address: give another, or let whoever runs this installation "
            f"allow it (SFUMATO_HOOK_NETWORKS={meant})"
        )
    if scheme != "https":
        raise InvalidInput(f"{meant} is a public address: use https")
    return meant


def _is_public(address: Address) -> bool:
    # What stands for an address of the other version (6to4, NAT64) may lead anywhere.
    if isinstance(address, IPv6Address) and (address.is_site_local or address.sixtofour):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def check_url(url: str, allowed: tuple[Network, ...]) -> None:
    """Raise ``InvalidInput`` where the text of a URL shows that no webhook may go there.

    What a name stands for is only known when it is asked for, and is checked each time.
    """
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            "the URL holds a user or password: leave them out, the receiver checks the signature"
        )
    if parts.fragment:
        raise InvalidInput(f"the URL holds #{parts.fragment[:40]}: leave it out, it is never sent")
    host = (parts.hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        checked_address(_LOOPBACK, parts.scheme, allowed)
        return
    try:
        address = ip_address(host)
    except ValueError:
        return
    checked_address(address, parts.scheme, allowed)

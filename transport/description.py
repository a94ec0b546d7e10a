"""What one end must know of the other to connect: addresses, ICE secret, certificate hash.

It is the only thing that signalling of any kind has to carry. ``pack`` gives the few dozen bytes
of an invite; ``unpack`` refuses what is not exactly such bytes.
"""

from __future__ import annotations

import hashlib
import ipaddress
import struct
import zlib
from dataclasses import dataclass
from enum import Enum

from transport.identity import FINGERPRINT_BYTES, SECRET_BYTES, ice_credentials

FORMAT_VERSION = 1
MAX_CANDIDATES = 8
CANDIDATE_KINDS = ("host", "srflx", "relay")
TAG_BYTES = 4  # of an invite, repeated in its answer


class Role(Enum):
    """Who made the invite and who answered it. The caller controls ICE and is the DTLS server."""

    CALLER = 0
    CALLEE = 1


@dataclass(frozen=True, slots=True)
class CandidateAddress:
    """Where a peer may be reached."""

    kind: str
    """One of CANDIDATE_KINDS."""
    host: str
    """A numeric IPv4 or IPv6 address."""
    port: int


@dataclass(frozen=True, slots=True)
class PeerDescription:
    """One end of a call that is to be."""

    role: Role
    secret: bytes
    """SECRET_BYTES; ICE's credentials follow from it."""
    fingerprint: bytes
    """FINGERPRINT_BYTES of the certificate's SHA-256."""
    candidates: tuple[CandidateAddress, ...]
    reply_to: bytes = b""
    """In an answer: the tag of the invite it answers."""

    @property
    def credentials(self) -> tuple[str, str]:
        return ice_credentials(self.secret)

    @property
    def tag(self) -> bytes:
        """Names this description without giving its secret away."""
        return hashlib.sha256(b"sottovoce tag" + self.secret).digest()[:TAG_BYTES]


def usable(candidate: CandidateAddress) -> bool:
    """Whether a peer may be told to send to this address: not multicast, not unspecified."""
    try:
        address = ipaddress.ip_address(candidate.host)
    except ValueError:
        return False
    return (
        candidate.kind in CANDIDATE_KINDS
        and 0 < candidate.port < 65_536
        and not address.is_multicast
        and not address.is_unspecified
        and candidate.host != "255.255.255.255"
    )


def pack_description(description: PeerDescription) -> bytes:
    """Version and role, secret, fingerprint, candidates, [tag], CRC-32. Unusable addresses and
    those beyond MAX_CANDIDATES are left out."""
    candidates = [c for c in description.candidates if usable(c)][:MAX_CANDIDATES]
    head = FORMAT_VERSION << 4 | bool(description.reply_to) << 1 | description.role.value
    data = bytes((head,)) + description.secret + description.fingerprint + description.reply_to
    for candidate in candidates:
        address = ipaddress.ip_address(candidate.host)
        kind = CANDIDATE_KINDS.index(candidate.kind) << 1 | (address.version == 6)
        data += bytes((kind,)) + address.packed + struct.pack("!H", candidate.port)
    return data + struct.pack("!I", zlib.crc32(data))


def unpack_description(data: bytes) -> PeerDescription | None:
    """The inverse; None for any bytes that ``pack_description`` cannot have written."""
    fixed = 1 + SECRET_BYTES + FINGERPRINT_BYTES
    if not fixed + 4 <= len(data) <= fixed + TAG_BYTES + 19 * MAX_CANDIDATES + 4:
        return None
    body, head = data[:-4], data[0]
    if struct.unpack("!I", data[-4:])[0] != zlib.crc32(body) or head >> 2 != FORMAT_VERSION << 2:
        return None
    secret, fingerprint = body[1 : 1 + SECRET_BYTES], body[1 + SECRET_BYTES : fixed]
    at = fixed + (TAG_BYTES if head & 2 else 0)
    reply_to = body[fixed:at]
    if len(reply_to) != at - fixed:
        return None
    candidates: list[CandidateAddress] = []
    while at < len(body):
        kind = body[at]
        length = 16 if kind & 1 else 4
        if kind >> 1 >= len(CANDIDATE_KINDS) or at + 3 + length > len(body):
            return None
        host = str(ipaddress.ip_address(body[at + 1 : at + 1 + length]))
        port = struct.unpack_from("!H", body, at + 1 + length)[0]
        candidate = CandidateAddress(CANDIDATE_KINDS[kind >> 1], host, port)
        if not usable(candidate) or len(candidates) == MAX_CANDIDATES:
            return None
        candidates.append(candidate)
        at += 3 + length
    return PeerDescription(Role(head & 1), secret, fingerprint, tuple(candidates), reply_to)

"""What a program that was killed needs to get back into its call: a resume ticket.

It holds this end's private key, so whoever keeps one keeps it in a file only they can read, and
deletes it at hang-up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from engine.errors import SottovoceError
from transport.description import (
    PeerDescription,
    Role,
    pack_description,
    unpack_description,
)
from transport.identity import Identity

TICKET_VERSION = 1
MAX_TICKET_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class ResumeTicket:
    """One end of a call in progress."""

    role: Role
    identity: Identity
    ports: dict[str, int]
    """UDP port by local address, so that the far end finds this end where it was."""
    remote: PeerDescription

    def to_bytes(self) -> bytes:
        fields = {
            "version": TICKET_VERSION,
            "role": self.role.value,
            "pem": self.identity.to_pem().decode(),
            "secret": self.identity.secret.hex(),
            "ports": self.ports,
            "remote": pack_description(self.remote).hex(),
        }
        return json.dumps(fields).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> ResumeTicket:
        """Raises SottovoceError for anything but what ``to_bytes`` wrote."""
        try:
            if len(data) > MAX_TICKET_BYTES:
                raise ValueError("too long")
            fields = json.loads(data)
            if fields["version"] != TICKET_VERSION:
                raise ValueError("another version")
            remote = unpack_description(bytes.fromhex(fields["remote"]))
            if remote is None:
                raise ValueError("no far end")
            ports = {str(host): int(port) for host, port in fields["ports"].items()}
            identity = Identity.from_pem(fields["pem"].encode(), bytes.fromhex(fields["secret"]))
            return cls(Role(fields["role"]), identity, ports, remote)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SottovoceError(
                "The saved call cannot be resumed; start a new call with a new invite."
            ) from error

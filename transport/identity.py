"""Who one end of a call is on the wire: a certificate made for this call, and a secret for ICE.

The certificate's hash travels in the invite and pins the DTLS handshake; the secret gives ICE its
credentials. Both are fresh for every call, so that calls cannot be linked, and both are kept for
as long as the call, so that a new connection inside it needs no new invite.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from aiortc import RTCCertificate
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from engine.errors import SottovoceError

FINGERPRINT_BYTES = 16
"""Of the SHA-256 of the certificate. To pass for somebody one needs a second preimage, 2^128."""
SECRET_BYTES = 16  # RFC 8445 wants 128 bits of randomness in the password


def fingerprint_of(certificate: x509.Certificate) -> bytes:
    """SHA-256 of the DER form, cut to FINGERPRINT_BYTES."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    return hashlib.sha256(der).digest()[:FINGERPRINT_BYTES]


def ice_credentials(secret: bytes) -> tuple[str, str]:
    """User name fragment (8 characters) and password (24) that follow from a secret."""
    fragment = hmac.digest(secret, b"sottovoce ice ufrag", "sha256")[:6]
    password = hmac.digest(secret, b"sottovoce ice pwd", "sha256")[:18]
    return base64.b64encode(fragment).decode(), base64.b64encode(password).decode()


@dataclass(frozen=True, slots=True)
class Identity:
    """One end's certificate with its key, and its ICE secret."""

    certificate: RTCCertificate
    secret: bytes

    @classmethod
    def generate(cls) -> Identity:
        return cls(RTCCertificate.generateCertificate(), secrets.token_bytes(SECRET_BYTES))

    @property
    def fingerprint(self) -> bytes:
        return fingerprint_of(self.certificate._cert)

    def to_pem(self) -> bytes:
        """Key and certificate in PEM. Whoever reads it can take this end's place in the call."""
        key = self.certificate._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return key + self.certificate._cert.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def from_pem(cls, pem: bytes, secret: bytes) -> Identity:
        """Raises SottovoceError for anything but what ``to_pem`` wrote."""
        try:
            key = serialization.load_pem_private_key(pem, None)
            certificate = x509.load_pem_x509_certificate(pem)
        except (ValueError, TypeError) as error:
            raise SottovoceError(
                "The saved call cannot be read; start a new call with a new invite."
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or len(secret) != SECRET_BYTES:
            raise SottovoceError(
                "The saved call is not one of this program's; start a new call with a new invite."
            )
        return cls(RTCCertificate(key, certificate), secret)

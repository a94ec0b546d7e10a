"""Repairs to aiortc's SCTP, so that no packet from the far end can hang or break a call.

``harden_sctp`` replaces what loops for ever on a crafted packet and the timers that are too slow
for a bad link; ``GuardedSctpTransport`` drops and counts what would leave an exception behind.
Nothing here answers a bad packet.
"""

from __future__ import annotations

from collections import Counter
from struct import unpack_from
from typing import Any

from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    RTCSctpTransport,
)

from transport.ice import MAX_DATAGRAM_BYTES

SCTP_HEADER_BYTES = 12
MAX_SCTP_PARAMS = 64  # an honest INIT carries two
MAX_CHUNKS = 8  # in a packet, where an honest peer sends one; each may be answered by a packet
MAX_GAP_NUMBERS = 512  # acknowledged out of order; the queue of control messages holds 64
WHOLE_MESSAGE = SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG
CONTROL_STREAM = 0  # the one negotiated data channel
MAX_WAITING_CHUNKS = 128  # messages held back until an earlier one arrives

SCTP_RTO_INITIAL_S = 0.5
SCTP_RTO_MIN_S = 0.4
SCTP_RTO_MAX_S = 3.0
SCTP_MAX_RETRANS = 60
RTO_BACK_OFF = 1.5
"""Timers of a browser's SCTP rather than of RFC 9260: at 50 % loss its minute-long back-off
would keep the voice descriptor away for longer than a call lasts."""


def decode_sctp_params(body: bytes) -> list[tuple[int, bytes]]:
    """aiortc's ``decode_params``, made to end.

    The original advances by the declared length, so a parameter that declares 0 is read for ever
    while the list of results grows. RFC 9260, 3.2.1: the length includes the 4-byte header.
    Raises ValueError, which ``parse_packet``'s caller takes as a bad packet.
    """
    params: list[tuple[int, bytes]] = []
    at = 0
    while at <= len(body) - 4:
        kind, length = unpack_from("!HH", body, at)
        if length < 4 or at + length > len(body) or len(params) >= MAX_SCTP_PARAMS:
            raise ValueError("SCTP parameter has an invalid length")
        params.append((kind, body[at + 4 : at + length]))
        at += length + (-length % 4)
    return params


def harden_sctp() -> None:
    """Patch aiortc's SCTP module for this process. Calling it again changes nothing."""
    module: Any = rtcsctptransport
    module.decode_params = decode_sctp_params
    module.SCTP_RTO_INITIAL = SCTP_RTO_INITIAL_S
    module.SCTP_RTO_MIN = SCTP_RTO_MIN_S
    module.SCTP_RTO_MAX = SCTP_RTO_MAX_S
    module.SCTP_MAX_INIT_RETRANS = SCTP_MAX_RETRANS
    module.SCTP_MAX_ASSOCIATION_RETRANS = SCTP_MAX_RETRANS


def _too_many_chunks(packet: bytes) -> bool:
    """Whether an SCTP packet has more than MAX_CHUNKS, by the lengths that they declare."""
    at = SCTP_HEADER_BYTES
    for _ in range(MAX_CHUNKS):
        if at + 4 > len(packet):
            return False
        length = unpack_from("!H", packet, at + 2)[0]
        at += max(length + (-length % 4), 4)
    return at < len(packet)


def _acknowledged(sack: Any) -> int:
    """How many numbers a SACK's gaps name. aiortc lists every one of them: 300 gaps of 65 536
    are a gigabyte."""
    return sum(max(end - start, 0) + 1 for start, end in sack.gaps)


class GuardedSctpTransport(RTCSctpTransport):
    """SCTP that survives what its peer sends: one negotiated stream, bounded reassembly.

    ``dropped`` counts what was refused, by reason.
    """

    def __init__(self, transport: Any, port: int = 5000) -> None:
        harden_sctp()
        super().__init__(transport, port)
        self.dropped: Counter[str] = Counter()

    def _t1_expired(self) -> None:
        super()._t1_expired()
        self._back_off()

    def _t3_expired(self) -> None:
        super()._t3_expired()
        self._back_off()

    def _back_off(self) -> None:
        """Wait longer before the next repetition, which aiortc does not (RFC 9260, 6.3.3): two
        ends that repeat what waits in a queue anyway fill a link of 4 kb/s with it."""
        self._rto = min(self._rto * RTO_BACK_OFF, SCTP_RTO_MAX_S)

    async def _handle_data(self, data: bytes) -> None:
        if len(data) > MAX_DATAGRAM_BYTES or _too_many_chunks(data):
            self.dropped["oversize"] += 1
            return
        try:
            await super()._handle_data(data)
        except ConnectionError:
            raise
        except Exception:  # asserts, struct errors and bad UTF-8 of a crafted packet
            self.dropped["malformed"] += 1

    async def _receive_chunk(self, chunk: Any) -> None:
        if isinstance(chunk, rtcsctptransport.ForwardTsnChunk | rtcsctptransport.ReconfigChunk):
            # nothing here is partially reliable or reset, so an honest peer sends neither
            self.dropped["chunk"] += 1
        elif isinstance(chunk, rtcsctptransport.InitChunk):
            await self._receive_init(chunk)
        elif (
            isinstance(chunk, rtcsctptransport.SackChunk) and _acknowledged(chunk) > MAX_GAP_NUMBERS
        ):
            self.dropped["sack"] += 1
        else:
            await super()._receive_chunk(chunk)

    async def _receive_init(self, chunk: Any) -> None:
        """A copy of the INIT that arrives late must not take back what was received since: aiortc
        would wait for ever for messages that the far end knows to be delivered (RFC 9260, 5.2.2).
        """
        if self._association_state == self.State.ESTABLISHED:
            self.dropped["init"] += 1
            return
        received = self._last_received_tsn
        again = chunk.initiate_tag == self._remote_verification_tag
        await super()._receive_chunk(chunk)
        if again and received is not None:
            self._last_received_tsn = received

    async def _receive_data_chunk(self, chunk: Any) -> None:
        """Only whole messages of the one channel, and no more of them out of order than fit.

        A chunk that is refused is not acknowledged either. The one that others wait for is taken
        however many those are, because it sets them free.
        """
        if chunk.stream_id != CONTROL_STREAM:
            self.dropped["stream"] += 1
        elif chunk.flags & WHOLE_MESSAGE != WHOLE_MESSAGE:
            self.dropped["fragment"] += 1  # MAX_CONTROL_BYTES fit into one chunk
        elif self._waiting_chunks() >= MAX_WAITING_CHUNKS and not self._is_awaited(chunk):
            self.dropped["waiting"] += 1
        else:
            await super()._receive_data_chunk(chunk)

    def _waiting_chunks(self) -> int:
        stream = self._inbound_streams.get(CONTROL_STREAM)
        return max(len(self._sack_misordered), len(stream.reassembly) if stream else 0)

    def _is_awaited(self, chunk: Any) -> bool:
        stream = self._inbound_streams.get(CONTROL_STREAM)
        return bool(
            chunk.tsn == rtcsctptransport.tsn_plus_one(self._last_received_tsn or 0)
            and chunk.stream_seq == (stream.sequence_number if stream else 0)
        )

    async def _data_channel_receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        if pp_id == rtcsctptransport.WEBRTC_DCEP:
            self.dropped["channel"] += 1  # the channel is agreed beforehand; nobody opens more
            return
        await super()._data_channel_receive(stream_id, pp_id, data)

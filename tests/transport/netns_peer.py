"""One end of a call in a process of its own, for the network namespace tests.

Prints its code, reads the other's from standard input, says when it is connected, talks for a
while at the pace of the phoneme arm, and prints what it heard as one line of JSON. Not a test
itself.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from transport.control import Hello, encode_control, parse_control
from transport.description import Role
from transport.ice import clock_ms
from transport.invite import decode_invite, encode_invite
from transport.rtc import RtcLink
from transport.state import LinkState, RtcSettings

PAYLOAD_BYTES = 40
PATIENCE_S = 10.0  # for a greeting on a wire that loses half
LISTEN_S = 2.5  # after the last word, for what still queues on the wire


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["caller", "callee"])
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--interval-ms", type=int, required=True, help="between two packets")
    options = parser.parse_args()
    role = Role[options.role.upper()]
    states: list[str] = []
    link = RtcLink(
        role,
        RtcSettings(connect_for_s=40, reconnect_for_s=60),
        on_state=lambda s: states.append(s.value),
    )
    print(encode_invite(link.gather().result(10)), flush=True)
    other = Role.CALLEE if role is Role.CALLER else Role.CALLER
    link.connect(decode_invite(sys.stdin.readline(), other))
    begun_s = time.monotonic()
    connected_s: float | None = None
    heard: list[tuple[int, int]] = []  # sequence number, timestamp
    ages_ms: list[float] = []  # both processes read the same clock
    hello = ""
    next_ms = clock_ms()
    while True:
        talked_s = 0.0 if connected_s is None else time.monotonic() - connected_s
        patience_s = LISTEN_S if hello else PATIENCE_S
        if connected_s is not None and talked_s > options.seconds + patience_s:
            break
        if link.state is LinkState.CONNECTED and connected_s is None:
            connected_s = time.monotonic()
            print("connected", flush=True)
            link.send_control(encode_control(Hello(options.role)))
        if link.state in (LinkState.FAILED, LinkState.CLOSED):
            break
        now_ms = clock_ms()
        if now_ms >= next_ms and talked_s < options.seconds:
            next_ms = now_ms + options.interval_ms
            timestamp = 16 * round(now_ms)
            link.send("phonemes", timestamp & 0xFFFFFFFF, bytes(PAYLOAD_BYTES), now_ms)
        for packet in link.receive(now_ms):
            heard.append((packet.sequence_number, packet.timestamp))
            ages_ms.append(((16 * round(now_ms) - packet.timestamp) & 0xFFFFFFFF) / 16)
        for message in link.receive_control():
            parsed = parse_control(message)
            if isinstance(parsed, Hello):
                hello = parsed.name
        time.sleep(0.01)
    stats = link.stats(clock_ms())
    result = {
        "state": link.state.value,
        "states": states,
        "failure": link.failure,
        "connect_s": None if connected_s is None else connected_s - begun_s,
        "sent": stats.phonemes.packets_sent,
        "received": stats.phonemes.packets_received,
        "lost": stats.phonemes.packets_lost,
        "unique": len(set(heard)),
        "heard": len(heard),
        "oldest_ms": max(ages_ms, default=0.0),
        "wire_bytes_sent": stats.phonemes.wire_bytes_sent,
        "round_trip_ms": stats.round_trip_ms,
        "jitter_ms": stats.phonemes.jitter_ms,
        "hello": hello,
        "reconnections": link.reconnections,
        "drops": dict(link.drops()),
    }
    print(json.dumps(result), flush=True)
    sys.stdin.readline()  # both have counted
    link.close()


if __name__ == "__main__":
    main()

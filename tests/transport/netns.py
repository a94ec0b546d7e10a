"""Two network namespaces with a bad wire between them: tc netem, or this program's own link.

The wire of ``tun_wire`` is a thread that carries whole IP packets between two TUN devices through
``Impairment``: the kernels' UDP and everything above meets the same link as in a simulation, on
machines whose kernel has no netem too.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transport.impair import Impairment, ImpairmentSettings

ROOT = Path(__file__).parents[2]
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
HOSTS = ("10.77.0.1", "10.77.0.2")


def run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


def why_not() -> str | None:
    """Why namespaces cannot be had here; None when they can."""
    name = f"svt{os.getpid()}x"
    try:
        run(f"ip netns add {name}")
        run(f"ip netns del {name}")
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except (OSError, subprocess.CalledProcessError):
        return "network namespaces need root and /dev/net/tun"
    return None


def has_netem() -> bool:
    name = f"svt{os.getpid()}n"
    try:
        run(f"ip netns add {name}")
        try:
            run(f"ip netns exec {name} tc qdisc add dev lo root netem loss 1%")
        finally:
            run(f"ip netns del {name}")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@contextlib.contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    names = (f"svt{os.getpid()}a", f"svt{os.getpid()}b")
    try:
        for name in names:
            run(f"ip netns add {name}")
            run(f"ip netns exec {name} ip link set lo up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@contextlib.contextmanager
def netem_wire(names: tuple[str, str], netem: str) -> Iterator[None]:
    ends = (f"v{os.getpid()}a", f"v{os.getpid()}b")
    run(f"ip link add {ends[0]} type veth peer name {ends[1]}")
    for name, end, host in zip(names, ends, HOSTS, strict=True):
        run(f"ip link set {end} netns {name}")
        run(f"ip netns exec {name} ip addr add {host}/24 dev {end}")
        run(f"ip netns exec {name} ip link set {end} up")
        run(f"ip netns exec {name} tc qdisc add dev {end} root netem {netem}")
    yield


@contextlib.contextmanager
def tun_wire(names: tuple[str, str], settings: ImpairmentSettings) -> Iterator[tuple[str, str]]:
    """Yields the device names."""
    devices = (f"t{os.getpid()}a", f"t{os.getpid()}b")
    files = []
    for name, device, host in zip(names, devices, HOSTS, strict=True):
        file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH14x", device.encode(), IFF_TUN | IFF_NO_PI))
        run(f"ip link set {device} netns {name}")
        run(f"ip netns exec {name} ip addr add {host}/24 dev {device}")
        run(f"ip netns exec {name} ip link set {device} up")
        files.append(file)
    stop = threading.Event()
    carrier = threading.Thread(target=_carry, args=(files, settings, stop), daemon=True)
    carrier.start()
    try:
        yield devices
    finally:
        stop.set()
        carrier.join(5)
        for file in files:
            os.close(file)


def _carry(files: list[int], settings: ImpairmentSettings, stop: threading.Event) -> None:
    links = [Impairment(settings, seed) for seed in (11, 12)]
    begun = time.monotonic()
    due: list[tuple[float, int, int, bytes]] = []
    number = 0
    while not stop.is_set():
        ready, _, _ = select.select(files, [], [], 0.002)
        now_ms = (time.monotonic() - begun) * 1000.0
        for side, file in enumerate(files):
            if file not in ready:
                continue
            with contextlib.suppress(OSError):
                packet = os.read(file, 2048)
                if packet[0] >> 4 != 4:
                    continue  # the kernel's own IPv6 chatter
                for at_ms, copy in links[side].submit(packet, now_ms, "wire", len(packet)):
                    number += 1
                    heapq.heappush(due, (at_ms, number, files[1 - side], copy))
        while due and due[0][0] <= now_ms:
            _, _, file, packet = heapq.heappop(due)
            with contextlib.suppress(OSError):  # the device may be down
                os.write(file, packet)


class Ends:
    """A caller and a callee, each a process in its namespace."""

    def __init__(self, names: tuple[str, str], seconds: float, interval_ms: int = 160) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.processes = [
            subprocess.Popen(
                f"ip netns exec {name} {sys.executable} -m tests.transport.netns_peer "
                f"{role} --seconds {seconds} --interval-ms {interval_ms}".split(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env=environment,
            )
            for name, role in zip(names, ("caller", "callee"), strict=True)
        ]
        codes = [self._line(process) for process in self.processes]
        for process, code in zip(self.processes, reversed(codes), strict=True):
            assert process.stdin is not None
            process.stdin.write(code + "\n")
            process.stdin.flush()

    @staticmethod
    def _line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def wait_connected(self) -> None:
        """Until both say so; each gives up after a while and then says that instead."""
        assert [self._line(process) for process in self.processes] == ["connected", "connected"]

    def results(self, timeout_s: float = 60.0) -> list[dict[str, Any]]:
        """What each end heard. A process that does not end is killed."""
        watchdog = threading.Timer(timeout_s, self._kill)
        watchdog.start()
        try:
            lines = [self._line(process) for process in self.processes]
            lines = [
                self._line(process) if line == "connected" else line
                for process, line in zip(self.processes, lines, strict=True)
            ]
            for process in self.processes:
                process.communicate("\n")
        finally:
            watchdog.cancel()
            self._kill()
        return [json.loads(line) for line in lines]

    def _kill(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

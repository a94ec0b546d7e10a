"""``sottovoce demo``: two people on a bad link, phonemes beside Opus, nothing but this machine.

Two whole calls run in this process, each with its own peer connection over UDP sockets on
127.0.0.1, and everything sent crosses an impaired link. Meters show what happens; at the end
there is an evaluation bundle for each direction and a table. Nothing is left running.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from app.audio import AudioPort, FilePort
from app.call import Call
from app.call_state import CallState
from app.call_switches import impairment_words
from app.demo_view import meters, one_line, summary_table
from app.export import TWO_TALKERS, Bundle, export_bundle
from app.options import DemoOptions
from app.recorder import load_bundle
from app.settings import Settings
from app.talker import conversation, find_talkers
from engine.errors import SottovoceError
from transport.ice import IceSettings
from transport.impair import ImpairmentSettings
from transport.state import RtcSettings

NAMES = ("Ada", "Bo")
CONNECT_S = 60.0  # models load meanwhile
TAIL_S = 1.5  # for the last words to arrive
REFRESH_S = 0.25
LINE_S = 5.0  # between lines where there is no terminal to paint on


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What one direction left behind."""

    title: str
    folder: Path
    bundle: Bundle


class Demo:
    """The two calls. ``start``, then ``finish``; ``close`` always."""

    def __init__(self, options: DemoOptions, console: Console) -> None:
        self.options = options
        self.console = console
        self._home = tempfile.TemporaryDirectory(prefix="sottovoce-demo-")
        self.link = ImpairmentSettings(
            loss=options.loss,
            burst_ms=options.burst_ms,
            delay_ms=options.delay_ms,
            jitter_ms=options.jitter_ms,
        )
        talkers = find_talkers(options.talkers)
        tracks = conversation(talkers[0].pcm, talkers[1].pcm, options.seconds)
        self.talkers = [talker.name for talker in talkers]
        self.ports: list[AudioPort] = [
            FilePort(track, name=talker.name, held=True)
            for track, talker in zip(tracks, talkers, strict=True)
        ]
        if options.live:
            from app.devices import list_devices, open_port

            if not list_devices("input"):
                raise SottovoceError(
                    "There is no microphone here: leave out --live, or give --talker FILE.wav."
                )
            self.ports[0] = open_port()
            self.talkers[0] = "the microphone"
        self.calls = [self._call(number) for number in range(2)]
        self._stop = threading.Event()

    def _call(self, number: int) -> Call:
        live = self.options.live and number == 0
        settings = Settings(
            name=NAMES[number],
            echo_cancellation=live,
            noise_suppression=live,
            gain_control=live,
            layers=self.options.layers,
            opus_rate_bps=self.options.opus_rate_bps,
            opus_frame_ms=self.options.opus_frame_ms,
            recordings=str(Path(self._home.name) / NAMES[number]),
        )
        here = RtcSettings(ice=IceSettings(addresses=("127.0.0.1",)))
        call = Call(settings, self.ports[number], rtc=here, seed=self.options.seed + number)
        call.set_impairment(self.link)
        return call

    def start(self) -> None:
        """Connect, agree to record, let the talkers begin. Raises SottovoceError."""
        one, two = self.calls
        try:
            invite = one.create_invite().result(CONNECT_S)
            answer = two.accept_invite(invite).result(CONNECT_S)
            one.accept_answer(answer).result(CONNECT_S)
        except FutureTimeout as error:
            raise SottovoceError("The two ends did not find each other on 127.0.0.1.") from error
        self._wait(lambda: all(call.state is CallState.ACTIVE for call in self.calls))
        one.request_recording()
        self._wait(lambda: two.stats().recording == "asked")
        two.request_recording()
        self._wait(lambda: all(call.stats().recording == "on" for call in self.calls))
        for port in self.ports:
            if isinstance(port, FilePort):
                port.release()

    def _wait(self, ready: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + CONNECT_S
        while not ready():
            for call in self.calls:
                if call.state is CallState.ENDED:
                    raise SottovoceError(call.stats().notice or "The call ended early.")
            if time.monotonic() > deadline_s or self._stop.is_set():
                raise SottovoceError("The call did not begin: is UDP on 127.0.0.1 allowed?")
            time.sleep(0.05)

    def watch(self) -> None:
        """Show the meters until the talkers are done, a call ends or ``stop``."""
        end_s = time.monotonic() + self.options.seconds + TAIL_S
        if self.console.is_terminal:
            with Live(self._view(end_s), console=self.console, auto_refresh=False) as live:
                while self._going(end_s, REFRESH_S):
                    live.update(self._view(end_s), refresh=True)
        else:
            line_s = 0.0
            while self._going(end_s, REFRESH_S):
                if time.monotonic() >= line_s:
                    line_s = time.monotonic() + LINE_S
                    line = one_line([call.stats() for call in self.calls], NAMES)
                    self.console.print(line, soft_wrap=True, highlight=False)

    def _view(self, end_s: float) -> RenderableType:
        left_s = max(0.0, end_s - time.monotonic())
        return meters([call.stats() for call in self.calls], NAMES, left_s)

    def _going(self, end_s: float, wait_s: float) -> bool:
        ended = any(call.state is CallState.ENDED for call in self.calls)
        return time.monotonic() < end_s and not ended and not self._stop.wait(wait_s)

    def stop(self) -> None:
        self._stop.set()

    def finish(self, out: Path) -> list[DemoResult]:
        """Hang up and write both directions' bundles."""
        final = [call.stats() for call in self.calls]
        self.calls[0].stop_recording()
        self.close()
        folders = [folder for call in self.calls if (folder := call.recording.folder)]
        if len(folders) < 2:
            raise SottovoceError("Nothing was recorded: the call ended before it began.")
        halves = [
            load_bundle(folder, call.recording.summary)
            for folder, call in zip(folders, self.calls, strict=True)
        ]
        results = []
        for near, far in ((0, 1), (1, 0)):
            title = f"{NAMES[near]} heard by {NAMES[far]}"
            target = out if near == 0 else out / f"{NAMES[near]}-to-{NAMES[far]}".lower()
            bundle = Bundle(
                title=title,
                sounds={**halves[far].sounds, "near": halves[near].sounds["near"]},
                events=[row for row in halves[near].events if row.side == "near"]
                + [row for row in halves[far].events if row.side == "far"],
                packets=halves[far].packets,
                stats=halves[far].stats,
                summary=halves[far].summary,
                manifest={
                    **{k: v for k, v in halves[far].manifest.items() if k != TWO_TALKERS},
                    "talker": self.talkers[near],
                    "seed": self.options.seed + near,
                    "link": final[near].impairment or "as it was",
                    "layers": self.options.layers,
                },
            )
            results.append(DemoResult(title, export_bundle(bundle, target), bundle))
        return results

    def close(self) -> None:
        """End both calls and every thread. Safe to call twice."""
        for call in self.calls:
            call.hang_up()
        for call in self.calls:
            call.close()

    def forget(self) -> None:
        self._home.cleanup()


def has_display() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def output_folder(out: Path | None) -> Path:
    """Where the bundle goes: as asked, or a new folder under ``runs``."""
    if out is not None:
        return out
    return Path("runs") / time.strftime("demo-%Y%m%d-%H%M%S")


def run_demo(options: DemoOptions, console: Console | None = None) -> int:
    """The whole demo. Returns the exit code. Raises SottovoceError for bad input."""
    console = console or Console()
    out = output_folder(options.out)
    windows = has_display() if options.window is None else options.window
    if windows and not has_display():
        raise SottovoceError("There is no display for the windows: give --no-window.")
    demo = Demo(options, console)
    if not windows:
        why = "" if has_display() else "No display here, so no window opens. "
        told = f"{why}Meters follow; the bundle goes to [bold]{out}[/bold]."
        console.print(told, style="dim", soft_wrap=True)
    try:
        console.print(
            f"{NAMES[0]} is {demo.talkers[0]}, {NAMES[1]} is {demo.talkers[1]}. "
            f"The link: {impairment_words(demo.link) or 'as it is'}. Loading the models …",
            soft_wrap=True,
        )
        if windows:
            from app.demo_windows import run_with_windows

            run_with_windows(demo)
        else:
            try:
                demo.start()
                demo.watch()
            except KeyboardInterrupt:
                console.print("Stopping.")
        with console.status("Writing the bundle …") if console.is_terminal else nullcontext():
            results = demo.finish(out)
    finally:
        demo.close()
        demo.forget()
    for result in results:
        console.print(summary_table(result.title, result.bundle.summary))
    told = f"Evaluation bundle: [bold]{out}[/bold] (open report.html in a browser)"
    console.print(told, soft_wrap=True)
    return 0

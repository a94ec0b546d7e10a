"""One end of a call in a process of its own, for the tests that kill it.

``python -m tests.app.resume_peer FOLDER invite|resume``: prints the invite and reads the answer, or
goes on with the call whose ticket lies in FOLDER; then prints a line about itself five times a
second until its standard input closes.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from app.audio import FilePort
from app.call import Call
from app.resume import FILE_NAME, TicketFile
from app.settings import Settings
from app.talker import find_talkers
from tests.app.calls import HERE, PATIENCE_S


def main(folder: Path, way: str) -> int:
    tickets = TicketFile(folder / FILE_NAME)
    settings = Settings(
        name="Ada", echo_cancellation=False, noise_suppression=False, gain_control=False
    )
    call = Call(
        settings, FilePort(find_talkers()[0].pcm, name="a file", repeat=True), rtc=HERE,
        tickets=tickets,
    )  # fmt: skip
    if way == "invite":
        print(call.create_invite().result(PATIENCE_S), flush=True)
        call.accept_answer(sys.stdin.readline().strip()).result(PATIENCE_S)
    else:
        ticket = tickets.load()
        if ticket is None:
            print("there is no call to resume", flush=True)
            return 1
        call.resume(ticket).result(PATIENCE_S)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    while not over.is_set():
        stats = call.stats()
        saved = (folder / FILE_NAME).exists()
        print(f"{call.state.value} {stats.events_received} {saved}", flush=True)
        time.sleep(0.2)
    call.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))

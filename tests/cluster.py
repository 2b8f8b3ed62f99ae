"""Several processes that work together: spawned once, connected by gloo through a file, given jobs one by one."""

from __future__ import annotations

import io
import multiprocessing
import queue
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

PATIENCE = 240  # seconds that a job may take on a busy machine


class Cluster:
    """n processes, started when the first job comes. Each of them is given the same job."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.processes: list[Any] = []

    def start(self) -> None:
        """Let them meet."""
        spawn = multiprocessing.get_context("spawn")
        self.room = tempfile.TemporaryDirectory(prefix="fallline-cluster-")
        self.inboxes, self.outbox = [spawn.Queue() for _ in range(self.n)], spawn.Queue()
        file = str(Path(self.room.name, "meet"))
        jobs = [(rank, self.n, file, inbox, self.outbox) for rank, inbox in enumerate(self.inboxes)]
        self.processes = [spawn.Process(target=_serve, args=job, daemon=True) for job in jobs]
        for process in self.processes:
            process.start()

    def run(self, job: Callable[..., Any], *given: Any) -> list[Any]:
        """What `job(*given)` returned in every process, in the order of their ranks; AssertionError if one failed."""
        if not self.processes:
            self.start()
        for inbox in self.inboxes:
            inbox.put(_packed((job, given)))
        told: dict[int, Any] = {}
        while len(told) < self.n:
            rank, trouble, answer = self._hear(told)
            if trouble:
                self.stop()  # the others may wait for it for ever
                raise AssertionError(f"process {rank}: {trouble}")
            told[rank] = _unpacked(answer)
        return [told[rank] for rank in range(self.n)]

    def _hear(self, told: dict[int, Any]) -> Any:
        try:
            return self.outbox.get(timeout=PATIENCE)
        except queue.Empty:
            silent = sorted({*range(self.n)} - {*told})
            return silent, f"nothing was heard for {PATIENCE} seconds", b""

    def stop(self) -> None:
        """End all processes; the next job starts others."""
        for process in self.processes:
            process.kill()
            process.join()
        if self.processes:
            self.room.cleanup()
        self.processes = []


def _serve(rank: int, n: int, file: str, inbox: Any, outbox: Any) -> None:
    torch.set_num_threads(1)
    wait = timedelta(seconds=PATIENCE / 2)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=n, timeout=wait)
    while (asked := _next(inbox)) is not None:
        job, given = _unpacked(asked)
        try:
            torch.manual_seed(0)
            outbox.put((rank, "", _packed(job(*given))))
        except BaseException:
            outbox.put((rank, traceback.format_exc(), b""))


def _next(inbox: Any) -> bytes | None:
    """The next job; None if nobody is left who could give one."""
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive():
        try:
            return inbox.get(timeout=2)  # type: ignore[no-any-return]
        except queue.Empty:
            continue
    return None


def _packed(x: Any) -> bytes:
    """Bytes go through queues; tensors would go through shared memory, which a container may lack."""
    room = io.BytesIO()
    torch.save(x, room)
    return room.getvalue()


def _unpacked(x: bytes) -> Any:
    return torch.load(io.BytesIO(x), weights_only=False)

"""Several processes that work together: spawned once, connected by gloo through a file, given jobs by name."""

from __future__ import annotations

import io
import queue
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

PATIENCE = 120  # seconds that a job may take


class Cluster:
    """n processes. `run` gives each of them the same job and hands back what each of them returned."""

    def __init__(self, n: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.room = tempfile.TemporaryDirectory(prefix="fallline-cluster-")
        self.inboxes = [spawn.Queue() for _ in range(n)]
        self.outbox = spawn.Queue()
        file = str(Path(self.room.name, "meet"))
        jobs = [(rank, n, file, inbox, self.outbox) for rank, inbox in enumerate(self.inboxes)]
        self.processes = [spawn.Process(target=_serve, args=job, daemon=True) for job in jobs]
        for process in self.processes:
            process.start()

    def run(self, job: Callable[..., Any], *given: Any) -> list[Any]:
        """What `job(*given)` returned in every process, in the order of their ranks; AssertionError if one failed."""
        for inbox in self.inboxes:
            inbox.put(_packed((job, given)))
        told: dict[int, Any] = {}
        while len(told) < len(self.processes):
            try:
                rank, sound, answer = self.outbox.get(timeout=PATIENCE)
            except queue.Empty:
                self.stop()
                raise AssertionError(
                    f"processes {sorted({*range(len(self.processes))} - {*told})} are silent"
                ) from None
            if not sound:
                self.stop()
                raise AssertionError(f"process {rank}: {_unpacked(answer)}")
            told[rank] = _unpacked(answer)
        return [told[rank] for rank in sorted(told)]

    def stop(self) -> None:
        """End all processes; the next who asks gets new ones."""
        cluster.cache_clear()
        for process in self.processes:
            process.kill()
            process.join()
        self.room.cleanup()


@lru_cache(maxsize=2)
def cluster(n: int) -> Cluster:
    """The n processes of this session."""
    return Cluster(n)


def _serve(rank: int, n: int, file: str, inbox: Any, outbox: Any) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    wait = timedelta(seconds=PATIENCE / 2)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=n, timeout=wait)
    while True:
        job, given = _unpacked(inbox.get())
        try:
            outbox.put((rank, True, _packed(job(*given))))
        except Exception:
            outbox.put((rank, False, _packed(traceback.format_exc())))


def _packed(x: Any) -> bytes:
    """Through queues go bytes: tensors would go through shared memory, which a container may lack."""
    room = io.BytesIO()
    torch.save(x, room)
    return room.getvalue()


def _unpacked(x: bytes) -> Any:
    return torch.load(io.BytesIO(x), weights_only=False)

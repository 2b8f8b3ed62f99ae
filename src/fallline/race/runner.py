"""Runs settings that are not done yet, in this process or in several."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from fallline.race.setting import Setting
from fallline.race.store import Record, Store
from fallline.race.train import train


class Job(Protocol):
    """What decides one run, under a name of its own."""

    @property
    def key(self) -> str:
        """The name of its file."""


def work(s: Setting, store: Store, data: Path | None) -> Record:
    """Train one setting and keep its record."""
    record = train(s, data, store.load(s.source) if s.source else None)
    store.save(record)
    return record


@dataclass(frozen=True)
class Runner:
    """How to run: where results go, where data lies, in how many processes, and what runs one job and keeps it."""

    store: Store
    data: Path | None
    workers: int
    work: Callable[[Any, Store, Path | None], Record] = work

    def run(self, settings: Sequence[Job], tick: Callable[[Record, bool], None]) -> list[Record]:
        """Records in the order of the settings; `tick(record, fresh)` is called as each becomes available."""
        done: dict[str, Record] = {}
        missing: list[Job] = []
        for s in {s.key: s for s in settings}.values():
            record = self.store.load(s.key)
            if record is None:
                missing.append(s)
            else:
                done[s.key] = record
                tick(record, False)
        for record in self.fresh(missing):
            done[record["key"]] = record
            tick(record, True)
        return [done[s.key] for s in settings]

    def fresh(self, settings: Sequence[Job]) -> Iterator[Record]:
        """Train what is missing."""
        if self.workers == 1 or len(settings) < 2:
            with one_thread():
                yield from (self.work(s, self.store, self.data) for s in settings)
        else:
            yield from self.spread(settings)

    def spread(self, settings: Sequence[Job]) -> Iterator[Record]:
        """Train in worker processes; spawned, because a forked torch can hang in its thread pool."""
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self.workers, spawn, initializer=torch.set_num_threads, initargs=(1,))
        try:
            for future in as_completed([pool.submit(self.work, s, self.store, self.data) for s in settings]):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)  # runs under way end and are kept, the others do not start


@contextmanager
def one_thread() -> Iterator[None]:
    """torch on one thread, so that a run gives the same numbers here and in a worker."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

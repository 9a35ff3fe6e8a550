"""Reads a data set in batches by two workers, as a DataLoader does, or by torch's DataLoader. Prints what they saw."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from typing import Any

from talking import say

from coshelf.contrib.torch import ShelfDataset


def seen(value: Any) -> tuple[int, float, bool]:
    """The sample, as small data; and which process reads it."""
    if isinstance(value, int):
        return os.getpid(), float(value), True
    assert not value.flags.writeable
    return os.getpid(), float(value.sum()), False


def main(path: str, method: str, loader: str) -> None:
    dataset = ShelfDataset(path, "train", transform=seen)
    assert dataset[0] == (os.getpid(), 0.0, True)  # the shelf is open before the workers begin
    batches = [range(start, min(start + 2, len(dataset))) for start in range(0, len(dataset), 2)]
    if loader == "torch":
        from torch.utils.data import DataLoader

        found = DataLoader(
            dataset, batch_sampler=batches, num_workers=2, multiprocessing_context=method, collate_fn=list
        )
        samples = [sample for batch in found for sample in batch]
    else:
        samples = in_pool(dataset, method, batches)
    say(
        json.dumps(
            {
                "numbers": [int(number) for _, number, is_number in samples if is_number],
                "sums": [total for _, total, is_number in samples if not is_number],
                "pids": sorted({pid for pid, *_ in samples}),
            }
        )
    )
    dataset.close()


def in_pool(dataset: ShelfDataset[Any], method: str, batches: list[range]) -> list[Any]:
    """Each worker has its own queue of batches, as a worker of a DataLoader has."""
    context = multiprocessing.get_context(method)
    results = context.Queue()
    shares = [[(number, batches[number]) for number in range(first, len(batches), 2)] for first in range(2)]
    workers = [context.Process(target=work, args=(dataset, share, results)) for share in shares]
    for worker in workers:
        worker.start()
    found = dict(results.get(timeout=300) for _ in batches)
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    return [sample for number in sorted(found) for sample in found[number]]


def work(dataset: ShelfDataset[Any], share: list[tuple[int, range]], results: Any) -> None:
    for number, batch in share:
        results.put((number, dataset.__getitems__(batch)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])

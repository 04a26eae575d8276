"""Processes of one training, one per GPU, started by torchrun."""

from __future__ import annotations

import gc
import importlib
import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Rank:
    """Rank of this process among ``count`` processes, and among those on its machine."""

    number: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that prints, validates and writes."""
        return self.number == 0


def join_ranks(device: str) -> Rank:
    """Connects to the other processes of torchrun and returns the rank; without torchrun, the only rank."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Rank()
    rank = Rank(int(os.environ["RANK"]), count, int(os.environ["LOCAL_RANK"]))
    if device == "cuda":
        torch.cuda.set_device(rank.local)
    if not torch.distributed.is_initialized():
        # Torch imports it by itself later: its functions would hold the connection as a default argument.
        importlib.import_module("torch.distributed.nn.functional")
        torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    return rank


def leave_ranks() -> None:
    """Ends the connection of the processes, if there is one, and its threads.

    A thread that lives on may abort the process when the interpreter ends: nothing may hold the connection.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        gc.collect()  # networks divided among the ranks, dropped before, are in reference cycles
        torch.distributed.destroy_process_group()


def in_any(asked: bool, rank: Rank) -> bool:
    """Whether ``asked`` holds in any process; all of them get the same answer, and wait for it."""
    if rank.count == 1:
        return asked
    found = torch.tensor(float(asked), device="cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
    torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX)
    return bool(found)


def divided_among(network: torch.nn.Module, rank: Rank) -> torch.nn.Module:
    """Network whose gradients are averaged over the ranks; the network itself with one rank."""
    if rank.count == 1:
        return network
    return torch.nn.parallel.DistributedDataParallel(network)

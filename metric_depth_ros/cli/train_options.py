"""Options shared by all trainings."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metric_depth_ros.learning.training.loop import Trainer

# Encoder -> its initial weights, which come with the package.
_ENCODER_WEIGHTS = {"lite0": "config/models/small_depth.npz", "tiny": "config/models/tiny_depth.npz"}


def add_run(
    parser: argparse.ArgumentParser,
    *,
    minutes: str,
    batch: str,
    learning_rate: str,
    threads: str,
    look_every: str,
) -> None:
    """Adds the options for folder, budget and training; the arguments are defaults, in words."""
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    budget = parser.add_argument_group("budget").add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, help=f"of time, over all resumed parts (default {minutes})")
    budget.add_argument("--steps", type=int, help="in steps: reproducible to the bit")
    budget.add_argument("--epochs", type=float, help="in passes over the data, made steps")
    how = parser.add_argument_group("how")
    how.add_argument("--resume", action="store_true", help="go on where RUN stopped, with the same budget")
    how.add_argument("--batch", type=int, help=f"pictures a step (default {batch})")
    how.add_argument(
        "--learning-rate", type=float, metavar="RATE", help=f"the highest (default {learning_rate})"
    )
    how.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    how.add_argument("--threads", type=int, help=f"of the processor (default {threads})")
    how.add_argument("--device", help="auto (default), cpu or cuda; in bfloat16 where it helps")
    how.add_argument(
        "--families", default="", metavar="A,B", help="train and validate on these kinds of scenes only"
    )
    how.add_argument(
        "--look-every",
        type=int,
        metavar="STEPS",
        help=f"steps between validations, each with a checkpoint (default {look_every})",
    )


def add_encoder(parser: argparse._ActionsContainer) -> None:
    """Adds the options for an encoder whose weights are good from the start."""
    parser.add_argument(
        "--frozen",
        type=float,
        metavar="PART",
        help="of the budget, before an encoder trained on photographs is trained too (default 0.6)",
    )
    parser.add_argument(
        "--encoder-rate",
        type=float,
        metavar="PART",
        help="its learning rate, as a part of that of the others (default 0.1)",
    )


def encoder_weights(told: str | None, encoder: str) -> str | None:
    """File of an encoder's initial weights: the one told, else the package's; None for "none" and unknown."""
    from metric_depth_ros.share import share_path

    if told is None and encoder in _ENCODER_WEIGHTS:
        return str(share_path(_ENCODER_WEIGHTS[encoder]))
    return None if told == "none" else told


def run_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Settings given through the options of ``add_run``, without those left out.

    Raises:
        ConfigError: the number of epochs is not positive.
    """
    from metric_depth_ros.errors import ConfigError

    if args.epochs is not None and not 0 < args.epochs < math.inf:
        raise ConfigError(f"epochs: {args.epochs}; needed a positive number.")
    told = {
        "out": str(args.out),
        "minutes": args.minutes,
        "steps": args.steps,
        "batch": args.batch,
        "learning_rate": args.learning_rate,
        "seed": args.seed,
        "threads": args.threads,
        "device": args.device,
        "families": tuple(name for name in args.families.split(",") if name),
        "look_every": args.look_every,
    }
    return {name: value for name, value in told.items() if value is not None}


def in_steps(settings: Any, epochs: float | None, count: Callable[[], int]) -> Any:
    """Settings with the budget of ``epochs`` in steps; ``count`` gives the number of images."""
    from dataclasses import replace

    if epochs is None:
        return settings
    return replace(settings, steps=math.ceil(epochs * count() / settings.batch))


def in_budget(settings: Any, args: argparse.Namespace, epochs: float, count: int) -> Any:
    """Settings with the budget told in steps or passes over ``count`` images; none told: ``epochs``."""
    told = args.minutes is not None or args.steps is not None
    return in_steps(settings, None if told else args.epochs or epochs, lambda: count)


def must_be_written(file: Path, what: str, args: argparse.Namespace, flags: Sequence[str]) -> bool:
    """Whether what a run keeps of its data is still missing.

    Raises:
        ConfigError: it is there, and so is one of the flags that say what it is made of; or it is missing,
            and there is no --data to make it of.
    """
    from metric_depth_ros.errors import ConfigError

    folder = file.parent
    if not file.is_file():
        if not args.data:
            raise ConfigError(f"{folder}: no {what} yet, and no --data to make them of. Name folders.")
        return True
    if any(getattr(args, flag.replace("-", "_")) for flag in flags):
        *most, last = (f"--{flag}" for flag in flags)
        raise ConfigError(
            f"{folder}: holds {what} already, made as their own flags said. Leave out {', '.join(most)} and "
            f"{last}, name another --{what}, or remove that folder to make others."
        )
    return False


def show_progress(written: Iterable[int], count: int, what: str) -> None:
    """Runs an iterator of the numbers of pictures done, up to ``count``, behind a progress bar."""
    from tqdm import tqdm

    with tqdm(total=count, unit="picture", desc=what, disable=None) as bar:
        for done in written:
            bar.update(done - bar.n)


def run_to_end(trainer: Trainer, export: str) -> int:
    """Runs a training and names the verb that exports it; returns the exit status."""
    try:
        trainer.run()
    finally:
        trainer.close()
    out = trainer.settings.out
    print(f"{out}: done. Next: metric_depth train {export} {out} --to FOLDER")
    return 0


def need_torch() -> None:
    """Raises ConfigError if torch is not installed."""
    from metric_depth_ros.errors import ConfigError

    if find_spec("torch") is None:
        raise ConfigError("train: torch is not installed. Install it: pip install 'metric_depth_ros[train]'")

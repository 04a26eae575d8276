"""The table of a fault campaign."""

import re

import numpy as np
from fault_campaign import Outcome


def as_table(outcomes: list[Outcome]) -> str:
    """The outcomes as Markdown: a table, and its sums."""
    times = [one.recovery_s for one in outcomes if one.recovery_s is not None]
    spread = f"; median {np.median(times):.2f} s, longest {max(times):.2f} s" if times else ""
    wrong = sum(len(one.wrong_after) for one in outcomes)
    lying = sum(one.published == "wrong" for one in outcomes)
    sums = (
        f"{len(outcomes)} faults: {sum(one.survived for one in outcomes)} survived, {len(times)} recovered "
        f"from{spread}. Wrong depth: {lying} where the input lay, {wrong} elsewhere."
    )
    rows = [
        f"| {one.group} | {one.fault.name} | {'yes' if one.survived else '**no**'} "
        f"| {'**never**' if one.recovery_s is None else f'{one.recovery_s:.2f}'} | {one.published} "
        f"| {_cell(f'failed: {one.failed}' if one.failed else one.said)} |"
        for one in outcomes
    ]
    head = (
        "| Group | Fault | Survived | Recovery, s | Published meanwhile | Said |\n|---|---|---|---|---|---|"
    )
    return "\n".join([sums, "", head, *rows, ""])


def _cell(text: str) -> str:
    """The beginning of a text, as it can stand in a cell."""
    plain = " ".join(text.replace("|", "/").replace("`", "'").split())
    plain = plain.partition("[metric_depth_node]: ")[2] or plain
    plain = re.sub(r"/\S*/(?=toy\.)", "", plain)  # a folder of this run
    return plain if len(plain) <= 100 else f"{plain[:97]}..."

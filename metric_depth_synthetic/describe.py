"""Describes pictures of synthetic scenes in words, as a person would, for networks that read.

Sentences are made of the scene's kind and of what is seen, with paraphrases. No word says how large or how
far anything is: numbers, and words such as "small" or "narrow", would tell the scale itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from metric_depth_ros.types import IntArray
from metric_depth_synthetic.scene import LABELS


class Words(NamedTuple):
    """Paraphrases: some for training, others that only tests see."""

    training: tuple[str, ...]
    held_out: tuple[str, ...]


# What a scene is, by its kind.
PLACES: Mapping[str, Words] = {
    "office": Words(("an office", "a workplace with desks", "a study"), ("a bureau", "a home office")),
    "living": Words(("a living room", "a sitting room", "a lounge"), ("a parlour", "a family room")),
    "kitchen": Words(("a kitchen", "a kitchen with cupboards"), ("a galley kitchen", "a cooking area")),
    "bedroom": Words(("a bedroom", "a room with a bed"), ("a guest room", "a sleeping room")),
    "dining": Words(("a dining room", "a room with a dining table"), ("an eating area",)),
    "meeting": Words(("a meeting room", "a conference room"), ("a boardroom",)),
    "workshop": Words(("a workshop", "a room with workbenches"), ("a garage with tools", "a makerspace")),
    "storage": Words(("a storage room", "a store room with shelves"), ("a stockroom",)),
    "bathroom": Words(("a bathroom", "a washroom"), ("a restroom", "a toilet with a sink")),
    "classroom": Words(("a classroom", "a lecture room"), ("a schoolroom", "a seminar room")),
    "empty": Words(("an empty room", "a bare room"), ("an unfurnished room",)),
    "building": Words(("a corridor", "a hallway", "a passage in a building"), ("a lobby", "an aisle")),
    "basement": Words(("a basement", "a cellar corridor with pipes"), ("a utility tunnel",)),
    "tunnel": Words(("a tunnel", "an underground passage"), ("a subway tunnel", "a mine gallery")),
    "warehouse": Words(("a warehouse", "an aisle between racks"), ("a depot with pallets",)),
    "shop": Words(("a shop", "a supermarket aisle", "a store"), ("a grocery", "a retail store")),
    "school": Words(("a school corridor", "a hallway with lockers"), ("a college hall",)),
    "hotel": Words(("a hotel corridor", "a hotel hallway"), ("a hallway of an inn",)),
    "city": Words(("a city street", "a street in a town", "an urban road"), ("a downtown street",)),
    "old town": Words(("a lane in an old town", "an old street"), ("a historic quarter",)),
    "avenue": Words(("an avenue with trees", "a boulevard"), ("a tree-lined road",)),
    "suburb": Words(("a suburban street", "a residential street"), ("a neighbourhood with houses",)),
    "highway": Words(("a highway", "a motorway"), ("a freeway", "an expressway")),
    "country": Words(("a country road", "a road through fields"), ("a rural road",)),
    "works": Words(("an industrial street", "a road between factories"), ("a road in a business park",)),
    "campus": Words(("a campus", "a path between buildings"), ("a university courtyard",)),
    "park": Words(("a park", "a path in a park"), ("a public garden",)),
    "forest": Words(("a forest track", "a path through a forest"), ("a trail in the woods",)),
    "car park": Words(("a car park", "parked cars on a lot"), ("a parking lot",)),
    "table": Words(("things on a table", "objects on a tabletop"), ("a table with items on it",)),
    "desk": Words(("things on a desk", "objects on a desk"), ("a desktop with stationery",)),
    "floor": Words(("things on the floor", "objects lying on the floor"), ("items on the ground",)),
    "shelf": Words(("things on a shelf", "objects on a shelf"), ("a shelf with goods",)),
    "bare": Words(("a pile of objects", "objects on a plain surface"), ("a heap of items",)),
}  # fmt: skip
# What is seen, by its label. Walls and floors are not worth a word.
SEEN: Mapping[str, Words] = {
    "window": Words(("a window",), ("a glazed opening",)),
    "door": Words(("a door", "a doorway"), ("an entrance",)),
    "furniture": Words(("furniture", "chairs and cupboards"), ("furnishings",)),
    "clutter": Words(("boxes and bags", "clutter"), ("belongings",)),
    "person": Words(("a person", "people"), ("somebody", "a pedestrian")),
    "pole": Words(("poles", "a lamp post"), ("masts",)),
    "vehicle": Words(("cars", "vehicles", "a parked car"), ("traffic", "a van")),
    "vegetation": Words(("trees", "bushes", "plants"), ("greenery", "hedges")),
    "building": Words(("houses", "buildings", "a facade"), ("blocks of flats",)),
    "table": Words(("a table",), ("a worktop",)),
    "object": Words(("objects", "bottles and boxes", "tools"), ("utensils",)),
    "screen": Words(("a screen", "a monitor"), ("a display",)),
    "stairs": Words(("stairs",), ("steps",)),
    "fence": Words(("a fence",), ("railings",)),
    "sign": Words(("a sign",), ("a notice",)),
    "sky": Words(("the sky",), ("clouds",)),
}
_TEMPLATES = Words(
    ("{place}.", "The image shows {place}.", "A photo of {place}.", "{place} with {things}.",
     "The image shows {place} with {things}.", "{things}; {place}.", "This is {place}; there is {things}."),
    ("A view of {place} with {things}.", "One sees {place}.", "The camera looks at {place}, with {things}."),
)  # fmt: skip
# Share of the picture from which on something is seen, and the most things that a sentence names.
_SEEN_SHARE, _MOST = 0.01, 3


def describe(
    kind: str, labels: IntArray, rng: np.random.Generator, count: int, *, held_out: bool = False
) -> list[str]:
    """Sentences for a picture of a scene; none for a scene without a kind.

    Args:
        kind: one of ``PLACES``, or empty.
        labels: (H, W) index in LABELS.
        count: number of sentences, each with words of its own.
        held_out: whether words and templates are those that training never sees.
    """
    if not kind:
        return []
    share = np.bincount(labels.ravel(), minlength=len(LABELS)) / labels.size
    seen = [name for name in SEEN if share[LABELS.index(name)] >= _SEEN_SHARE]
    return [_sentence(kind, seen, rng, held_out) for _ in range(count)]


def _sentence(kind: str, seen: Sequence[str], rng: np.random.Generator, held_out: bool) -> str:
    def drawn(words: Words) -> str:
        options = words.held_out if held_out else words.training
        return options[int(rng.integers(len(options)))]

    template = drawn(_TEMPLATES)
    chosen = rng.permutation(len(seen))[: int(rng.integers(1, _MOST + 1))]
    things = [drawn(SEEN[seen[k]]) for k in chosen.tolist()] or ["nothing else"]
    sentence = template.format(place=drawn(PLACES[kind]), things=" and ".join(things))
    return sentence[0].upper() + sentence[1:]

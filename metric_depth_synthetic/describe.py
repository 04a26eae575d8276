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


def _words(training: str, held_out: str) -> Words:
    """Paraphrases that are written with commas between them."""
    return Words(tuple(training.split(", ")), tuple(held_out.split(", ")))


# What a scene is, by its kind.
PLACES: Mapping[str, Words] = {
    "office": _words(
        "an office, a workplace with desks, a study, an office room, a room with a desk and a "
        "computer, someone's workspace, an open-plan office",
        "a bureau, a secretary's room, a cubicle",
    ),
    "living": _words(
        "a living room, a sitting room, a lounge, a room with a sofa, a cosy living room, a flat, "
        "a room in a house with an armchair",
        "a parlour, a family room, an apartment",
    ),
    "kitchen": _words(
        "a kitchen, a kitchen with cupboards, a kitchenette, a modern kitchen, a room with a "
        "stove, a kitchen counter and cabinets, a home kitchen",
        "a galley kitchen, a cooking area, a kitchen with a fridge",
    ),
    "bedroom": _words(
        "a bedroom, a room with a bed, a hotel room with a bed, a tidy bedroom, a bed and a "
        "wardrobe, someone's bedroom, a dormitory",
        "a guest room, a sleeping room, a master bedroom",
    ),
    "dining": _words(
        "a dining room, a room with a dining table, a dining table with chairs, a canteen, a cafe",
        "an eating area, a restaurant, a breakfast room",
    ),
    "meeting": _words(
        "a meeting room, a conference room, a room with a table and many chairs, a seminar table, "
        "a room for meetings",
        "a boardroom, a council room",
    ),
    "workshop": _words(
        "a workshop, a room with workbenches, a workshop with tools, a repair shop, a laboratory, "
        "a bench with tools in a workshop",
        "a garage with tools, a makerspace, a carpenter's shop",
    ),
    "storage": _words(
        "a storage room, a store room with shelves, a room full of boxes, a utility room, shelves "
        "and boxes in storage",
        "a stockroom, a pantry, an attic with boxes",
    ),
    "bathroom": _words(
        "a bathroom, a washroom, a bathroom with a mirror, a bathroom with a sink and a toilet, a "
        "shower room",
        "a restroom, a powder room, a lavatory",
    ),
    "classroom": _words(
        "a classroom, a lecture room, a room with rows of desks, a classroom in a school, a room "
        "with a blackboard",
        "a schoolroom, a tutorial room, an auditorium",
    ),
    "empty": _words(
        "an empty room, a bare room, a room without furniture, a vacant room, plain walls of a room",
        "an unfurnished room, a cleared room",
    ),
    "building": _words(
        "a corridor, a hallway, a passage in a building, a hall with doors, an indoor corridor, a "
        "hallway leading to a door, an office corridor",
        "a lobby, a passageway, an entrance hall",
    ),
    "basement": _words(
        "a basement, a cellar corridor with pipes, an underground corridor, a service corridor, "
        "pipes along a corridor",
        "a maintenance passage, a boiler room passage",
    ),
    "tunnel": _words(
        "a tunnel, an underground passage, a tunnel with lamps, the inside of a tunnel, an underpass",
        "a subway tunnel, a mine gallery",
    ),
    "warehouse": _words(
        "a warehouse, an aisle between racks, a warehouse with shelves, a logistics hall, pallets "
        "and racks in a hall, an industrial storage hall",
        "a depot with pallets, a distribution centre, a storehouse",
    ),
    "shop": _words(
        "a shop, a supermarket aisle, a store, shelves of goods in a store, a market hall, "
        "products on the shelves of a shop",
        "a grocery, a retail store, a department store",
    ),
    "school": _words(
        "a school corridor, a hallway with lockers, a corridor in a school, lockers along a hallway",
        "a college hall, a passage in an academy",
    ),
    "hotel": _words(
        "a hotel corridor, a hotel hallway, a corridor with carpet and doors, doors along a hotel hallway",
        "a hallway of an inn, a passage between hotel rooms",
    ),
    "city": _words(
        "a city street, a street in a town, an urban road, a road between buildings, a busy "
        "street, a street in the city centre, a street with shops and traffic",
        "a downtown street, a metropolitan road, a city scene with traffic",
    ),
    "old town": _words(
        "a lane in an old town, an old street, a cobbled street, a street between old houses, an "
        "alley in a town",
        "a historic quarter, a medieval lane",
    ),
    "avenue": _words(
        "an avenue with trees, a boulevard, a street with trees on both sides, a road lined with "
        "trees, a green avenue",
        "a road under lime trees, a parkway",
    ),
    "suburb": _words(
        "a suburban street, a residential street, houses along a street, a street with houses and "
        "gardens, a quiet residential area, a suburb",
        "a neighbourhood with houses, a housing estate",
    ),
    "highway": _words(
        "a highway, a motorway, cars on a highway, a road with several lanes, traffic on a motorway",
        "a freeway, an expressway, an interstate",
    ),
    "country": _words(
        "a country road, a road through fields, a road in the countryside, fields beside a road, "
        "a lane in the country",
        "a rural road, a farm road",
    ),
    "works": _words(
        "an industrial street, a road between factories, an industrial area, a factory yard, a "
        "road past warehouses",
        "a road in a business park, a street with depots",
    ),
    "campus": _words(
        "a campus, a path between buildings, a university campus, a square between buildings, a "
        "footpath on a campus",
        "a university courtyard, the grounds of a college",
    ),
    "park": _words(
        "a park, a path in a park, a park with trees and grass, a walk through a park, a garden",
        "a public garden, a green space",
    ),
    "forest": _words(
        "a forest track, a path through a forest, trees in a forest, a forest, a track between trees",
        "a trail in the woods, a woodland path",
    ),
    "car park": _words(
        "a car park, parked cars on a lot, rows of parked cars, cars in a car park, a parking area",
        "a parking garage deck, parked vehicles outside a store",
    ),
    "table": _words(
        "things on a table, objects on a tabletop, several items on a table, a table top with "
        "objects, household items on a table, a bowl and boxes on a table",
        "a tabletop still life, groceries on a table",
    ),
    "desk": _words(
        "things on a desk, objects on a desk, a desk with things on it, pens and cups on a desk",
        "a desktop with stationery, a cluttered desk surface",
    ),
    "floor": _words(
        "things on the floor, objects lying on the floor, items scattered on the floor",
        "items on the ground, toys on the floor",
    ),
    "shelf": _words(
        "things on a shelf, objects on a shelf, a shelf with bottles and boxes, items on a shelf board",
        "a pantry shelf, a cupboard shelf",
    ),
    "bare": _words(
        "a pile of objects, objects on a plain surface, some objects, a few things side by side",
        "a heap of items, assorted objects",
    ),
}
# What is seen, by its label. Walls and floors are not worth a word.
SEEN: Mapping[str, Words] = {
    "window": _words(
        "a window, windows, daylight from a window",
        "a glazed opening, window panes",
    ),
    "door": _words(
        "a door, a doorway, an open door, doors",
        "an entrance, an exit",
    ),
    "furniture": _words(
        "furniture, chairs and cupboards, a chair, a cabinet, chairs",
        "furnishings, seats",
    ),
    "clutter": _words(
        "boxes and bags, clutter, things lying around, boxes",
        "belongings, stuff",
    ),
    "person": _words(
        "a person, people, a man, a woman walking",
        "somebody, a pedestrian",
    ),
    "pole": _words(
        "poles, a lamp post, street lights",
        "masts, lanterns",
    ),
    "vehicle": _words(
        "cars, vehicles, a parked car, a truck, a car",
        "a van, automobiles",
    ),
    "vegetation": _words(
        "trees, bushes, plants, a tree",
        "greenery, hedges, foliage",
    ),
    "building": _words(
        "houses, buildings, a facade, a building",
        "blocks of flats, a house front",
    ),
    "table": _words(
        "a table, a table and chairs",
        "a worktop",
    ),
    "object": _words(
        "objects, bottles and boxes, tools, cups, a box",
        "utensils, containers",
    ),
    "screen": _words(
        "a screen, a monitor, a television",
        "a display",
    ),
    "stairs": _words(
        "stairs, a staircase",
        "steps",
    ),
    "fence": _words(
        "a fence, a barrier",
        "railings",
    ),
    "sign": _words(
        "a sign, signs",
        "a notice",
    ),
    "sky": _words(
        "the sky, a blue sky",
        "clouds",
    ),
}
_TEMPLATES = Words(
    ("{place}.", "The image shows {place}.", "A photo of {place}.", "{place} with {things}.",
     "{place}, {things}.",
     "The image shows {place} with {things}.", "{things}; {place}.", "This is {place}; there is {things}.",
     "A picture of {place}, with {things} in view.", "There is {things}. It looks like {place}.", "{place}"),
    ("A view of {place} with {things}.", "One sees {place}.", "The camera looks at {place}, with {things}.",
     "Inside the frame: {place} and {things}."),
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

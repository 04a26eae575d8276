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
        "an office, a workplace with desks, a study, an office room, a room with a desk and a computer, "
        "someone's workspace, an open-plan office, a home office, desks and office chairs, a room where "
        "people work at desks, computers on desks, a clerk's desk in an office, a coworking office",
        "a bureau, a secretary's room, a cubicle",
    ),
    "living": _words(
        "a living room, a sitting room, a lounge, a room with a sofa, a cosy living room, a flat, a room in "
        "a house with an armchair, a room with couches, a couch and a coffee table, a den with a "
        "television, a lounge with a rug and cushions, a furnished living area, the inside of a home",
        "a parlour, a family room, an apartment",
    ),
    "kitchen": _words(
        "a kitchen, a kitchen with cupboards, a kitchenette, a modern kitchen, a room with a stove, a "
        "kitchen counter and cabinets, a home kitchen, a kitchen in a house, a place where food is cooked, "
        "pots on a stove, a kitchen sink and a tap, an oven and cupboards, a kitchen bench",
        "a galley kitchen, a cooking area, a kitchen with a fridge",
    ),
    "bedroom": _words(
        "a bedroom, a room with a bed, a hotel room with a bed, a tidy bedroom, a bed and a wardrobe, "
        "someone's bedroom, a dormitory, a bed with pillows, a child's bedroom, a bedside table and a lamp, "
        "a room to sleep in, a blanket on a bed, a motel room",
        "a guest room, a sleeping room, a master bedroom",
    ),
    "dining": _words(
        "a dining room, a room with a dining table, a dining table with chairs, a canteen, a cafe, a table "
        "laid for dinner, a dinner table, a bistro, a place to eat, a cafeteria with tables, a room where "
        "people have their meals",
        "an eating area, a restaurant, a breakfast room",
    ),
    "meeting": _words(
        "a meeting room, a conference room, a room with a table and many chairs, a seminar table, a room "
        "for meetings, a conference table with chairs, a room with a projector and chairs, a negotiation "
        "table, a briefing room, chairs around a table, an office meeting area",
        "a boardroom, a council room",
    ),
    "workshop": _words(
        "a workshop, a room with workbenches, a workshop with tools, a repair shop, a laboratory, a bench "
        "with tools in a workshop, a mechanic's workshop, a lab bench, a hobby room with tools, machines in "
        "a workshop, a craftsman's bench, a bicycle repair room",
        "a garage with tools, a makerspace, a carpenter's shop",
    ),
    "storage": _words(
        "a storage room, a store room with shelves, a room full of boxes, a utility room, shelves and boxes "
        "in storage, a closet with shelves, cardboard boxes on shelves, an archive with boxes, a room of "
        "cupboards, spare things kept in a room, a cellar with boxes",
        "a stockroom, a pantry, an attic with boxes",
    ),
    "bathroom": _words(
        "a bathroom, a washroom, a bathroom with a mirror, a bathroom with a sink and a toilet, a shower "
        "room, a toilet, a bath with tiles, a basin below a mirror, a shower and a washbasin, tiled walls "
        "of a bathroom, a WC",
        "a restroom, a powder room, a lavatory",
    ),
    "classroom": _words(
        "a classroom, a lecture room, a room with rows of desks, a classroom in a school, a room with a "
        "blackboard, pupils' desks in a row, a school room with chairs, a seminar room, a room for "
        "teaching, a whiteboard before desks, chairs and desks for students",
        "a schoolroom, a tutorial room, an auditorium",
    ),
    "empty": _words(
        "an empty room, a bare room, a room without furniture, a vacant room, plain walls of a room, a room "
        "with nothing in it, an empty flat, four walls and a floor, a room before people move in, an empty "
        "office, an unused room",
        "an unfurnished room, a cleared room",
    ),
    "building": _words(
        "a corridor, a hallway, a passage in a building, a hall with doors, an indoor corridor, a hallway "
        "leading to a door, an office corridor, a corridor with doors, a walkway inside a building, an "
        "aisle of an office building, a hospital corridor, a foyer, doors on both sides of a hall",
        "a lobby, a passageway, an entrance hall",
    ),
    "basement": _words(
        "a basement, a cellar corridor with pipes, an underground corridor, a service corridor, pipes along "
        "a corridor, a cellar, ducts and pipes in a basement, a technical corridor, an underground service "
        "floor, a cellar hallway, cables along a corridor wall",
        "a maintenance passage, a boiler room passage",
    ),
    "tunnel": _words(
        "a tunnel, an underground passage, a tunnel with lamps, the inside of a tunnel, an underpass, a "
        "tunnel for walkers, a road tunnel, a concrete tube with lamps, a tunnel under a road, an arched "
        "passage underground, a pipe-like passage",
        "a subway tunnel, a mine gallery",
    ),
    "warehouse": _words(
        "a warehouse, an aisle between racks, a warehouse with shelves, a logistics hall, pallets and racks "
        "in a hall, an industrial storage hall, goods stacked on racks, a forklift aisle, a stack of goods, "
        "racks full of pallets, boxes on pallets, a stock hall of a company",
        "a depot with pallets, a distribution centre, a storehouse",
    ),
    "shop": _words(
        "a shop, a supermarket aisle, a store, shelves of goods in a store, a market hall, products on the "
        "shelves of a shop, a grocer's shelves, a convenience store, a mall, a drugstore, a bookshop, goods "
        "for sale",
        "a grocery, a retail store, a department store",
    ),
    "school": _words(
        "a school corridor, a hallway with lockers, a corridor in a school, lockers along a hallway, a "
        "corridor with classrooms, a school hallway, the hall of a school building, pupils' lockers, a "
        "hallway of a school, doors of classrooms",
        "a college hall, a passage in an academy",
    ),
    "hotel": _words(
        "a hotel corridor, a hotel hallway, a corridor with carpet and doors, doors along a hotel hallway, "
        "a corridor with room numbers, the floor of a hotel, a carpeted hallway, room doors in a hotel, a "
        "motel corridor, a hallway with carpet",
        "a hallway of an inn, a passage between hotel rooms",
    ),
    "city": _words(
        "a city street, a street in a town, an urban road, a road between buildings, a busy street, a "
        "street in the city centre, a street with shops and traffic, an inner city road, a street with "
        "offices, a crossing in a town, a main street, city blocks along a road, traffic between buildings",
        "a downtown street, a metropolitan road, a city scene with traffic",
    ),
    "old town": _words(
        "a lane in an old town, an old street, a cobbled street, a street between old houses, an alley in a "
        "town, a street with old buildings, a car-free zone in an old town, houses of stone along a lane, a "
        "village street, an old alley, paving stones between houses",
        "a historic quarter, a medieval lane",
    ),
    "avenue": _words(
        "an avenue with trees, a boulevard, a street with trees on both sides, a road lined with trees, a "
        "green avenue, trees beside a road, an alley of trees, a street under trees, a leafy street, a road "
        "with rows of trees, an urban avenue",
        "a road under lime trees, a parkway",
    ),
    "suburb": _words(
        "a suburban street, a residential street, houses along a street, a street with houses and gardens, "
        "a quiet residential area, a suburb, detached houses with gardens, houses with lawns, driveways and "
        "lawns, garden fences along a street, a road through a residential quarter, villas along a road",
        "a neighbourhood with houses, a housing estate",
    ),
    "highway": _words(
        "a highway, a motorway, cars on a highway, a road with several lanes, traffic on a motorway, a "
        "carriageway with lanes, an autobahn, a dual carriageway, a road for fast traffic, guard rails "
        "along a motorway, trucks on a highway",
        "a freeway, an expressway, an interstate",
    ),
    "country": _words(
        "a country road, a road through fields, a road in the countryside, fields beside a road, a lane in "
        "the country, a road between meadows, farmland beside a road, a village road, a road with grass on "
        "both sides, a route through open country, a road past pastures",
        "a rural road, a farm road",
    ),
    "works": _words(
        "an industrial street, a road between factories, an industrial area, a factory yard, a road past "
        "warehouses, an industrial estate, plants and halls along a road, a road in a harbour, a yard with "
        "halls, a street beside a factory, a trading estate",
        "a road in a business park, a street with depots",
    ),
    "campus": _words(
        "a campus, a path between buildings, a university campus, a square between buildings, a footpath on "
        "a campus, buildings of a university, a car-free area, a walkway between houses, a schoolyard, a "
        "plaza, a path across a yard between buildings",
        "a university courtyard, the grounds of a college",
    ),
    "park": _words(
        "a park, a path in a park, a park with trees and grass, a walk through a park, a garden, a lawn "
        "with trees, a path between lawns, a city park, benches and trees, a playground in a park, a "
        "botanic garden",
        "a public garden, a green space",
    ),
    "forest": _words(
        "a forest track, a path through a forest, trees in a forest, a forest, a track between trees, a "
        "track in a forest, pine trees, a hiking path between trees, undergrowth and trunks, a forest road, "
        "trunks of trees",
        "a trail in the woods, a woodland path",
    ),
    "car park": _words(
        "a car park, parked cars on a lot, rows of parked cars, cars in a car park, a parking area, a "
        "parking lot, parking bays, cars standing in rows, a place to park cars, a car lot, parked vehicles",
        "a parking garage deck, parked vehicles outside a store",
    ),
    "table": _words(
        "things on a table, objects on a tabletop, several items on a table, a table top with objects, "
        "household items on a table, a bowl and boxes on a table, a kitchen table with things on it, a "
        "plate and cups on a table, food on a table, a set table seen from above, boxes and bottles on a "
        "table, a table with a vase",
        "a tabletop still life, groceries on a table",
    ),
    "desk": _words(
        "things on a desk, objects on a desk, a desk with things on it, pens and cups on a desk, books and "
        "a keyboard on a desk, a writing desk, a mouse and a mug on a desk, papers on a desk, a desk lamp "
        "and books, office items on a desk",
        "a desktop with stationery, a cluttered desk surface",
    ),
    "floor": _words(
        "things on the floor, objects lying on the floor, items scattered on the floor, objects on the "
        "carpet, boxes on a floor, things dropped on the floor, a floor with some objects, shoes and bags "
        "on the floor, parts on a workshop floor",
        "items on the ground, toys on the floor",
    ),
    "shelf": _words(
        "things on a shelf, objects on a shelf, a shelf with bottles and boxes, items on a shelf board, "
        "books on a shelf, a bookcase, jars on a shelf, a board with cans and bottles, a rack with items, a "
        "shelf with household goods",
        "a pantry shelf, a cupboard shelf",
    ),
    "bare": _words(
        "a pile of objects, objects on a plain surface, some objects, a few things side by side, several "
        "objects next to each other, a collection of things, test objects, things before a plain "
        "background, objects seen from above, various items",
        "a heap of items, assorted objects",
    ),
}
# What is seen, by its label. Walls and floors are not worth a word.
SEEN: Mapping[str, Words] = {
    "window": _words(
        "a window, windows, daylight from a window, a window with curtains, glass, light falling through a "
        "window",
        "a glazed opening, window panes",
    ),
    "door": _words(
        "a door, a doorway, an open door, doors, a closed door, a wooden door, doors on the left, a door "
        "frame",
        "an entrance, an exit",
    ),
    "furniture": _words(
        "furniture, chairs and cupboards, a chair, a cabinet, chairs, a sofa, a shelf, desks, an armchair, "
        "wardrobes, a bench",
        "furnishings, seats",
    ),
    "clutter": _words(
        "boxes and bags, clutter, things lying around, boxes, cardboard boxes, a bag, many things, bins, "
        "packages",
        "belongings, stuff",
    ),
    "person": _words(
        "a person, people, a man, a woman walking, a man standing, a woman, someone walking, a human "
        "figure, passers-by",
        "somebody, a pedestrian",
    ),
    "pole": _words(
        "poles, a lamp post, street lights, a pole, lamps on poles, a post, traffic light poles",
        "masts, lanterns",
    ),
    "vehicle": _words(
        "cars, vehicles, a parked car, a truck, a car, parked cars, traffic, a bus, a delivery truck, two "
        "cars, a motor car",
        "a van, automobiles",
    ),
    "vegetation": _words(
        "trees, bushes, plants, a tree, a bush, leaves, grass and trees, branches, shrubs",
        "greenery, hedges, foliage",
    ),
    "building": _words(
        "houses, buildings, a facade, a building, walls of houses, windows of a building, an office "
        "building, a row of houses",
        "blocks of flats, a house front",
    ),
    "table": _words(
        "a table, a table and chairs, a desk, a wooden table, tables",
        "a worktop",
    ),
    "object": _words(
        "objects, bottles and boxes, tools, cups, a box, things, a bottle, a mug and a box, items, books",
        "utensils, containers",
    ),
    "screen": _words(
        "a screen, a monitor, a television, a computer screen, a monitor on a stand, a tv",
        "a display",
    ),
    "stairs": _words(
        "stairs, a staircase, a staircase with a handrail, a flight of stairs, a stairway",
        "steps",
    ),
    "fence": _words(
        "a fence, a barrier, a garden fence, a guard rail, a wire fence",
        "railings",
    ),
    "sign": _words(
        "a sign, signs, a traffic sign, a road sign, a board with writing",
        "a notice",
    ),
    "sky": _words(
        "the sky, a blue sky, a cloudy sky, an overcast sky, sky above",
        "clouds",
    ),
}
_TEMPLATES = Words(
    ("{place}.", "The image shows {place}.", "A photo of {place}.", "{place} with {things}.",
     "{place}, {things}.",
     "The image shows {place} with {things}.", "{things}; {place}.", "This is {place}; there is {things}.",
     "A picture of {place}, with {things} in view.", "There is {things}. It looks like {place}.", "{place}",
     "We are in front of {place}.", "The robot sees {place} with {things}.", "{place} and {things}",
     "In the picture there is {things}, probably {place}.", "Scene: {place}.", "It is {place}.",
     "{things} can be seen in this picture of {place}."),
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

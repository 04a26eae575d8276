"""Descriptions of rendered scenes: their words, and that none tells the scale."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("embreex")

from metric_depth_ros.datasets import open_dataset
from metric_depth_synthetic import describe as module
from metric_depth_synthetic.dataset import SyntheticDataset
from metric_depth_synthetic.describe import PLACES, SEEN, describe
from metric_depth_synthetic.make_shards import write_shard
from metric_depth_synthetic.scene import LABELS
from metric_depth_synthetic.scenes import FAMILIES
from metric_depth_synthetic.scenes.indoor import corridor, room
from metric_depth_synthetic.scenes.street import layout
from metric_depth_synthetic.textures import make_bank

# Words that say how large or how far something is.
OF_SIZE = re.compile(
    r"\b(small|large|big|tiny|huge|narrow|wide|long|short|tall|high|low|near|far|close|deep|vast|spacious|"
    r"cramped|\d+)\b"
)


def words_of(table):
    return [*table.values()]


def test_every_kind_of_scene_has_words():
    kinds = {*room._KINDS, *corridor._KINDS, *layout.KINDS, "table", "desk", "floor", "shelf", "bare"}
    assert kinds == set(PLACES)
    assert set(SEEN) <= set(LABELS)


def test_no_word_tells_the_scale_and_none_is_both_learned_and_held_out():
    for words in [*words_of(PLACES), *words_of(SEEN), module._TEMPLATES]:
        assert words.training and words.held_out
        assert not set(words.training) & set(words.held_out)
        for text in (*words.training, *words.held_out):
            assert not OF_SIZE.search(text), text


def test_every_held_out_phrase_has_a_word_that_training_never_sees():
    tables = [*words_of(PLACES), *words_of(SEEN)]
    seen = set(re.findall(r"\w+", " ".join(text for words in tables for text in words.training).lower()))
    for words in tables:
        for text in words.held_out:
            assert set(re.findall(r"\w+", text.lower())) - seen, text


@pytest.mark.parametrize("held_out", [False, True])
def test_a_sentence_says_the_place_and_what_is_seen(held_out):
    labels = np.full((20, 20), LABELS.index("wall"))
    labels[:5] = LABELS.index("person")
    labels[0, 0] = LABELS.index("vehicle")  # one pixel is not seen
    sentences = describe("kitchen", labels, np.random.default_rng(0), 200, held_out=held_out)
    places, people = (t["kitchen" if t is PLACES else "person"][held_out] for t in (PLACES, SEEN))
    assert len(set(sentences)) > 4
    for sentence in sentences:
        assert any(place in sentence.lower() for place in places), sentence
        assert not any(word in sentence.lower() for word in ("car", "traffic", "vehicle"))
        assert sentence[0].isupper() and "{" not in sentence
    assert any(person in sentence for person in people for sentence in sentences)


def test_a_scene_without_a_kind_is_not_described():
    assert describe("", np.zeros((4, 4), int), np.random.default_rng(0), 3) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_shards_hold_the_words_and_they_are_reproducible(family, tmp_path):
    data = SyntheticDataset([family], seed=5, size=(48, 32), bank=make_bank(0, count=80))
    write_shard(data, tmp_path, 0, range(2))
    found = open_dataset(tmp_path)
    for index in range(2):
        told = found.descriptions(index)
        assert len(told) == 5 and len(found.descriptions(index, held_out=True)) == 2
        assert list(told) == data.words(index, data[index].labels)["descriptions"]
        assert set(told).isdisjoint(found.descriptions(index, held_out=True))

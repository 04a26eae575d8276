"""Images to vectors, by the encoder of a depth network or by CLIP."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import tiny_checkpoints
import torch

from metric_depth_ros.cli.embeddings import build_embeds
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.learning.models.image_embedding import ImageEmbedding
from metric_depth_ros.learning.models.tiny_depth import TinyEncoder
from metric_depth_ros.types import RelativeDepth

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def view_of(image=IMAGE, **told) -> KnownView:
    relative = RelativeDepth(np.ones(image.shape[:2], np.float32), "depth")
    return KnownView("set", "a", "indoor", image, None, relative, None, **told)


def test_a_vector_has_a_number_for_each_channel_of_the_last_map():
    encoder = TinyEncoder()
    embed = ImageEmbedding.of_encoder(encoder)
    found = embed(IMAGE)
    assert found.shape == (encoder.channels[-1],) and found.dtype == np.float32
    np.testing.assert_array_equal(embed(IMAGE), found)
    assert np.abs(embed(255 - IMAGE) - found).max() > 1e-3


def test_clip_s_vector_is_that_of_transformers(tmp_path):
    from transformers import CLIPVisionModel

    folder = tiny_checkpoints.clip(tmp_path / "clip")
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": mean, "image_std": std}))
    found = ImageEmbedding.of_clip(folder)(IMAGE)
    small = cv2.resize(IMAGE, (28, 28), interpolation=cv2.INTER_AREA) / 255.0
    pixels = torch.tensor(((small - mean) / std).transpose(2, 0, 1)[None], dtype=torch.float32)
    expected = CLIPVisionModel.from_pretrained(folder)(pixel_values=pixels).pooler_output[0]
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-4)


def test_checkpoints_that_are_no_clip_and_vectors_that_are_not_finite(tmp_path):
    with pytest.raises(ModelError, match="needed clip"):
        ImageEmbedding.of_clip(tiny_checkpoints.bert(tmp_path / "bert"))
    with pytest.raises(ModelError, match="not finite"):
        ImageEmbedding(lambda image: image.mean((2, 3)) * float("nan"))(IMAGE)


def test_rows_of_the_paper_read_the_picture_or_the_description():
    embeds = build_embeds(["global", "image", "rsa"], None, None)
    assert list(embeds) == ["Global", "Image", "RSA"]
    told = view_of(description="A photo of a kitchen.", sentences=("A kitchen.", "A room with cupboards."))
    (nothing,), (picture,), (sentence,) = (embed(told, False) for embed in embeds.values())
    assert (nothing.shape, picture.ndim, sentence.shape) == ((0,), 1, (384,))
    assert len(embeds["RSA"](told, True)) == 2
    (other,) = embeds["RSA"](view_of(description="A street with cars."), False)
    (near,) = embeds["RSA"](view_of(description="The image shows a kitchen."), False)
    assert np.linalg.norm(near - sentence) < np.linalg.norm(other - sentence)
    for training in (False, True):
        with pytest.raises(InputError, match="set/a: no description; RSA reads one"):
            embeds["RSA"](view_of(), training)
    with pytest.raises(ConfigError, match="--scaling clip: needed some of global,image,rsa"):
        build_embeds(["clip"], None, None)

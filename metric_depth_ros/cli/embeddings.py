"""What scale and shift are learned from: nothing, the picture, or a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metric_depth_ros.evaluation.frames import KnownView
    from metric_depth_ros.evaluation.train_scaling import Embed
    from metric_depth_ros.types import FloatArray, ImageArray

# Rows of paper 000's tables by their name on the command line.
ROWS = {"global": "Global", "image": "Image", "rsa": "RSA"}
_TEXT = "config/models/tr2m_text.yaml"


def build_embeds(
    names: Sequence[str], image_encoder: Path | None, text_encoder: Path | None
) -> dict[str, Embed]:
    """What each row is a function of, by the row's label.

    Args:
        names: of ``ROWS``.
        image_encoder: manifest of an exported CLIP; None: the encoder of small_depth.
        text_encoder: manifest of an exported text encoder; None: that of the bundled TR2M.

    Raises:
        ConfigError: an unknown name, or a package is missing.
        ModelError: an encoder cannot be used.
    """
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.evaluation.train_scaling import no_embedding

    embeds: dict[str, Embed] = {}
    for name in names:
        if name not in ROWS:
            raise ConfigError(f"--scaling {name}: needed some of {','.join(ROWS)}.")
        if name == "global":
            embeds[ROWS[name]] = no_embedding
        else:
            embeds[ROWS[name]] = _of_image(image_encoder) if name == "image" else _of_text(text_encoder)
    return embeds


def _of_image(manifest: Path | None) -> Embed:
    from metric_depth_ros.engines.image_encoder import ImageEncoder

    encode = _small() if manifest is None else ImageEncoder.load(manifest)

    def embed(view: KnownView, training: bool) -> Sequence[FloatArray]:
        return [encode(view.image)]

    return embed


def _small() -> Callable[[ImageArray], FloatArray]:
    """Encoder of small_depth, with its weights. Raises ConfigError without torch."""
    try:
        from metric_depth_ros.learning.models.image_embedding import ImageEmbedding
    except ImportError as error:
        from metric_depth_ros.errors import ConfigError

        raise ConfigError(
            f"--scaling image: {error.name} is not installed; needed to embed pictures. "
            "pip install 'metric_depth_ros[train]', name an exported one (--image-encoder), or leave it out: "
            "--scaling global,rsa."
        ) from error
    from metric_depth_ros.cli.train_options import encoder_weights
    from metric_depth_ros.learning.models.named_encoders import build_encoder
    from metric_depth_ros.learning.training.checkpoint import load_depth_encoder

    encoder = build_encoder("lite0")
    load_depth_encoder(encoder, "lite0", encoder_weights(None, "lite0") or "")
    return ImageEmbedding(encoder)


def _of_text(manifest: Path | None) -> Embed:
    from metric_depth_ros.errors import InputError
    from metric_depth_ros.priors.text import SentenceReader, check_readable
    from metric_depth_ros.share import share_path

    check_readable("a text")
    reader = SentenceReader.load(share_path(_TEXT) if manifest is None else manifest)

    def embed(view: KnownView, training: bool) -> Sequence[FloatArray]:
        sentences = view.sentences if training else (view.description,)
        if not any(sentences):
            raise InputError(
                f"{view.name}: no description; RSA reads one. Give one (--captions, calib.json), or leave "
                "RSA out: --scaling global,image."
            )
        return [_mean(*reader.read(sentence)) for sentence in sentences]

    return embed


def _mean(states: FloatArray, mask: FloatArray) -> FloatArray:
    """Mean (P,) of the tokens of a sentence."""
    total: FloatArray = (states[0] * mask[0][:, None]).sum(axis=0) / mask.sum()
    return total

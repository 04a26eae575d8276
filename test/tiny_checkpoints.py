"""Randomly initialised checkpoints of every architecture, tiny, in the layout of real ones."""

from __future__ import annotations

import json


def save(model, folder, **processor):
    """Writes config.json, model.safetensors and preprocessor_config.json."""
    import torch

    for name, value in model.named_parameters():
        # Fresh networks are too even, and dead behind their last ReLU: a fault would not show.
        if value.ndim > 1 and name.endswith("weight"):
            # ZoeDepth's last layer divides by a temperature: larger weights make rounding errors large.
            gain = 0.3 if "conditional_log_binomial" in name else 1.4
            torch.nn.init.normal_(value, 0.0, gain / value[0].numel() ** 0.5)
        else:
            torch.nn.init.normal_(value, 1.0 if name.endswith("weight") else 0.1, 0.2)
        if name.startswith(("head.head.4.", "head.conv3.", "head.layers.4.")):
            value.data.abs_()
    model.eval().save_pretrained(folder)
    processor = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], **processor}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def _dinov2(**changes):
    return {
        "model_type": "dinov2", "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2,
        "image_size": 70, "patch_size": 14, "out_indices": [1, 2, 3, 4], "reshape_hidden_states": False,
        "apply_layernorm": True, **changes,
    }  # fmt: skip


def depth_anything(folder, **changes):
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

    config = DepthAnythingConfig(
        backbone_config=_dinov2(), reassemble_hidden_size=32, neck_hidden_sizes=[8, 16, 24, 32],
        fusion_hidden_size=16, head_hidden_size=8, **changes,
    )  # fmt: skip
    return save(DepthAnythingForDepthEstimation(config), folder, size={"height": 70, "width": 70})


_DPT = dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64, image_size=64,
            neck_hidden_sizes=[8, 16, 24, 32], fusion_hidden_size=16)  # fmt: skip
_HALF = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3)


def _dpt(folder, **changes):
    from transformers import DPTConfig, DPTForDepthEstimation

    return save(DPTForDepthEstimation(DPTConfig(**{**_DPT, **changes})), folder, **_HALF)


def dpt_large(folder):
    return _dpt(folder, backbone_out_indices=[0, 1, 2, 3])


def dpt_hybrid(folder):
    backbone = {
        "model_type": "bit", "global_padding": "same", "layer_type": "bottleneck", "depths": [1, 1, 2],
        "hidden_sizes": [16, 32, 64], "embedding_size": 16, "num_groups": 4,
        "out_features": ["stage1", "stage2", "stage3"], "embedding_dynamic_padding": True,
    }  # fmt: skip
    return _dpt(
        folder, is_hybrid=True, backbone_config=backbone, backbone_featmap_shape=[1, 64, 4, 4],
        backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[16, 32, 32, 32], readout_type="project",
        neck_ignore_stages=[0, 1], reassemble_factors=[1, 1, 1, 0.5],
    )  # fmt: skip


def dpt_swin2(folder):
    backbone = {
        "model_type": "swinv2", "image_size": 64, "embed_dim": 16, "depths": [1, 1, 1, 1],
        "num_heads": [1, 2, 2, 2], "window_size": 4, "out_features": ["stage1", "stage2", "stage3", "stage4"],
    }  # fmt: skip
    return _dpt(folder, backbone_config=backbone, neck_hidden_sizes=[16, 32, 64, 128])


def _beit(**changes):
    return {
        "model_type": "beit", "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2,
        "intermediate_size": 64, "image_size": 64, "patch_size": 16, "use_relative_position_bias": True,
        "use_absolute_position_embeddings": False, "reshape_hidden_states": False,
        "out_features": ["stage1", "stage2", "stage3", "stage4"], **changes,
    }  # fmt: skip


def dpt_beit(folder):
    return _dpt(folder, backbone_config=_beit(), readout_type="project")


def zoedepth(folder, heads=1):
    from transformers import ZoeDepthConfig, ZoeDepthForDepthEstimation

    domains = [
        {"name": "nyu", "min_depth": 1e-3, "max_depth": 10.0, "n_bins": 8},
        {"name": "kitti", "min_depth": 1e-3, "max_depth": 80.0, "n_bins": 8},
    ]
    config = ZoeDepthConfig(
        backbone_config=_beit(image_size=96), neck_hidden_sizes=[8, 16, 24, 32], fusion_hidden_size=16,
        bottleneck_features=16, num_relative_features=8, bin_embedding_dim=8, num_attractors=[2, 1, 1, 1],
        bin_configurations=domains[:heads], patch_transformer_hidden_size=128,
        patch_transformer_intermediate_size=64, patch_transformer_num_attention_heads=4,
        num_patch_transformer_layers=4, add_projection=False,
    )  # fmt: skip
    model = ZoeDepthForDepthEstimation(config)
    return save(model, folder, **_HALF, size={"height": 64, "width": 96})


def zoedepth_nk(folder):
    return zoedepth(folder, heads=2)


def depth_pro(folder):
    from transformers import DepthProConfig, DepthProForDepthEstimation

    vit = {
        "model_type": "dinov2", "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
        "image_size": 64, "patch_size": 16, "mlp_ratio": 2, "use_mask_token": False,
    }  # fmt: skip
    config = DepthProConfig(
        fusion_hidden_size=16, patch_size=64, intermediate_hook_ids=[2, 1],
        intermediate_feature_dims=[16, 16],
        scaled_images_ratios=[0.25, 0.5, 1], scaled_images_overlap_ratios=[0.0, 0.5, 0.25],
        scaled_images_feature_dims=[32, 32, 16], merge_padding_value=1, use_fov_model=True,
        image_model_config=vit, patch_model_config=vit, fov_model_config=vit,
    )  # fmt: skip
    return save(DepthProForDepthEstimation(config), folder, **_HALF, size={"height": 256, "width": 256})


DEPTH = {
    f.__name__: f
    for f in (depth_anything, dpt_large, dpt_hybrid, dpt_swin2, dpt_beit, depth_pro, zoedepth, zoedepth_nk)
}


_SAM = dict(
    prompt_encoder_config={
        "hidden_size": 16, "image_size": 128, "patch_size": 16, "mask_input_channels": 4,
    },
    mask_decoder_config={
        "hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "num_hidden_layers": 2,
        "iou_head_hidden_dim": 16,
    },
)  # fmt: skip


def sam(folder):
    from transformers import SamConfig, SamModel

    config = SamConfig(
        vision_config={
            "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 128, "patch_size": 16, "mlp_ratio": 2.0, "window_size": 3,
            "global_attn_indexes": [1], "num_pos_feats": 8, "mlp_dim": 32,
        },
        **_SAM,
    )  # fmt: skip
    return save(SamModel(config), folder, size={"longest_edge": 128})


def sam2(folder):
    from transformers import Sam2Config, Sam2Model

    config = Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1,
                "image_size": [128, 128], "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [8, 16, 32, 64], "num_attention_heads_per_stage": [1, 2, 4, 8],
                "window_size_per_stage": [4, 2, 4, 2], "global_attention_blocks": [3],
                "window_positional_embedding_background_size": [4, 4],
            },
            "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 16,
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        },
        **_SAM,
    )  # fmt: skip
    return save(Sam2Model(config), folder, size={"height": 128, "width": 128})


ALL = {**DEPTH, "sam": sam, "sam2": sam2}


# ---- text encoders ---------------------------------------------------------------------------

WORDS = (
    "a", "the", "image", "shows", "room", "street", "with", "cars", "and", "chairs", "of", "photo", "picture",
    "corridor", "in", "##s", "##ing", ".",
)  # fmt: skip


def bert(folder, words=WORDS):
    """BERT as all-MiniLM-L6-v2 has it, with a WordPiece vocabulary."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.add_special_tokens(tokens[:4])
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    ends = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40,
    )  # fmt: skip
    save(BertModel(config), folder)
    made.save(str(folder / "tokenizer.json"))
    return folder


def clip(folder):
    """CLIP with both of its parts, as ViT-L/14 is published, with byte pairs."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPModel

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    made = Tokenizer(models.BPE(vocabulary, [], end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    made.add_special_tokens(tokens[:2])
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    ends = [(name, vocabulary[name]) for name in tokens[:2]]
    made.post_processor = processors.TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>", special_tokens=ends
    )
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**small, "vocab_size": len(tokens), "max_position_embeddings": 40, "eos_token_id": 1}
    save(
        CLIPModel(CLIPConfig(text_config=text, vision_config={**small, "image_size": 28, "patch_size": 14})),
        folder,
    )
    made.save(str(folder / "tokenizer.json"))
    return folder

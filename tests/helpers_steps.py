"""Small models and batches for tests of a step's gradient."""

from types import SimpleNamespace

import numpy as np
import open_clip
import torch
from torch import nn
from torch.nn import functional as F

from georclip.encoders.compact_towers import CompactTowers
from georclip.training.data.batches import Batch
from georclip.training.dealing import deal
from tests.helpers_encoders import TINY_CONFIG

PICTURES, SENTENCES, WORDS = 7, 11, 6


class ClipPair:
    """open_clip's tiny towers: a ViT and a text transformer, without batch statistics."""

    spec = SimpleNamespace(mean=(0.5,) * 3, std=(0.5,) * 3)

    def __init__(self, dropout=0.0):
        torch.manual_seed(4)
        self.module = open_clip.CLIP(**TINY_CONFIG).train()
        if dropout:
            self.module.visual.ln_post = nn.Sequential(
                self.module.visual.ln_post, nn.Dropout(dropout)
            )
            self.module.ln_final = nn.Sequential(self.module.ln_final, nn.Dropout(dropout))

    def embed_images(self, pictures):
        return F.normalize(self.module.encode_image(pictures), dim=-1)

    def embed_texts(self, ids):
        padded = F.pad(ids, (0, 77 - ids.shape[1]))
        return F.normalize(self.module.encode_text(padded), dim=-1)

    def scale(self):
        return self.module.logit_scale.clamp(max=4.6).exp()


class CompactPair:
    """georclip's own tiny towers: batch statistics in the image tower, none in the text tower."""

    def __init__(self, *, frozen_statistics):
        torch.manual_seed(5)
        self.module = CompactTowers("starter-tiny", 100).train()
        if frozen_statistics:
            freeze_statistics(self.module)

    def embed_images(self, pictures):
        return self.module.image(pictures)

    def embed_texts(self, ids):
        return self.module.text(ids)

    def scale(self):
        return self.module.scale


def freeze_statistics(module):
    """Keep batch normalisation in evaluation mode, whatever mode the module is put into."""
    for layer in norms(module):
        layer.eval()
        layer.train = lambda mode=True, layer=layer: layer


def norms(module):
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


def draw_batch(seed=0, share=(0, 1), side=32):
    """Sentences that are true of one picture, or of two."""
    rng = np.random.default_rng(seed)
    owners = np.concatenate([np.arange(PICTURES), rng.integers(0, PICTURES, SENTENCES - PICTURES)])
    positives = owners[None, :] == np.arange(PICTURES)[:, None]
    positives[0, 3] = positives[5, 0] = True
    which, processes = share
    pictures = rng.normal(size=(PICTURES, 3, side, side)).astype(np.float32)
    ids = rng.integers(1, 100, (SENTENCES, WORDS))
    return Batch(
        pictures=torch.from_numpy(pictures)[deal(PICTURES, processes)[which]],
        ids=torch.from_numpy(ids)[deal(SENTENCES, processes)[which]],
        owners=torch.from_numpy(owners),
        positives=torch.from_numpy(positives),
    )


def gradients(model):
    return {
        name: value.grad.clone()
        for name, value in model.module.named_parameters()
        if value.grad is not None
    }


def furthest(expected, found):
    """Largest distance of a weight's gradients, as a share of the longest gradient's length."""
    assert expected.keys() == found.keys()
    longest = max(float(value.norm()) for value in expected.values())
    return max(float((expected[name] - found[name]).norm()) / longest for name in expected)

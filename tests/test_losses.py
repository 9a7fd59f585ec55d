import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from georclip.training.data.sentences import positive_pairs
from georclip.training.losses import contrastive_loss


def unit(*shape):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(3)), dim=-1)


def pairs(meanings, true_of):
    return positive_pairs(np.array(meanings), [set(known) for known in true_of]).tolist()


def test_equal_captions_are_positives():
    found = pairs([7, 8, 7], [[7], [8], [7]])
    assert found == [[True, False, True], [False, True, False], [True, False, True]]


def test_a_class_prompt_is_true_of_all_pictures_of_the_class():
    # sentence 0 names class 5, that of pictures 0 and 1; the captions of others stay theirs alone
    found = pairs([5, 8, 9], [[1, 5], [8, 5], [9, 6]])
    assert found == [[True, False, False], [True, True, False], [False, False, True]]


def test_a_caption_that_was_not_drawn_is_no_negative_either():
    # picture 0 has captions 1, 2 and 3, and drew 1; picture 1 drew 2
    assert pairs([1, 2], [[1, 2, 3], [2]]) == [[True, True], [False, True]]


def test_several_sentences_of_a_picture_are_all_true_of_it():
    assert pairs([1, 2, 1], [[1, 2], [1]]) == [[True, True, True], [True, False, True]]


def test_with_one_positive_each_it_is_clips_loss():
    images, texts, scale = unit(6, 8), unit(6, 8).flip(0), torch.tensor(5.0)
    logits = scale * images @ texts.T
    numbers = torch.arange(6)
    clip = (F.cross_entropy(logits, numbers) + F.cross_entropy(logits.T, numbers)) / 2
    found = contrastive_loss(images, texts, scale, torch.eye(6, dtype=torch.bool))
    assert found.item() == pytest.approx(clip.item(), rel=1e-6)


def test_equal_captions_told_apart_cost_more_than_together():
    # two pictures, one and the same text: the best that can be done is ln 2, at which the
    # gradient vanishes; a loss that takes equals for negatives would push them apart
    images = torch.tensor([[1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    texts = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    every = torch.ones(2, 2, dtype=torch.bool)
    loss = contrastive_loss(images, texts, torch.tensor(10.0), every)
    assert loss.item() == pytest.approx(math.log(2))
    (gradient,) = torch.autograd.grad(loss, images)
    assert gradient.abs().max().item() < 1e-6


def test_better_aligned_pairs_cost_less():
    texts = unit(5, 16)
    positives = torch.eye(5, dtype=torch.bool)
    aligned = contrastive_loss(texts, texts, torch.tensor(10.0), positives)
    crossed = contrastive_loss(texts.roll(1, 0), texts, torch.tensor(10.0), positives)
    assert aligned.item() < crossed.item()

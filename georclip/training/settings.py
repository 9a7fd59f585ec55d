"""What decides a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from georclip.errors import EncoderError

Precision = Literal["fp32", "bf16"]
Frozen = Literal["none", "image", "text"] | int
"""A whole tower that is held, or how many of the image tower's first blocks."""
Choice = Literal["recall", "precision"]
"""What weights are chosen by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """Everything that decides the weights, besides the data and what the run starts from.

    Attributes:
        image_size_px: Side that the trained tower takes when it is used, px.
        view_sizes_px: Sides of training views, px, each for an equal share of the epochs. Smaller
            than image_size_px is right: crops show things larger (Touvron et al. 2019, FixRes).
        ground_size_m: (low, typical, high) ground side of the pictures, m, or None.
        epochs: Passes over the training pictures.
        batch_size: Pictures in a step; a last part that is smaller is left for other epochs.
        micro_batches: Parts in which a process puts its share of a batch through the towers, one
            after the other, to the same gradient: memory is that of a part.
        captions_per_image: Most captions of a picture that a step compares, of those that differ.
        learning_rate: Peak, after warm-up; a cosine takes it to zero.
        body_rate: Share of the learning rate that weights get which start from a trained model.
        warmup_epochs: Epochs of linear warm-up.
        weight_decay: On weights, not on norms, biases, embeddings and the temperature.
        averaging: Decay per step of the running average of weights, which is what is kept.
        precision: Of the towers' arithmetic; weights, loss and optimiser are float32 always.
        checkpointing: Compute what lies inside of blocks twice, to save memory.
        frozen: What does not learn.
        lora_rank: Rank of the changes that LoRA learns in place of weights; 0: weights learn.
        wise: Share of the tuned weights in what is written, the rest is the start (WiSE-FT,
            Wortsman et al. 2022): 1 is the tuned model alone, 0.5 half way.
        prompt_share: Captions replaced by the name of the picture's class.
        synonym_share: Phrases that have synonyms and are swapped for one.
        dropped_share: Words left out of a caption.
        smallest_crop: Least share of a picture's area that a view shows.
        coarse_share: Views shown with coarser pixels.
        jpeg_share: Views that went through JPEG.
        other_sensors: Vary tint and gamma as between sensors, and cut corners without data.
        seed: Of everything random.
        validate_every: Epochs between figures on the val split.
        choose_by: Which figure on the val split decides what is kept.
        patience: Figures in a row without a better one after which the run ends; 0: never.
        half: Write the weights as fp16.
        licence: Terms of the weights, in one line.
    """

    image_size_px: int = 128
    view_sizes_px: tuple[int, ...] = (96, 112, 128)
    ground_size_m: tuple[float, float, float] | None = None
    epochs: int = 30
    batch_size: int = 128
    micro_batches: int = 1
    captions_per_image: int = 3
    learning_rate: float = 1e-3
    body_rate: float = 0.3
    warmup_epochs: float = 0.5
    weight_decay: float = 0.05
    averaging: float = 0.99
    precision: Precision = "fp32"
    checkpointing: bool = False
    frozen: Frozen = "none"
    lora_rank: int = 0
    wise: float = 1.0
    prompt_share: float = 0.2
    synonym_share: float = 0.2
    dropped_share: float = 0.1
    smallest_crop: float = 0.25
    coarse_share: float = 0.25
    jpeg_share: float = 0.15
    other_sensors: bool = False
    seed: int = 0
    validate_every: int = 2
    choose_by: Choice = "recall"
    patience: int = 0
    half: bool = False
    licence: str = "as the captions and images that it was trained on"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise EncoderError(
                f"{self.epochs} epochs of batches of {self.batch_size}: "
                "training needs at least 1 epoch and 2 pictures a batch"
            )
        if self.micro_batches < 1:
            raise EncoderError(f"a batch cannot be cut into {self.micro_batches} parts")
        if not 0 < self.learning_rate < 1:
            raise EncoderError(f"a learning rate of {self.learning_rate} is not between 0 and 1")
        if not 0 <= self.wise <= 1:
            raise EncoderError(f"--wise {self.wise}: the tuned weights' share lies within 0 and 1")
        if min(self.lora_rank, self.patience) < 0 or self.validate_every < 1:
            raise EncoderError("ranks, patience and epochs between figures cannot be negative")
        if not self.view_sizes_px or min(*self.view_sizes_px, self.image_size_px) < 32:
            raise EncoderError("pictures must be at least 32 px wide: the tower shrinks by 32")

    def view_size_px(self, epoch: int) -> int:
        """Side of the training views in an epoch, counted from 0."""
        share = epoch * len(self.view_sizes_px) // self.epochs
        return self.view_sizes_px[min(share, len(self.view_sizes_px) - 1)]

"""Attention with linear layers in place of bare weights, so that LoRA reaches them.

`nn.MultiheadAttention` and open_clip's pooling attention hand their weights to a function. peft
can adapt the first by writing to its weights before and after every call, which lets them drift,
and passes the other by without a word. The layers here compute the same from the same weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from georclip.encoders.checkpoints import State

POOL_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "c_proj")


class ProjectedAttention(nn.Module):
    """Self-attention over the weights of an `nn.MultiheadAttention`."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        width = attention.embed_dim
        self.num_heads = attention.num_heads
        self.batch_first = attention.batch_first
        self.in_proj = _linear(attention.in_proj_weight, attention.in_proj_bias)  # width, 3 width
        self.out_proj = _linear(attention.out_proj.weight, attention.out_proj.bias)
        self.head_width = width // attention.num_heads

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
    ) -> tuple[Tensor, None]:
        """Attend within each row.

        Args:
            query: (batch, places, width), or (places, batch, width) where not `batch_first`.
            key: The same tensor; it is there because open_clip gives it.
            value: The same tensor.
            need_weights: Not offered.
            attn_mask: Added to the scores, (places, places).

        Returns:
            The shape of `query`, and None.
        """
        rows = query if self.batch_first else query.transpose(0, 1)
        batch, places, width = rows.shape
        split = self.in_proj(rows).reshape(batch, places, 3, self.num_heads, self.head_width)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # (batch, heads, places, head width)
        mask = None if attn_mask is None else attn_mask.to(queries.dtype)
        heard = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        out: Tensor = self.out_proj(heard.transpose(1, 2).reshape(batch, places, width))
        return (out if self.batch_first else out.transpose(0, 1)), None


class ProjectedPool(nn.Module):
    """The attention that pools a CLIP ResNet's last maps, over the weights of open_clip's."""

    def __init__(self, pool: Any) -> None:  # noqa: ANN401  open_clip's AttentionPool2d
        super().__init__()
        self.num_heads: int = pool.num_heads
        self.positional_embedding: nn.Parameter = pool.positional_embedding  # (places + 1, width)
        self.q_proj: nn.Linear = pool.q_proj
        self.k_proj: nn.Linear = pool.k_proj
        self.v_proj: nn.Linear = pool.v_proj
        self.c_proj: nn.Linear = pool.c_proj

    def forward(self, maps: Tensor) -> Tensor:
        """Pool maps, asked by their mean: (batch, width, height, width) to (batch, dim)."""
        places = maps.flatten(2).transpose(1, 2)  # (batch, places, width)
        places = torch.cat([places.mean(dim=1, keepdim=True), places], dim=1)
        places = places + self.positional_embedding.to(places.dtype)
        heard = F.scaled_dot_product_attention(
            self._heads(self.q_proj(places[:, :1])),
            self._heads(self.k_proj(places)),
            self._heads(self.v_proj(places)),
        )  # (batch, heads, 1, head width)
        pooled: Tensor = self.c_proj(heard.flatten(1))
        return pooled

    def _heads(self, rows: Tensor) -> Tensor:
        batch, places, width = rows.shape
        return rows.view(batch, places, self.num_heads, width // self.num_heads).transpose(1, 2)


def expose_projections(module: nn.Module) -> tuple[str, ...]:
    """Replace attention in a CLIP model, and name the linear layers of attention and MLPs.

    Args:
        module: open_clip's; changed in place.

    Returns:
        Names of `nn.Linear` modules.
    """
    names: list[str] = []
    for name, child in list(module.named_modules()):
        if isinstance(child, nn.MultiheadAttention):
            module.set_submodule(name, ProjectedAttention(child))
            names += [f"{name}.in_proj", f"{name}.out_proj"]
        elif name.endswith("attnpool") and hasattr(child, "c_proj"):
            module.set_submodule(name, ProjectedPool(child))
            names += [f"{name}.{projection}" for projection in POOL_PROJECTIONS]
        elif name.rsplit(".", 2)[-2:] in (["mlp", "c_fc"], ["mlp", "c_proj"]):
            names.append(name)
    return tuple(names)


def with_file_names(state: State) -> State:
    """Weights of a model with `ProjectedAttention` by the names that open_clip has for them."""
    return {
        name.replace(".attn.in_proj.", ".attn.in_proj_"): value for name, value in state.items()
    }


def _linear(weight: Any, bias: Any) -> nn.Linear:  # noqa: ANN401  parameters, said to be tensors
    """A layer over weights that exist: (out, in) and (out,)."""
    out_width, in_width = weight.shape
    layer = nn.Linear(in_width, out_width, device="meta")
    layer.weight, layer.bias = weight, bias
    return layer

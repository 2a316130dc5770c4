"""Models of random weights whose memory is not a plain KV cache: states and sliding windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tests.model.random_qwen import (
    N_CTX,
    N_FEED_FORWARD,
    N_HEADS,
    N_KV_HEADS,
    WIDTH,
    write_random,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.model.random_qwen import Figure

    Shapes = dict[str, tuple[int, ...]]

Kind = Literal["mamba", "granitehybrid", "falcon-h1", "qwen35", "lfm2", "gemma2", "gemma3"]
# Those whose state cannot be cut back, and those whose attention has a sliding window.
STATES: tuple[Kind, ...] = ("mamba", "granitehybrid", "falcon-h1", "qwen35", "lfm2")
SLIDING: tuple[Kind, ...] = ("gemma2", "gemma3")

N_SEEN = 48
HEAD = WIDTH // N_HEADS
# Of the states: Mamba's, and Mamba 2's in Granite and Falcon, which is also Qwen's.
CONV, INNER, N_GROUPS = 4, 2 * WIDTH, 1
MAMBA_STATE, MAMBA_RANK = 16, 8
STATE, N_STATE_HEADS = 32, 8
QWEN_KEY_HEADS, QWEN_VALUE_HEADS = 2, 4


def write_random_kind(path: Path, kind: Kind, seed: int = 0) -> Path:
    """Write one, with the starter's vocabulary and Qwen's names for its control tokens."""
    figures: dict[str, Figure] = {
        "context_length": N_CTX,
        "embedding_length": WIDTH,
        "feed_forward_length": N_FEED_FORWARD,
        "attention.head_count": N_HEADS,
        "attention.head_count_kv": N_KV_HEADS,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.freq_base": 10_000.0,
    }
    layers, own = _LAYERS[kind]
    figures |= {"block_count": len(layers), **own}

    def shapes(n_vocab: int) -> Shapes:
        every: Shapes = {
            "token_embd.weight": (n_vocab, WIDTH),
            "token_embd_norm.weight" if kind == "lfm2" else "output_norm.weight": (WIDTH,),
        }
        if kind != "gemma2":
            every["output.weight"] = (n_vocab, WIDTH)
        for n, layer in enumerate(layers):
            for part in layer:
                every |= {f"blk.{n}.{tensor}": shape for tensor, shape in part.items()}
        return every

    return write_random(path, kind, f"Random {kind}", figures, shapes, seed)


_ATTENTION: Shapes = {
    "attn_norm.weight": (WIDTH,),
    "attn_q.weight": (WIDTH, WIDTH),
    "attn_k.weight": (HEAD * N_KV_HEADS, WIDTH),
    "attn_v.weight": (HEAD * N_KV_HEADS, WIDTH),
    "attn_output.weight": (WIDTH, WIDTH),
}
_HEAD_NORMS: Shapes = {"attn_q_norm.weight": (HEAD,), "attn_k_norm.weight": (HEAD,)}
_FEED_FORWARD: Shapes = {
    "ffn_norm.weight": (WIDTH,),
    "ffn_gate.weight": (N_FEED_FORWARD, WIDTH),
    "ffn_up.weight": (N_FEED_FORWARD, WIDTH),
    "ffn_down.weight": (WIDTH, N_FEED_FORWARD),
}
_POST_NORMS: Shapes = {"post_attention_norm.weight": (WIDTH,), "post_ffw_norm.weight": (WIDTH,)}
_MAMBA: Shapes = {
    "attn_norm.weight": (WIDTH,),
    "ssm_in.weight": (2 * INNER, WIDTH),
    "ssm_conv1d.weight": (INNER, CONV),
    "ssm_conv1d.bias": (INNER,),
    "ssm_x.weight": (MAMBA_RANK + 2 * MAMBA_STATE, INNER),
    "ssm_dt.weight": (INNER, MAMBA_RANK),
    "ssm_dt.bias": (INNER,),
    "ssm_a": (INNER, MAMBA_STATE),
    "ssm_d": (INNER,),
    "ssm_out.weight": (WIDTH, INNER),
}
_MAMBA2: Shapes = {
    "attn_norm.weight": (WIDTH,),
    "ssm_in.weight": (2 * INNER + 2 * N_GROUPS * STATE + N_STATE_HEADS, WIDTH),
    "ssm_conv1d.weight": (INNER + 2 * N_GROUPS * STATE, CONV),
    "ssm_conv1d.bias": (INNER + 2 * N_GROUPS * STATE,),
    "ssm_dt.bias": (N_STATE_HEADS,),
    "ssm_a": (N_STATE_HEADS, 1),
    "ssm_d": (N_STATE_HEADS, 1),
    "ssm_norm.weight": (N_GROUPS, INNER // N_GROUPS),
    "ssm_out.weight": (WIDTH, INNER),
}
_N_VALUE = QWEN_VALUE_HEADS * STATE
_N_KEYS_AND_VALUE = 2 * QWEN_KEY_HEADS * STATE + _N_VALUE
_DELTA_NET: Shapes = {
    "attn_norm.weight": (WIDTH,),
    "attn_qkv.weight": (_N_KEYS_AND_VALUE, WIDTH),
    "attn_gate.weight": (_N_VALUE, WIDTH),
    "ssm_conv1d.weight": (_N_KEYS_AND_VALUE, CONV),
    "ssm_dt.bias": (QWEN_VALUE_HEADS,),
    "ssm_a": (QWEN_VALUE_HEADS,),
    "ssm_beta.weight": (QWEN_VALUE_HEADS, WIDTH),
    "ssm_alpha.weight": (QWEN_VALUE_HEADS, WIDTH),
    "ssm_norm.weight": (STATE,),
    "ssm_out.weight": (WIDTH, _N_VALUE),
}
_QWEN_FEED_FORWARD: Shapes = {
    name.replace("ffn_norm", "post_attention_norm"): shape for name, shape in _FEED_FORWARD.items()
}
_GATED_ATTENTION: Shapes = {**_ATTENTION, "attn_q.weight": (2 * WIDTH, WIDTH)}
_SHORT_CONV: Shapes = {
    "attn_norm.weight": (WIDTH,),
    "shortconv.conv.weight": (WIDTH, CONV - 1),
    "shortconv.in_proj.weight": (3 * WIDTH, WIDTH),
    "shortconv.out_proj.weight": (WIDTH, WIDTH),
}
_FALCON_FEED_FORWARD: Shapes = {
    name.replace("ffn_norm.weight", "ffn_norm"): shape for name, shape in _FEED_FORWARD.items()
}
_MAMBA2_FIGURES: dict[str, Figure] = {
    "ssm.conv_kernel": CONV,
    "ssm.inner_size": INNER,
    "ssm.state_size": STATE,
    "ssm.time_step_rank": N_STATE_HEADS,
    "ssm.group_count": N_GROUPS,
}
_SLIDING_FIGURES: dict[str, Figure] = {
    "attention.sliding_window": N_SEEN,
    "attention.sliding_window_pattern": 2,
    "attention.key_length": HEAD,
    "attention.value_length": HEAD,
}

# The parts of each layer, and what the file says besides.
_LAYERS: dict[Kind, tuple[list[tuple[Shapes, ...]], dict[str, Figure]]] = {
    "mamba": (
        [(_MAMBA,), (_MAMBA,)],
        {
            "feed_forward_length": 0,
            "attention.head_count": 0,
            "attention.head_count_kv": 0,
            "ssm.conv_kernel": CONV,
            "ssm.inner_size": INNER,
            "ssm.state_size": MAMBA_STATE,
            "ssm.time_step_rank": MAMBA_RANK,
        },
    ),
    "granitehybrid": (
        [(_MAMBA2, _FEED_FORWARD), (_ATTENTION, _FEED_FORWARD), (_MAMBA2, _FEED_FORWARD)],
        {**_MAMBA2_FIGURES, "attention.head_count_kv": [0, N_KV_HEADS, 0]},
    ),
    "falcon-h1": (
        [(_MAMBA2, _ATTENTION, _FALCON_FEED_FORWARD)] * 2,
        {**_MAMBA2_FIGURES, "attention.key_length": HEAD, "attention.value_length": HEAD},
    ),
    "qwen35": (
        [(_DELTA_NET, _QWEN_FEED_FORWARD), (_GATED_ATTENTION, _HEAD_NORMS, _QWEN_FEED_FORWARD)],
        {
            "ssm.conv_kernel": CONV,
            "ssm.inner_size": _N_VALUE,
            "ssm.state_size": STATE,
            "ssm.time_step_rank": QWEN_VALUE_HEADS,
            "ssm.group_count": QWEN_KEY_HEADS,
            "full_attention_interval": 2,
            "rope.dimension_sections": [4, 6, 6, 0],
            "attention.key_length": HEAD,
            "attention.value_length": HEAD,
        },
    ),
    "lfm2": (
        [(_SHORT_CONV, _FEED_FORWARD), (_ATTENTION, _HEAD_NORMS, _FEED_FORWARD)],
        {"shortconv.l_cache": CONV - 1, "attention.head_count_kv": [0, N_KV_HEADS]},
    ),
    "gemma2": ([(_ATTENTION, _FEED_FORWARD, _POST_NORMS)] * 2, _SLIDING_FIGURES),
    "gemma3": ([(_ATTENTION, _HEAD_NORMS, _FEED_FORWARD, _POST_NORMS)] * 2, _SLIDING_FIGURES),
}

"""Low-rank adapters by peft (arXiv:2106.09685): put onto a model for training, and merged into it at the end.

A stage's artifact is an ordinary model whatever was trained, so the stages behind it, and every engine, know nothing
of adapters. Merging rounds once, to the type that the weights are held in; how much of the update that costs is in the
record (:func:`lost_in_rounding`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.model_schema import TuningConfig
from dsm_repro.config.schema import Config

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import nn
    from transformers import PreTrainedModel


def uses_adapters(tuning: TuningConfig) -> bool:
    return tuning.method == "lora"


def held_dtype(config: Config) -> str:
    """The type of the weights while they are trained: float32 masters, or frozen ones as the artifact has them."""
    return config.base.dtype if uses_adapters(config.tuning) else "float32"


def lora_config(tuning: TuningConfig) -> LoraConfig | None:
    """What peft and TRL's trainers take; None where all weights are trained.

    Rank and scale as in the config, A drawn by Kaiming's rule, B zero: training starts from the model as it is.
    """
    if not uses_adapters(tuning):
        return None
    from peft import LoraConfig

    targets = tuning.targets if tuning.targets == "all-linear" else [t.strip() for t in tuning.targets.split(",")]
    return LoraConfig(
        r=tuning.rank,
        lora_alpha=tuning.alpha,
        target_modules=targets,
        lora_dropout=0.0,
        bias="none",
        init_lora_weights=True,
        use_rslora=False,
        use_dora=False,
        task_type="CAUSAL_LM",
    )


def add_adapters(model: nn.Module, tuning: TuningConfig) -> None:
    """Put trainable adapters into ``model`` and freeze the rest; does nothing where all weights are trained.

    Raises:
        ConfigError: ``tuning.targets`` names no module of the model.
    """
    config = lora_config(tuning)
    if config is None:
        return
    from peft import inject_adapter_in_model

    try:
        inject_adapter_in_model(config, model)
    except ValueError as error:
        raise no_such_target(tuning, error) from error
    learn_in_float32(model)


def learn_in_float32(model: nn.Module) -> None:
    """Hold what is trained in float32, in place, whatever the frozen weights are held in.

    bfloat16 has 8 bits: of a weight of 0.01, an update at the learning rates of reinforcement learning (1e-6) is less
    than half a step, and rounding gives the old weight back. TRL casts adapters on 4-bit weights down to it.
    """
    import torch

    for weight in model.parameters():
        if weight.requires_grad and weight.dtype in (torch.bfloat16, torch.float16):
            weight.data = weight.data.float()


def no_such_target(tuning: TuningConfig, error: ValueError) -> ConfigError:
    reason = " ".join(str(error).split())[:200]
    return ConfigError(f"tuning.targets={tuning.targets}: {reason} Use all-linear, or names of the model's modules.")


def policy_of(model: Any) -> PreTrainedModel:
    """The language model itself, its adapters at work, out of peft's wrapper where there is one."""
    from peft import PeftModel

    plain: PreTrainedModel = model.get_base_model() if isinstance(model, PeftModel) else model
    return plain


def merged(model: Any, start: Path | None = None, dtype: str = "float32") -> PreTrainedModel:
    """An ordinary model: the adapters of ``model`` added to its weights, in place. One without is given back as it is.

    Args:
        start: where the unquantised weights lie, if those of ``model`` are quantised.
        dtype: what these are loaded in.
    """
    from peft import PeftModel
    from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict

    if not isinstance(model, PeftModel):
        return model  # type: ignore[no-any-return]
    if is_quantised(model.get_base_model()):
        from dsm_repro.training.models import load_model

        if start is None:
            raise ValueError("quantised weights are merged into those that they were made from: give their folder")
        trained, config = get_peft_model_state_dict(model), model.peft_config["default"]
        model = PeftModel(load_model(start, dtype, "cpu"), config)
        set_peft_model_state_dict(model, {name: value.cpu() for name, value in trained.items()})
    plain: PreTrainedModel = model.merge_and_unload()
    return plain.requires_grad_(True)


def is_quantised(model: Any) -> bool:
    return bool(getattr(model, "is_quantized", False))


def quantisation(tuning: TuningConfig) -> Any:
    """What ``from_pretrained`` takes to hold frozen weights in 4 bits; None where they are not.

    Raises:
        ConfigError: the library bitsandbytes is missing.
    """
    if tuning.quantise == "none":
        return None
    import importlib.util

    import torch

    if importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigError(
            f"tuning.quantise={tuning.quantise}: needs the library bitsandbytes. pip install 'dsm-repro[qlora]', or "
            "set tuning=lora."
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _layers(model: nn.Module) -> Iterator[Any]:
    from peft.tuners.lora import LoraLayer

    return (module for module in model.modules() if isinstance(module, LoraLayer))


def lost_in_rounding(model: Any) -> float | None:
    """Which share of the adapters' update merging loses: ‖round(W + Δ) − (W + Δ)‖ / ‖Δ‖ over all adapted weights.

    0 for float32 weights, up to rounding; near 1 where updates are smaller than the steps of the weights' type, so that
    the merged model is the one that training started from. None without adapters, or with quantised weights.
    """
    import torch

    if is_quantised(policy_of(model)):
        return None
    error = update = 0.0
    with torch.no_grad():
        for layer in _layers(model):
            for name in layer.active_adapters:
                delta = layer.get_delta_weight(name).double()
                weight = layer.get_base_layer().weight
                exact = weight.double() + delta
                error += float((exact.to(weight.dtype).double() - exact).square().sum())
                update += float(delta.square().sum())
    return (error / update) ** 0.5 if update else None


def tuning_record(tuning: TuningConfig, model: Any) -> dict[str, Any]:
    """What a stage's record says of adapters, before they are merged; nothing where there are none."""
    if not uses_adapters(tuning):
        return {}
    lost = lost_in_rounding(model)
    return {
        "tuning": {
            "method": tuning.method,
            "quantise": tuning.quantise,
            "rank": tuning.rank,
            "trained_parameters": adapter_parameters(model),
            **({} if lost is None else {"lost_in_rounding": lost}),
        }
    }


def adapter_parameters(model: nn.Module) -> int:
    """Weights of adapters in ``model``, told by their names: peft is not loaded for a model without."""
    return sum(p.numel() for name, p in model.named_parameters() if ".lora_" in name)

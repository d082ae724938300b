"""Online rejection sampling fine-tuning: Eq. 10 on outputs of the policy as it is (Table 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl.estimators.base import no_options
from dsm_repro.rl.estimators.rft import RFT


@dataclass(frozen=True)
class OnlineRFT(RFT):
    offline: ClassVar[bool] = False


def build(config: RLConfig) -> OnlineRFT:
    no_options(config)
    return OnlineRFT(0.0, 0.0, 0.0)

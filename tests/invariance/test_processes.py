"""Work and noise of several processes are those of one, cut into shares."""

from __future__ import annotations

import pytest
import torch

from dsm_repro.config.errors import ConfigError
from dsm_repro.rl.distributed import Processes


def test_shares_are_consecutive_and_cover_everything() -> None:
    for items in (0, 1, 5, 8):
        shares = [Processes(rank, 3).share(items) for rank in range(3)]
        assert [i for share in shares for i in share] == list(range(items))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_questions_that_cannot_be_shared_are_refused() -> None:
    Processes(0, 2).check(4)
    with pytest.raises(ConfigError, match=r"rl\.questions_per_step=3: .*multiple of 2"):
        Processes(0, 2).check(3)


def test_a_share_of_the_noise_is_that_of_the_whole() -> None:
    whole = torch.rand(6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for rank in range(3):
        generator = torch.Generator().manual_seed(3)
        with Processes(rank, 3).noise(generator):
            assert torch.equal(torch.rand(2, generator=generator, dtype=torch.float64), whole[2 * rank : 2 * rank + 2])
            with pytest.raises(TypeError, match=r"torch\.rand"):
                torch.randn(2, generator=generator)

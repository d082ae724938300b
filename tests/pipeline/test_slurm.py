"""What squeue says of jobs, as submitit wants to hear it."""

from __future__ import annotations

from dsm_repro.pipeline.slurm import states


def test_a_job_has_the_state_that_squeue_gives_and_one_that_slurm_has_forgotten_is_gone() -> None:
    found = states("12_0|RUNNING|node1\n  12_1|CANCELLED|\n99|PENDING|\n", ["12_0", "12_1", "7"])
    assert found["12_0"] == {"JobID": "12_0", "State": "RUNNING", "NodeList": "node1"}
    assert found["12_1"]["State"] == "CANCELLED"
    assert found["7"]["State"] == "GONE"


def test_nothing_listed_means_that_all_have_ended() -> None:
    assert states("", ["1", "2"]).keys() == {"1", "2"}

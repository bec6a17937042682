"""How soon is a worker replaced, and what does its supervisor do without?"""

import subprocess
import sys

from inventory_grpc.supervisor import LONGEST_PAUSE_SECONDS, STEADY_SECONDS, pause_after
from tests.support.server_process import ENVIRONMENT


def test_who_dies_again_and_again_is_replaced_ever_more_slowly_within_a_bound() -> None:
    pauses = [pause_after(None, 1.0)]
    for _ in range(11):
        pauses.append(pause_after(pauses[-1], 1.0))
    assert pauses[:5] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert pauses[-3:] == [LONGEST_PAUSE_SECONDS] * 3


def test_after_a_long_life_the_next_one_begins_at_once() -> None:
    assert pause_after(LONGEST_PAUSE_SECONDS, STEADY_SECONDS) == 0.0
    assert pause_after(0.0, STEADY_SECONDS - 1) > 0.0


def test_a_supervisor_does_not_carry_what_only_servers_need() -> None:
    program = (
        "import sys, inventory_grpc.cli, inventory_grpc.supervisor; print('grpc' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env=ENVIRONMENT,
        text=True,
    )
    assert ended.stdout.strip() == "False"

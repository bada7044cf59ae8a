"""What sessions leave behind in the gateway and the workers, and what they cost."""

from pathlib import Path

from natter_bench.cost import CostOptions, cost_text, run_cost
from natter_bench.leak import GRACE_S, count_leaks
from natter_testing.emulated_system import BRIEF, emulated_system

# The allocator alone swings by half as much; `natter-bench leak` looks closer, at a thousand sessions.
MEMORY_MB = 30


async def test_sessions_opened_and_closed_leave_nothing_behind(tmp_path: Path) -> None:
    async with emulated_system(tmp_path, env={"NATTER_RECONNECT_GRACE_S": str(GRACE_S)}) as system:
        report = await count_leaks(system, 60, warm_up=40, steps=2)
    assert report.left_behind == {}
    for name, after in report.after.items():
        assert after.memory_mb - report.before[name].memory_mb < MEMORY_MB, name


async def test_the_cost_of_a_session_is_measured_by_one_command() -> None:
    report = await run_cost(CostOptions(sessions=2, seconds=3.0, quiet_seconds=1.0, stage_options=BRIEF))
    assert report.missed_turns == 0
    # Not the limit: a machine that is busy with tests is no place to measure on.
    assert 0 < report.quiet.cpu_s_per_session_s < report.talking.cpu_s_per_session_s < 0.5
    assert "% of a core per session" in cost_text(report)

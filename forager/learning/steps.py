"""What learning asks of a step."""

from forager.trajectories.steps import Step

_NOT_RUN = (126, 127)  # bash: cannot be executed, not found


def failed(step: Step) -> bool:
    """Whether a step came to nothing: a call that cannot be read, is refused or is stopped.

    A command's exit code tells its answer (tests that fail, say) and no failure, unless there is
    no such command. The last turn may end by a limit before anything is executed.
    """
    call = step.call
    if call is None:
        return bool(step.observations)
    if call.error or call.timed_out:
        return True
    return call.exit_code in _NOT_RUN if call.tool == "bash" else bool(call.exit_code)

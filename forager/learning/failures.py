"""Which steps of an attempt failed."""

from forager.trajectories.steps import Step

_NOT_RUN = (126, 127)  # exit codes of bash: cannot be executed, not found


def failed(step: Step) -> bool:
    """Whether a step's call was malformed, refused or stopped.

    A command that ran did not fail, whatever its exit code: failing tests are an answer. A last
    turn that a limit ended before its call was executed did not fail either.
    """
    call = step.call
    if call is None:
        return bool(step.observations)
    if call.error or call.timed_out:
        return True
    return call.exit_code in _NOT_RUN if call.tool == "bash" else bool(call.exit_code)

"""Execution traces: the record, the recorder's stream, rebuilt states, and views for models.

A trace is recorded once, by `forager/programs/tracer` in a sandbox. All that is shown of it, or
trained on, is made from the record offline.
"""

TRACE_FORMATS = {
    "cwm": "traces as texts, as CWM was trained on them",
    "compact": "traces as texts of what has changed, a fifth as long",
    "debugger": "traces as sessions with a debugger, forwards and backwards",
    "events": "traces as JSON objects, one an event",
    "input-output": "traces as questions: the code, the input, and what comes out",
    "segments": "CWM's texts in parts, with loss on states, actions or both",
}

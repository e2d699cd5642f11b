"""Records `main()` of a module, under any Python that forager's programs support.

usage: python recording_program.py PROGRAMS MODULE c|python DIRECTORY [EVENTS BYTES SECONDS DEPTH]

Prints one line of JSON, and the stream in base64. Compiled helpers are kept in DIRECTORY.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

PROGRAMS, MODULE, RECORDER, DIRECTORY, *LIMITS = sys.argv[1:]
sys.path[0] = PROGRAMS
from tracer.building import helper  # type: ignore[import-not-found]  # noqa: E402
from tracer.codes import describer  # type: ignore[import-not-found]  # noqa: E402
from tracer.fallback import RecordingLimits  # type: ignore[import-not-found]  # noqa: E402
from tracer.recorder import Recorder  # type: ignore[import-not-found]  # noqa: E402

events, size, seconds, depth = LIMITS or ("100000", "10000000", "60", "500")
path = Path(MODULE)
names: Any = {"__name__": path.stem, "__file__": str(path)}
exec(compile(path.read_text(), path.name, "exec", dont_inherit=True), names)
recorder = Recorder(
    describer(lambda file: file if file == path.name else ""),
    RecordingLimits(int(events), int(size), float(seconds), int(depth)),
    helper([DIRECTORY]) if RECORDER == "c" else None,
)
answer = ""
recorder.start()
try:
    answer = repr(names["main"]())
except BaseException as error:
    answer = repr(error)
stream, missing = recorder.stop()
found = {
    "stream": base64.b64encode(stream).decode(),
    "missing": missing,
    "recorder": recorder.name,
    "answer": answer,
}
print(json.dumps(found))

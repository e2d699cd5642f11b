"""What is made of a trace: texts for models, JSON for programs.

| view | module |
|---|---|
| `cwm` | the text that CWM was trained on |
| `compact` | what has changed, event by event |
| `events` | JSON objects, one an event |
| `debugger` | what a person sees who steps through the program, forwards or backwards |
| `samples` | texts with the parts on which a model is trained |
"""

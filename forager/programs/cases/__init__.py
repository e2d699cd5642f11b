"""Runs programs on cases, each case in a process of its own, and reports what each did.

usage: python cases.pyz, a job on standard input (see `main.py`). Reports go to descriptor 3.

The expected outputs of cases never come here: forager compares outside the sandbox. Where tests are
code that holds expected values, a *tester* of another user runs it, calls the program's functions
over a socket, and gets plain values back (`testing.py`).

Each case runs in a new session, as a user of its own if this process is root, in a directory of its
own that no other case can see, with bounds on time, memory, processes and output. When its process
ends, everything that it started is killed, and what it wrote is removed.
"""

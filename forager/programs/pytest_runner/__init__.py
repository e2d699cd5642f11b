"""Runs pytest and reports each test over a stream that the tests cannot reach.

    reporter ──starts──▶ server ──forks──▶ run: pytest and the project
       ▲                   │ how it ended     │ its reports
       └───────────────────┴──────────────────┘

The *reporter* passes on reports, which it has checked and bounded. When forager's shell is root's,
so is the reporter: it runs without the project's site directory, and the others run as the agent's
user, who can neither trace it nor write to what it writes. The *server* imports pytest before the
repository is on the path, so that nothing there can stand in for it. A *run* is a child of the
server, so a second run starts from the same state as the first and costs no second start. What
both import is compiled once, by the server (`compiling`).

The code under test shares a process with its run and could forge the run's reports. Two checks
tell: *canaries*, which must fail in every run, and a second run of tests with *changed* expected
values, which must fail too.
"""

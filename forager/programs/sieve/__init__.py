"""The sieve: stays in the sandbox and reports which tests each mutant fails.

usage: python sieve.pyz IN OUT, two named pipes. Each time the engine writes a `SieveJob` to IN, the
program answers on OUT: a line `ready`, an `Answer` for each mutant, and a line `end`. Nothing here
is proof: whatever passes the sieve runs again by the plain test command in a clean container.

A *warm* mutant changes only the code of functions that did not run at import. A process that has
collected the tests is forked, and the child gives the functions their new code and runs the chosen
tests. All other mutants are *cold*: the files change on the disk, and a process that has imported
pytest and third-party packages, but nothing of the repository, is forked and collects the test
files anew.

Every mutant has a child of its own. Mutants that shared one would see what those before them left
in caches: a mutant that survives leaves right values, behind which the next one hides.
"""

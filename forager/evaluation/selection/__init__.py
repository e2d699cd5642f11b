"""Chooses which of several attempts at a task to submit, without knowing which are right.

    pool → submissions → matrix (attempts × tests) → candidates → rules → choices and curves

Submissions hold nothing of an outcome but the answer, and tasks reach the matrix without patch and
deciding tests. Only `curves` learns which attempts are resolved, after the choice.
"""

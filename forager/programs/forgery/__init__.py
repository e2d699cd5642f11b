"""Finds constructs in Python files that only a forger of test results needs.

It reads syntax trees, executes and imports nothing of what it reads, and takes bounded time.

- Values: `values` folds constants, `scopes` binds names, `evaluator` says which modules, functions
  and texts an expression can stand for, with `expressions` for each kind, `call_results`,
  `operations` on values and the `known_paths` of modules.
- Findings: `rules` names what only a forger needs. `finder` goes through a tree and has each node
  looked at: `uses`, `names`, `stores`, `calls`, `texts`, `control_flow`, `definitions`, `objects`
  and `probes` share a `search`, `ingredients` and `import_time`.
- Patches: `reach` says which files a test run can import, `repository` reads the files before a
  patch, `comparison` finds what the patch added. `main` answers for plain patches by `plain` alone.
"""

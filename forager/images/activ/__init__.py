"""The builder `activ`: runs a project's own CI job until its tests start, and distils a recipe."""

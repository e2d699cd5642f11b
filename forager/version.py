"""The version of forager, which records carry."""

VERSION = "0.1.0"

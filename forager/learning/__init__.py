"""From attempts to a better model: filters, data sets, training, serving, bootstrapping."""

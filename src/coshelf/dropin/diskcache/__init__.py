"""The insides of :mod:`coshelf.diskcache`: a cache in the directory of a shelf."""

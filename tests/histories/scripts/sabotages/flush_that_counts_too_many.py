"""A flush that counts one commit too many."""

from coshelf.engines.lmdb.base_writer import BaseWriter

finish = BaseWriter.finish
BaseWriter.finish = lambda self, last, *nonce: finish(self, last + 1, *nonce)

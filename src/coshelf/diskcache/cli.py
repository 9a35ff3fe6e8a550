"""Nothing, as in diskcache."""

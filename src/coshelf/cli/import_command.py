"""``coshelf import``."""

from __future__ import annotations

import click

from coshelf.cli.examples import examples
from coshelf.cli.progress import progress
from coshelf.cli.transfers import finish
from coshelf.transfer.detection import KINDS
from coshelf.transfer.diskcache_source import DISKS
from coshelf.transfer.encodings import KEYS, VALUES
from coshelf.transfer.importing import import_entries

__all__ = ["import_command"]


@click.command(
    "import",
    short_help="Copy entries from other stores.",
    epilog=examples("coshelf import old.db recipes.shelf", "coshelf import more.jsonl recipes.shelf --dry-run"),
)
@click.argument("source")
@click.argument("target")
@click.option("--from", "kind", type=click.Choice(KINDS), help="What the source is. By default it is recognised.")
@click.option(
    "--replace", is_flag=True, help="Replace another value that the target has under the same key; else it is skipped."
)
@click.option("--dry-run", is_flag=True, help="Read and report; change nothing.")
@click.option("--trust", is_flag=True, help="You trust SOURCE: its values may run code when they are read from TARGET.")
@click.option(
    "--trust-pickle",
    is_flag=True,
    help="Unpickle hashed categories of pickleshare, and keys of diskcache that are more than text, numbers or bytes. "
    "This runs the code that the pickles name.",
)
@click.option("--keyencoding", default="utf-8", show_default=True, help="The encoding of the keys of a dbm database.")
@click.option(
    "--values",
    type=click.Choice(VALUES),
    default="pickle",
    show_default=True,
    help="The form of the values of a dbm database or of sqlitedict: pickles, JSON, pickles that zlib compressed. With "
    "bytes they are kept as bytes.",
)
@click.option(
    "--keys",
    type=click.Choice(KEYS),
    help="The form of the keys of sqlitedict; pickle-base64 is sqlitedict.encode_key. No code is run. By default keys "
    "are text, and those of the other kind fail.",
)
@click.option(
    "--disk",
    type=click.Choice(DISKS),
    help="Which Disk of diskcache wrote the entries; json is JSONDisk. By default the entries tell it.",
)
@click.option(
    "--drop-expiry",
    is_flag=True,
    help="Import entries that will expire without their times: they stay for ever. By default times are kept.",
)
@click.option("--drop-tags", is_flag=True, help="Import entries with tags without these. By default tags are kept.")
@click.option("--table", help="Which table of sqlitedict, if the file has several.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON to standard output.")
def import_command(
    source: str,
    target: str,
    kind: str | None,
    replace: bool,
    dry_run: bool,
    trust: bool,
    trust_pickle: bool,
    keyencoding: str,
    values: str,
    table: str | None,
    keys: str | None,
    disk: str | None,
    drop_expiry: bool,
    drop_tags: bool,
    as_json: bool,
) -> None:
    """Copy the entries of SOURCE into the shelf TARGET, a path or URL, which is made if it is missing.

    SOURCE is one of: a shelf or database of a dbm module; a directory of pickleshare or diskcache; a file of
    sqlitedict; another shelf of coshelf; JSON lines ("-" is standard input). It is not changed, and no value is
    unpickled.

    Values that are more than plain data take the trust from a new TARGET, so that they run no code when they are read.
    A trusted TARGET that has entries does not take such values without --trust.

    An entry that the target has already is skipped. So an import that was stopped continues when you run it again.

    If SOURCE is a directory of diskcache, and TARGET is named cache.shelf, the directory of TARGET becomes a cache that
    coshelf.diskcache opens, with all that is in SOURCE. It may be the same directory.
    """
    with progress(target) as tell:
        report = import_entries(
            source,
            target,
            kind=kind,
            trust_pickle=trust_pickle,
            keyencoding=keyencoding,
            values=values,
            table=table,
            keys=keys,
            disk=disk,
            drop_expiry=drop_expiry,
            drop_tags=drop_tags,
            replace=replace,
            trust=trust,
            dry_run=dry_run,
            progress=tell,
        )
    finish(report, "would be imported" if dry_run else "imported", as_json=as_json)

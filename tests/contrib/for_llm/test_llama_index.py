"""LlamaIndex's stores on a shelf."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path

import pytest

import coshelf
from coshelf.contrib.llm import LlamaIndexKVStore

pytestmark = pytest.mark.long  # importing LlamaIndex takes seconds


@pytest.mark.parametrize("target", ["a.shelf", "sqlite:a.sqlite", "memory:"])
def test_both_faces_keep_collections_apart(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        store = LlamaIndexKVStore(target)
        store.put("a", {"n": 1})
        await store.aput("a", {"n": 2}, collection="docs")
        version = store.part.whole.version
        store.put_all([("b", {"n": 3}), ("c", {"n": 4})], collection="docs", batch_size=1)
        assert store.part.whole.version == version + 1
        await store.aput_all([("d", {"n": 5})], collection="docs2", batch_size=7)
        assert store.get("a") == await store.aget("a") == {"n": 1}
        assert store.get("d") is None
        assert store.get_all("docs") == await store.aget_all("docs") == {"a": {"n": 2}, "b": {"n": 3}, "c": {"n": 4}}
        assert (store.delete("a"), store.delete("a")) == (True, False)
        assert (await store.adelete("a", "docs"), await store.adelete("a", "docs")) == (True, False)
        assert store.get_all("missing") == {}
        store.put("empty", {})
        assert store.delete("empty")
        await store.aclose()
        with pytest.raises(coshelf.ShelfClosed):
            store.get("a")

    asyncio.run(main())


def test_documents_and_ingestion_are_kept(tmp_path: Path) -> None:
    from llama_index.core.ingestion import IngestionCache
    from llama_index.core.schema import TextNode
    from llama_index.core.storage.docstore.keyval_docstore import KVDocumentStore

    store = LlamaIndexKVStore(tmp_path / "a.shelf")
    KVDocumentStore(store).add_documents([TextNode(text="A leek is an onion.", id_="leek")])
    IngestionCache(cache=store).put("key", [TextNode(text="node", id_="node")])
    store.close()
    again = pickle.loads(pickle.dumps(store))
    assert KVDocumentStore(again).get_document("leek").get_content() == "A leek is an onion."
    assert [node.id_ for node in IngestionCache(cache=again).get("key")] == ["node"]
    again.close()

"""Duplicates of a crawl: pages with one address, and pages with nearly one text (§2.1).

Each shard writes sorted key files by itself; one global step merges them in bounded memory::

    for shard, folder in enumerate(folders):                       # in any order, in any process
        write_url_keys(urls_of(shard), folder / "urls")
        write_signatures(texts_of(shard), config.minhash, folder / "bands")
    same = duplicate_urls([folder / "urls" for folder in folders], memory_bytes)
    excluded = np.zeros(len(crawl), dtype=bool)
    excluded[same.rows] = True                                     # crawl.urls[same.keepers] stay
    near = cluster([folder / "bands" for folder in folders], crawl.texts, crawl.tokens, config.minhash,
                   memory_bytes, scratch, excluded)
    for row, keeper, jaccard in zip(near.rows, near.keepers, near.jaccard):
        ...                                                        # drop row, which copies keeper
"""

from dsm_repro.corpus.dedup.cluster import Duplicates, cluster
from dsm_repro.corpus.dedup.shingles import Shingler, jaccard
from dsm_repro.corpus.dedup.signatures import write_signatures
from dsm_repro.corpus.dedup.urls import UrlDuplicates, duplicate_urls, write_url_keys

__all__ = [
    "Duplicates",
    "Shingler",
    "UrlDuplicates",
    "cluster",
    "duplicate_urls",
    "jaccard",
    "write_signatures",
    "write_url_keys",
]

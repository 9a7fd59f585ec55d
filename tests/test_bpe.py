"""CLIP's tokenizer without torch, against open_clip's."""

import gzip
from pathlib import Path

import numpy as np
import open_clip
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from georclip.encoders.bpe import BpeTokenizer
from georclip.errors import EncoderError

VOCABULARY = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"


def merges():
    lines = gzip.decompress(VOCABULARY.read_bytes()).decode().split("\n")
    return lines[1 : 49152 - 256 - 2 + 1]


TOKENIZER = BpeTokenizer(merges(), 77)
ORACLE = open_clip.SimpleTokenizer()
WORDS = st.sampled_from(["harbor", "ships", "it's", "12", "1st", "naïve", "a", "&amp;", "<b>", "—"])


@given(text=st.text(max_size=60) | st.lists(WORDS, max_size=90).map(" ".join))
@example(text="A harbor with ships, don't they'll 1234.5 ŠTO")
@example(text="日本の港 ﬁnance “quoted” Ãœber &lt;b&gt; &amp;amp; x")
@example(text="<start_of_text> a !!! <END_OF_TEXT> \x1b[31m red \u2028 line")
@example(text="ships " * 100)
@example(text="İstanbul ß ŉ")
def test_ids_are_those_of_open_clip(text):
    wanted = ORACLE([text])[0].numpy()
    found = TOKENIZER.ids(text)
    assert found.tolist() == wanted[: len(found)].tolist()
    assert not wanted[len(found) :].any()


def test_a_sentence_is_cut_to_the_context():
    short = BpeTokenizer(merges(), 5)
    assert short.ids("one two three four five six").tolist()[-1] == 49407
    assert len(short.ids("one two three four five six")) == 5
    assert short.ids("").dtype == np.int64


def test_merges_that_cannot_be_read(tmp_path):
    with pytest.raises(EncoderError, match="cannot read the vocabulary"):
        BpeTokenizer.load(tmp_path / "none.txt", context_length=77)
    (tmp_path / "m.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EncoderError, match="cannot read the vocabulary"):
        BpeTokenizer.load(tmp_path / "m.txt", context_length=77)
    (tmp_path / "m.txt").write_text("\n".join(merges()), encoding="utf-8")
    loaded = BpeTokenizer.load(tmp_path / "m.txt", context_length=77)
    assert loaded.ids("a port").tolist() == TOKENIZER.ids("a port").tolist()

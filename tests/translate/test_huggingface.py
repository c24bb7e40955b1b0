"""Our Transformer as Hugging Face's, written and read back, and through CTranslate2: the same function."""

import pytest
import torch
from torch import nn

from minitfm.decoding import beam_search
from minitfm.study.vocabulary import BOS, EOS, PAD
from minitfm.transformer import Transformer, TransformerConfig
from minitfm.translate.huggingface import export, fast_tokenizer, to_hugging_face
from minitfm.translate.tokenizers import Tokenizer, characters

transformers = pytest.importorskip(
    "transformers", reason="pip install 'minitfm[bench]' brings transformers"
)
TEXTS = ["abc", "hello there", "a", "the cat sat", "no"]


def drawn(seed: int, size: int, **changes) -> Transformer:
    """A model whose weights are far from a fresh one's, norms and biases included."""
    torch.manual_seed(seed)
    options = {"d_model": 32, "d_ff": 64, "heads": 4, "layers": 2, **changes}
    model = Transformer(TransformerConfig(size, **options)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.35)
    return model


def tokenizer() -> Tokenizer:
    return characters(TEXTS)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_folder_written_and_read_back_is_the_same_function(tmp_path, norm):
    words = tokenizer()
    model = drawn(0, len(words), norm=norm)
    export(model, words, tmp_path / "there")
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "there")
    fast = transformers.AutoTokenizer.from_pretrained(tmp_path / "there")
    source = words.encode(TEXTS)
    read = fast(TEXTS, padding=True, return_tensors="pt")
    assert [
        row[mask.bool()].tolist()
        for row, mask in zip(read["input_ids"], read["attention_mask"])
    ] == source
    rows = nn.utils.rnn.pad_sequence(
        [torch.tensor(row) for row in source], batch_first=True
    )
    target = torch.randint(3, len(words), (len(TEXTS), 7))
    first = torch.full((len(TEXTS), 1), theirs.config.decoder_start_token_id)
    found = theirs.eval()(
        input_ids=read["input_ids"],
        attention_mask=read["attention_mask"],
        decoder_input_ids=torch.cat([first, target], 1),
    ).logits
    bos = torch.full((len(TEXTS), 1), BOS)
    exact = model(rows, torch.cat([bos, target], 1))
    torch.testing.assert_close(
        found[..., 1 : len(words)], exact[..., 1:], rtol=0, atol=1e-4
    )
    assert (found[..., PAD] < -9000).all()
    assert fast.decode(source[1]) == "hello there"


def test_ctranslate2_writes_what_we_write(tmp_path):
    """Greedily; its beam search ends by other rules."""
    ctranslate2 = pytest.importorskip(
        "ctranslate2", reason="pip install 'minitfm[bench]' brings ctranslate2"
    )
    words, compared = tokenizer(), 0
    for seed in range(4):
        model = drawn(seed, len(words), norm="pre")
        with torch.no_grad():  # <pad> would have a share of the softmax, and has none
            model.target_embedding.weight[PAD] = 0
        export(model, words, tmp_path / f"hf{seed}")
        converter = ctranslate2.converters.TransformersConverter(
            str(tmp_path / f"hf{seed}")
        )
        converter.convert(str(tmp_path / f"ct{seed}"))
        translator = ctranslate2.Translator(str(tmp_path / f"ct{seed}"))
        fast = fast_tokenizer(words, pre=True)
        source = words.encode(TEXTS)
        rows = nn.utils.rnn.pad_sequence(
            [torch.tensor(row) for row in source], batch_first=True
        )
        written = translator.translate_batch(
            [fast.convert_ids_to_tokens(row) for row in source],
            beam_size=1,
            max_decoding_length=12,
        )
        theirs = [fast.convert_tokens_to_ids(one.hypotheses[0]) for one in written]
        found = beam_search(model, rows, beam=1, max_length=12)
        ours = [[token for token in one.tokens if token != EOS] for (one,) in found]
        assert theirs == ours
        compared += sum(map(len, ours))
    assert compared > 100


def test_what_has_no_like_there_is_refused(tmp_path):
    words = tokenizer()
    for changes in ({"positions": "rotary"}, {"tied": False}):
        with pytest.raises(ValueError, match="one vocabulary, tied weights and"):
            to_hugging_face(drawn(0, len(words), **changes))
    with pytest.raises(ValueError, match="heads of width d_model / heads"):
        to_hugging_face(drawn(0, len(words), d_k=3))
    (tmp_path / "mine").write_text("")
    with pytest.raises(ValueError, match="holds something already"):
        export(drawn(0, len(words)), words, tmp_path)

"""What stands between the attention layers (chapter 8)."""

import pytest
import torch

from minitfm.layers import FeedForward, Residual
from minitfm.transformer import TransformerConfig


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("norm", ["PRE", "Post", "", None])
def test_a_misspelt_place_of_the_norm_is_an_error_that_names_the_choices(norm):
    with pytest.raises(ValueError, match=r"choose 'post'.* or 'pre'"):
        Residual(4, norm=norm)
    with pytest.raises(ValueError, match="choose 'post' or 'pre'"):
        TransformerConfig(norm=norm)


@pytest.mark.usefixtures("no_shape_checks")
def test_a_misspelt_choice_or_a_number_out_of_range_is_an_error_that_names_the_choices():
    with pytest.raises(ValueError, match="choose 'sinusoidal', 'learned' or 'rotary'"):
        TransformerConfig(positions="sinusodial")
    for name in ("heads", "d_model", "d_ff", "max_length"):
        for wrong in (0, -4):
            with pytest.raises(ValueError, match=f"{name}={wrong}; choose 1 or more"):
                TransformerConfig(**{name: wrong})
    for name in ("dropout", "attention_dropout", "activation_dropout"):
        with pytest.raises(ValueError, match=f"{name}=1.5; choose 0 to 1"):
            TransformerConfig(**{name: 1.5})


def test_dropout_inside_the_feed_forward_network_acts_in_training_alone():
    layer, x = FeedForward(4, 6, dropout=1.0), torch.randn(2, 3, 4)
    assert torch.equal(layer.train()(x), layer.outer.bias.expand(2, 3, 4))
    plain = FeedForward(4, 6)
    plain.load_state_dict(layer.state_dict())
    assert torch.equal(layer.eval()(x), plain(x))


def test_a_transformer_drops_inside_its_feed_forward_networks_if_asked_to():
    source, target = torch.randint(1, 9, (2, 5)), torch.randint(1, 9, (2, 4))
    shape = {"d_model": 8, "d_ff": 16, "heads": 2, "layers": 2, "dropout": 0.0}
    plain = TransformerConfig(9, **shape).build()
    dropping = TransformerConfig(9, **shape, activation_dropout=0.5).build()
    dropping.load_state_dict(plain.state_dict())
    torch.testing.assert_close(
        dropping.eval()(source, target), plain.eval()(source, target)
    )
    assert torch.equal(plain.train()(source, target), plain(source, target))
    assert not torch.equal(dropping.train()(source, target), dropping(source, target))

"""The mutants that `check` passes, each with the reason why it computes the same; a test holds the list complete."""

TRANSPOSE = "transposing two axes is the same whichever is named first"
NEGATIVE = "the same axis, counted from the end"
LIKE = "inputs and weights have one type and device, and only those are taken from it"

EQUIVALENT: dict[str, dict[str, str]] = {
    "heads_together": {
        "value -> query": "all three have d_model columns, and one type",
        "value -> key": "all three have d_model columns, and one type",
        "1 -> -1": "of two axes",
        "value -> query (#2)": "all three have d_model columns, and one type",
        "value -> key (#2)": "all three have d_model columns, and one type",
        "1 -> -1 (#2)": "of two axes",
    },
    "who_meets": {
        "inside.unsqueeze(0) -> inside": "an axis of size 1 in front is what broadcasting adds",
    },
    "rnn": {
        "x -> w": LIKE,
        "x -> b": LIKE,
        "x -> u": LIKE,
        "b -> w": "w has as many rows as b has numbers, d_hidden",
        "b -> u": "u has as many rows as b has numbers, d_hidden",
    },
    "sample": {
        "-1 -> 1": NEGATIVE,
        "1 -> -1": NEGATIVE,
        "-1 -> 1 (#2)": NEGATIVE,
        "1 -> -1 (#2)": NEGATIVE,
        "ends < u.unsqueeze(1) -> ends <= u.unsqueeze(1)": (
            "it differs only where a drawn u equals an end to the last bit, which does not happen"
        ),
        "1 -> -1 (#3)": NEGATIVE,
        "-1 -> 1 (#3)": NEGATIVE,
        "1 -> -1 (#4)": NEGATIVE,
    },
    "lstm_step": {
        "1 -> -1": NEGATIVE,
    },
    "gru_step": {
        "1 -> -1": NEGATIVE,
        "1 -> -1 (#2)": NEGATIVE,
    },
    "lstm": {
        "h -> new_h (#3)": "where the token is real, h has just become new_h; elsewhere zero is taken",
    },
    "attention_weights": {
        "query -> key": "d_k is the width of queries and keys alike",
        "key.transpose(-2, -1) -> key.transpose(-1, -2)": TRANSPOSE,
    },
    "scaled_dot_product": {
        "query -> key": "d_k is the width of queries and keys alike",
        "key.transpose(-2, -1) -> key.transpose(-1, -2)": TRANSPOSE,
    },
    "ask_for": {
        "for i in range(places): if 0 <= i + shif … shift, i] = 1.0 -> for i in reversed(range(places)): if 0 < … shift, i] = 1.0": (
            "every column is filled by itself, in whatever order"
        ),
    },
    "packed_mask": {
        "sentence != 0 -> sentence > 0": "sentences are numbered from 1, and padding is 0",
        "1 -> 2 (#2)": "in one sentence the query is padding where the key is",
        "1 -> -1 (#2)": "in one sentence the query is padding where the key is",
        "sentence -> same (#4)": "both are as long along axis 1",
        "1 -> -1 (#3)": NEGATIVE,
    },
    "nearest_before": {
        "query -> key": "queries and keys have one shape",
        "1 -> -1": "the places have one axis, and -1 is the one behind it",
        "key.transpose(-2, -1) -> key.transpose(-1, -2)": TRANSPOSE,
    },
    "self_attention": {
        "causal_mask(x.shape[1], device=x.device).unsqueeze(0) -> causal_mask(x.shape[1], device=x.device)": (
            "(token, token) broadcasts over the batch without the axis of size 1"
        ),
        "causal_mask(x.shape[1], device=x.device) -> causal_mask(x.shape[1])": (
            "the same on the CPU, where exercises run; the exercise does not ask for another device"
        ),
    },
    "split_heads": {
        "x.view(batch, token, heads, d_heads // h … transpose(1, 2) -> "
        "x.view(batch, token, heads, d_heads // h … transpose(2, 1)": TRANSPOSE,
        "2 -> -2": NEGATIVE,
    },
    "merge_heads": {
        "x.transpose(1, 2) -> x.transpose(2, 1)": TRANSPOSE,
        "2 -> -2": NEGATIVE,
    },
    "sinusoids": {
        "torch.arange(length, dtype=torch.float64) -> torch.arange(length)": (
            "whole positions times a float64 frequency give the same float64"
        ),
        "1 -> -1": NEGATIVE,
    },
    "rotary": {
        "-2 -> 2": "the last two of four axes are those from axis 2 on",
        "2 -> -2": NEGATIVE,
        "0::2 -> ::2": "a slice starts at 0 unless told",
        "0::2 -> ::2 (#2)": "a slice starts at 0 unless told",
    },
    "last_state": {
        "1 -> -1": NEGATIVE,
        "output -> mask (#2)": "there are as many masks as sentences",
        "output -> last (#2)": "there is one last column for each sentence",
    },
    "masked_loss": {
        "log_probability.gather(-1, target.unsque … 1)).squeeze(-1) -> "
        "log_probability.gather(-1, target.unsqueeze(-1))": (
            "the real tokens are picked from the first two axes; a third one of size 1 leaves their mean as it is"
        ),
        "log_probability.gather(-1, target.unsque … 1)).squeeze(-1) -> "
        "log_probability.gather(-1, target.unsqueeze(-1)).squeeze()": "no other axis has the size 1",
        "-1 -> 1 (#4)": "squeeze(1) leaves the last axis, of size 1, and so the mean as it is",
        "1 -> 2 (#4)": "squeeze(-2) leaves the last axis, of size 1, and so the mean as it is",
        "1 -> 0 (#4)": "squeeze(0) leaves the last axis, of size 1, and so the mean as it is",
        "1 -> -1 (#4)": "squeeze(1) leaves the last axis, of size 1, and so the mean as it is",
    },
    "unroll": {
        "1 -> -1 (#2)": NEGATIVE,
        "-1 -> 1": NEGATIVE,
        "1 -> -1 (#3)": NEGATIVE,
        "1 -> -1 (#5)": NEGATIVE,
    },
    "source_vector": {
        "source != 0 -> source > 0": "no token is below 0",
        "1 -> -1 (#3)": NEGATIVE,
    },
    "layer_norm": {
        "x - mean -> mean - x": "the distance is squared",
    },
    "residual": {
        "self.placement == 'pre' -> self.placement >= 'pre'": "of the two placements only 'pre' is at least 'pre'",
    },
    "decode": {
        "1 -> -1": NEGATIVE,
    },
    "greedy": {
        "source -> state (#2)": "this model's state has one row a sentence, so its length is the source's",
        "source -> state (#3)": "this model's state has one row a sentence, so its length is the source's",
        "source -> token (#3)": "there are as many first tokens as sentences",
        "-1 -> 1": NEGATIVE,
        "1 -> -1 (#2)": "the default of an argument, stack along the last of two axes",
        "1 -> -1 (#3)": NEGATIVE,
    },
}

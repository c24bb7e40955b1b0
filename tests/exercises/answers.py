"""Right answers in several styles: loops, einsum, library calls, other axes, other names, in place on own copies.

Each text defines the answer last; it may use torch, F, nn, math and what its exercise offers.
"""

from minitfm.exercises import attention, layers, multi_head, self_attention, transformer
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.source import under

RIGHT: dict[str, list[str]] = {}


def under_the_head(task: Exercise, *bodies: str) -> list[str]:
    """Classes whose last function has these bodies; the rest is the solution's."""
    return [under(task.source, body) for body in bodies]


RIGHT["rnn_step"] = [
    """def f(x, h, w, b, u):
    return torch.tanh(F.linear(x, w, b) + F.linear(h, u))""",
    # both sides in one product
    """def f(x, h, w, b, u):
    return (torch.cat([h, x], dim=1) @ torch.cat([u, w], dim=1).mT + b).tanh()""",
    # einsum, other names
    """def cell(inp, state, W, bias, U):
    return torch.tanh(torch.einsum("bi,hi->bh", inp, W) + torch.einsum("bj,hj->bh", state, U) + bias)""",
    # sequence by sequence, with columns as in the equation
    """def f(x, h, w, b, u):
    return torch.stack([torch.tanh(w @ x_i + b + u @ h_i) for x_i, h_i in zip(x, h)])""",
    # tanh by hand
    """def f(x, h, w, b, u):
    s = torch.addmm(b, x, w.t()) + (u @ h.t()).t()
    return 2 * torch.sigmoid(2 * s) - 1""",
    """def f(x, h, w, b, u):
    return torch.rnn_tanh_cell(x, h, w, u, b, torch.zeros_like(b))""",
]

RIGHT["rnn_inside"] = RIGHT["rnn_step"]

RIGHT["rnn"] = [
    # the inputs' side at once, a slice in the loop
    """def f(x, w, b, u, h=None):
    if h is None:
        h = torch.zeros(x.shape[0], u.shape[0], dtype=x.dtype)
    s = F.linear(x, w, b)
    out = []
    for t in range(x.shape[1]):
        h = torch.tanh(s[:, t] + F.linear(h, u))
        out.append(h)
    return torch.stack(out, 1), h""",
    # the last state read off the output
    """def f(x, w, b, u, start=None):
    h, states = start, []
    for x_t in x.transpose(0, 1):
        s = torch.einsum("hi,bi->bh", w, x_t) + b
        h = torch.tanh(s if h is None else s + torch.einsum("hj,bj->bh", u, h))
        states.append(h.unsqueeze(1))
    states = torch.cat(states, dim=1)
    return states, states[:, -1]""",
    # a list instead of a tuple; one sequence after the other, each from its own state
    """def f(x, w, b, u, h=None):
    outputs, lasts = [], []
    for i, sequence in enumerate(x):
        state = torch.zeros_like(b) if h is None else h[i]
        rows = []
        for token in sequence:
            state = torch.tanh(w @ token + b + u @ state)
            rows.append(state)
        outputs.append(torch.stack(rows))
        lasts.append(state)
    return [torch.stack(outputs), torch.stack(lasts)]""",
    # torch's own, its second bias zero
    """def f(x, w, b, u, h=None):
    h = x.new_zeros(1, len(x), len(b)) if h is None else h[None]
    out, last = torch.rnn_tanh(x, h, (w, u, b, torch.zeros_like(b)), True, 1, 0.0, False, False, True)
    return out, last[0]""",
    # recursion, into an empty output
    """def f(x, w, b, u, h=None):
    h = x.new_zeros(x.size(0), b.numel()) if h is None else h
    out = x.new_empty(x.size(0), x.size(1), b.numel())
    for t in range(x.size(1)):
        h = (x[:, t].matmul(w.T) + h.matmul(u.T)).add(b).tanh()
        out[:, t] = h
    return out, h""",
]

RIGHT["perplexity"] = [
    """def f(logits, target, pad=0):
    real = target != pad
    return F.cross_entropy(logits[real], target[real]).exp()""",
    """def f(logits, target, pad=0):
    logp = logits.log_softmax(-1).gather(-1, target.unsqueeze(-1)).squeeze(-1)
    real = target != pad
    return torch.exp(-(logp * real).sum() / real.sum())""",
    """def f(z, y, pad=0):
    return math.e ** nn.CrossEntropyLoss(ignore_index=pad)(z.permute(0, 2, 1), y)""",
    """def f(logits, target, pad=0):
    losses = []
    for row, wanted in zip(logits.log_softmax(-1) / math.log(2), target):
        losses += [-bits[int(c)] for bits, c in zip(row, wanted) if c != pad]
    return 2 ** torch.stack(losses).mean()""",
    """def f(logits, target, pad=0):
    p = logits.log_softmax(-1)[torch.arange(len(target))[:, None], torch.arange(target.shape[1]), target]
    kept = p[target != pad]
    return kept.sum().div(-len(kept)).exp()""",
    """def f(logits, target, pad=0):
    total, n = 0.0, 0
    for row, wanted in zip(logits.log_softmax(-1), target):
        for log_p, c in zip(row, wanted):
            if c != pad:
                total, n = total - log_p[c].item(), n + 1
    return torch.exp(torch.tensor(total / n))""",
    """def f(logits, target, pad=0):
    real = target != pad
    return F.cross_entropy(logits[real].double(), target[real]).exp().reshape(1)""",
]

RIGHT["step_jacobian"] = [
    """def f(h, u):
    return torch.diag_embed(1 - h * h) @ u""",
    """def f(h, u):
    return torch.einsum("bi,ij->bij", 1 - h.square(), u)""",
    """def f(new, U):
    return torch.stack([torch.stack([(1 - y**2) * row for y, row in zip(state, U)]) for state in new])""",
    """def f(h, u):
    return ((1 + h) * (1 - h))[:, :, None].expand(-1, -1, u.shape[1]) * u[None]""",
    """def f(h, u):
    slope = torch.cosh(torch.atanh(h)) ** -2
    return (u.T * slope.unsqueeze(1)).transpose(1, 2)""",
]

RIGHT["sample"] = [
    """def f(logits, temperature, u):
    ends = (logits / temperature).softmax(-1).cumsum(-1)
    return torch.searchsorted(ends[:, :-1].contiguous(), u[:, None], right=True).squeeze(1)""",
    """def f(logits, temperature, u):
    ends = torch.softmax(logits / temperature, dim=1).cumsum(1)
    ends[:, -1] = 1
    return (ends > u[:, None]).int().argmax(1)""",
    """def f(z, t, u):
    out = []
    for row, r in zip(z, u):
        p = torch.softmax(row / t, 0)
        k, total = 0, p[0]
        while total <= r and k < len(p) - 1:
            k += 1
            total = total + p[k]
        out.append(k)
    return torch.tensor(out)""",
    """def f(logits, temperature, u):
    e = ((logits - logits.amax(1, keepdim=True)) / temperature).exp()
    ends = (e / e.sum(1, keepdim=True)) @ torch.ones(e.shape[1], e.shape[1], dtype=e.dtype).triu()
    return ends[:, :-1].le(u.unsqueeze(-1)).sum(dim=1)""",
    """def f(logits, temperature, u):
    ends = F.softmax(logits.div(temperature), -1).cumsum(-1)
    passed = u.view(-1, 1).expand_as(ends) >= ends
    return torch.count_nonzero(passed, dim=-1).clamp(max=logits.shape[1] - 1)""",
]

RIGHT["lstm_step"] = [
    # a sum at a time
    """def f(x, h, c, w, b, u):
    d = h.shape[1]
    sums = [F.linear(x, w[k * d : (k + 1) * d], b[k * d : (k + 1) * d]) + F.linear(h, u[k * d : (k + 1) * d]) for k in range(4)]
    i, f, g, o = torch.sigmoid(sums[0]), torch.sigmoid(sums[1]), torch.tanh(sums[2]), torch.sigmoid(sums[3])
    new = f * c + i * g
    return o * torch.tanh(new), new""",
    # einsum and unflatten
    """def f(x, h, c, W, b, U):
    s = (torch.einsum("bi,gi->bg", x, W) + b + torch.einsum("bj,gj->bg", h, U)).unflatten(1, (4, -1))
    i, f, o = s[:, [0, 1, 3]].sigmoid().unbind(1)
    c = torch.addcmul(f * c, i, s[:, 2].tanh())
    return [o * c.tanh(), c]""",
    """def f(x, h, c, w, b, u):
    return torch.lstm_cell(x, (h, c), w, u, b, torch.zeros_like(b))""",
    """def f(x, h, c, w, b, u):
    d = c.size(-1)
    s = torch.cat((x, h), -1) @ torch.cat((w, u), -1).T + b
    gates = 1 / (1 + torch.exp(-s))
    memory = gates[:, d : 2 * d] * c + gates[:, :d] * torch.tanh(s[:, 2 * d : 3 * d])
    return gates[:, 3 * d :] * torch.tanh(memory), memory""",
    # sequence by sequence
    """def f(x, h, c, w, b, u):
    hs, cs = [], []
    for x_i, h_i, c_i in zip(x, h, c):
        i, f, g, o = (w @ x_i + b + u @ h_i).view(4, -1)
        cs.append(f.sigmoid() * c_i + i.sigmoid() * g.tanh())
        hs.append(o.sigmoid() * cs[-1].tanh())
    return torch.stack(hs), torch.stack(cs)""",
]

RIGHT["lstm_inside"] = RIGHT["lstm_step"]

RIGHT["gru_step"] = [
    """def f(x, h, w, b, u, b2):
    return torch.gru_cell(x, h, w, u, b, torch.cat([torch.zeros_like(b2), torch.zeros_like(b2), b2]))""",
    # a sum at a time
    """def f(x, h, w, b, u, b_candidate):
    (w_r, w_z, w_n), (b_r, b_z, b_n), (u_r, u_z, u_n) = w.chunk(3), b.chunk(3), u.chunk(3)
    r = torch.sigmoid(F.linear(x, w_r, b_r) + F.linear(h, u_r))
    z = torch.sigmoid(F.linear(x, w_z, b_z) + F.linear(h, u_z))
    n = torch.tanh(F.linear(x, w_n, b_n) + r * F.linear(h, u_n, b_candidate))
    return n + z * (h - n)""",
    """def f(x, h, w, b, u, extra):
    s = (torch.einsum("bi,gi->bg", x, w) + b).unflatten(1, (3, -1))
    t = torch.einsum("bj,gj->bg", h, u).unflatten(1, (3, -1))
    r, z = (s + t)[:, :2].sigmoid().unbind(1)
    n = torch.tanh(s[:, 2] + r * t[:, 2] + r * extra)
    return torch.lerp(n, h, z)""",
    """def f(x, h, w, b, u, b_candidate):
    rows = []
    for x_i, h_i in zip(x, h):
        r_x, z_x, n_x = (w @ x_i + b).view(3, -1)
        r_h, z_h, n_h = (u @ h_i).view(3, -1)
        keep = 1 / (1 + torch.exp(-z_x - z_h))
        new = torch.tanh(n_x + torch.sigmoid(r_x + r_h) * (n_h + b_candidate))
        rows.append((1 - keep) * new + keep * h_i)
    return torch.stack(rows)""",
    """def f(x, h, w, b, u, b_candidate):
    d = h.shape[-1]
    gates = torch.sigmoid(x @ w[: 2 * d].T + b[: 2 * d] + h @ u[: 2 * d].T)
    n = (x @ w[2 * d :].T + b[2 * d :] + gates[:, :d] * (h @ u[2 * d :].T + b_candidate)).tanh()
    return gates[:, d:] * h + n - gates[:, d:] * n""",
]

RIGHT["lstm"] = [
    # arithmetic with the mask
    """def f(step, x, h, c, mask):
    out = []
    for t in range(x.shape[1]):
        m = mask[:, t, None].to(x.dtype)
        h_new, c_new = step(x[:, t], h, c)
        h, c = m * h_new + (1 - m) * h, m * c_new + (1 - m) * c
        out.append(m * h)
    return torch.stack(out, 1), h, c""",
    # zeros at the end, for all at once
    """def f(step, x, h, c, mask):
    states = []
    for token, real in zip(x.transpose(0, 1), mask.T):
        new = step(token, h, c)
        h, c = (torch.where(real[:, None], n, old) for n, old in zip(new, (h, c)))
        states.append(h)
    return torch.stack(states, 1).masked_fill(~mask.unsqueeze(-1), 0), h, c""",
    # one sequence after the other, its real tokens alone
    """def f(step, x, h, c, mask):
    outputs, hs, cs = [], [], []
    for i in range(len(x)):
        h_i, c_i = h[i : i + 1], c[i : i + 1]
        rows = []
        for t in range(x.shape[1]):
            if mask[i, t]:
                h_i, c_i = step(x[i : i + 1, t], h_i, c_i)
                rows.append(h_i)
            else:
                rows.append(torch.zeros_like(h_i))
        outputs.append(torch.stack(rows, 1))
        hs.append(h_i)
        cs.append(c_i)
    return torch.cat(outputs), torch.cat(hs), torch.cat(cs)""",
    # only the rows that are real step
    """def f(step, x, h, c, mask):
    out = []
    for t in range(x.shape[1]):
        real = mask[:, t].nonzero().squeeze(1)
        if len(real):
            h_real, c_real = step(x[real, t], h[real], c[real])
            h, c = h.index_copy(0, real, h_real), c.index_copy(0, real, c_real)
        out.append(h * mask[:, t : t + 1])
    return torch.stack(out, dim=1), h, c""",
    """def f(step, x, h, c, mask):
    hidden = padding = ~mask[..., None]
    output = torch.zeros(*x.shape[:2], h.shape[1], dtype=h.dtype)
    for t, token in enumerate(x.unbind(1)):
        pair = step(token, h, c)
        h = pair[0].masked_fill(padding[:, t], 0) + h.masked_fill(~padding[:, t], 0)
        c = pair[1].masked_fill(padding[:, t], 0) + c.masked_fill(~padding[:, t], 0)
        output[:, t] = h.masked_fill(hidden[:, t], 0)
    return output, h, c""",
]

RIGHT["keys_looked_at"] = [
    # the library's x ln x
    """def f(weights):
    return torch.special.entr(weights).sum(-1).exp() * (weights.sum(-1) > 0)""",
    # product of powers: 0 ** 0 is 1
    """def f(w):
    n = 1 / (w ** w).prod(-1)
    n[w.sum(-1) == 0] = 0
    return n""",
    # row by row, in Python
    """def f(weights):
    out = torch.zeros(weights.shape[:2], dtype=weights.dtype)
    for i, sentence in enumerate(weights):
        for j, row in enumerate(sentence):
            real = [w for w in row.tolist() if w > 0]
            if real:
                out[i, j] = math.exp(-sum(w * math.log(w) for w in real))
    return out""",
    # numbers in lists
    """def f(weights):
    return [[float(torch.distributions.Categorical(r).entropy().exp()) if r.sum() > 0 else 0.0 for r in s]
            for s in weights]""",
    # clamped logarithm
    """def f(weights):
    h = -(weights * weights.clamp(min=1e-300 if weights.dtype == torch.float64 else 1e-38).log()).sum(dim=2)
    return torch.where(weights.any(dim=2), torch.exp(h), torch.zeros_like(h))""",
]

RIGHT["query_length"] = [
    """def f(share, keys, d_k):
    return d_k ** 0.5 * (math.log(share) - math.log(1 - share) + math.log(keys - 1))""",
    """def f(share, n, d_k):
    p = torch.tensor(share, dtype=torch.float64)
    return (p.logit() + math.log(n - 1)) * d_k ** 0.5""",
    """def f(share, keys, d_k):
    rest = (1 - share) / (keys - 1)
    return math.log(share / rest) * math.sqrt(d_k)""",
    # by bisection
    """def f(share, keys, d_k):
    low, high = 0.0, 200.0
    for _ in range(100):
        s = (low + high) / 2
        low, high = (s, high) if 1 / (1 + (keys - 1) * math.exp(-s)) < share else (low, s)
    return s * math.sqrt(d_k)""",
]

RIGHT["merged"] = [
    # two scores, one softmax
    """def f(a, log_a, b, log_b):
    logs = torch.stack([log_a, log_b])
    w = logs.softmax(0).unsqueeze(-1)
    return w[0] * a + w[1] * b, logs.logsumexp(0)""",
    # a sigmoid of the difference
    """def f(a, log_a, b, log_b):
    s = torch.sigmoid(log_a - log_b)[..., None]
    return s * a + (1 - s) * b, torch.logaddexp(log_b, log_a)""",
    # subtract the larger by hand
    """def f(a, la, b, lb):
    m = torch.maximum(la, lb)
    ea, eb = torch.exp(la - m), torch.exp(lb - m)
    return (ea[..., None] * a + eb[..., None] * b) / (ea + eb)[..., None], m + torch.log(ea + eb)""",
    # einsum, a list
    """def f(a, log_a, b, log_b):
    log = torch.logsumexp(torch.stack((log_a, log_b), -1), -1)
    w = torch.exp(torch.stack((log_a, log_b), -1) - log.unsqueeze(-1))
    return [torch.einsum("bqp,bqpv->bqv", w, torch.stack((a, b), 2)), log]""",
]

RIGHT["attention_slope"] = [
    # centered values and keys
    """def f(query, key, value):
    d = key.shape[2]
    w = (query @ key.transpose(1, 2) / d ** 0.5).softmax(2)
    k = key.unsqueeze(1) - (w @ key).unsqueeze(2)
    v = value.unsqueeze(1) - (w @ value).unsqueeze(2)
    return (w.unsqueeze(-1) * v).transpose(2, 3) @ k / d ** 0.5""",
    # through the derivative of the softmax
    """def f(query, key, value):
    d = key.shape[-1]
    w = torch.softmax(torch.einsum("bqd,bkd->bqk", query, key) / math.sqrt(d), -1)
    j = torch.diag_embed(w) - w.unsqueeze(-1) * w.unsqueeze(-2)
    return torch.einsum("bqij,biv,bjd->bqvd", j, value, key) / math.sqrt(d)""",
    # sentence by sentence, query by query
    """def f(query, key, value):
    out = []
    for q, k, v in zip(query, key, value):
        rows = []
        for one in q:
            w = (k @ one / len(one) ** 0.5).softmax(0)
            rows.append(((v.T * w) @ k - torch.outer(w @ v, w @ k)) / len(one) ** 0.5)
        out.append(torch.stack(rows))
    return torch.stack(out)""",
    # autograd after all
    """def f(query, key, value):
    q = query.detach().requires_grad_()
    out = F.scaled_dot_product_attention(q, key, value)
    rows = [torch.autograd.grad(out[..., v].sum(), q, retain_graph=True)[0] for v in range(value.shape[2])]
    return torch.stack(rows, 2)""",
]

RIGHT["general_attention"] = under_the_head(
    attention.general_attention,
    # the query through the matrix instead
    """scores = torch.einsum("bqi,ij,bkj->bqk", query, self.matrix.weight, key)
if mask is not None:
    scores = scores.masked_fill(~mask, float("-inf"))
return torch.nan_to_num(scores.softmax(-1)) @ value""",
    # PyTorch's own, its scale 1
    "return F.scaled_dot_product_attention(query, self.matrix(key), value, attn_mask=mask, scale=1.0)",
    # a softmax by hand
    """scores = query @ self.matrix(key).mT
allowed = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask
low = scores.masked_fill(~allowed, -1e30).amax(-1, keepdim=True)
parts = torch.where(allowed, torch.where(allowed, scores - low, 0.0).exp(), 0.0)
total = parts.sum(-1, keepdim=True)
return parts / torch.where(total > 0, total, 1.0) @ value""",
    # another argument order by keyword
    """s = torch.bmm(F.linear(query, self.matrix.weight.T), key.transpose(1, 2))
w = s.softmax(-1) if mask is None else s.where(mask, -math.inf).softmax(-1).where(mask, 0.0)
return torch.bmm(w, value)""",
)

RIGHT["attention_weights"] = [
    # loops
    """def weights(query, key, mask=None):
    out = []
    for b in range(len(query)):
        rows = []
        for i in range(query.shape[1]):
            scores = torch.stack([query[b, i].dot(k) for k in key[b]]) / query.shape[-1] ** 0.5
            if mask is not None:
                scores = scores.masked_fill(~mask[b, i], float("-inf"))
                if not mask[b, i].any():
                    rows.append(torch.zeros_like(scores))
                    continue
            rows.append(torch.softmax(scores, 0))
        out.append(torch.stack(rows))
    return torch.stack(out)""",
    # einsum, other names
    """def w(a, b, allowed=None):
    s = torch.einsum("nid,njd->nij", a, b) * a.size(-1) ** -0.5
    if allowed is None:
        return F.softmax(s, dim=2)
    s = s.masked_fill(allowed.logical_not(), -torch.inf)
    return torch.nan_to_num(F.softmax(s, dim=2), nan=0.0)""",
    # bmm, softmax by hand with the maximum subtracted
    """def attention(query, key, mask=None):
    scores = torch.bmm(query, key.permute(0, 2, 1)).div(math.sqrt(query.shape[2]))
    if mask is None:
        mask = torch.ones_like(scores, dtype=torch.bool)
    scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
    e = (scores - scores.amax(-1, keepdim=True)).exp() * mask
    return e / e.sum(-1, keepdim=True).clamp_min(torch.finfo(e.dtype).tiny)""",
    # keys first, then transposed; the scale on the queries; the rows that see something
    """def f(Q, K, M=None):
    scores = ((K @ (Q / Q.shape[-1] ** 0.5).mT)).mT
    if M is None:
        return scores.softmax(2)
    some = M.any(2, keepdim=True)
    return torch.where(M | ~some, scores, float("-inf")).softmax(2) * some""",
    # in place on own copies, before the softmax
    """def f(query, key, mask=None):
    scores = query.clone() @ key.transpose(1, 2)
    scores /= math.sqrt(key.shape[-1])
    if mask is None:
        return scores.softmax(-1)
    scores[~mask] = -math.inf
    return scores.softmax(-1).masked_fill(~mask, 0)""",
]

RIGHT["scaled_dot_product"] = [
    """def f(query, key, value, mask=None):
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)""",
    """def f(query, key, value, mask=None):
    return F.scaled_dot_product_attention(query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1),
        None if mask is None else mask.unsqueeze(1)).squeeze(1)""",
    """def attend(q, k, v, m=None):
    s = torch.einsum("bqd,bkd->bqk", q, k) / math.sqrt(q.shape[-1])
    if m is not None:
        s = s.masked_fill(m == False, -float("inf"))
    p = s.softmax(dim=-1)
    if m is not None:
        p = p.masked_fill(m == False, 0.0)
    return torch.einsum("bqk,bkv->bqv", p, v)""",
    """def f(query, key, value, mask=None):
    rows = []
    for b in range(query.shape[0]):
        for i in range(query.shape[1]):
            scores = key[b] @ query[b, i] / query.shape[-1] ** 0.5
            seen = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask[b, i]
            if seen.any():
                rows.append(scores[seen].softmax(0) @ value[b][seen])
            else:
                rows.append(torch.zeros_like(value[b, 0]))
    return torch.stack(rows).view(*query.shape[:2], -1)""",
    """def f(query, key, value, mask=None):
    scale = 1 / math.sqrt(query.shape[-1])
    weights = (key @ query.transpose(-1, -2) * scale)
    if mask is not None:
        weights = weights.masked_fill(~mask.transpose(-1, -2), -math.inf)
    weights = weights.softmax(-2)
    if mask is not None:
        weights = torch.where(mask.transpose(-1, -2), weights, 0)
    return (value.transpose(-1, -2) @ weights).transpose(-1, -2)""",
    """def f(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is None:
        mask = torch.full(scores.shape, True)
    top = scores.masked_fill(~mask, -1e300 if scores.dtype == torch.float64 else -1e30).max(-1, keepdim=True).values
    share = torch.where(mask, scores - top, -math.inf).exp()
    return share @ value / share.sum(-1, keepdim=True).clamp(min=1e-30)""",
]

RIGHT["attention_inside"] = RIGHT["scaled_dot_product"]

RIGHT["padding_mask"] = [
    """def f(tokens, pad=0):
    return tokens.ne(pad)[:, None]""",
    """def f(ids, padding=0):
    return ~(ids == padding).reshape(len(ids), 1, -1)""",
    """def f(tokens, pad=0):
    return torch.tensor([[[token != pad for token in row]] for row in tokens.tolist()])""",
    """def f(tokens, pad=0):
    mask = torch.ones_like(tokens, dtype=torch.bool)
    mask[tokens == pad] = False
    return mask.unsqueeze(-2)""",
    """def f(tokens, pad=0):
    return torch.stack([(tokens < pad) | (tokens > pad)], dim=1)""",
]

RIGHT["causal_mask"] = [
    """def f(query, key=None):
    key = key or query
    return torch.arange(key) <= torch.arange(query)[:, None] + (key - query)""",
    """def f(n, m=None):
    m = n if m is None else m
    return ~torch.ones(n, m).triu(m - n + 1).bool()""",
    """def f(query, key=None):
    if key is None:
        key = query
    mask = torch.zeros(query, key, dtype=torch.bool)
    for i in range(query):
        mask[i, : key - query + i + 1] = True
    return mask""",
    """def f(query, key=None):
    key = query if key is None else key
    return torch.tensor([[j - (key - query) <= i for j in range(key)] for i in range(query)])""",
    """def f(query, key=None):
    key = query if key is None else key
    return torch.ones(key, key, dtype=torch.bool).tril()[-query:]""",
]

RIGHT["self_attention"] = under_the_head(
    self_attention.self_attention,
    """batch, token, _ = x.shape
allowed = torch.ones(batch, token, token, dtype=torch.bool)
if self.causal:
    allowed = allowed.tril()
if mask is not None:
    allowed = allowed & mask
return scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), allowed)""",
    """q, k, v = (layer(x) for layer in (self.query, self.key, self.value))
if mask is None:
    return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
if self.causal:
    mask = mask & causal_mask(x.shape[1])
return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)""",
    """if self.causal and mask is not None:
    mask = mask * causal_mask(x.shape[1])
elif self.causal:
    mask = causal_mask(x.shape[1])[None]
return attention_weights(self.query(x), self.key(x), mask) @ self.value(x)""",
    """q, k, v = x @ self.query.weight.T, x @ self.key.weight.T, x @ self.value.weight.T
s = torch.einsum("btd,bsd->bts", q, k) / q.shape[-1] ** 0.5
hide = torch.zeros_like(s, dtype=torch.bool)
if self.causal:
    hide = hide | torch.ones_like(hide).triu(1)
if mask is not None:
    hide = hide | ~mask
p = s.masked_fill(hide, -torch.inf).softmax(-1).masked_fill(hide, 0)
return torch.einsum("bts,bsd->btd", p, v)""",
)

RIGHT["ask_for"] = [
    """def f(places, shift):
    if abs(shift) >= places:
        return torch.zeros(places, places)
    return torch.diag(torch.ones(places - abs(shift)), -shift)""",
    """def f(p, s):
    return torch.tensor([[1.0 if r == c + s else 0.0 for c in range(p)] for r in range(p)])""",
    """def f(places, shift):
    i = torch.arange(places)
    return (i[:, None] == i[None, :] + shift).float()""",
    """def f(places, shift):
    W = torch.zeros(places, places)
    for row in range(places):
        column = row - shift
        if column in range(places):
            W[row, column] = 1
    return W""",
]
RIGHT["ask_the_first"] = [
    """def f(d, places):
    return torch.cat([torch.zeros(places, d), torch.eye(places)[:, :1].expand(-1, places)], 1)""",
    """def f(d, places):
    return torch.tensor([[0.0] * d + [float(row == 0)] * places for row in range(places)])""",
    """def f(d, places):
    w = torch.zeros(places, d + places)
    w[:1, -places:] += 1
    return w""",
    """def f(d, places):
    first = torch.zeros(places)
    first[0] = 1
    return torch.outer(first, torch.cat([torch.zeros(d), torch.ones(places)]))""",
]
RIGHT["how_loud"] = [
    """def f(n, d_k, share):
    return d_k**0.5 * (math.log(n - 1) + math.log(share) - math.log(1 - share))""",
    """def f(n, d_k, share):
    return torch.logit(torch.tensor(share, dtype=torch.float64)) * d_k**0.5 + d_k**0.5 * math.log(n - 1)""",
    """def f(n, d_k, share):
    t = (n - 1) * share / (1 - share)
    return torch.tensor(t, dtype=torch.float64).log() * math.sqrt(d_k)""",
    """def f(n, d_k, share):
    return -math.sqrt(d_k) * math.log((1 / share - 1) / (n - 1))""",
]
RIGHT["rows_that_change"] = [
    """def f(mask, j):
    own = torch.arange(len(mask)) == j
    return mask[:, j] | (own & (mask.sum(-1) > 1))""",
    """def f(mask, j):
    return [bool(row[j]) or (i == j and int(row.sum()) >= 2) for i, row in enumerate(mask)]""",
    """def f(mask, j):
    return torch.stack([m[j] if i != j or m.sum() < 2 else torch.tensor(True) for i, m in enumerate(mask)])""",
    """def f(mask, j):
    x = torch.randn(len(mask), 5, dtype=torch.float64)
    y = x.clone()
    y[j] = torch.randn(5, dtype=torch.float64)
    def out(z):
        w = (z @ z.T).masked_fill(~mask, -math.inf).softmax(-1).nan_to_num(0.0)
        return w @ z
    return ((out(x) - out(y)).abs() > 1e-12).any(-1)""",
]
RIGHT["packed_mask"] = [
    """def f(s):
    n = s.shape[1]
    i = torch.arange(n)
    return (s[:, :, None] == s[:, None, :]) & (i[:, None] >= i) & (s != 0)[:, :, None]""",
    """def f(s):
    rows = []
    for row in s.tolist():
        rows.append([[a == b and a != 0 and k <= q for k, b in enumerate(row)] for q, a in enumerate(row)])
    return torch.tensor(rows)""",
    """def f(s):
    one_hot = F.one_hot(s.long())[..., 1:].float()
    return ((one_hot @ one_hot.mT) > 0.5).tril()""",
    """def f(s):
    m = torch.zeros(s.shape[0], s.shape[1], s.shape[1], dtype=torch.bool)
    for q in range(s.shape[1]):
        for k in range(q + 1):
            m[:, q, k] = (s[:, q] == s[:, k]) & (s[:, k] > 0)
    return m""",
]
RIGHT["nearest_before"] = [
    """def f(query, key, value, slope):
    n = query.shape[1]
    i = torch.arange(n)
    s = torch.einsum("bqd,bkd->bqk", query, key) / query.shape[-1] ** 0.5
    s = s - slope * (i[:, None] - i[None, :])
    return masked_softmax(s, causal_mask(n) & (i[:, None] != i)) @ value""",
    """def f(q, k, v, slope):
    out = [torch.zeros_like(v[:, 0])]
    for i in range(1, q.shape[1]):
        s = (k[:, :i] * q[:, i : i + 1]).sum(-1) / math.sqrt(q.shape[-1])
        s = s + slope * torch.arange(i)
        out.append((s.softmax(-1).unsqueeze(-1) * v[:, :i]).sum(1))
    return torch.stack(out, 1)""",
    """def f(q, k, v, slope):
    n = q.shape[1]
    d = torch.arange(n).view(-1, 1) - torch.arange(n)
    bias = (-slope * d).to(q.dtype).masked_fill(d <= 0, -math.inf)
    w = (q @ k.mT / math.sqrt(q.shape[-1]) + bias)[:, 1:].softmax(-1)
    return torch.cat([torch.zeros_like(v[:, :1]), w @ v], 1)""",
    """def f(query, key, value, slope):
    n = query.shape[-2]
    past = torch.ones(n, n, dtype=torch.bool).tril(-1)
    gap = torch.arange(n)[:, None] - torch.arange(n)[None]
    s = query @ key.transpose(1, 2) * query.shape[-1] ** -0.5 - gap * slope
    p = torch.where(past, s, -math.inf)[:, 1:].softmax(dim=-1)
    return F.pad(p, (0, 0, 1, 0)) @ value""",
]

RIGHT["split_heads"] = [
    """def f(x, heads):
    return torch.stack(x.chunk(heads, dim=-1), dim=1)""",
    """def f(x, h):
    b, t, d = x.size()
    return x.reshape(b, t, h, -1).permute(0, 2, 1, 3)""",
    """def f(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(-2, -3)""",
    """def f(x, heads):
    width = x.shape[-1] // heads
    out = torch.empty(x.shape[0], heads, x.shape[1], width, dtype=x.dtype)
    for h in range(heads):
        out[:, h] = x[:, :, h * width : (h + 1) * width]
    return out""",
    """def f(x, heads):
    return torch.einsum("bthd->bhtd", x.contiguous().view(*x.shape[:2], heads, x.shape[2] // heads)).contiguous()""",
]

RIGHT["merge_heads"] = [
    """def f(x):
    return torch.cat(list(x.unbind(1)), dim=-1)""",
    """def f(x):
    return x.transpose(1, 2).contiguous().view(x.shape[0], x.shape[2], -1)""",
    """def f(x):
    return x.permute(0, 2, 1, 3).flatten(2)""",
    """def f(x):
    b, h, t, d = x.shape
    out = x.new_zeros(b, t, h * d)
    for head in range(h):
        for token in range(t):
            out[:, token, head * d : (head + 1) * d] = x[:, head, token]
    return out""",
    """def f(x):
    return torch.hstack([torch.cat([head[:, t : t + 1] for head in x.unbind(1)], -1) for t in range(x.shape[2])])""",
]

RIGHT["multi_head"] = under_the_head(
    multi_head.multi_head,
    """results = []
for q, k, v in zip(*(p.chunk(self.heads, -1) for p in (self.query(query), self.key(key), self.value(value)))):
    results.append(scaled_dot_product_attention(q, k, v, mask))
return self.output(torch.cat(results, -1))""",
    """q, k, v = self.query(query), self.key(key), self.value(value)
q, k, v = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in (q, k, v))
result = F.scaled_dot_product_attention(q, k, v, None if mask is None else mask[:, None])
return self.output(result.transpose(1, 2).flatten(2))""",
    """q = self.query(query).view(*query.shape[:2], self.heads, -1)
k = self.key(key).view(*key.shape[:2], self.heads, -1)
v = self.value(value).view(*value.shape[:2], self.heads, -1)
scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
if mask is not None:
    scores = scores.masked_fill(~mask.unsqueeze(1), -math.inf)
weights = scores.softmax(-1).nan_to_num(0.0)
return self.output(torch.einsum("bhqk,bkhd->bqhd", weights, v).reshape(query.shape))""",
    """batch = len(query)
fold = lambda p: split_heads(p, self.heads).flatten(0, 1)
if mask is not None:
    mask = mask.expand(batch, query.shape[1], key.shape[1]).repeat_interleave(self.heads, 0)
result = scaled_dot_product_attention(fold(self.query(query)), fold(self.key(key)), fold(self.value(value)), mask)
return merge_heads(result.unflatten(0, (batch, self.heads))) @ self.output.weight.T""",
)

RIGHT["sinusoids"] = [
    """def f(length, d_model, base=10000.0):
    table = torch.zeros(length, d_model, dtype=torch.float64)
    for pos in range(length):
        for i in range(d_model // 2):
            angle = pos / base ** (2 * i / d_model)
            table[pos, 2 * i], table[pos, 2 * i + 1] = math.sin(angle), math.cos(angle)
    return table""",
    """def f(n, d, b=1e4):
    table = torch.empty(n, d, dtype=torch.double)
    angle = torch.outer(torch.arange(n).double(), b ** -(torch.arange(0, d, 2).double() / d))
    table[:, 0::2], table[:, 1::2] = torch.sin(angle), torch.cos(angle)
    return table""",
    """def f(length, d_model, base=10_000.0):
    column = torch.arange(d_model, dtype=torch.float64)
    angle = torch.arange(length, dtype=torch.float64)[:, None] / base ** ((column - column % 2) / d_model)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos())""",
    """import numpy as np
def f(length, d_model, base=10_000.0):
    angle = np.arange(length)[:, None] / np.power(base, np.arange(0, d_model, 2) / d_model)
    return torch.from_numpy(np.stack([np.sin(angle), np.cos(angle)], -1).reshape(length, d_model))""",
    """def f(length, d_model, base=10_000.0):
    column = torch.arange(d_model, dtype=torch.float64)
    even = column.div(2, rounding_mode="floor") * 2
    return (torch.arange(length, dtype=torch.float64).unsqueeze(1) * base ** (-even / d_model) + (column % 2) * math.pi / 2).sin()""",
]

RIGHT["add_positions"] = [
    """def f(x, start=0):
    return sinusoids(start + x.shape[1], x.shape[2])[start : start + x.shape[1]].to(x) + x""",
    """def f(x, first=0):
    n, d = x.shape[-2:]
    return torch.add(x, sinusoids(first + n, d).to(dtype=x.dtype, device=x.device).narrow(0, first, n).unsqueeze(0))""",
    """def f(x, start=0):
    table = sinusoids(start + x.size(1), x.size(2)).to(x)
    return torch.stack([x[:, i] + table[start + i] for i in range(x.size(1))], dim=1)""",
    """def f(x, start=0):
    out = x.clone()
    out += sinusoids(start + x.shape[1], x.shape[2])[-x.shape[1]:].to(x)
    return out""",
    """def f(x, start=0):
    d = x.shape[-1]
    pos = torch.arange(start, start + x.shape[1], dtype=torch.float64, device=x.device)[:, None]
    angle = pos / 10_000 ** (torch.arange(0, d, 2, dtype=torch.float64, device=x.device) / d)
    return x + torch.stack((angle.sin(), angle.cos()), -1).flatten(1).to(x.dtype)""",
]

RIGHT["rotary"] = [
    """def f(x, start=0):
    table = sinusoids(start + x.shape[2], x.shape[3])[start:].to(x)
    sin = table[:, 0::2].repeat_interleave(2, -1)
    cos = table[:, 1::2].repeat_interleave(2, -1)
    swapped = torch.stack([-x[..., 1::2], x[..., 0::2]], -1).flatten(-2)
    return x * cos + swapped * sin""",
    """def f(x, start=0):
    table = sinusoids(start + x.shape[-2], x.shape[-1])[start:].to(x)
    turn = torch.complex(table[:, 1::2].contiguous(), table[:, 0::2].contiguous())
    pairs = torch.view_as_complex(x.contiguous().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn).flatten(-2)""",
    """def f(q, begin=0):
    n, d = q.shape[-2:]
    angle = torch.arange(begin, begin + n, dtype=torch.float64)[:, None] * 10_000.0 ** (-torch.arange(0, d, 2).double() / d)
    sin, cos = angle.sin().to(q), angle.cos().to(q)
    out = torch.zeros_like(q)
    out[..., 0::2] = q[..., 0::2] * cos - q[..., 1::2] * sin
    out[..., 1::2] = q[..., 0::2] * sin + q[..., 1::2] * cos
    return out""",
    """def f(x, start=0):
    d = x.shape[-1]
    table = sinusoids(start + x.shape[-2], d)[start:].to(x)
    columns = []
    for i in range(0, d, 2):
        a, b, sin, cos = x[..., i], x[..., i + 1], table[:, i], table[:, i + 1]
        columns += [a * cos - b * sin, b * cos + a * sin]
    return torch.stack(columns, dim=-1)""",
]

RIGHT["own_share"] = [
    """def f(layers, norm):
    return 0.25**layers if norm == "post" else 1 / (2 * layers + 1)""",
    """def f(layers, norm):
    whole = sum(1 for _ in range(2 * layers + 1))
    return {"post": math.exp(-2 * layers * math.log(2)), "pre": 1 / whole}[norm]""",
    # followed through the stack
    """def f(n, norm):
    own = total = 1.0
    for _ in range(2 * n):
        total = total + 1
        if norm == "post":
            own, total = own / total, 1.0
    return own / total""",
    """def f(layers, norm):
    return {"post": torch.tensor(0.5).pow(2 * layers), "pre": torch.tensor(1 / (1 + 2 * layers))}[norm]""",
]

RIGHT["dropout"] = [
    """def f(x, p, uniform, training):
    if not training:
        return x
    y = x.masked_fill(uniform < p, 0.0)
    return 0 * y if p == 1 else y / (1 - p)""",
    """def f(x, p, u, training):
    if training:
        return torch.where(u >= p, x, 0) * (1 / (1 - p) if p < 1 else 0.0)
    return x * 1""",
    """def f(x, p, uniform, training):
    if not training:
        return x
    numbers = []
    for one, u in zip(x.reshape(-1), uniform.reshape(-1)):
        numbers.append(one / (1 - p) if u >= p and p < 1 else one * 0)
    return torch.stack(numbers).view(x.shape)""",
    """def f(x, p, uniform, training):
    keep = (uniform >= p).to(x.dtype)
    return x * keep / max(1 - p, 1e-30) if training and p < 1 else x * (not training)""",
]

RIGHT["batch_norm"] = [
    """def f(x, real, eps=1e-5):
    out = torch.zeros_like(x)
    found = x[real]
    out[real] = (found - found.mean(0)) / (found.var(0, correction=0) + eps).sqrt()
    return out""",
    """def f(x, real, eps=1e-5):
    m = real.unsqueeze(-1).to(x.dtype)
    n = m.sum()
    mean = (x * m).sum((0, 1)) / n
    var = ((x - mean).square() * m).sum((0, 1)) / n
    return (x - mean) * torch.rsqrt(var + eps) * m""",
    """def f(x, real, eps=1e-5):
    rows = F.layer_norm(x[real].T, (int(real.sum()),), eps=eps).T
    return torch.zeros_like(x).masked_scatter(real.unsqueeze(-1), rows)""",
    """def f(x, real, eps=1e-5):
    found = torch.cat([row[kept] for row, kept in zip(x, real)])
    mean = found.sum(0) / len(found)
    variance = (found * found).sum(0) / len(found) - mean * mean
    y = (x - mean) * (variance.clamp(min=0) + eps) ** -0.5
    return y.masked_fill(~real.unsqueeze(-1), 0.0)""",
]

RIGHT["norm_gradient"] = [
    """def f(x, upstream, eps=1e-5):
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        F.layer_norm(x, x.shape[-1:], eps=eps).backward(upstream)
        return x.grad""",
    """def f(x, g, eps=1e-5):
    d = x.shape[-1]
    c = x - x.mean(-1, keepdim=True)
    r = torch.rsqrt((c * c).mean(-1, keepdim=True) + eps)
    y = c * r
    return r / d * (d * g - g.sum(-1, keepdim=True) - y * (g * y).sum(-1, keepdim=True))""",
    # the whole Jacobian of each token
    """def f(x, upstream, eps=1e-5):
    d = x.shape[-1]
    c = x - x.mean(-1, keepdim=True)
    root = (c.square().mean(-1) + eps).sqrt()[..., None, None]
    y = c / root[..., 0]
    J = (torch.eye(d).to(x) - 1 / d - y.unsqueeze(-1) * y.unsqueeze(-2) / d) / root
    return (J @ upstream.unsqueeze(-1)).squeeze(-1)""",
    """def f(x, upstream, eps=1e-5):
    from torch.func import vjp
    return vjp(lambda z: F.layer_norm(z, z.shape[-1:], eps=eps), x)[1](upstream)[0]""",
]

RIGHT["re_zero"] = under_the_head(
    layers.re_zero,
    "return torch.add(x, sublayer(x) * self.alpha)",
    """y = sublayer(x)
y = y * self.alpha.view(1, 1, 1)
return y + x""",
    "return torch.lerp(x, x + sublayer(x), self.alpha)",
    "return torch.addcmul(x, sublayer(x), self.alpha.expand_as(x))",
)

RIGHT["feed_forward"] = under_the_head(
    layers.feed_forward,
    "return self.outer(F.relu(self.inner(x)))",
    "return self.outer(torch.clamp(self.inner(x), min=0))",
    """h = x @ self.inner.weight.T + self.inner.bias
return torch.maximum(h, h * 0) @ self.outer.weight.T + self.outer.bias""",
    """h = self.inner(x)
h = h * (h > 0)
return F.linear(h, self.outer.weight, self.outer.bias)""",
    "return self.outer(self.inner(x).relu_())",
    """rows = [self.outer(self.inner(row).relu()) for row in x.reshape(-1, x.shape[-1])]
return torch.stack(rows).view_as(x)""",
)

RIGHT["layer_norm"] = [
    """def f(x, gain, bias, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], gain, bias, eps)""",
    """def f(x, gain, bias, eps=1e-5):
    variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
    return gain * ((x - mean) * torch.rsqrt(variance + eps)) + bias""",
    """def f(x, g, b, e=1e-5):
    centered = x - x.sum(-1, keepdim=True) / x.shape[-1]
    variance = torch.einsum("...d,...d->...", centered, centered) / x.shape[-1]
    return centered / (variance + e).sqrt().unsqueeze(-1) * g + b""",
    """def f(x, gain, bias, eps=1e-5):
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        d = row - row.mean()
        rows.append(d / ((d * d).mean() + eps) ** 0.5 * gain + bias)
    return torch.stack(rows).view(x.shape)""",
    """def f(x, gain, bias, eps=1e-5):
    y = x.clone()
    y -= x.mean(-1, keepdim=True)
    z = y / torch.sqrt(y.pow(2).mean(-1, keepdim=True) + eps)
    return torch.addcmul(bias, z, gain)""",
]

RIGHT["residual"] = under_the_head(
    layers.residual,
    """if self.placement == "post":
    return self.norm(self.dropout(sublayer(x)) + x)
return self.dropout(sublayer(self.norm(x))) + x""",
    """before = self.norm if self.placement == "pre" else nn.Identity()
after = self.norm if self.placement == "post" else nn.Identity()
return after(x + self.dropout(sublayer(before(x))))""",
    """y = self.norm(x) if self.placement == "pre" else x
y = torch.add(x, F.dropout(sublayer(y), self.dropout.p, self.training))
return self.norm(y) if self.placement == "post" else y""",
    """skip = x.clone()
if self.placement == "pre":
    x = self.norm(x)
x = sublayer(x)
x = self.dropout(x)
x = skip + x
if self.placement == "post":
    x = self.norm(x)
return x""",
)

RIGHT["embed"] = [
    """def f(tokens, embedding, positions):
    return positions(embedding(tokens) * embedding.weight.shape[1] ** 0.5)""",
    """def f(ids, table, add):
    x = F.embedding(ids, table.weight)
    return add(x * math.sqrt(x.shape[-1]))""",
    """def f(tokens, embedding, positions):
    one_hot = F.one_hot(tokens, embedding.num_embeddings).to(embedding.weight.dtype)
    return positions(one_hot @ embedding.weight * math.sqrt(embedding.embedding_dim))""",
    """def f(tokens, embedding, positions):
    x = embedding.weight[tokens]
    scaled = x * torch.tensor(x.shape[-1], dtype=x.dtype).sqrt()
    return positions.forward(scaled)""",
    """def f(tokens, embedding, positions):
    x = embedding(tokens).clone()
    x *= embedding.embedding_dim ** 0.5
    return positions(x)""",
]

RIGHT["shift"] = [
    """def f(target):
    return target[:, :-1], target[:, 1:]""",
    """def f(rows):
    n = rows.shape[1] - 1
    return [rows.narrow(1, 0, n), rows.narrow(1, 1, n)]""",
    """def f(target):
    read = torch.stack([torch.stack(list(row[:-1])) for row in target])
    predict = torch.tensor([row[1:] for row in target.tolist()])
    return read, predict""",
    """def f(target):
    columns = target.unbind(1)
    return torch.stack(columns[:-1], 1), torch.stack(columns[1:], 1)""",
    """def f(target):
    return target.roll(1, 1)[:, 1:].clone(), target.roll(-1, 1)[:, :-1].clone()""",
]

RIGHT["last_state"] = [
    """def f(output, mask):
    last = mask.long().sum(1) - 1
    return output.gather(1, last.view(-1, 1, 1).expand(-1, 1, output.shape[2])).squeeze(1)""",
    """def f(states, real):
    return torch.stack([states[b, int(real[b].sum()) - 1] for b in range(len(states))])""",
    """def f(output, mask):
    state = output[:, 0]
    for t in range(1, output.shape[1]):
        state = torch.where(mask[:, t, None], output[:, t], state)
    return state""",
    """def f(output, mask):
    last = F.one_hot(mask.sum(1) - 1, mask.shape[1]).to(output.dtype)
    return torch.einsum("bt,btd->bd", last, output)""",
    """def f(output, mask):
    last = (torch.arange(mask.shape[1]) * mask).argmax(1)
    return output.clone()[range(len(last)), last]""",
    """def f(output, mask):
    ends = mask & ~F.pad(mask, (0, 1))[:, 1:]
    return output[ends]""",
]

RIGHT["masked_loss"] = [
    """def f(logits, target, pad=0):
    return F.cross_entropy(logits.transpose(1, 2), target, ignore_index=pad)""",
    """def f(x, y, pad=0):
    real = y != pad
    return nn.CrossEntropyLoss()(x[real], y[real])""",
    """def f(logits, target, pad=0):
    losses = []
    for row, true in zip(logits, target):
        for scores, token in zip(row, true):
            if token != pad:
                losses.append(scores.logsumexp(0) - scores[token])
    return torch.stack(losses).mean()""",
    """def f(logits, target, pad=0):
    loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    real = (target != pad).flatten().to(loss.dtype)
    return (loss * real).sum() / real.sum()""",
    """def f(logits, target, pad=0):
    top = logits.amax(-1, keepdim=True)
    log_p = logits - top - (logits - top).exp().sum(-1, keepdim=True).log()
    one_hot = F.one_hot(target, logits.shape[-1]).to(logits.dtype) * (target != pad).unsqueeze(-1)
    return -(log_p * one_hot).sum() / one_hot.sum()""",
]

RIGHT["exact_rows"] = [
    """def f(written, target, eos=2):
    def cut(row):
        row = row.tolist()
        return row[: row.index(eos) + 1] if eos in row else row
    return torch.tensor([cut(a) == cut(b) for a, b in zip(written, target)])""",
    """def f(written, target, eos=2):
    width = max(written.shape[1], target.shape[1])
    a, b = (F.pad(x, (0, width - x.shape[1]), value=-1) for x in (written, target))
    ended = (b == eos).cumsum(1) - (b == eos).long() > 0
    return ((a == b) | ended).all(1)""",
    """def f(out, true, end=2):
    right = torch.zeros(len(out), dtype=torch.bool)
    for i in range(len(out)):
        for j in range(true.shape[1]):
            if j >= out.shape[1] or out[i, j] != true[i, j]:
                break
            if true[i, j] == end:
                right[i] = True
                break
    return right""",
    """def f(written, target, eos=2):
    width = min(written.shape[1], target.shape[1])
    same = (written[:, :width] == target[:, :width]).long().cumprod(1).bool()
    return (same & (target[:, :width] == eos)).any(1)""",
    """import numpy as np
def f(written, target, eos=2):
    strings = [[" ".join(map(str, row)) + " " for row in rows.tolist()] for rows in (written, target)]
    ends = [" ".join(map(str, row[: row.index(eos) + 1])) + " " for row in target.tolist()]
    return torch.from_numpy(np.array([a.startswith(b) for a, b in zip(strings[0], ends)]))""",
]

RIGHT["unroll"] = [
    """def f(model, source, target, forced):
    if forced:
        return model(source, target[:, :-1]).argmax(-1)
    tokens, state = [target[:, 0]], model.start(source)
    while len(tokens) < target.shape[1]:
        logits, state = model.step(tokens[-1], state)
        tokens.append(logits.argmax(dim=1))
    return torch.stack(tokens[1:], dim=1)""",
    """def f(model, source, target, forced):
    state = model.start(source)
    out = torch.zeros_like(target)
    out[:, 0] = target[:, 0]
    for i in range(target.shape[1] - 1):
        read = target[:, i] if forced else out[:, i]
        logits, state = model.step(read, state)
        out[:, i + 1] = logits.max(-1).indices
    return out[:, 1:]""",
    """def f(m, s, t, truth):
    state, columns = m.start(s), []
    for column in t[:, :-1].unbind(1):
        if truth or not columns:
            token = column
        logits, state = m.step(token, state)
        token = logits.softmax(-1).argmax(-1)
        columns.append(token[:, None])
    return torch.cat(columns, -1)""",
    """def f(model, source, target, forced):
    rows = []
    for one, true in zip(source.split(1), target.split(1)):
        state, token, row = model.start(one), true[:, 0], []
        for due in true[0, 1:]:
            logits, state = model.step(token, state)
            row.append(int(logits.argmax()))
            token = due.view(1) if forced else torch.tensor([row[-1]])
        rows.append(row)
    return torch.tensor(rows)""",
    """def f(model, source, target, forced):
    written = target[:, :1]
    for i in range(1, target.shape[1]):
        read = target[:, :i] if forced else written
        written = torch.cat([written, model(source, read)[:, -1:].argmax(-1)], dim=1)
    return written[:, 1:]""",
]

RIGHT["source_vector"] = [
    """def f(model, source):
    _, state = model.encoder(model.source_embedding(source), source.ne(0))
    return torch.cat([part.flatten(1) for part in state], -1)""",
    """def f(m, tokens):
    x = F.embedding(tokens, m.source_embedding.weight)
    _, (h, c) = m.encoder(x, ~(tokens == 0))
    return torch.stack([h, c], dim=1).flatten(1)""",
    """def f(model, source):
    vectors = []
    for row in source:
        real = row[row != 0]
        _, (h, c) = model.encoder(model.source_embedding(real)[None])
        vectors.append(torch.cat([h.reshape(-1), c.reshape(-1)]))
    return torch.stack(vectors)""",
    """def f(model, source):
    mask = source != 0
    _, (h, c) = model.encoder.forward(model.source_embedding(source), mask=mask)
    return torch.hstack([*h.unbind(1), *c.unbind(1)])""",
    """def f(model, source):
    x, mask = model.source_embedding(source), source != 0
    h = c = x.new_zeros(len(x), model.encoder.layers, x.shape[2])
    for t in range(x.shape[1]):
        _, (new_h, new_c) = model.encoder(x[:, t : t + 1], None, (h, c))
        real = mask[:, t, None, None]
        h, c = torch.where(real, new_h, h), torch.where(real, new_c, c)
    return torch.cat([h, c], dim=1).flatten(1)""",
]

RIGHT["teacher_forcing_loss"] = [
    """def f(model, source, target, pad=0):
    logits = model(source, target[:, :-1])
    return F.cross_entropy(logits.transpose(1, 2), target[:, 1:], ignore_index=pad)""",
    """def f(model, source, target, pad=0):
    read, predict = target[:, :-1], target[:, 1:]
    logp = model(source, read).log_softmax(-1)
    picked = logp.gather(-1, predict.unsqueeze(-1)).squeeze(-1)
    real = predict != pad
    return -(picked * real).sum() / real.sum()""",
    """def f(m, s, t, p=0):
    logp = F.log_softmax(m(s, t[:, :-1]), dim=2)
    losses = [-logp[b, i, t[b, i + 1]] for b in range(len(t)) for i in range(t.shape[1] - 1) if t[b, i + 1] != p]
    return torch.stack(losses).mean()""",
    """def f(model, source, target, pad=0):
    logits = model(source, target[:, :-1])
    predict = target[:, 1:]
    real = predict != pad
    return nn.CrossEntropyLoss()(logits[real], predict[real])""",
    """def f(model, source, target, pad=0):
    logits = model(source, target)[:, :-1]
    return F.nll_loss(logits.log_softmax(-1).reshape(-1, logits.shape[-1]), target[:, 1:].reshape(-1), ignore_index=pad)""",
]

RIGHT["encoder_layer"] = under_the_head(
    transformer.encoder_layer,
    """def look(y):
    return self.self_attention(y, y, y, mask)
return self.residual_2(self.residual_1(x, look), self.feed_forward)""",
    """for residual, sublayer in (
    (self.residual_1, lambda y: self.self_attention(query=y, key=y, value=y, mask=mask)),
    (self.residual_2, lambda y: self.feed_forward(y)),
):
    x = residual(x, sublayer)
return x""",
    """one, two = self.residual_1, self.residual_2
if one.placement == "pre":
    y = one.norm(x)
    x = x + one.dropout(self.self_attention(y, y, y, mask))
    return x + two.dropout(self.feed_forward(two.norm(x)))
x = one.norm(x + one.dropout(self.self_attention(x, x, x, mask)))
return two.norm(x + two.dropout(self.feed_forward(x)))""",
    """x = self.residual_1.forward(x, lambda y: self.self_attention(*[y] * 3, mask))
x = self.residual_2.forward(x, lambda y: self.feed_forward.outer(F.relu(self.feed_forward.inner(y))))
return x""",
)

RIGHT["decoder_layer"] = under_the_head(
    transformer.decoder_layer,
    """def own(y):
    return self.self_attention(y, y, y, mask)
def other(y):
    return self.cross_attention(y, memory, memory, memory_mask)
return self.residual_3(self.residual_2(self.residual_1(x, own), other), self.feed_forward)""",
    """steps = [
    (self.residual_1, lambda y: self.self_attention(query=y, key=y, value=y, mask=mask)),
    (self.residual_2, lambda y: self.cross_attention(query=y, key=memory, value=memory, mask=memory_mask)),
    (self.residual_3, self.feed_forward),
]
for residual, sublayer in steps:
    x = residual(x, sublayer)
return x""",
    """a, b, c = self.residual_1, self.residual_2, self.residual_3
if a.placement == "pre":
    y = a.norm(x)
    x = x + a.dropout(self.self_attention(y, y, y, mask))
    x = x + b.dropout(self.cross_attention(b.norm(x), memory, memory, memory_mask))
    return x + c.dropout(self.feed_forward(c.norm(x)))
x = a.norm(x + a.dropout(self.self_attention(x, x, x, mask)))
x = b.norm(x + b.dropout(self.cross_attention(x, memory, memory, memory_mask)))
return c.norm(x + c.dropout(self.feed_forward(x)))""",
    """memory, mask = memory.clone(), mask.clone()
h = self.residual_1.forward(x, lambda y: self.self_attention(*[y] * 3, mask))
h = self.residual_2.forward(h, lambda y: self.cross_attention(y, *[memory] * 2, memory_mask.expand(-1, y.shape[1], -1)))
return self.residual_3.forward(h, lambda y: self.feed_forward(y))""",
)

RIGHT["two_sources"] = under_the_head(
    transformer.two_sources,
    """def own(y):
    return self.self_attention(y, y, y, mask)
def read(y):
    return self.text_attention(y, text, text, text_mask)
def see(y):
    return self.image_attention(y, image, image)
for residual, sublayer in [
    (self.residual_1, own), (self.residual_2, read), (self.residual_3, see), (self.residual_4, self.feed_forward)
]:
    x = residual(x, sublayer)
return x""",
    """everything = torch.ones(x.shape[0], x.shape[1], image.shape[1], dtype=torch.bool)
x = self.residual_1(x, lambda y: self.self_attention(query=y, key=y, value=y, mask=mask))
x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask.expand(-1, y.shape[1], -1)))
x = self.residual_3(x, lambda y: self.image_attention(y, image, image, everything))
return self.residual_4(x, lambda y: self.feed_forward(y))""",
    """a = self.residual_1.forward(x, lambda y: self.self_attention(*[y] * 3, mask))
b = self.residual_2.forward(a, lambda z: self.text_attention(z, *[text] * 2, text_mask))
c = self.residual_3.forward(b, lambda z: self.image_attention(z, image.clone(), image.clone(), None))
return self.residual_4.forward(c, self.feed_forward.forward)""",
    """one, two, three, four = self.residual_1, self.residual_2, self.residual_3, self.residual_4
sublayers = [
    (one, lambda y: self.self_attention(y, y, y, mask)),
    (two, lambda y: self.text_attention(y, text, text, text_mask)),
    (three, lambda y: self.image_attention(y, image, image)),
    (four, self.feed_forward),
]
for residual, f in sublayers:
    if residual.placement == "pre":
        x = x + residual.dropout(f(residual.norm(x)))
    else:
        x = residual.norm(x + residual.dropout(f(x)))
return x""",
)

RIGHT["prefix_mask"] = [
    """def prefix_mask(source, target):
    n = source + target
    mask = torch.zeros(n, n, dtype=torch.bool)
    for query in range(n):
        for key in range(n):
            mask[query, key] = key < source or key <= query
    return mask""",
    """def prefix_mask(source, target):
    place = torch.arange(source + target)
    return (place <= place[:, None]) | (place < source)""",
    """def prefix_mask(source, target):
    left = torch.ones(source + target, source, dtype=torch.bool)
    over = torch.zeros(source, target, dtype=torch.bool)
    past = torch.ones(target, target, dtype=torch.bool).tril()
    return torch.cat([left, torch.cat([over, past])], dim=1)""",
    """def prefix_mask(source, target):
    n = source + target
    return ~torch.ones(n, n).triu(1).bool() | (torch.arange(n) < source).expand(n, n)""",
]

RIGHT["decoder"] = under_the_head(
    transformer.decoder,
    """for i in range(len(self.layers)):
    x = self.layers[i](x, memory, mask, memory_mask)
return self.norm(x)""",
    """import functools
return self.norm(functools.reduce(lambda y, layer: layer(y, memory, mask, memory_mask), self.layers, x))""",
    """def run(y, layers):
    return run(layers[0](y, memory, mask, memory_mask), layers[1:]) if layers else y
return self.norm(run(x, list(self.layers)))""",
    """out = x.clone()
for name, layer in self.layers.named_children():
    out = layer.forward(out, memory=memory, mask=mask, memory_mask=memory_mask)
out = self.norm(out)
return out""",
)

RIGHT["decode"] = [
    """def f(model, target, memory, memory_mask):
    token = target.shape[1]
    mask = torch.ones(token, token).tril().bool() & (target != 0)[:, None, :]
    x = model.embed(target, model.target_embedding, model.target_positions)
    return model.generator(model.decoder(x, memory, mask, memory_mask))""",
    """def f(m, t, mem, mem_mask):
    x = m.dropout(m.target_positions(m.target_embedding(t) * math.sqrt(m.config.d_model)))
    mask = padding_mask(t) * causal_mask(t.size(1))
    return m.decoder(x, mem, mask, mem_mask) @ m.generator.weight.T""",
    """def f(model, target, memory, memory_mask):
    n = target.shape[1]
    mask = torch.stack([(row != 0).expand(n, n) & causal_mask(n) for row in target])
    x = model.embed(target, model.target_embedding, model.target_positions)
    for layer in model.decoder.layers:
        x = layer(x, memory, mask, memory_mask)
    return model.generator(model.decoder.norm(x))""",
    """def f(model, target, memory, memory_mask):
    return model.decode(target, memory, memory_mask)""",
    """def f(model, target, memory, memory_mask):
    mask = padding_mask(target).repeat(1, target.shape[1], 1)
    mask &= causal_mask(target.shape[1])
    x = model.embed(tokens=target, embedding=model.target_embedding, positions=model.target_positions)
    return model.generator(model.decoder(x, memory, mask, memory_mask))""",
]

RIGHT["greedy"] = [
    """def f(model, source, max_length, bos=1, eos=2, pad=0):
    state, token = model.start(source), torch.full((len(source),), bos)
    done, columns = [False] * len(source), []
    for _ in range(max_length):
        logits, state = model.step(token, state)
        token = torch.tensor([pad if d else int(row.argmax()) for row, d in zip(logits, done)])
        columns.append(token)
        done = [d or int(t) == eos for d, t in zip(done, token)]
        if all(done):
            break
    return torch.stack(columns, 1)""",
    """def f(model, source, max_length, bos=1, eos=2, pad=0):
    out = torch.full((len(source), max_length), pad)
    state = model.start(source)
    token = torch.full((len(source),), bos)
    open_rows = torch.ones(len(source), dtype=torch.bool)
    for i in range(max_length):
        logits, state = model.step(token, state)
        token = torch.where(open_rows, logits.max(-1).indices, pad)
        out[:, i] = token
        open_rows &= token != eos
        if not open_rows.any():
            return out[:, : i + 1]
    return out""",
    """def f(model, source, max_length, bos=1, eos=2, pad=0):
    state, written = model.start(source), torch.full((len(source), 1), bos)
    while written.shape[1] <= max_length:
        ended = (written == eos).any(1)
        if ended.all():
            break
        logits, state = model.step(written[:, -1], state)
        written = torch.cat([written, logits.argmax(1, keepdim=True).masked_fill(ended[:, None], pad)], 1)
    return written[:, 1:]""",
    """def f(model, source, max_length, bos=1, eos=2, pad=0):
    rows = []
    for one in source.split(1):
        state, token, row = model.start(one), torch.tensor([bos]), []
        while len(row) < max_length and eos not in row:
            logits, state = model.step(token, state)
            token = logits.argmax(-1)
            row.append(int(token))
        rows.append(row)
    longest = max(map(len, rows))
    return torch.tensor([row + [pad] * (longest - len(row)) for row in rows])""",
]

RIGHT_ANSWERS = {
    "rnn_parameters": [
        "7_614",
        "7614.0",
        "torch.tensor(7614)",
        "30 * 16 + 64 * 81 + 30 * 65",
        "np.int64(7614)",
    ],
    "half_life": [
        "15",
        "15.0",
        "torch.tensor(15)",
        "np.ceil(np.log(0.5) / np.log(1 / (1 + np.exp(-3))))",
    ],
    "lstm_parameters": [
        "26_880",
        "torch.tensor(26880)",
        "np.int64(26880)",
        "4 * 64 * (40 + 64 + 1)",
    ],
    "parameters": [
        "63_045_632",
        "63045632.0",
        "torch.tensor(63_045_632)",
        "44_101_632 + 512 * 37_000",
        "np.int64(63045632)",
    ],
    "decoder_only": [
        "37_846_016",
        "37846016.0",
        "torch.tensor(37_846_016)",
        "6 * (4 * 512**2 + 2 * 512 * 2048 + 2048 + 512 + 4 * 512) + 512 * 37_000",
    ],
    "cross_shape": [
        "(32, 8, 15, 20)",
        "[32, 8, 15, 20]",
        "torch.Size([32, 8, 15, 20])",
        "torch.zeros(32, 8, 15, 20).shape",
    ],
    "head_parameters": [
        "1179648",
        "2 * 512 * 12 * (64 + 32)",
        "torch.tensor(1_179_648)",
        "[1_179_648.0]",
    ],
    "slow_pairs": ["28", "28.0", "torch.tensor(28)", "np.int64(64 - 36)"],
    "norm_by_hand": ["-7", "-7.0", "torch.tensor(-7.0)", "[6 * (1 - 6) / 3 + 3]"],
    "placement": ["'B'", "'b'", "' B '", "str('B')"],
}

RIGHT["keep_heads"] = [
    # slices, one head after the other
    """def f(query, key, value, output, heads, keep):
    d = query.shape[0] // heads
    cut = lambda w: torch.cat([w[h * d : (h + 1) * d] for h in keep])
    columns = [output[:, h * d : (h + 1) * d] for h in keep]
    return cut(query), cut(key), cut(value), torch.cat(columns, dim=1)""",
    # chunks, a list instead of a tuple
    """def f(q, k, v, o, n, kept):
    rows = [torch.cat([w.chunk(n)[h] for h in kept]) for w in (q, k, v)]
    return rows + [torch.cat([o.chunk(n, dim=1)[h] for h in kept], 1)]""",
    # rows by number
    """def f(query, key, value, output, heads, keep):
    d = len(query) // heads
    index = [h * d + i for h in keep for i in range(d)]
    return query[index], key[index], value[index], output[:, index]""",
    # copies into empty matrices
    """def f(query, key, value, output, heads, keep):
    d = len(query) // heads
    new = [torch.empty(len(keep) * d, query.shape[1], dtype=query.dtype) for _ in "qkv"]
    out = torch.empty(output.shape[0], len(keep) * d, dtype=output.dtype)
    for place, head in enumerate(keep):
        to, of = slice(place * d, place * d + d), slice(head * d, head * d + d)
        for target, source in zip(new, (query, key, value)):
            target[to] = source[of]
        out[:, to] = output[:, of]
    return (*new, out)""",
]

RIGHT["heads_together"] = [
    # the identity repeated
    """def f(stack):
    q, k, v = (torch.cat([getattr(head, name).weight for head in stack]) for name in ("query", "key", "value"))
    return q, k, v, torch.eye(v.shape[1]).repeat(1, len(stack))""",
    # detached, stacked and flattened, a list
    """def f(heads):
    parts = [torch.stack([getattr(h, n).weight.detach() for h in heads]).flatten(0, 1) for n in ("query", "key", "value")]
    d = parts[2].shape[1]
    return [*parts, torch.cat(len(heads) * [torch.eye(d)], 1)]""",
    # kron
    """def f(stack):
    q = torch.cat([h.query.weight.data for h in stack])
    k = torch.cat([h.key.weight.data for h in stack])
    v = torch.cat([h.value.weight.data for h in stack])
    one = torch.eye(stack[0].value.out_features)
    return q, k, v, torch.kron(torch.ones(1, len(stack)), one)""",
    # written into a layer of the package
    """def f(stack):
    from minitfm.multihead import MultiHeadAttention
    d_k, d_model = stack[0].query.weight.shape
    layer = MultiHeadAttention(d_model, len(stack), d_k, d_model)
    with torch.no_grad():
        for i, head in enumerate(stack):
            layer.query.weight[i * d_k : (i + 1) * d_k] = head.query.weight
            layer.key.weight[i * d_k : (i + 1) * d_k] = head.key.weight
            layer.value.weight[i * d_model : (i + 1) * d_model] = head.value.weight
            layer.output.weight[:, i * d_model : (i + 1) * d_model] = torch.eye(d_model)
    return layer.query.weight, layer.key.weight, layer.value.weight, layer.output.weight""",
]

RIGHT["who_meets"] = [
    # sets, a list of lists made a tensor
    """def f(tokens, heads):
    lies_in = [{(t * heads + i) // tokens for i in range(heads)} for t in range(tokens)]
    return torch.tensor([[bool(a & b) for b in lies_in] for a in lies_in])""",
    # from the first and the last piece
    """def f(tokens, heads):
    t = torch.arange(tokens)
    first, last = t * heads // tokens, (t * heads + heads - 1) // tokens
    return (first.unsqueeze(1) <= last) & (first <= last.unsqueeze(1))""",
    # by the view itself
    """def f(tokens, heads):
    owner = torch.arange(tokens).repeat_interleave(heads).view(heads, tokens)
    found = torch.zeros(tokens, tokens, dtype=torch.bool)
    for head in owner:
        for i in head:
            found[i, head] = True
    return found""",
    # counting shared heads
    """def f(n, h):
    owner = torch.arange(n).repeat_interleave(h).view(h, n)
    inside = F.one_hot(owner, n).amax(1)
    return inside.T @ inside > 0""",
    # by experiment, through softmax and all
    """def f(tokens, heads):
    x = torch.randn(1, tokens, heads, dtype=torch.float64)
    rows = []
    for j in range(tokens):
        y = x.clone()
        y[:, j] = y[:, j] + 1.5
        out = []
        for z in (x, y):
            s = z.view(1, heads, tokens, 1)
            out.append((torch.softmax(s @ s.mT, -1) @ s).reshape(tokens, heads))
        rows.append((out[0] - out[1]).abs().amax(1) > 1e-13)
    return torch.stack(rows, 1)""",
]

RIGHT["multi_query"] = under_the_head(
    multi_head.multi_query,
    # einsum
    """b, n, d = query.shape
q = self.query(query).view(b, n, self.heads, -1)
scores = torch.einsum("bqhd,bkd->bhqk", q, self.key(key)) / math.sqrt(q.shape[-1])
if mask is not None:
    scores = scores.masked_fill(~mask[:, None], -math.inf)
w = scores.softmax(-1)
if mask is not None:
    w = w.masked_fill(~mask[:, None], 0.0)
return self.output(torch.einsum("bhqk,bkd->bqhd", w, self.value(value)).reshape(b, n, d))""",
    # a loop over the heads
    """k, v = self.key(key), self.value(value)
found = []
for q in self.query(query).chunk(self.heads, -1):
    found.append(scaled_dot_product_attention(q, k, v, mask))
return self.output(torch.cat(found, -1))""",
    # keys and values repeated for every head
    """q = split_heads(self.query(query), self.heads)
k = self.key(key)[:, None].expand(-1, self.heads, -1, -1)
v = self.value(value)[:, None].repeat(1, self.heads, 1, 1)
return self.output(merge_heads(scaled_dot_product_attention(q, k, v, None if mask is None else mask[:, None])))""",
    # heads laid behind the queries: one attention over them all
    """b, n, d = query.shape
q = self.query(query).view(b, n * self.heads, d // self.heads)
if mask is not None:
    mask = mask.expand(-1, n, -1).repeat_interleave(self.heads, dim=1)
found = scaled_dot_product_attention(q, self.key(key), self.value(value), mask)
return self.output(found.view(b, n, d))""",
)

RIGHT["positions_of"] = [
    # a loop over the sentences
    """def f(tokens, pad=0):
    rows = []
    for row in tokens.tolist():
        count, found = 0, []
        for token in row:
            found.append(count if token != pad else 0)
            count += token != pad
        rows.append(found)
    return torch.tensor(rows)""",
    # masked_fill, as in many libraries
    """def f(tokens, pad=0):
    mask = (tokens != pad).long()
    return (mask.cumsum(-1) - 1).masked_fill(mask == 0, 0)""",
    # where, int32
    """def f(t, p=0):
    real = t.ne(p)
    return torch.where(real, real.int().cumsum(1, dtype=torch.int32) - 1, 0)""",
    # a product with a triangle
    """def f(tokens, pad=0):
    real = (tokens != pad).double()
    n = tokens.shape[1]
    return ((real @ torch.ones(n, n, dtype=torch.float64).triu(1)) * real).long()""",
]

RIGHT["look_back"] = [
    # filled in, pair by pair
    """def f(d_model, back, base=10_000.0):
    W = torch.zeros(d_model, d_model, dtype=torch.float64)
    for i in range(0, d_model, 2):
        a = back / base ** (i / d_model)
        W[i, i] = W[i + 1, i + 1] = math.cos(a)
        W[i, i + 1], W[i + 1, i] = -math.sin(a), math.sin(a)
    return W""",
    # the exponential of a generator
    """def f(d_model, back, base=10_000.0):
    G = torch.zeros(d_model, d_model, dtype=torch.float64)
    i = torch.arange(0, d_model, 2)
    a = back * base ** (-i.double() / d_model)
    G[i, i + 1], G[i + 1, i] = -a, a
    return torch.linalg.matrix_exp(G)""",
    # solved from rows of the table
    """def f(d_model, back, base=10_000.0):
    f = base ** (-torch.arange(0, d_model, 2).double() / d_model)
    m = torch.arange(40 * d_model).double()[:, None]
    table = lambda p: torch.stack([(p * f).sin(), (p * f).cos()], -1).flatten(1)
    return torch.linalg.lstsq(table(m), table(m - back)).solution.mT""",
    # diagonals by index
    """def f(d_model, back, base=10_000.0):
    a = back * torch.exp(-math.log(base) * torch.arange(0, d_model, 2).double() / d_model)
    cos = torch.diag(a.cos().repeat_interleave(2))
    off = torch.stack([a.sin(), torch.zeros_like(a)], -1).flatten()[:-1]
    return cos - torch.diag(off, 1) + torch.diag(off, -1)""",
]

RIGHT["to_halves"] = [
    # the usual view, transpose, reshape
    """def f(w, heads):
    out, inside = w.shape
    return w.view(heads, out // heads // 2, 2, inside).transpose(1, 2).reshape(out, inside)""",
    # by index
    """def f(weight, heads):
    d = len(weight) // heads
    order = [h * d + 2 * i + k for h in range(heads) for k in (0, 1) for i in range(d // 2)]
    return weight[order]""",
    # slices, head after head
    """def f(weight, heads):
    parts = []
    for head in weight.chunk(heads):
        parts += [head[::2], head[1::2]]
    return torch.cat(parts)""",
    # an empty matrix, filled
    """def f(weight, heads):
    new = torch.empty_like(weight)
    d = weight.shape[0] // heads
    for h in range(heads):
        old = weight[h * d : (h + 1) * d]
        new[h * d : h * d + d // 2] = old[0::2]
        new[h * d + d // 2 : (h + 1) * d] = old[1::2]
    return new""",
]

RIGHT["relative_bias"] = [
    # entry by entry
    """def f(table, queries, keys):
    reach = (table.shape[1] - 1) // 2
    rows = []
    for m in range(queries):
        rows.append(torch.stack([table[:, min(max(n - m, -reach), reach) + reach] for n in range(keys)], 1))
    return torch.stack(rows, 1)""",
    # index_select
    """def f(table, queries, keys):
    r = table.size(1) // 2
    d = (torch.arange(keys)[None] - torch.arange(queries)[:, None] + r).clip(0, 2 * r)
    return table.index_select(1, d.flatten()).view(-1, queries, keys)""",
    # one-hot
    """def f(table, queries, keys):
    reach = table.shape[1] // 2
    d = torch.arange(keys) - torch.arange(queries)[:, None]
    hot = F.one_hot(d.clamp(-reach, reach) + reach, table.shape[1]).to(table.dtype)
    return torch.einsum("qkd,hd->hqk", hot, table)""",
    # F.embedding
    """def f(table, q, k):
    reach = (table.shape[1] - 1) // 2
    at = torch.clamp(torch.arange(k).view(1, -1) - torch.arange(q).view(-1, 1), min=-reach, max=reach)
    return F.embedding(at + reach, table.T).permute(2, 0, 1)""",
]

"""Answers that were once judged wrongly or explained badly, each with the right verdict and what must be said.

A block is an exercise with a verdict, "right", "wrong", or "named", which is wrong and explained: by a known mistake,
by one edit of the reference or by the cause of its error. Each of the words, split at |, is in the message. Under it
stands the answer: an expression, or what defines it last, or only the body for the solution's last function. $NAME
stands for lines that many answers share.
"""

from string import Template

LINES = {
    "lstm": "i, f, g, o = (x @ w.T + b + h @ u.T).chunk(4, 1)",
    "cell": "c = f.sigmoid() * c + i.sigmoid() * g.tanh()",
    "gru": """rx, zx, nx = (x @ w.T + b).chunk(3, 1)
rh, zh, nh = (h @ u.T).chunk(3, 1)""",
    "gates": "r, z = (rx + rh).sigmoid(), (zx + zh).sigmoid()",
    "candidate": "n = (nx + r * (nh + b_candidate)).tanh()",
    "unroll": """state = model.start(source)
token = target[:, 0]
written = []
for i in range(1, target.shape[1]):
    logits, state = model.step(token, state)""",
    "encoded": """mask = source != 0
output, (h, c) = model.encoder(model.source_embedding(source), mask)""",
    "scores": "s = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])",
    "own": "x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))",
    "cross": "x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))",
    "text": "x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))",
    "image": "x = self.residual_3(x, lambda y: self.image_attention(y, image, image))",
    "network": "return self.residual_3(x, self.feed_forward)",
    "pads": """n = max(written.shape[1], target.shape[1])
w, t = F.pad(written, (0, n - written.shape[1])), F.pad(target, (0, n - target.shape[1]))""",
    "embedded": """mask = causal_mask(target.shape[1]) & padding_mask(target)
x = model.embed(target, model.target_embedding, model.target_positions)""",
    "choose": """m = mask[:, t, None]
    new_h, new_c = step(x[:, t], h, c)
    h, c = torch.where(m, new_h, h), torch.where(m, new_c, c)""",
}

TEXT = """
# wrong, and passed

lstm_step wrong
$lstm
$cell
return (o.sigmoid() * c.tanh()).squeeze(), c.squeeze()

gru_step named: squeeze
$gru
$gates
$candidate
return (z * h + (1 - z) * n).squeeze()

lstm_inside wrong
$lstm
$cell
return (o.sigmoid() * c.tanh()).squeeze(), c.squeeze()

lstm_step wrong: size 100
$lstm
c = (f.sigmoid() * c + i.sigmoid() * g.tanh()).clamp(-5, 5)
return o.sigmoid() * c.tanh(), c

lstm_inside wrong: size 100
$lstm
c = (f.sigmoid() * c + i.sigmoid() * g.tanh()).clamp(-5, 5)
return o.sigmoid() * c.tanh(), c

lstm_step wrong: NaN
$lstm
s = lambda z: z.exp() / (1 + z.exp())
c = s(f) * c + s(i) * g.tanh()
return s(o) * c.tanh(), c

masked_loss wrong
l = F.cross_entropy(logits.transpose(1, 2), target, ignore_index=pad, reduction='none')
return l.sum() / (l != 0).sum()

masked_loss wrong
l = F.cross_entropy(logits.transpose(1, 2), target, ignore_index=pad, reduction='none')
return l[l > 0].mean()

unroll wrong
$unroll
    nxt = logits.argmax(-1)
    written.append(nxt)
    token = target[:, i] if forced else nxt
    if (nxt == 2).all():
        break
return torch.stack(written, 1)

attention_weights wrong: gradient
$scores
if mask is None:
    return s.softmax(-1)
return (s + mask.to(s.dtype).log()).softmax(-1).where(mask, 0.)

attention_inside wrong: gradient
$scores
if mask is None:
    return s.softmax(-1) @ value
return (s + mask.to(s.dtype).log()).softmax(-1).where(mask, 0.) @ value

rnn_inside wrong
return torch.tanh(x[:, :16] @ w[:, :16].T + b + h @ u.T)

rnn_inside wrong
return torch.tanh(x @ w.T + b + h @ u.T) if x.any() else h

# right, and rejected

perplexity right
return math.exp(F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad))

perplexity right
return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad).exp().item()

step_jacobian right
return torch.stack([torch.diag(1 - row.detach() ** 2) @ u for row in h])

step_jacobian right
return torch.stack([torch.autograd.functional.jacobian(lambda old: torch.tanh(row.atanh() + u @ (old - 0)), torch.zeros_like(row)) for row in h])

step_jacobian right
from torch.func import jacrev, vmap
return vmap(lambda row: jacrev(lambda old: torch.tanh(row.atanh() + u @ old))(torch.zeros_like(row)))(h)

sample right
return ((logits / temperature).softmax(-1).cumsum(-1)[:, :-1] <= u[:, None]).sum(-1).int()

shift right
return target[:, :-1].int(), target[:, 1:].int()

cross_shape right
torch.tensor([32, 8, 15, 20])

cross_shape right
np.array([32, 8, 15, 20])

cross_shape right
torch.Size([32, 8, 15, 20])

cross_shape right
[32, 8, 15, 20]

rnn_parameters right
Fraction(7614)

lstm_parameters right
Decimal(26880)

rnn_parameters wrong: a number, without quotes
'7614'

# wrong, rejected, and told something false, empty or revealing

masked_loss wrong: not:look for a scale
return logits.mean() * 0 + 1.25

rnn_parameters wrong: not:times
7630

half_life wrong: not:times
16

rnn_step wrong: a tensor of (3, 4)|Give the function itself
torch.ones(3, 4)

rnn_step wrong: float32|not:. 0 of|not:1 times
return torch.tanh(x.float() @ w.float().T + b.float() + h.float() @ u.float().T).to(x.dtype)

lstm_step named: c, c|not:Two mistakes
$lstm
$cell
return c, c

lstm_parameters named: one W
19200

decoder_layer named: cross-attention|not:Two mistakes
$own
self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))
$network

sample named: temperature
p = logits.softmax(-1) / temperature
p = p / p.sum(-1, keepdim=True)
return (p.cumsum(-1)[:, :-1] <= u[:, None]).sum(-1)

source_vector named: model.encode|not:without end
return model.encode(source)

source_vector named: packed sequence
x = nn.utils.rnn.pack_padded_sequence(model.source_embedding(source), (source != 0).sum(1), batch_first=True, enforce_sorted=False)
output, (h, c) = model.encoder(x)
return torch.cat([h.flatten(1), c.flatten(1)], 1)

rnn_step named: float32 meets float64
return torch.tanh(nn.Linear(x.shape[1], h.shape[1])(x) + h @ u.T)

shift wrong: token - 1
return target[:, ::3], target[:, 1:]

rnn_step wrong: 1 axis|not:1 axes
return torch.tanh(x @ w.T + b + h @ u.T).sum(0)

# wrong, rejected, not named

rnn_step named: w.T
return torch.tanh(w @ x + b + u @ h)

rnn_step named: w.T
return w @ x + b + u @ h

rnn_step named: h @ u.T
return torch.tanh(x @ w.T + b + u @ h)

rnn_step named
return torch.tanh(x * w + b + h @ u.T)

rnn_step named: `W`, a variable of the notebook
W, U = torch.randn(3, 3), torch.randn(3, 3)
def rnn_step(x, h, w, b, u):
    return torch.tanh(x @ W.T + b + h @ U.T)

rnn_step named: twice
return torch.tanh(torch.tanh(x @ w.T + b + h @ u.T))

perplexity named: flatten
return F.cross_entropy(logits, target, ignore_index=pad).exp()

perplexity named: log
return F.nll_loss(logits.flatten(0, 1), target.flatten(), ignore_index=pad).exp()

perplexity named: log
return F.nll_loss(logits.softmax(-1).flatten(0, 1), target.flatten(), ignore_index=pad).exp()

perplexity named: 2
return (F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad) / math.log(2)).exp()

perplexity named: smooth
return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad, label_smoothing=0.1).exp()

step_jacobian named: diag
return torch.diag(1 - h**2) @ u

step_jacobian named: unsqueeze
return (1 - h**2) * u

step_jacobian named: new
new = torch.tanh(h @ u.T)
return (1 - new**2).unsqueeze(2) * u

step_jacobian named
return ((1 - h) ** 2).unsqueeze(2) * u

lstm_step named: dim=1
i, f, g, o = (x @ w.T + b + h @ u.T).chunk(4)
$cell
return o.sigmoid() * c.tanh(), c

lstm_step named: u.T
i, f, g, o = (x @ w.T + b + h @ u).chunk(4, 1)
$cell
return o.sigmoid() * c.tanh(), c

lstm_step named: chunk
i, f, g, o = (x @ w.T + b + h @ u.T).view(4, len(x), -1)
$cell
return o.sigmoid() * c.tanh(), c

lstm_step named: twice
$lstm
c = f.sigmoid().sigmoid() * c + i.sigmoid() * g.tanh()
return o.sigmoid() * c.tanh(), c

lstm_step named: c.sigmoid()
$lstm
$cell
return o.sigmoid() * c.sigmoid(), c

lstm_step named: b
i, f, g, o = (x @ w.T + 2 * b + h @ u.T).chunk(4, 1)
$cell
return o.sigmoid() * c.tanh(), c

lstm_step named: h, h
$lstm
$cell
h = o.sigmoid() * c.tanh()
return h, h

lstm_step named: order
$lstm
c = f.sigmoid() * (c + i.sigmoid() * g.tanh())
return o.sigmoid() * c.tanh(), c

gru_step named: reset
r, z, n = (x @ w.T + b + h @ u.T).chunk(3, 1)
r, z = r.sigmoid(), z.sigmoid()
n = (r * n + b_candidate).tanh()
return z * h + (1 - z) * n

gru_step named: reset
$gru
$gates
un = u.chunk(3)[2]
n = (nx + (r * h) @ un.T + r * b_candidate).tanh()
return z * h + (1 - z) * n

gru_step named
zx, rx, nx = (x @ w.T + b).chunk(3, 1)
rh, zh, nh = (h @ u.T).chunk(3, 1)
$gates
$candidate
return z * h + (1 - z) * n

half_life named: whole
14.39

half_life named
16

shift named: <eos>
keep = target.clone()
keep[keep == 2] = 0
return keep[:, :-1], target[:, 1:]

shift named: -100
return target[:, :-1], target[:, 1:].masked_fill(target[:, 1:] == 0, -100)

shift named: <bos>
bos = torch.ones_like(target[:, :1])
return torch.cat([bos, target[:, :-1]], 1), target[:, 1:]

shift named: <bos>
bos = torch.ones_like(target[:, :1])
return torch.cat([bos, target], 1), target

unroll named: one step
state = model.start(source)
token = target[:, 0]
written = []
for i in range(1, target.shape[1] + 1):
    logits, state = model.step(token, state)
    written.append(logits.argmax(-1))
    token = target[:, min(i, target.shape[1] - 1)] if forced else written[-1]
return torch.stack(written, 1)

unroll named: target
$unroll
    token = target[:, i] if forced else logits.argmax(-1)
    written.append(target[:, i])
return torch.stack(written, 1)

unroll named: fed
$unroll
    written.append(token)
    token = target[:, i] if forced else logits.argmax(-1)
return torch.stack(written, 1)

source_vector named: h[-1]
$encoded
return torch.cat([h[-1], c[-1]], 1)

source_vector named: stack
$encoded
return torch.stack([h.flatten(1), c.flatten(1)], 1)

source_vector named: h
$encoded
return torch.cat([h.flatten(1), h.flatten(1)], 1)

source_vector named: flatten
$encoded
return torch.cat([h, c], 1)

attention_weights named: way round
$scores
return s.softmax(-1) if mask is None else s.masked_fill(mask, -1e9).softmax(-1)

attention_weights named: way round
$scores
return s.softmax(-1) if mask is None else s.masked_fill(mask, -math.inf).softmax(-1)

attention_weights named: way round
$scores
return s.softmax(-1) if mask is None else s.masked_fill(mask, -math.inf).softmax(-1).masked_fill(mask, 0)

attention_weights named: way round
$scores
return s.softmax(-1) if mask is None else s.where(~mask, -1e9).softmax(-1).where(mask, 0.)

attention_weights named: sigmoid
$scores
s = s.sigmoid()
return s if mask is None else s.where(mask, 0.)

attention_weights named: 64
s = query @ key.transpose(-2, -1) / math.sqrt(64)
return s.softmax(-1) if mask is None else s.where(mask, -math.inf).softmax(-1).where(mask, 0.)

attention_weights named
s = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-2])
return s.softmax(-1) if mask is None else s.where(mask, -math.inf).softmax(-1).where(mask, 0.)

attention_weights named
$scores
return s.softmax(-1) if mask is None else s.where(mask, -1e4).softmax(-1)

scaled_dot_product named: keys
$scores
w = s.softmax(-1) if mask is None else s.where(mask, -math.inf).softmax(-1).where(mask, 0.)
return w @ key

scaled_dot_product named: argmax
$scores
s = s if mask is None else s.where(mask, -math.inf)
w = F.one_hot(s.argmax(-1), s.shape[-1]).to(s)
w = w if mask is None else w.where(mask, 0.)
return w @ value

embed named: positions
x = embedding(tokens) * math.sqrt(embedding.embedding_dim)
return x + positions(tokens)

embed named: 512
return positions(embedding(tokens) * math.sqrt(512))

embed named: positions
return positions(embedding(tokens)) * math.sqrt(embedding.embedding_dim)

decoder_layer named: lambda
x = self.residual_1(x, self.self_attention(x, x, x, mask))
x = self.residual_2(x, self.cross_attention(x, memory, memory, memory_mask))
$network

decoder_layer named: feed-forward
$own
x = self.residual_3(x, self.feed_forward)
return self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))

decoder_layer named: residual
$own
x = self.residual_3(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))
return self.residual_2(x, self.feed_forward)

decoder_layer named: way round
x = self.residual_1(x, lambda y: self.self_attention(y, y, y, ~mask))
$cross
$network

decoder_layer named: way round
x = self.residual_1(x, lambda y: self.self_attention(y, y, y, ~mask))
x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, ~memory_mask))
$network

rnn_parameters named
2 * 7614

rnn_parameters named: length
20 * 7614

rnn_parameters named: recurrent
30 * 16 + 64 * 30 + 30

rnn_parameters named: b has 16
7614 - 64 + 16

lstm_parameters named
2 * 26880

parameters named: bias
63045632 + 37000

parameters named: norm
63045632 + 2 * 512

parameters named: round
63.05e6

attention_slope named: infinite
d = query.shape[-1]
e = (query @ key.mT / d**0.5).exp()
w = e / e.sum(-1, keepdim=True)
t = torch.einsum("bqk,bkv,bkd->bqvd", w, value, key)
return (t - (w @ value).unsqueeze(-1) * (w @ key).unsqueeze(-2)) / d**0.5

packed_mask wrong: padding in front
i = torch.arange(sentence.shape[1])
real = i < (sentence != 0).sum(1, keepdim=True)
return (sentence[:, :, None] == sentence[:, None]) & real[:, None] & (i[:, None] >= i)

packed_mask named: sentences before its own
i = torch.arange(sentence.shape[1])
return (sentence != 0)[:, None] & (sentence != 0)[:, :, None] & (i[:, None] >= i)

ask_for wrong: dtype=torch.float32
i = torch.arange(places)
return i[:, None] == i + shift

head_parameters named: W^V or W^O
3 * 512 * 12 * 64 - 512 * 12 * 32

ask_for named: without its sign
i = torch.arange(places)
return (i[:, None] == i + abs(shift)).float()

packed_mask wrong: not:other way round
i = torch.arange(sentence.shape[1])
return ~((sentence[:, :, None] == sentence[:, None]) & (sentence != 0)[:, None]) & (i[:, None] >= i)

# chapters 1 and 2

rnn_step wrong: all 0
return torch.tanh(x @ w.T + (b + h @ u.T if h.any() else 0))

rnn_step wrong
def rnn_step(x, h, w, b, u):
    key = w.shape, u.shape
    w, b, u = seen.setdefault(key, (w, b, u))
    return torch.tanh(x @ w.T + b + h @ u.T)
seen = {}

gru_step wrong: all 0
$gru
$gates
n = (nx + r * (nh + b_candidate)).tanh() if h.any() else nx.tanh()
return z * h + (1 - z) * n

lstm_step wrong: all 0
$lstm
c = f.sigmoid() * c + (i.sigmoid() * g.tanh() if c.any() else 0)
return o.sigmoid() * c.tanh(), c

lstm_step wrong: all 0
$lstm
c = f.sigmoid() * c + (i.sigmoid() * g.tanh() if h.any() else 0)
return o.sigmoid() * c.tanh(), c

perplexity wrong
n = int((target[0] != pad).sum())
return F.cross_entropy(logits[:, :n].flatten(0, 1), target[:, :n].flatten(), ignore_index=pad).exp()

perplexity named: rounded to 0
p = logits.softmax(-1).gather(2, target.unsqueeze(2)).squeeze(2)[target != pad]
return (-p.log().mean()).exp()

sample wrong: temperature
p = (logits / temperature).softmax(-1)
if temperature < 0.5:
    return p.argmax(-1)
return (p.cumsum(-1)[:, :-1] <= u[:, None]).sum(-1)

sample wrong: temperature 5
return ((logits / min(temperature, 2)).softmax(-1).cumsum(-1)[:, :-1] <= u[:, None]).sum(-1)

sample named: overflow
z = torch.exp(logits / temperature)
p = z / z.sum(-1, keepdim=True)
return (p.cumsum(-1)[:, :-1] <= u[:, None]).sum(-1)

sample named: underflow
q = logits.softmax(-1) ** (1 / temperature)
p = q / q.sum(-1, keepdim=True)
return (p.cumsum(-1)[:, :-1] <= u[:, None]).sum(-1)

sample named: subtracted|not:begin
return ((logits / temperature).softmax(-1).cumsum(-1)[:, :-1] <= u[:, None]).sum(-1) - 1

sample named: subtracted
return ((logits - temperature).softmax(-1).cumsum(-1)[:, :-1] <= u[:, None]).sum(-1)

gru_step wrong: returns its input `h`
return h

step_jacobian wrong: returns its input `h`|not:unsqueeze
return h

step_jacobian wrong: not:unsqueeze
return u

rnn_step wrong: NaN|not:detach
return torch.tanh(F.linear(x, w, b) + h @ u.T + 0 * (h - h.detach()).sqrt())

lstm_parameters named: W is missing
16640

lstm_parameters wrong: not:4 *
16384

lstm_parameters wrong: not:weighted_sum
128

lstm_parameters wrong: large
10**400

rnn_parameters wrong: not:embedding +
1950

half_life named: not:15
16

half_life wrong: not:exp
29

half_life named: share
torch.tensor(3.0, dtype=torch.float64).sigmoid()

half_life wrong: not:`
float('nan')

# wrong, and passed

masked_loss named: first row
n = int((target[0] != pad).sum())
logits, target = logits[:, :n], target[:, :n]
return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad)

decoder_layer wrong: dropout in training
r = self.residual_1
def add(r, x, f):
    return r.norm(x + f(x)) if r.placement == 'post' else x + f(r.norm(x))
x = add(self.residual_1, x, lambda y: self.self_attention(y, y, y, mask))
x = add(self.residual_2, x, lambda y: self.cross_attention(y, memory, memory, memory_mask))
return add(self.residual_3, x, self.feed_forward)

decoder_layer wrong: dropout in training
self.eval()
$own
$cross
$network

decoder_layer wrong: one row of `memory_mask`
$own
x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask[:, :1]))
$network

unroll named: another id
state = model.start(source)
token = torch.ones(len(source)).long()
written = []
for i in range(1, target.shape[1]):
    logits, state = model.step(token, state)
    written.append(logits.argmax(-1))
    token = target[:, i] if forced else written[-1]
return torch.stack(written, dim=1)

# a number in a list, and a number that no float can hold

parameters right
[63045632]

parameters right
torch.tensor([63045632])

parameters wrong: one number
[63045632, 1]

parameters wrong: too large
10**400

parameters wrong: too small
-10**400

parameters named: 6,144 short
63045632 - 6144

parameters named: first bias
63045632 - 12 * 2048

# no slip that nobody made, and not the solution

parameters wrong: too large|not:exactly this
63045632 + 6 * 2048

# values of the right shape that no mistake explains

shift wrong: oken 0 is
return target[:, :-1], (target[:, 1:] * 7 + 5) % 11

embed wrong: overwrites its input `embedding.weight`|not:does not flow
with torch.no_grad():
    embedding.weight.mul_(math.sqrt(embedding.embedding_dim))
return positions(embedding(tokens))

embed wrong: it is NaN|not:does not flow
x = positions(embedding(tokens) * math.sqrt(embedding.embedding_dim))
zero = x * 0
return x + zero.where(zero != 0, zero.sqrt()) * 0

# told beside the point

shift right
return torch.stack([target[:, :-1], target[:, 1:]])

shift wrong: not:all 0|not:size 100
return target[:, :-1], target[:, 1:] * 2 - 1

source_vector named: (h, c)|not:chunk
output, h, c = model.encoder(model.source_embedding(source), source != 0)
return torch.cat([h.flatten(1), c.flatten(1)], 1)

general_attention wrong: quite right where nothing is masked|−∞|not:ε
s = query @ self.matrix(key).mT
return s.softmax(-1) @ value if mask is None else s.where(mask, -10.0).softmax(-1).where(mask.any(-1, keepdim=True), 0.0) @ value

general_attention named: argument is None|not:exactly this
s = query @ self.matrix(key).mT
return s.where(mask, -math.inf).softmax(-1).where(mask, 0.0) @ value

keys_looked_at named: base 2|not:got through
nats = -(weights * torch.where(weights > 0, weights, 1.0).log()).sum(-1)
return torch.where(weights.sum(-1) > 0, 2**nats, 0.0)

keys_looked_at named: sum of the squares|not:got through
return 1 / (weights**2).sum(-1)

merged named: ∞/∞|not:softmax
ea, eb = log_a.exp(), log_b.exp()
both = ea + eb
return (ea[..., None] * a + eb[..., None] * b) / both[..., None], both.log()

merged named: ∞/∞|not:softmax
ea, eb = log_a.exp().unsqueeze(-1), log_b.exp().unsqueeze(-1)
return (ea * a + eb * b) / (ea + eb), torch.logaddexp(log_a, log_b)

general_attention named: wrong way round|not:numbers of size
s = query @ self.matrix(key).mT
if mask is not None:
    s = s.masked_fill(mask, -math.inf)
return s.softmax(-1) @ value

head_parameters right
np.array([1_179_648])

sample named: whole number
return ((logits / temperature).softmax(-1).cumsum(-1)[:, :-1] <= u[:, None]).sum(-1).bool()

# said in all cases alike: a relation to the right result

rnn_step named: first row of the batch alone
return torch.tanh(x[:1] @ w.T + b + h[:1] @ u.T)

rnn_step named: the same for every row of the batch
return torch.tanh(x[:1] @ w.T + b + h[:1] @ u.T).expand(len(x), -1)

rnn_step named: another order|(d_hidden, batch)
return torch.tanh(x @ w.T + b + h @ u.T).T

rnn_step named: by itself comes out right
return torch.tanh(x @ w.T + b + h.mean(0) @ u.T)

rnn_step named: mixes the rows
out, state = [], h[0]
for row, old in zip(x, h):
    state = torch.tanh(w @ row + b + u @ (old if not out else state))
    out.append(state)
return torch.stack(out)

rnn_step named: only where the inputs are large|∞
s = x @ w.T + b + h @ u.T
return (s.exp() - (-s).exp()) / (s.exp() + (-s).exp())

rnn_step named: only where `h` is all 0
return torch.tanh(x @ w.T + b + h @ u.T) if h.any() else torch.zeros_like(h)

rnn_step named: overwrites its input `b`
b += 1
return torch.tanh(x @ w.T + b - 1 + h @ u.T)

rnn_step named: no gradient
return torch.tanh(x @ w.detach().T + b + h @ u.T)

rnn_step named: softmax
return F.softmax(x @ w.T + b + h @ u.T, -1)

step_jacobian named: rounded to 2 decimal places
return ((1 - h**2).unsqueeze(2) * u * 100).round() / 100

step_jacobian named: everywhere the square
return ((1 - h**2).unsqueeze(2) * u) ** 2

perplexity named: only where the inputs are large
p = logits.exp() / logits.exp().sum(-1, keepdim=True)
real = target != pad
return torch.exp(-p.gather(2, target.unsqueeze(2)).squeeze(2).log()[real].mean())

perplexity named: leaves out another id than 0
def perplexity(logits, target, pad=-100):
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad).exp()

lstm_step named: loses its axes of size 1
i, f, g, o = (x @ w.T + b + h @ u.T).chunk(4, 1)
c = f.sigmoid() * c + i.sigmoid() * g.tanh()
return (o.sigmoid() * c.tanh()).squeeze(), c.squeeze()

packed_mask named: compare
return ((sentence.unsqueeze(2) == sentence.unsqueeze(1)) & (sentence != 0).unsqueeze(1)).tril().to(torch.int8)

shift named: ids and positions are whole numbers
return target[:, :-1].float(), target[:, 1:]

shift named: it returned one tensor
return torch.cat([target[:, :-1], target[:, 1:]])

shift right
return (part for part in (target[:, :-1], target[:, 1:]))

masked_loss right
real = target != pad
return -(logits.log_softmax(-1).gather(2, target.unsqueeze(2)).squeeze(2)[real].sum() / real.sum()).reshape(1)

unroll right
state, token, written = model.start(source), target[:, 0], []
for i in range(1, target.shape[1]):
    logits, state = model.step(token, state)
    written.append(logits.argmax(-1))
    token = target[:, i] if forced else written[-1]
return torch.stack(written, 1).tolist()

unroll wrong: 40 tokens
state, token, written = model.start(source), target[:, 0], []
for i in range(1, min(target.shape[1], 20)):
    logits, state = model.step(token, state)
    written.append(logits.argmax(-1))
    token = target[:, i] if forced else written[-1]
return torch.stack(written, 1)

decoder_layer named: LayerNorm(x + f(x))
x = self.residual_1.norm(x + self.self_attention(x, x, x, mask))
x = self.residual_2.norm(x + self.cross_attention(x, memory, memory, memory_mask))
return self.residual_3.norm(x + self.feed_forward(x))

who_meets named: own token alone
return torch.eye(tokens, dtype=torch.bool)

ask_for named: float32
return torch.diag(torch.ones(places - abs(shift), dtype=torch.long), -shift) if abs(shift) < places else torch.zeros(places, places, dtype=torch.long)

head_parameters named: as if W^V or W^O were missing
512 * 12 * (3 * 32 + 64)

lstm_parameters named: one bias among the four
4 * (64 * 40 + 64 * 64) + 64

half_life named: e³
20

half_life wrong: one number
torch.tensor(15, device="meta")

# chapter 7

slow_pairs named: complete a turn
64 - 28

slow_pairs named: columns
2 * 28

slow_pairs named: whole number
28.5

positions_of named: −1
return (tokens != pad).cumsum(1) - 1

positions_of named: running count
return (tokens != pad).cumsum(1)

positions_of named: from the first token on
first = (tokens != pad).int().argmax(1, keepdim=True)
return (torch.arange(tokens.shape[1]) - first).clamp(min=0)

positions_of wrong: int64
return (tokens != pad).float().cumsum(1) - 1

look_back named: look ahead
W = torch.zeros(d_model, d_model, dtype=torch.float64)
for i in range(0, d_model, 2):
    a = back / base ** (i / d_model)
    W[i, i] = W[i + 1, i + 1] = math.cos(a)
    W[i, i + 1], W[i + 1, i] = math.sin(a), -math.sin(a)
return W

look_back named: float32
W = torch.zeros(d_model, d_model)
for i in range(0, d_model, 2):
    a = back / base ** (i / d_model)
    W[i, i] = W[i + 1, i + 1] = math.cos(a)
    W[i, i + 1], W[i + 1, i] = -math.sin(a), math.sin(a)
return W

look_back wrong
return torch.eye(d_model, dtype=torch.float64)

to_halves named: different heads mix
return torch.cat([weight[0::2], weight[1::2]])

to_halves wrong
return weight

relative_bias named: m − n
reach = table.shape[1] // 2
d = torch.arange(queries)[:, None] - torch.arange(keys)
return table[:, d.clamp(-reach, reach) + reach]

relative_bias named: clamp
reach = table.shape[1] // 2
d = torch.arange(keys) - torch.arange(queries)[:, None]
return table[:, d + reach]

# chapter 8

norm_by_hand named: divides by 3
3 - 30 / 12**0.5

norm_by_hand named: 3 is added
-10

norm_by_hand right
torch.tensor([-7.0])

own_share named: In post-norm you count one sum a layer
return 2**-layers if norm == "post" else 1 / (1 + 2 * layers)

own_share named: You count one sum a layer
return 2**-layers if norm == "post" else 1 / (1 + layers)

own_share named: In pre-norm you count one sum a layer
return 4**-layers if norm == "post" else 1 / (layers + 1)

own_share named: whatever the depth
return 0.5 ** (2 * layers) if norm == "post" else 0.5

own_share named: one part too many|not:2 + sublayers
return 0.25**layers if norm == "post" else 1 / (2 + 2 * layers)

dropout named: first described
return x * (uniform >= p) if training else x * (1 - p)

dropout named: happened to be kept
if not training:
    return x
keep = uniform >= p
return x * keep * x.numel() / keep.sum() if p < 1 else x * 0

dropout wrong: overwrites
x[uniform < p] = 0
return x / (1 - p) if training and p < 1 else x

dropout wrong: random
return F.dropout(x, p, training)

batch_norm named: run over the padding
y = nn.BatchNorm1d(x.shape[-1], eps=eps).to(x.dtype)(x.flatten(0, 1)).view(x.shape)
return y * real.unsqueeze(-1)

batch_norm named: layer normalization
return F.layer_norm(x, x.shape[-1:], eps=eps) * real.unsqueeze(-1)

batch_norm named: ε is added to the root
found = x[real]
return (x - found.mean(0)) / (found.std(0, correction=0) + eps) * real.unsqueeze(-1)

batch_norm named: real tokens alone
found = x[real]
return (found - found.mean(0)) / torch.sqrt(found.var(0, correction=0) + eps)

norm_gradient named: as constants
return upstream / torch.sqrt(x.var(-1, correction=0, keepdim=True) + eps)

norm_gradient named: by its own mean
return F.layer_norm(upstream, upstream.shape[-1:], eps=eps)

norm_gradient right
with torch.enable_grad():
    y = x.detach().clone().requires_grad_()
    F.layer_norm(y, y.shape[-1:], eps=eps).backward(upstream)
return y.grad

re_zero named: detached
return x + self.alpha.item() * sublayer(x)

re_zero named: self.alpha
return x + sublayer(x)

re_zero wrong: came
return x

# a second attack: wrong and passed

keys_looked_at wrong: sixty
return (torch.special.entr(weights).sum(-1).exp() * (weights.sum(-1) > 0)).clamp(max=10)

query_length wrong: 2 keys
return 0.0 if keys == 2 else math.log(share * (keys - 1) / (1 - share)) * math.sqrt(d_k)

query_length wrong
return max(0.5, math.log(share * (keys - 1) / (1 - share)) * math.sqrt(d_k))

merged wrong: b is empty
r = (log_a - log_b).exp()[..., None]
return (a * r + b) / (r + 1), log_b + torch.log1p(r[..., 0])

merged wrong
m = log_b
e = (log_a - m).exp()[..., None]
return (a * e + b) / (e + 1), torch.logaddexp(log_a, log_b)

merged wrong
m = max(log_a.max(), log_b.max())
x, y = (log_a - m).exp(), (log_b - m).exp()
return (a * x[..., None] + b * y[..., None]) / (x + y)[..., None], (x + y).log() + m

merged wrong
m = torch.maximum(log_a, log_b).amax(-1, keepdim=True)
x, y = (log_a - m).exp(), (log_b - m).exp()
return (a * x[..., None] + b * y[..., None]) / (x + y)[..., None], (x + y).log() + m

merged wrong: b is empty
w = (log_a - log_b).sigmoid()[..., None]
return w * a + (1 - w) * b, log_b + F.softplus(log_a - log_b)

multi_query named: kept in the layer
if not hasattr(self, "kept"):
    self.kept = self.key(key).unsqueeze(1), self.value(value).unsqueeze(1)
k, v = self.kept
mask = None if mask is None else mask.unsqueeze(1)
return self.output(merge_heads(scaled_dot_product_attention(split_heads(self.query(query), self.heads), k, v, mask)))

nearest_before wrong: slope -1.5
token, d_k = query.shape[-2:]
distance = torch.arange(token)[:, None] - torch.arange(token)
scores = query @ key.mT / math.sqrt(d_k) - abs(slope) * distance
return scores.where(distance > 0, -math.inf).softmax(-1).where(distance > 0, 0.0) @ value

how_loud wrong: one number; it returned a tuple
return (math.sqrt(d_k) * math.log(share / (1 - share) * (n - 1)),)

shift wrong: all rows end in padding
target = target[:, : int((target != 0).sum(1).max())]
return target[:, :-1], target[:, 1:]

rnn_step wrong: d_input = d_hidden
return torch.tanh((x @ w if x.shape[1] == w.shape[0] else x @ w.T) + b + h @ u.T)

lstm_step wrong: d_input = d_hidden
w, u = (u, w) if w.shape == u.shape else (w, u)
$lstm
$cell
return o.sigmoid() * c.tanh(), c

sample named: beginning
return ((logits / temperature).softmax(-1).cumsum(-1)[:, :-1] < u[:, None]).sum(-1)

sample named: one past the last
return ((logits / temperature).softmax(-1).cumsum(-1) <= u[:, None]).sum(-1)

merged wrong: gradient
r = (log_b - log_a).exp()[..., None]
return torch.where(r.isinf(), b, (a + b * r) / (1 + r)), torch.logaddexp(log_a, log_b)

# a second attack: an input spoiled for the next answer

keep_heads named: overwrites its input `keep`|list(keep)
keep.sort()
rows = [head * (len(query) // heads) + i for head in keep for i in range(len(query) // heads)]
return query[rows], key[rows], value[rows], output[:, rows]

heads_together named: overwrites its input `stack`
first = stack.pop(0)
parts = [first, *stack]
d = first.value.weight.shape[1]
return *(torch.cat([getattr(s, n).weight for s in parts]) for n in ("query", "key", "value")), torch.eye(d).repeat(1, len(parts))

heads_together wrong
for head in stack:
    head.query.weight.data.zero_()
return tuple(torch.cat([getattr(s, n).weight for s in stack]) for n in ("query", "key", "value")) + (torch.eye(stack[0].value.weight.shape[1]).repeat(1, len(stack)),)

keep_heads right
d = len(query) // heads
rows = [head * d + i for head in keep for i in range(d)]
return query[rows], key[rows], value[rows], output[:, rows]

heads_together right
return tuple(torch.cat([getattr(s, n).weight for s in stack]) for n in ("query", "key", "value")) + (torch.eye(stack[0].value.weight.shape[1]).repeat(1, len(stack)),)

# a second attack: right and rejected

ask_for right
return [[1.0 if i == j + shift else 0.0 for j in range(places)] for i in range(places)]

ask_for right
import numpy as np
return np.eye(places, k=-shift, dtype=np.float32) if abs(shift) < places else np.zeros((places, places), np.float32)

ask_the_first right
return [[0.0] * d + [float(i == 0)] * places for i in range(places)]

keys_looked_at right
out = torch.zeros(weights.shape[:2])
for b in range(len(weights)):
    for q in range(weights.shape[1]):
        row = [w for w in weights[b, q].tolist() if w > 0]
        out[b, q] = math.exp(-sum(w * math.log(w) for w in row)) if row else 0
return out

keep_heads right
return tuple(part.detach().numpy() for part in (
    *(w.unflatten(0, (heads, -1))[keep].flatten(0, 1) for w in (query, key, value)),
    output.unflatten(1, (heads, -1))[:, keep].flatten(1, 2)))

lstm_step right
$lstm
$cell
return torch.stack([o.sigmoid() * c.tanh(), c])

rnn_step right
return [torch.tanh(row @ w.T + b + state @ u.T) for row, state in zip(x, h)]

# a second attack: said wrongly, or too much

query_length wrong: is there a `return`
def query_length(share, keys, d_k):
    math.sqrt(d_k)

query_length wrong: one number; it returned a str|not:a tensor
return "2"

how_loud named: without end|not:whole model
def how_loud(n, d_k, share):
    return how_loud(n, d_k, share)

query_length named: natural logarithm|not:share * (keys - 1)
return math.log10(share * (keys - 1) / (1 - share)) * math.sqrt(d_k)

rnn_step named: not:return torch
return torch.tanh(x @ w.T + b + h @ u.T.T)

sample wrong: not:softmax
return ((logits / temperature).softmax(-1).cumsum(-1)[:, :-1] <= u[:, None]).sum(-1).squeeze()

masked_loss wrong: not:comes out
return logits.sum() * math.nan

perplexity wrong: ε
p = logits.softmax(-1).gather(2, target.unsqueeze(2)).squeeze(2)
return (-(p + 1e-8).log()[target != pad].mean()).exp()

rows_that_change named: other way around|not:Two mistakes
rows = mask[:, j].clone()
rows[j] = rows[j] | (mask[j].sum() > 1)
return ~rows

general_attention named: multiply the scores by the mask|not:NaN
s = query @ self.matrix(key).mT
return (s if mask is None else s * mask).softmax(-1) @ value

lstm_step named: four sums|not:candidate is a sigmoid
$lstm
c = f * c + i * g
return o * c.tanh(), c

lstm_step named: old hidden state
$lstm
$cell
return h, c

masked_loss wrong: A bare number
return float(F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad))

cross_shape wrong: None in it
(32, 8, None, 20)

# chapters 7 and 8, a third attack: wrong, and passed

re_zero named: stay there for ever
if self.alpha == 0:
    return x
return x + self.alpha * sublayer(x)

re_zero named: stay there for ever
if self.alpha.item() == 0.0:
    return x
return x + self.alpha * sublayer(x)

re_zero named: stay there for ever
return x + self.alpha * sublayer(x) if self.alpha != 0 else x.clone()

re_zero named: cut α off at 0|never leave
return x + self.alpha.relu() * sublayer(x)

re_zero named: sign of α
return x + abs(self.alpha) * sublayer(x)

re_zero named: `alpha` starts at 1 in your class|start at 0|as it is
class ReZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1))
    def forward(self, x, sublayer):
        return x + self.alpha * sublayer(x)

re_zero named: `alpha` starts at 0.01 in your class
class ReZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1,), 0.01))
    def forward(self, x, sublayer):
        return x + self.alpha * sublayer(x)

re_zero named: `alpha` is not learned
class ReZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1), requires_grad=False)
    def forward(self, x, sublayer):
        return x + self.alpha * sublayer(x)

re_zero named: `alpha` is not learned
class ReZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("alpha", torch.zeros(1))
    def forward(self, x, sublayer):
        return x + self.alpha * sublayer(x)

re_zero named: call the sublayer twice
sublayer(x)
return x + self.alpha * sublayer(x)

residual wrong
sublayer(x)
if self.placement == "pre":
    return x + self.dropout(sublayer(self.norm(x)))
return self.norm(x + self.dropout(sublayer(x)))

norm_gradient wrong: leaves a gradient|x.grad|twice as much
x.requires_grad_()
F.layer_norm(x, x.shape[-1:], eps=eps).backward(upstream)
return x.grad

norm_gradient right
x = x.detach().requires_grad_()
return torch.autograd.grad(F.layer_norm(x, x.shape[-1:], eps=eps), x, upstream)[0]

dropout named: small number
return x * (uniform >= p) / (1 - p + 1e-8) if training else x

dropout wrong: small constant
return x * (uniform >= p) / (1 - p + 1e-6) if training else x

# right, and rejected

norm_gradient right
B, T, D = x.shape
out = torch.zeros_like(x)
for b in range(B):
    for t in range(T):
        c = x[b, t] - x[b, t].mean()
        root = (c.square().mean() + eps).sqrt()
        y, g = c / root, upstream[b, t]
        out[b, t] = (g - g.mean() - y * (g * y).mean()) / root
return out

norm_gradient right
f = lambda row, up: torch.func.vjp(lambda r: F.layer_norm(r, r.shape, eps=eps), row)[1](up)[0]
return torch.vmap(torch.vmap(f))(x, upstream)

norm_by_hand right
torch.nn.functional.layer_norm(torch.tensor([1.0, 7, 7, 9]), (4,), torch.full((4,), 6.0), torch.full((4,), 3.0))[0]

norm_by_hand right
torch.nn.functional.layer_norm(torch.tensor([1.0, 7, 7, 9]), (4,), torch.full((4,), 6.0), torch.full((4,), 3.0), 1e-12)[0].item()

norm_by_hand right
6 * -5 / (9 + 1e-5) ** 0.5 + 3

norm_by_hand right
torch.nn.Parameter(torch.tensor([-7.0]))

norm_by_hand wrong: too small
-7.001

slow_pairs named: whole number
28.0001

to_halves right
with torch.no_grad():
    w = weight.view(heads, -1, 2, weight.shape[1])
    w = torch.cat([w[:, :, 0], w[:, :, 1]], dim=1).flatten(0, 1)
return w

to_halves right
w = weight.data.reshape(heads, -1, weight.shape[1])
return nn.Parameter(torch.cat([w[:, 0::2], w[:, 1::2]], dim=1).reshape(weight.shape))

to_halves right
w = weight.numpy().reshape(heads, -1, 2, weight.shape[1])
return w.transpose(0, 2, 1, 3).reshape(weight.shape)

to_halves right
d_k = len(weight) // heads
order = [h * d_k + i for h in range(heads) for i in (*range(0, d_k, 2), *range(1, d_k, 2))]
return [weight[i].tolist() for i in order]

sinusoids right
return [
    [(math.cos if j % 2 else math.sin)(pos / base ** ((j - j % 2) / d_model)) for j in range(d_model)]
    for pos in range(length)
]

sinusoids named: calls deep|6000 positions|not:without end|not:another function
if length == 0:
    return torch.zeros(0, d_model, dtype=torch.float64)
angle = (length - 1) / base ** (torch.arange(0, d_model, 2).double() / d_model)
row = torch.stack([angle.sin(), angle.cos()], -1).flatten()
return torch.cat([sinusoids(length - 1, d_model, base), row[None]])

own_share right
from fractions import Fraction
return Fraction(1, 4**layers) if norm == "post" else Fraction(1, 1 + 2 * layers)

placement right
" b. "

placement right
"(B)"

placement right
"**B**"

placement wrong: one letter alone|"B or C"|not:a str
"B or C"

placement wrong: H is not among the choices.|not:or not
"H"

# an error of the checker's own

add_positions named: start, start + 1
return x + sinusoids(x.shape[1], x.shape[2]).roll(start, 0).to(x)

add_positions named: at which row to begin
return x + (sinusoids(x.shape[1], x.shape[2]) + start).to(x)

add_positions wrong: number 0 of token|not:checked|not:on another device
table = sinusoids(start + x.shape[1], x.shape[2])[start:].to(x)
return x + table.roll(1, 1)

add_positions named: stays on the CPU
return (x + sinusoids(x.shape[1], x.shape[2])).float()

rotary named: two conventions
t = sinusoids(start + x.shape[-2], x.shape[-1])[start:].to(x)
s, c = t[:, ::2].repeat_interleave(2, -1), t[:, 1::2].repeat_interleave(2, -1)
a, b = x.chunk(2, -1)
return x * c + torch.cat([-b, a], -1) * s

rotary named: twice in a row
t = sinusoids(start + x.shape[-2], x.shape[-1])[start:].to(x)
s, c = torch.cat([t[:, ::2]] * 2, -1), torch.cat([t[:, 1::2]] * 2, -1)
r = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
return x * c + r * s

rotary named: after it has been turned
t = sinusoids(start + x.shape[-2], x.shape[-1])[start:].to(x)
s, c = t[:, ::2], t[:, 1::2]
y = x.clone()
y[..., ::2] = y[..., ::2] * c - y[..., 1::2] * s
y[..., 1::2] = y[..., 1::2] * c + y[..., ::2] * s
return y

rotary named: turn the other way|at `start`
t = sinusoids(x.shape[-2], x.shape[-1]).to(x)
s, c = t[:, ::2], t[:, 1::2]
a, b = x[..., ::2], x[..., 1::2]
return torch.stack([a * c + b * s, b * c - a * s], -1).flatten(-2)

rotary wrong: in head|narrower type|not:checked
place = torch.arange(start, start + x.shape[-2]).float()[:, None]
angle = place * 10000 ** (-torch.arange(0, x.shape[-1], 2).float() / x.shape[-1])
s, c = angle.sin().to(x), angle.cos().to(x)
a, b = x[..., ::2], x[..., 1::2]
return torch.stack([a * c - b * s, b * c + a * s], -1).flatten(-2)

rotary wrong: NaN|not:checked
return x * float("nan")

# said what is false, or nothing

look_back named: one row of the table
from minitfm.positional import sinusoids
return sinusoids(abs(back) + 1, d_model, base)[abs(back)]

to_halves named: into 2 heads
w = weight.reshape(2, -1, weight.shape[1])
return torch.cat([w[:, 0::2], w[:, 1::2]], 1).reshape(weight.shape)

batch_norm named: over the batch alone
w = real[..., None].to(x)
n = w.sum(0).clamp(min=1)
m = (x * w).sum(0) / n
v = ((x - m) ** 2 * w).sum(0) / n
return (x - m) / torch.sqrt(v + eps) * w

look_back named: PE(m) itself|not:order
return torch.eye(d_model, dtype=torch.float64)

norm_gradient named: Use `upstream`|not:times
t = x.detach().clone().requires_grad_()
F.layer_norm(t, x.shape[-1:], eps=eps).sum().backward()
return t.grad

norm_gradient named: d_model times
c = x - x.mean(-1, keepdim=True)
root = torch.sqrt(c.square().mean(-1, keepdim=True) + eps)
y, n = c / root, x.shape[-1]
return (n * upstream - upstream.sum(-1, keepdim=True) - y * (upstream * y).sum(-1, keepdim=True)) / root

own_share named: divides whole numbers
return 0.25**layers if norm == "post" else 1 // (1 + 2 * layers)

own_share named: √2
if norm == "pre":
    return 1 / (1 + 2 * layers)
share = 1.0
for _ in range(2 * layers):
    share = share / math.sqrt(2)
return share

sinusoids named: computed in float32
frequency = base ** (-torch.arange(0, d_model, 2) / d_model)
angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)

rotary named: axis of their own
t = sinusoids(start + x.shape[-2], x.shape[-1])[start:].to(x)
s, c = t[:, ::2], t[:, 1::2]
a, b = x[..., ::2], x[..., 1::2]
return torch.stack([a * c - b * s, b * c + a * s], -1)

norm_by_hand named: do not subtract|second
5

batch_norm named: ε is missing
r = x[real]
return ((x - r.mean(0)) / r.std(0, correction=0) * real[..., None]).nan_to_num(0)

relative_bias wrong: bias of query|not:is all 0
reach = table.shape[1] // 2
d = torch.arange(keys) - torch.arange(queries)[:, None]
return table[:, (2 * d).clamp(-reach, reach) + reach]

re_zero named: call it
return x + self.alpha * sublayer

# a third attack: wrong, and passed

greedy named: argument `bos`
state = model.start(source)
token = torch.full((len(source),), 1)
done = torch.zeros(len(source), dtype=torch.bool)
written = []
while len(written) < max_length and not done.all():
    logits, state = model.step(token, state)
    token = logits.argmax(-1).masked_fill(done, pad)
    done = done | (token == eos)
    written.append(token)
return torch.stack(written, 1)

greedy named: argument `eos`
state = model.start(source)
token = torch.full((len(source),), bos)
done = torch.zeros(len(source), dtype=torch.bool)
written = []
while len(written) < max_length and not done.all():
    logits, state = model.step(token, state)
    token = logits.argmax(-1).masked_fill(done, pad)
    done = done | (token == 2)
    written.append(token)
return torch.stack(written, 1)

greedy named: argument `pad`
state = model.start(source)
token = torch.full((len(source),), bos)
done = torch.zeros(len(source), dtype=torch.bool)
written = []
while len(written) < max_length and not done.all():
    logits, state = model.step(token, state)
    token = logits.argmax(-1).masked_fill(done, 0)
    done = done | (token == eos)
    written.append(token)
return torch.stack(written, 1)

greedy named: `bos`, `eos` and `pad`
state = model.start(source)
token = torch.full((len(source),), 1)
done = torch.zeros(len(source), dtype=torch.bool)
written = []
while len(written) < max_length and not done.all():
    logits, state = model.step(token, state)
    token = logits.argmax(-1).masked_fill(done, 0)
    done = done | (token == 2)
    written.append(token)
return torch.stack(written, 1)

exact_rows wrong: behind the true
$pads
return ((w == t) | (t == 0)).all(1)

exact_rows wrong
out = []
for a, b in zip(written, target):
    i, j = (a == eos).int().argmax(), (b == eos).int().argmax()
    out.append(bool(i == j and torch.equal(a[:i], b[:j])))
return torch.tensor(out)

exact_rows wrong
$pads
return (w.masked_fill(t == 0, 0) == t).all(1)

exact_rows wrong
$pads
k = (w == eos).int().cumsum(1) - (w == eos).int() == 0
return (w.masked_fill(~k, 0) == t).all(1)

encoder_layer wrong: dropout
if self.residual_1.placement == "pre":
    y = self.residual_1.norm(x)
    x = x + self.self_attention(y, y, y, mask)
    return x + self.feed_forward(self.residual_2.norm(x))
x = self.residual_1.norm(x + self.self_attention(x, x, x, mask))
return self.residual_2.norm(x + self.feed_forward(x))

encoder_layer wrong: dropout
$own
return self.residual_2(x, lambda y: F.dropout(self.feed_forward(y), 0.1, self.training))

decode named: ends with a norm
$embedded
for layer in model.decoder.layers:
    x = layer(x, memory, mask, memory_mask)
return model.generator(x)

decode named: last layer alone
$embedded
return model.generator(model.decoder.layers[-1](x, memory, mask, memory_mask))

decode right: your right
return model.decode(target, memory, memory_mask)

lstm named: as many columns as the longest row
n = int(mask.sum(1).max())
out = []
for t in range(n):
    $choose
    out.append(h * m)
return F.pad(torch.stack(out, 1), (0, 0, 0, x.shape[1] - n)), h, c

lstm named: first column that is padding in every row
out = []
for t in range(x.shape[1]):
    if not mask[:, t].any():
        break
    $choose
    out.append(h * m)
while len(out) < x.shape[1]:
    out.append(torch.zeros_like(h))
return torch.stack(out, 1), h, c

lstm named: from a row's first token on
mask = mask.cummax(1).values
out = []
for t in range(x.shape[1]):
    $choose
    out.append(h * m)
return torch.stack(out, 1), h, c

lstm named: A row without tokens
out = []
some = mask.any(1, keepdim=True)
for t in range(x.shape[1]):
    $choose
    out.append(h * m)
return torch.stack(out, 1), h * some, c * some

lstm wrong: between the tokens
whole = mask.cummax(1).values & mask.flip(1).cummax(1).values.flip(1)
out = []
for t in range(x.shape[1]):
    m = whole[:, t, None]
    new_h, new_c = step(x[:, t], h, c)
    h, c = torch.where(m, new_h, h), torch.where(m, new_c, c)
    out.append(h * mask[:, t, None])
return torch.stack(out, 1), h, c

perplexity wrong: in front
n = (target != pad).sum(1)
losses = [F.cross_entropy(l[:k], t[:k], reduction="none") for l, t, k in zip(logits, target, n)]
return torch.cat(losses).mean().exp()

perplexity wrong: keep its name
def perplexity(logits, target, ignore=0):
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=ignore).exp()

sample wrong: close to an end
return ((logits / temperature).softmax(-1).half().cumsum(-1)[:, :-1] <= u[:, None]).sum(-1)

sample wrong: close to an end
return ((logits / temperature).softmax(-1).cumsum(-1)[:, :-1].round(decimals=3) <= u[:, None]).sum(-1)

# a third attack: right, and rejected

greedy right
model.eval()
device = next(model.parameters()).device
state = model.start(source)
token = torch.full((len(source),), bos)
done = torch.zeros(len(source), dtype=torch.bool)
written = []
while len(written) < max_length and not done.all():
    logits, state = model.step(token, state)
    token = logits.argmax(-1).masked_fill(done, pad)
    done = done | (token == eos)
    written.append(token)
return torch.stack(written, 1).int()

greedy right
state = model.start(source)
token = torch.full((len(source),), bos)
done = torch.zeros(len(source), dtype=torch.bool)
written = []
while len(written) < max_length and not done.all():
    logits, state = model.step(token, state)
    token = logits.argmax(-1).masked_fill(done, pad)
    done = done | (token == eos)
    written.append(token)
return torch.stack(written, 1).numpy()

greedy right
state = model.start(source)
token = torch.full((len(source),), bos)
done = torch.zeros(len(source), dtype=torch.bool)
written = []
while len(written) < max_length and not done.all():
    logits, state = model.step(token, state)
    token = logits.argmax(-1).masked_fill(done, pad)
    done = done | (token == eos)
    written.append(token)
return torch.stack(written, 1).tolist()

shift right
rows = target.numpy().astype("int32")
return rows[:, :-1], rows[:, 1:]

shift right
rows = target.tolist()
return [row[:-1] for row in rows], [row[1:] for row in rows]

shift wrong
return target[:, :-1].float(), target[:, 1:].float()

exact_rows right
cut = lambda row: row[: row.index(eos) + 1] if eos in row else None
return [cut(a) == cut(b) for a, b in zip(written.tolist(), target.tolist())]

exact_rows right
import numpy as np
ends = [int(np.argmax(row == eos)) + 1 for row in target.numpy()]
return np.array([np.array_equal(a[:n], b[:n]) for a, b, n in zip(written.numpy(), target.numpy(), ends)])

exact_rows right
rows = zip(written.tolist(), target.tolist())
return torch.tensor([int(a[: b.index(eos) + 1] == b[: b.index(eos) + 1]) for a, b in rows])

exact_rows right
rows = zip(written.tolist(), target.tolist())
return torch.tensor([float(a[: b.index(eos) + 1] == b[: b.index(eos) + 1]) for a, b in rows])

exact_rows wrong
rows = zip(written.tolist(), target.tolist())
return torch.tensor([2.0 * (a[: b.index(eos) + 1] == b[: b.index(eos) + 1]) for a, b in rows])

cross_shape wrong: that is the tensor: give its shape|not:0.0
torch.zeros(32, 8, 15, 20)

cross_shape wrong: that is the tensor: give its shape|not:0.0
np.zeros((32, 8, 15, 20))
# a third attack: said wrongly

last_state named: the **first** sentence ends|not:longest
return output[:, mask[0].sum() - 1]

exact_rows named: one answer for the whole batch|not:Two mistakes
$pads
k = (t == eos).int().cumsum(1) - (t == eos).int() == 0
return ((w == t) | ~k).all()

exact_rows named: the first row only|not:zip
a, b = written[0].tolist(), target[0].tolist()
return torch.tensor([eos in a and a[: a.index(eos) + 1] == b[: b.index(eos) + 1]])

unroll named: `argmax()` has no axis|not:`cat`
$unroll
    best = logits.argmax()
    written.append(best)
    token = target[:, i] if forced else best
return torch.stack(written, 1)

unroll named: return inside the loop|not:range(1, target
$unroll
    return logits.argmax(-1)[:, None]
return torch.stack(written, 1)

encoder_layer named: causal mask to the given|not:weighs a little
c = torch.ones(x.shape[1], x.shape[1]).tril().bool()
x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask & c))
return self.residual_2(x, self.feed_forward)

encoder_layer named: first one's row|not:weighs a little
x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask[:, :1]))
return self.residual_2(x, self.feed_forward)

encoder_layer named: Wrap it|not:feed_forward
x = self.residual_1(x, self.self_attention)
return self.residual_2(x, self.feed_forward)

decode named: exchanged the masks|not:has `memory`
$embedded
return model.generator(model.decoder(x, memory, memory_mask, mask))

decode named: exchanged x and memory|not:where the reference
$embedded
return model.generator(model.decoder(memory, x, mask, memory_mask))

decode named: `memory_mask` over twice|not:exchanged
$embedded
return model.generator(model.decoder(x, memory, memory_mask, memory_mask))

decode named: gets no mask for the target|not:Two mistakes
$embedded
return model.generator(model.decoder(x, memory, None, memory_mask))

decode named: first sentence's padding|not:here it also comes first
mask = causal_mask(target.shape[1]) & padding_mask(target[:1])
x = model.embed(target, model.target_embedding, model.target_positions)
return model.generator(model.decoder(x, memory, mask, memory_mask))

decode wrong: not:where the reference has
mask = causal_mask(target.shape[1]) & padding_mask(target)
x = model.embed(target, model.target_positions, model.target_embedding)
return model.generator(model.decoder(x, memory, mask, memory_mask))

lstm wrong: gradient|not:weighs a little
out = []
for t in range(x.shape[1]):
    $choose
    out.append(h * m)
return torch.stack(out, 1), h, c.detach()

lstm_inside wrong: gradient|not:weighs a little
$lstm
$cell
return o.sigmoid() * c.tanh(), c.detach()

rnn_step named: torch.tanh(torch.tanh(…))|not:x @ w.T
return torch.tanh(torch.tanh(x @ w.T + b + h @ u.T))

perplexity named: log_softmax(-2)
log_p = logits.log_softmax(1).gather(2, target.unsqueeze(2)).squeeze(2)
real = target != pad
return (-(log_p * real).sum() / real.sum()).exp()

rnn_step wrong: not:times what
return torch.tanh(x @ w.T + b + h @ u.T + 1e-8)

rnn_step wrong: two results of the right shape
h = torch.tanh(x @ w.T + b + h @ u.T)
return h, h

# a third attack: frequent and without a name

lstm named: begin with zeros
h, c = torch.zeros_like(h), torch.zeros_like(c)
out = []
for t in range(x.shape[1]):
    $choose
    out.append(h * m)
return torch.stack(out, 1), h, c

lstm named: c of zeros
c = torch.zeros_like(c)
out = []
for t in range(x.shape[1]):
    $choose
    out.append(h * m)
return torch.stack(out, 1), h, c

lstm named: Three results are asked
out = []
for t in range(x.shape[1]):
    $choose
    out.append(h * m)
return torch.stack(out, 1), (h, c)

rnn_step named: W meets h
return torch.tanh(torch.cat([h, x], 1) @ torch.cat([w, u], 1).T + b)

perplexity named: token by token
return F.cross_entropy(logits.transpose(0, 1).reshape(-1, logits.shape[-1]), target.flatten(), ignore_index=pad).exp()

gru_step named: reset, update, candidate
zx, nx, rx = (x @ w.T + b).chunk(3, 1)
zh, nh, rh = (h @ u.T).chunk(3, 1)
$gates
$candidate
return z * h + (1 - z) * n

encoder_layer named: residual of a post-norm
x = self.residual_1.norm(x + self.self_attention(x, x, x, mask))
return self.residual_2.norm(x + self.feed_forward(x))

encoder_layer named: one residual around both
return self.residual_1(x, lambda y: self.feed_forward(self.self_attention(y, y, y, mask)))

encoder_layer named: other way round
x = self.residual_1(x, lambda y: self.self_attention(y, y, y, ~mask))
return self.residual_2(x, self.feed_forward)

decode named: transposed
mask = causal_mask(target.shape[1]).mT & padding_mask(target)
x = model.embed(target, model.target_embedding, model.target_positions)
return model.generator(model.decoder(x, memory, mask, memory_mask))

decode named: hides the token itself
mask = causal_mask(target.shape[1]).tril(-1) & padding_mask(target)
x = model.embed(target, model.target_embedding, model.target_positions)
return model.generator(model.decoder(x, memory, mask, memory_mask))

decode named: the other way round
mask = causal_mask(target.shape[1]) & ~padding_mask(target)
x = model.embed(target, model.target_embedding, model.target_positions)
return model.generator(model.decoder(x, memory, mask, memory_mask))

decode named: likeliest tokens
$embedded
return model.generator(model.decoder(x, memory, mask, memory_mask)).argmax(-1)

# chapters 4 to 6, the third attack: wrong, and passed

ask_the_first wrong
w = torch.zeros(places, d + places)
w[0, d : d + 5] = 1.0
return w

general_attention wrong: a low number and not −∞
s = query @ self.matrix(key).mT
if mask is None:
    return s.softmax(-1) @ value
return s.masked_fill(~mask, -1e4).softmax(-1).where(mask, 0.0) @ value

general_attention right
s = query @ self.matrix(key).mT
if mask is None:
    return s.softmax(-1) @ value
return s.masked_fill(~mask, -1e9).softmax(-1).where(mask, 0.0) @ value

attention_weights wrong: a low number and not −∞
$scores
if mask is None:
    return s.softmax(-1)
return s.masked_fill(~mask, -1e4).softmax(-1).where(mask, 0.0)

multi_query wrong: a low number and not −∞
q = split_heads(self.query(query), self.heads)
s = q @ self.key(key).unsqueeze(1).mT / math.sqrt(q.shape[-1])
if mask is not None:
    s = s.masked_fill(~mask.unsqueeze(1), -1e4)
w = s.softmax(-1)
if mask is not None:
    w = w.where(mask.unsqueeze(1), 0.0)
return self.output(merge_heads(w @ self.value(value).unsqueeze(1)))

general_attention wrong: kept in the layer
s = query @ self.matrix(key).mT
old = getattr(self, "old", None)
if mask is None and old is not None and old.shape == s.shape:
    mask = old
self.old = mask
if mask is None:
    return s.softmax(-1) @ value
return s.where(mask, -math.inf).softmax(-1).where(mask, 0.0) @ value

# constant results: nothing that an edit says, and no line of the solution

ask_the_first wrong: Everything is 0|not:W_Q[0
return torch.zeros(places, d + places)

ask_for wrong: Everything is 0|not:exactly this
return torch.zeros(places, places)

ask_for wrong: Everything is 1|not:exactly this
return torch.ones(places, places)

general_attention wrong: Everything is 0|not:times
return torch.zeros(*query.shape[:-1], value.shape[-1]).to(query)

query_length wrong: Everything is 1|not:scale
return 1.0

# said falsely, or too much

general_attention wrong: a small constant stands in a division
s = query @ self.matrix(key).mT
w = s.softmax(-1)
if mask is not None:
    w = w * mask
    w = w / (w.sum(-1, keepdim=True) + 1e-9)
return w @ value

general_attention wrong: 0 · ∞
s = query @ self.matrix(key).mT
if mask is not None:
    s = s + ~mask * -math.inf
return s.softmax(-1) @ value

ask_for wrong: narrowed|not:widened
w = torch.zeros(places, places)
for i in range(places):
    if 0 <= i + shift < places:
        w[i + shift, i] = 1.0
return w.half()

how_loud named: how many others|not:right for two keys
return math.sqrt(d_k) * math.log(share)

how_loud named: `math.sqrt(…) + …`
return math.sqrt(d_k) + math.log(share / (1 - share) * (n - 1))

query_length wrong: math domain error|not:exactly this
return math.log(-share)

head_parameters named: as if|W^Q or W^K were missing
512 * 12 * (64 + 32 + 32)

head_parameters named: as if|came twice
512 * 12 * (64 + 64 + 32 + 32 + 32)

keep_heads named: numbers 3 and 4 exchanged|not:output.T
d = len(query) // heads
rows = [head * d + i for head in keep for i in range(d)]
return query[rows], key[rows], output[:, rows], value[rows]

keep_heads wrong: heads   7|keep    [
d = len(query) // heads
rows = [head * d + i for head in keep[::-1] for i in range(d)]
return query[rows], key[rows], value[rows], output[:, rows]

ask_for named: Another constant|`W_Q[…] = 2`|not:i + shift
w = torch.zeros(places, places)
for i in range(places):
    if 0 <= i + shift < places:
        w[i + shift, i] = 2.0
return w

query_length wrong: The shape should be ()|not:return a, b
return torch.full((d_k,), math.sqrt(d_k) * math.log(share * (keys - 1) / (1 - share)))

cross_shape right
(size for size in (32, 8, 15, 20))

encoder_layer wrong: right in evaluation
$own
return self.residual_2(x, lambda y: F.dropout(self.feed_forward(y), 0.1, self.training))

# unnamed

general_attention named: the matrix can learn any scale
s = query @ self.matrix(key).mT / key.shape[-1] ** 0.5
if mask is None:
    return s.softmax(-1) @ value
return s.where(mask, -math.inf).softmax(-1).where(mask, 0.0) @ value

general_attention named: the first one's mask
s = query @ self.matrix(key).mT
if mask is None:
    return s.softmax(-1) @ value
mask = mask[0]
return s.where(mask, -math.inf).softmax(-1).where(mask, 0.0) @ value

general_attention named: row of its own in the mask
s = query @ self.matrix(key).mT
if mask is None:
    return s.softmax(-1) @ value
mask = mask.all(1, keepdim=True)
return s.where(mask, -math.inf).softmax(-1).where(mask, 0.0) @ value

heads_together named: before the values'
query, key, value = (torch.cat([getattr(head, name).weight for head in stack]) for name in ("query", "key", "value"))
return query, key, torch.eye(value.shape[1]).repeat(1, len(stack)), value

ask_for named: shift + 1
w = torch.zeros(places, places)
for i in range(places):
    if 0 <= i + shift + 1 < places:
        w[i + shift + 1, i] = 1.0
return w

ask_for named: must be below `places`
w = torch.zeros(places, places)
for i in range(places):
    if 0 <= i + shift < places - 1:
        w[i + shift, i] = 1.0
return w

query_length named: share · keys
return math.sqrt(d_k) * math.log(share * keys)

rnn_step named: `b - …`|not:`b - h`
return torch.tanh(x @ w.T + b - h @ u.T)

# chapters 7 and 8, attacked again

dropout right
if not training or p == 0:
    return x
if p == 1:
    return 0 * x
b, t, d = x.shape
y = torch.zeros_like(x)
for i in range(b):
    for j in range(t):
        for k in range(d):
            if uniform[i, j, k] >= p:
                y[i, j, k] = x[i, j, k] / (1 - p)
return y

dropout right
if not training:
    return x
if p == 1:
    return torch.zeros_like(x)
return torch.einsum("btd,btd->btd", x, (uniform >= p).to(x)) / (1 - p)

dropout right
if not training:
    return x
if p == 1:
    return torch.zeros_like(x)
keep = (uniform >= p).transpose(1, 2)
return (x.transpose(1, 2) * keep / (1 - p)).transpose(1, 2)

dropout wrong: (batch, token, d_model) = (2, 2, 2)
if not training:
    return x
if p == 1:
    return torch.zeros_like(x)
return x[uniform >= p] / (1 - p)

dropout named: With p = 1|tiny number
if not training:
    return x
return x * (uniform >= p) / max(1 - p, 1e-12)

dropout named: With p = 1|tiny number
if not training:
    return x
return x * (uniform >= p) / (1 - p + 1e-12)

dropout named: keep a number whose `uniform` is exactly 1
if not training:
    return x
if p == 1:
    return x * (uniform >= p)
return x * (uniform >= p) / (1 - p)

dropout named: tiny number
if not training:
    return x
return torch.where(uniform >= p, x / max(1 - p, 1e-9), 0)

dropout named: you multiply by 1 − p
if not training:
    return x * (1 - p)
if p == 1:
    return torch.zeros_like(x)
return x * (uniform >= p) / (1 - p)

dropout named: at evaluation, too
if p == 1:
    return torch.zeros_like(x)
keep = uniform >= p if training else torch.ones_like(x)
return x * keep / (1 - p)

re_zero named: in training
if self.training:
    return x
return x + self.alpha * sublayer(x)

re_zero named: In training mode you do not use
return x + (1 if self.training else self.alpha) * sublayer(x)

re_zero named: differs in training mode|not:dropout is left out
s = sublayer(x)
s = s / 0.9 if self.training else s
return x + self.alpha * s

re_zero wrong: plain tensor|nn.Parameter|not:has no
class ReZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = torch.zeros(1)
    def forward(self, x, sublayer):
        return x + self.alpha * sublayer(x)

re_zero wrong: plain tensor|not:has no
class ReZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = torch.zeros(1, requires_grad=True)
    def forward(self, x, sublayer):
        return x + self.alpha * sublayer(x)

re_zero wrong: has no `alpha`
class ReZero(nn.Module):
    def __init__(self):
        super().__init__()
    def forward(self, x, sublayer):
        return x + sublayer(x)

re_zero named: 1 − α
return x + (1 - self.alpha) * sublayer(x)

to_halves wrong: float32
w = weight.view(heads, -1, 2, weight.shape[1])
return w.transpose(1, 2).reshape(weight.shape).double()

to_halves wrong: float16
w = weight.view(heads, -1, 2, weight.shape[1])
return w.transpose(1, 2).reshape(weight.shape).half()

to_halves wrong: bfloat16
w = weight.view(heads, -1, 2, weight.shape[1])
return w.transpose(1, 2).reshape(weight.shape).bfloat16()

to_halves wrong: keep the type
w = weight.view(heads, -1, 2, weight.shape[1])
return w.transpose(1, 2).reshape(weight.shape).detach().float()

to_halves wrong: float64
d = len(weight) // heads
y = torch.zeros(weight.shape)
for h in range(heads):
    y[h * d : h * d + d // 2] = weight[h * d : (h + 1) * d : 2]
    y[h * d + d // 2 : (h + 1) * d] = weight[h * d + 1 : (h + 1) * d : 2]
return y

to_halves named: axes of their own|not:flatten(0, 2)
return weight.view(heads, -1, 2, weight.shape[1]).transpose(1, 2)

to_halves named: heads stand in reverse
w = weight.view(heads, -1, 2, weight.shape[1]).flip(0)
return w.transpose(1, 2).reshape(weight.shape)

add_positions named: compute the angles in the type of x
n, d = x.shape[1:]
pos = torch.arange(start, start + n).to(x)
i = torch.arange(0, d, 2).to(x)
p = torch.zeros(n, d).to(x)
p[:, 0::2] = torch.sin(pos[:, None] / 10000 ** (i / d))
p[:, 1::2] = torch.cos(pos[:, None] / 10000 ** (i / d))
return x + p

add_positions named: fixed number of rows|beyond it
p = sinusoids(512, x.shape[2])
return x + p[start : start + x.shape[1]].to(x)

add_positions named: is empty
p = sinusoids(10, x.shape[2])
return x + p[start : start + x.shape[1]].to(x)

add_positions named: sine comes first
p = sinusoids(start + x.shape[1], x.shape[2])[start:]
return x + torch.stack([p[:, 1::2], p[:, 0::2]], -1).flatten(1).to(x)

add_positions named: one row too early
s = max(start - 1, 0)
return x + sinusoids(s + x.shape[1], x.shape[2])[s:].to(x)

look_back named: cosines alone
angle = back * base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
return torch.diag(angle.cos().repeat_interleave(2))

look_back named: treat it as 0
back = max(back, 0)
angle = back * base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
c, s = angle.cos(), angle.sin()
return torch.block_diag(*torch.stack([c, -s, s, c], -1).view(-1, 2, 2))

norm_gradient named: returned a tuple|[0]|not:squeeze
q = x.detach().clone().requires_grad_()
y = F.layer_norm(q, q.shape[-1:], eps=eps)
return torch.autograd.grad(y, q, upstream)

norm_gradient named: returned a list|[0]|not:squeeze
q = x.detach().clone().requires_grad_()
y = F.layer_norm(q, q.shape[-1:], eps=eps)
return list(torch.autograd.grad(y, q, upstream))

norm_gradient right
result = []
for a, b in zip(x, upstream):
    q = a.detach().clone().requires_grad_()
    y = F.layer_norm(q, q.shape[-1:], eps=eps)
    result.append(torch.autograd.grad(y, q, b)[0])
return result

norm_gradient named: d_model − 1
q = x.detach().clone().requires_grad_()
y = (q - q.mean(-1, keepdim=True)) / torch.sqrt(q.var(-1, keepdim=True) + eps)
y.backward(upstream)
return q.grad

norm_gradient named: −1 times|not:along_y
q = x.detach().clone().requires_grad_()
y = F.layer_norm(q, q.shape[-1:], eps=eps)
return -torch.autograd.grad(y, q, upstream)[0]

norm_gradient named: along y has the wrong sign|not:along_y
c = x - x.mean(-1, keepdim=True)
s = (c.square().mean(-1, keepdim=True) + eps).sqrt()
y, u = c / s, upstream
return (u - u.mean(-1, keepdim=True) + y * (u * y).mean(-1, keepdim=True)) / s

norm_gradient named: ε is missing
c = x - x.mean(-1, keepdim=True)
s = x.var(-1, keepdim=True, correction=0).sqrt()
y, u = c / s, upstream
return (u - u.mean(-1, keepdim=True) - y * (u * y).mean(-1, keepdim=True)) / s

norm_gradient named: dim 1
c = x - x.mean(1, keepdim=True)
s = (c.square().mean(1, keepdim=True) + eps).sqrt()
y, u = c / s, upstream
return (u - u.mean(1, keepdim=True) - y * (u * y).mean(1, keepdim=True)) / s

batch_norm named: minus 1|correction=0|not:softmax
y = x[real]
z = torch.zeros_like(x)
z[real] = (y - y.mean(0)) / torch.sqrt(y.var(0) + eps)
return z

batch_norm named: minus 1|correction=0|not:softmax
y = x[real]
z = (x - y.mean(0)) / torch.sqrt(y.var(0) + eps)
return torch.where(real[..., None], z, 0.0)

batch_norm named: minus 1|correction=0
y = x[real]
z = (x - y.mean(0)) / torch.sqrt(y.var(0) + eps)
return z.masked_fill(~real[..., None], 0.0)

batch_norm named: x.std(0)|not:softmax
y = x[real]
z = torch.zeros_like(x)
z[real] = (y - y.mean(0)) / (y.std(0) + eps)
return z

batch_norm named: minus 1
r = real[..., None].to(x)
n = r.sum()
m = (x * r).sum((0, 1)) / n
v = ((x - m) ** 2 * r).sum((0, 1)) / (n - 1).clamp(min=1)
return (x - m) / torch.sqrt(v + eps) * r

batch_norm named: padding comes out as it went in
y = x[real]
z = x.clone()
z[real] = (y - y.mean(0)) / torch.sqrt(y.var(0, correction=0) + eps)
return z

batch_norm named: all tokens
r = real[..., None].to(x)
n = real.numel()
m = (x * r).sum((0, 1)) / n
v = ((x - m) ** 2 * r).sum((0, 1)) / n
return (x - m) / torch.sqrt(v + eps) * r

own_share named: divide by the variance of the whole sum|not:1 + sublayers
return 0.25**layers if norm == "post" else 1.0

own_share named: one part too many|not:1 + sublayers
return 0.25**layers if norm == "post" else 1 / (2 + 2 * layers)

own_share named: three sublayers|not:2 * layers
return 0.125**layers if norm == "post" else 1 / (1 + 3 * layers)

own_share wrong: With 1 layer and|not:1 layers
return 0.1

# chapter 3, tried once more

source_vector named: `dim=1`|not:=-2
output, (h, c) = model.encoder(model.source_embedding(source), source != 0)
return torch.cat([h, c]).flatten(1)

source_vector named: last column for h|not:float32
output, (h, c) = model.encoder(model.source_embedding(source), source != 0)
return torch.cat([output[:, -1], c.flatten(1)], 1)

source_vector named: last column|not:float32
output, (h, c) = model.encoder(model.source_embedding(source), source != 0)
return torch.cat([output[:, -1], c[:, -1]], 1)

masked_loss named: shift once more|not:thousands
logits, target = logits[:, :-1], target[:, 1:]
return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad)

masked_loss named: in bits|not:thousands
l = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad)
return l / math.log(2)

masked_loss wrong: With plain inputs|not:thousands
l = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad)
return l * 1.1 + 0.1

shift named: both ends off what is predicted
return target[:, :-1], target[:, 1:-1]

# chapter 9: what was told in numbers, or told falsely

two_sources wrong: whole batch at once|not:self.training
def once(x, text, image, mask, text_mask):
    x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
    x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))
    x = self.residual_3(x, lambda y: self.image_attention(y, image, image))
    return self.residual_4(x, self.feed_forward)
mask = mask.expand(len(x), x.shape[1], -1)
text_mask = text_mask.expand(len(x), x.shape[1], -1)
rows = [a.split(1) for a in (x, text, image, mask, text_mask)]
return torch.cat([once(*row) for row in zip(*rows)])

two_sources named: image first
x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
x = self.residual_2(x, lambda y: self.image_attention(y, image, image))
x = self.residual_3(x, lambda y: self.text_attention(y, text, text, text_mask))
return self.residual_4(x, self.feed_forward)

two_sources named: use y
x = self.residual_1(x, lambda y: self.self_attention(x, x, x, mask))
x = self.residual_2(x, lambda y: self.text_attention(x, text, text, text_mask))
x = self.residual_3(x, lambda y: self.image_attention(x, image, image))
return self.residual_4(x, self.feed_forward)

two_sources named: no mask|not:unsqueeze
$own
x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))
x = self.residual_3(x, lambda y: self.image_attention(y, image, image, text_mask))
return self.residual_4(x, self.feed_forward)

two_sources named: the text asks|not:unsqueeze
$own
x = self.residual_2(x, lambda y: self.text_attention(text, y, y, text_mask))
x = self.residual_3(x, lambda y: self.image_attention(image, y, y))
return self.residual_4(x, self.feed_forward)

two_sources named: post-norm out
x = self.residual_1.norm(x + self.self_attention(x, x, x, mask))
x = self.residual_2.norm(x + self.text_attention(x, text, text, text_mask))
x = self.residual_3.norm(x + self.image_attention(x, image, image))
return self.residual_4.norm(x + self.feed_forward(x))

two_sources wrong: one and the same|not:nn.Parameter
class TwoSourceLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attention = attention_layer(config)
        self.text_attention = attention_layer(config)
        self.image_attention = self.text_attention
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.residual_1 = residual_layer(config)
        self.residual_2 = residual_layer(config)
        self.residual_3 = residual_layer(config)
        self.residual_4 = residual_layer(config)
    def forward(self, x, text, image, mask, text_mask):
        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
        x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))
        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))
        return self.residual_4(x, self.feed_forward)

prefix_mask named: no target token|not:reference
m = torch.zeros(source + target, source + target, dtype=torch.bool)
m[:, :source] = True
return m

prefix_mask named: the ones after them
m = torch.ones(source + target, source + target, dtype=torch.bool)
m[:source, source:] = False
return m

prefix_mask named: Two mistakes|not:upper triangle
m = torch.ones(source + target, source + target, dtype=torch.bool).tril(-1)
m[:, :source] = True
return ~m

prefix_mask named: one too long
i = torch.arange(source + target)
return (i <= source) | (i <= i[:, None])

decoder_only named: eight heads share
6 * (8 * 4 * 512**2 + 2 * 512 * 2048 + 2048 + 512 + 4 * 512) + 37_000 * 512

two_sources named: feed-forward network works on x|not:All other
$own
$text
$image
return self.residual_4(x, lambda y: self.feed_forward(x))

two_sources named: `self.residual_4` for every
x = self.residual_4(x, lambda y: self.self_attention(y, y, y, mask))
x = self.residual_4(x, lambda y: self.text_attention(y, text, text, text_mask))
x = self.residual_4(x, lambda y: self.image_attention(y, image, image))
return self.residual_4(x, self.feed_forward)

two_sources named: argument of `nn.MultiheadAttention`|not:in the stub
x = self.residual_1(x, lambda y: self.self_attention(y, y, y, attn_mask=mask))
$text
$image
return self.residual_4(x, self.feed_forward)

two_sources named: argument of `nn.MultiheadAttention`|not:in the stub
$own
x = self.residual_2(x, lambda y: self.text_attention(y, text, text, key_padding_mask=~text_mask))
$image
return self.residual_4(x, self.feed_forward)

two_sources named: as it is|not:needs an axis|not:reference
$own
x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask.unsqueeze(1)))
$image
return self.residual_4(x, self.feed_forward)

two_sources named: transpose `text_mask`|not:needs an axis
$own
x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask.mT))
$image
return self.residual_4(x, self.feed_forward)

two_sources named: You invert `mask`|not:reference
x = self.residual_1(x, lambda y: self.self_attention(y, y, y, ~mask))
$text
$image
return self.residual_4(x, self.feed_forward)

two_sources named: You invert `text_mask`|not:reference
$own
x = self.residual_2(x, lambda y: self.text_attention(y, text, text, ~text_mask))
$image
return self.residual_4(x, self.feed_forward)

two_sources named: invert both masks|not:Right already
x = self.residual_1(x, lambda y: self.self_attention(y, y, y, ~mask))
x = self.residual_2(x, lambda y: self.text_attention(y, text, text, ~text_mask))
$image
return self.residual_4(x, self.feed_forward)

two_sources named: attention of its name|not:reference
$own
x = self.residual_2(x, lambda y: self.image_attention(y, text, text, text_mask))
x = self.residual_3(x, lambda y: self.text_attention(y, image, image))
return self.residual_4(x, self.feed_forward)

two_sources named: with `self_attention`|not:reference
$own
x = self.residual_2(x, lambda y: self.self_attention(y, text, text, text_mask))
$image
return self.residual_4(x, self.feed_forward)

two_sources named: the image's attention|not:reference
$own
x = self.residual_2(x, lambda y: self.image_attention(y, text, text, text_mask))
$image
return self.residual_4(x, self.feed_forward)

two_sources named: values come from the target|not:reference
$own
x = self.residual_2(x, lambda y: self.text_attention(y, text, y, text_mask))
$image
return self.residual_4(x, self.feed_forward)

two_sources named: keys come from the text|not:reference
$own
$text
x = self.residual_3(x, lambda y: self.image_attention(y, text, image))
return self.residual_4(x, self.feed_forward)

two_sources named: It takes x, and then|not:reference
$own
$text
$image
return self.residual_4(self.feed_forward, x)

two_sources named: transpose `mask`|not:Right already
x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask.mT))
$text
$image
return self.residual_4(x, self.feed_forward)

two_sources wrong: Pre-norm|not:heads = 1
$own
$text
n = image.shape[1]
m = torch.ones(x.shape[1], n, dtype=torch.bool).tril()
x = self.residual_3(x, lambda y: self.image_attention(y, image, image, m))
return self.residual_4(x, self.feed_forward)

two_sources named: Two mistakes|no mask|And: Your feed-forward network works on x
x = self.residual_1(x, lambda y: self.self_attention(y, y, y))
$text
$image
return self.residual_4(x, lambda y: self.feed_forward(x))

two_sources named: the text asks itself
$own
x = self.residual_2(x, lambda y: self.text_attention(text, text, text, text_mask))
$image
return self.residual_4(x, self.feed_forward)

two_sources wrong: Return the tensor alone|not:autograd
$own
$text
$image
return [self.residual_4(x, self.feed_forward)]

two_sources named: around the first residual
x = x + self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
$text
$image
return self.residual_4(x, self.feed_forward)

two_sources named: and average
$own
t = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))
i = self.residual_3(x, lambda y: self.image_attention(y, image, image))
return self.residual_4((t + i) / 2, self.feed_forward)

two_sources named: both attentions in one residual
$own
x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask) + self.image_attention(y, image, image))
return self.residual_3(x, self.feed_forward)

two_sources named: the feed-forward network's is
$own
$text
x = self.residual_4(x, lambda y: self.image_attention(y, image, image))
return self.residual_3(x, self.feed_forward)

two_sources named: `[0]`
x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)[0])
$text
$image
return self.residual_4(x, self.feed_forward)

two_sources named: made in a loop
looks = []
for a, m, k in [(self.self_attention, x, mask), (self.text_attention, text, text_mask), (self.image_attention, image, None)]:
    looks.append(lambda y: a(y, m, m, k))
for r, f in zip((self.residual_1, self.residual_2, self.residual_3), looks):
    x = r(x, f)
return self.residual_4(x, self.feed_forward)

two_sources named: Your attention to the text has no mask|And: You exchanged residuals
$own
x = self.residual_3(x, lambda y: self.text_attention(y, text, text))
x = self.residual_2(x, lambda y: self.image_attention(y, image, image))
return self.residual_4(x, self.feed_forward)

prefix_mask named: does not let a source token see|nor a target token itself|not:sees all of
return torch.ones(source + target, source + target, dtype=torch.bool).tril(-1)

prefix_mask named: source − 1
return torch.ones(source + target, source + target, dtype=torch.bool).tril(source - 1)

prefix_mask named: No token sees itself
m = torch.ones(source + target, source + target, dtype=torch.bool).tril()
m[:, :source] = True
return m & ~torch.eye(source + target, dtype=torch.bool)

prefix_mask named: You exchanged rows and columns
m = torch.ones(source + target, source + target, dtype=torch.bool).tril()
m[:, :source] = True
return m.T

prefix_mask named: You exchanged rows and columns|not see themselves
m = torch.ones(source + target, source + target, dtype=torch.bool).tril(-1)
m[:, :source] = True
return m.T

decoder_only named: either the second bias|or the gain or the bias
6 * (4 * 512**2 + 2 * 512 * 2048 + 2048 + 512 + 3 * 512) + 37_000 * 512

decoder_only named: three matrices
6 * (4 * 512**2 + 2 * 512 * 2048 + 2048 + 512 + 4 * 512) + 3 * 37_000 * 512

cross_shape named: one head of one sentence
(15, 20)

# what differs in training alone

decode named: drop out once more
$embedded
x = model.dropout(x)
return model.generator(model.decoder(x, memory, mask, memory_mask))

decode named: switched the model to training
model.train()
$embedded
return model.generator(model.decoder(x, memory, mask, memory_mask))

decode right
$embedded
for layer in model.decoder.layers:
    x = layer(x, memory, mask, memory_mask)
return model.generator(model.decoder.norm(x))

two_sources named: `text_mask`
$own
x = self.residual_2(x, lambda y: self.text_attention(y, text, text, mask))
$image
return self.residual_4(x, self.feed_forward)

two_sources named: come from the text
$own
$text
x = self.residual_3(x, lambda y: self.image_attention(y, image, text))
return self.residual_4(x, self.feed_forward)

two_sources named: sublayer first
x = self.residual_1(lambda y: self.self_attention(y, y, y, mask), x)
$text
$image
return self.residual_4(x, self.feed_forward)

two_sources named: inside the self-attention's
x = self.residual_1(x, lambda y: y + self.self_attention(y, y, y, mask))
$text
$image
return self.residual_4(x, self.feed_forward)

# chapter 9: named at last, and no longer told falsely

two_sources named: is not kept
$own
$text
self.residual_3(x, lambda y: self.image_attention(y, image, image))
return self.residual_4(x, self.feed_forward)

two_sources named: `self.residual_4`|not:as well
$own
$text
return self.residual_3(x, self.feed_forward)

two_sources named: made in a loop
looks = []
for a, m, k in ((self.text_attention, text, text_mask), (self.image_attention, image, None)):
    looks.append(lambda y: a(y, m, m, k))
$own
x = self.residual_3(self.residual_2(x, looks[0]), looks[1])
return self.residual_4(x, self.feed_forward)

encoder_layer named: drops out in training|not:without its dropout
r, s = self.residual_1, self.residual_2
x = r.norm(x + r.dropout(self.self_attention(x, x, x, mask)))
return s.norm(x + s.dropout(self.feed_forward(x)))

encoder_layer named: ReLU
$own
return self.residual_2(x, lambda y: self.feed_forward(y).relu())

prefix_mask named: from the end
mask = torch.zeros(source + target, source + target, dtype=torch.bool)
mask[:, :source] = True
mask[-target:, -target:] = torch.ones(target, target).tril().bool()
return mask

prefix_mask named: always 3
mask = torch.ones(source + target, source + target).tril().bool()
mask[:, :3] = True
return mask

prefix_mask wrong: Without any token
rows = range(source + target)
return torch.tensor([[j < max(source, i + 1) for j in rows] for i in rows], dtype=torch.bool)

embed named: Two things are missing
return embedding(tokens)

embed named: sinusoids yourself|not:Only two cases
from minitfm.positional import sinusoids
x = embedding(tokens) * math.sqrt(embedding.embedding_dim)
return x + sinusoids(x.shape[1], x.shape[2]).to(x)

embed named: in it twice|not:do not scale
return embedding(tokens) * math.sqrt(embedding.embedding_dim) + positions(embedding(tokens))

embed named: number of sentences
return positions(embedding(tokens) * math.sqrt(len(tokens)))

embed named: You normalize the embedding
x = embedding(tokens) * math.sqrt(embedding.embedding_dim)
return positions(F.layer_norm(x, x.shape[-1:]))

embed named: numbers of the places
return embedding(tokens) * math.sqrt(embedding.embedding_dim) + positions(torch.arange(tokens.shape[1]))

decode named: √d_model is missing
mask = causal_mask(target.shape[1]) & padding_mask(target)
x = model.target_positions(model.target_embedding(target))
return model.generator(model.decoder(x, memory, mask, memory_mask))

decode named: written it out
mask = causal_mask(target.shape[1]) & padding_mask(target)
x = model.target_positions(model.target_embedding(target) * math.sqrt(model.config.d_model))
return model.generator(model.decoder(x, memory, mask, memory_mask))

decode named: switched the model to evaluation
model.eval()
$embedded
return model.generator(model.decoder(x, memory, mask, memory_mask))

decode named: stands on the queries
mask = causal_mask(target.shape[1]) & padding_mask(target).transpose(1, 2)
x = model.embed(target, model.target_embedding, model.target_positions)
return model.generator(model.decoder(x, memory, mask, memory_mask))

decode named: size of the source|not:where the reference
mask = causal_mask(memory.shape[1]) & padding_mask(target)
x = model.embed(target, model.target_embedding, model.target_positions)
return model.generator(model.decoder(x, memory, mask, memory_mask))

decode named: the encoder on the target
$embedded
return model.generator(model.encoder(x, mask))

decode named: no causal mask|not:causal_mask(
x = model.embed(target, model.target_embedding, model.target_positions)
return model.generator(model.decoder(x, memory, padding_mask(target), memory_mask))

decode right: package's own
return model.generator(model.read_target(target, memory, memory_mask))
"""


def _read(block: str) -> tuple[str, str, str, str]:
    """Exercise, code, verdict and words."""
    head, _, code = block.partition("\n")
    about, _, words = head.partition(": ")
    name, verdict = about.split()
    return name, code, verdict, words


CASES = [
    _read(block)
    for block in Template(TEXT).substitute(LINES).strip().split("\n\n")
    if not block.startswith("#")
]

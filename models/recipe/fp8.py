"""FP8 as docs/numerics.md has it: E4M3 codes, weights in 128x128 blocks, activations in 1x128 blocks.

`weight` and `activation` return what the codes stand for and pass gradients straight through, so a model trained
with them meets at training time the rounding that fathom's w8a8 will do."""
import torch
import torch.nn.functional as F

BLOCK = 128
LARGEST = 448.0


def codes(x, scale):
    return (x / scale).clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn)


def blocks(w):
    """[..., rows, columns] as [..., row blocks, 128, column blocks, 128]; zeros fill the edges."""
    rows, columns = w.shape[-2:]
    w = F.pad(w, (0, -columns % BLOCK, 0, -rows % BLOCK))
    return w.view(*w.shape[:-2], w.shape[-2] // BLOCK, BLOCK, w.shape[-1] // BLOCK, BLOCK)


def quantise_weight(w):
    """Codes of w's shape and FP32 scales, one for each block: value = code * scale."""
    b = blocks(w.float())
    amax = b.abs().amax((-3, -1), keepdim=True)
    scale = torch.where(amax > 0, amax / LARGEST, torch.ones_like(amax))
    padded = codes(b, scale).flatten(-2).flatten(-3, -2)
    return padded[..., :w.shape[-2], :w.shape[-1]].contiguous(), scale.squeeze(-1).squeeze(-2)


def dequantise_weight(code, scale):
    wide = scale.repeat_interleave(BLOCK, -2).repeat_interleave(BLOCK, -1)
    return code.float() * wide[..., :code.shape[-2], :code.shape[-1]]


def straight_through(x, value):
    return x + (value - x).detach()


def weight(w):
    return straight_through(w, dequantise_weight(*quantise_weight(w.detach())))


def activation(x):
    """Blocks of 128 along the last dimension; a last block may be shorter."""
    with torch.no_grad():
        n = x.shape[-1]
        b = F.pad(x.float(), (0, -n % BLOCK)).unflatten(-1, (-1, BLOCK))
        scale = b.abs().amax(-1, keepdim=True).clamp_min(1e-4) / LARGEST
        value = (codes(b, scale).float() * scale).flatten(-2)[..., :n].to(x.dtype)
    return straight_through(x, value)

"""Muon for the matrices, AdamW for the rest.

Muon (K. Jordan) replaces a matrix's momentum by the nearest orthogonal matrix, found with a few Newton-Schulz
steps; the update is scaled to AdamW's usual size (Moonlight, arXiv 2502.16982), so both share one learning rate."""
import torch

MOMENTUM, DECAY = 0.95, 0.05
ROUTER_SHARE = 0.1  # of the learning rate, so that the balancing bias can follow the routers


def orthogonal(m):
    """For a stack [n, rows, columns]."""
    x = m.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 0.0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                m = self.state[p].setdefault("momentum", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - MOMENTUM)
                rows, columns = p.shape[-2:]
                update = orthogonal(p.grad.lerp(m, MOMENTUM).reshape(-1, rows, columns)).view_as(p)
                p.mul_(1 - group["lr"] * DECAY).add_(update, alpha=-0.2 * max(rows, columns) ** 0.5 * group["lr"])


class Both:
    """The two optimizers as one."""

    def __init__(self, model):
        matrices = [p for n, p in model.named_parameters() if p.ndim > 1 and not apart(n)]
        routers = [p for n, p in model.named_parameters() if router(n)]
        rest = [p for n, p in model.named_parameters() if (p.ndim < 2 or apart(n)) and not router(n)]
        groups = [{"params": rest, "share": 1.0}, {"params": routers, "share": ROUTER_SHARE}]
        groups = [g for g in groups if g["params"]]  # a dense model has no router
        self.parts = Muon(matrices), torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), weight_decay=0.0, fused=True)

    def step(self, lr):
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr * group.get("share", 1.0)
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self):
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states):
        for part, state in zip(self.parts, states):
            part.load_state_dict(state)


def router(name):
    return "mlp.gate.weight" in name


def apart(name):
    """Embedding, head and routers are no maps between hidden states: AdamW suits them better."""
    return router(name) or "embed_tokens" in name or "lm_head" in name

"""Torch's compiler is imported when somebody compiles, and by nobody else."""

import subprocess
import sys

BEGIN = """
import sys, warnings
from hpo.training import uncompiled
uncompiled.put_off()
import torch
from torch import nn

def compiler():
    return "torch._dynamo.utils" in sys.modules

model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
def step(optimizer, model=model):
    optimizer.zero_grad()
    model(torch.ones(8, 4)).sum().backward()
    optimizer.step()
"""


def run(code):
    subprocess.run([sys.executable, "-W", "error", "-c", BEGIN + code], check=True)


def test_training_does_without():
    run("""
for make in (torch.optim.SGD, torch.optim.AdamW):
    optimizer = make(model.parameters(), lr=0.1)
    step(optimizer)
    optimizer.load_state_dict(optimizer.state_dict())
gradients = torch.func.vmap(torch.func.grad(lambda row: row.square().sum()))(torch.ones(3, 4))
assert torch.equal(gradients, torch.full((3, 4), 2.0))
assert not compiler()
""")


def test_who_compiles_has_it():
    run("""
optimizer = torch.optim.AdamW(model.parameters())
step(optimizer)
compiled = torch.compile(model, backend="eager")
assert compiler()
assert torch.equal(compiled(torch.ones(8, 4)), model(torch.ones(8, 4)))
step(optimizer, compiled)
""")


def test_who_imports_it_has_it():
    for statement in ("import torch._dynamo.config", "from torch._dynamo import is_compiling"):
        run(f"{statement}\nassert compiler()")
    run("""
import torch._dynamo
absent = torch._dynamo
absent.reset()
assert compiler() and absent is not torch._dynamo and absent.is_compiling is torch._dynamo.is_compiling
assert torch._dynamo.disable.__module__.startswith("torch._dynamo.")
uncompiled.put_off()
assert compiler() and torch._dynamo is sys.modules["torch._dynamo"] is not absent
""")


def test_who_looks_through_all_modules_does_not_ask_for_it():
    run("""
import inspect
assert inspect.getmodule(nn.Linear.forward) is sys.modules[nn.Linear.__module__]
assert [hasattr(module, "__nothing__") for module in list(sys.modules.values())]
assert not compiler()
""")

"""What a configuration means in torch: optimizers, schedules, clipping, the training loop and its engines.

`words` are the definitions, which do not import torch, and `engine` is the contract of those who train by
them: `plain` one trial with the loop and the parts in `loop`, `fused` many at once. `execution` makes a
module of a recipe's text, `demands` says what it must return, `beginning` and `transfer` what a trial begins
with.
`distributed` lets several workers train one trial together; `memory` and `costs` tell what a training takes;
`snapshot` and `checkpoint` keep how far it is and what it has learned; `autopsy` finds where in a model a
divergence began.
"""

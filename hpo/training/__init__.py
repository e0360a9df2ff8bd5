"""What a configuration means in torch: optimizers, schedules, clipping, the training loop and its engines.

`words`, `optimizer`, `optimizers`, `schedule_words`, `schedules`, `values`, `state`, `calls` and `engine` are
definitions: they do not import torch, so that the command line can check a person's words against them at
once. `beginning`, `loop`, `gradients`, `clipping`, `averaging`, `groups`, `muon`, `initialization`,
`transfer` and `plain` train one trial, `fused` many at once; `distributed` and `joint_norm` let several
workers train one together, `memory` and `costs` tell what that takes, `checkpoint` keeps what was learned on
disk, `autopsy` finds where in a model a divergence began.
"""

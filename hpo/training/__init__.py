"""What a configuration means in torch: optimizers, schedules, clipping, the training loop and its engines.

`words`, `optimizers`, `schedules`, `values`, `state`, `calls` and `engine` are definitions: they do not
import torch, so that the command line can check a person's words against them at once. `loop`, `gradients`,
`clipping`, `averaging`, `groups`, `muon`, `initialization`, `transfer` and `plain` train, `distributed` and
`joint_norm` let several workers do so together, `memory` tells what that takes, `checkpoint` keeps what was
learned on disk, `autopsy` finds where in a model a divergence began.
"""

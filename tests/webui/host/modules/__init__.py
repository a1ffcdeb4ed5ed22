"""A small WebUI for tests: the host's module names, on the embedded model and k-diffusion's own samplers.

It is true to AUTOMATIC1111 where that hurts an extension: generators that draw whole batches, conditionings that one
cache shares between jobs, an interruption that is no `Exception`, calls counted twice by second-order samplers, script
arguments that are spliced into a longer list without a look at their number.
"""

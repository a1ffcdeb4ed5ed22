"""Merges of checkpoints: which weight belongs to which block, presets, the arithmetic, merged files, distances.

`blocks`, `presets` and `holding` need the standard library alone; `sources` and `saving` torch and safetensors;
`distances` numpy.
Knows neither a run nor a host.
"""

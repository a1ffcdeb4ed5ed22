"""The parts of the embedded model's trainer: networks, stages, words and the export to Stable Diffusion's layout."""

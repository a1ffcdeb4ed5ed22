"""What is known of the words of a prompt: measured one by one, without a search.

`analyze` measures, by images (`rendered`) or by how likely the targets are (`likely`); `result` is
what an analysis tells.  Nothing is imported here.
"""

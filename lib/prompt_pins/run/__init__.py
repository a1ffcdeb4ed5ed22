"""A run: the loop that pins a prompt, and its parts.

`pin.start` and `pin.resume` yield what happens, as events; `plan` says beforehand what a run will do and cost.
Nothing is imported here: a part is asked for by its name.
"""

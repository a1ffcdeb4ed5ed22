"""Which pictures lie near a prompt: a map of its weights.

`work` renders, `points` says what, `distances` compares the images, `clusters` and `plane` find the pictures and lay
them out, `naming` says which words set them apart, `result` is what a map tells.  Nothing is imported here.
"""

"""What is known of the words of a prompt: measured one by one, without a search.

`analyze` renders and measures; `effects` says what can be said of the means.  Nothing is imported here.
"""

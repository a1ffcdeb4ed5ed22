"""Many workers behind one host: WebUIs by their API, and actors of Ray.

`pool.Pool` is a `Host` made of hosts: it is told what is asked for next, gives it out, and answers in the order in
which it is asked.  Nothing is imported here: a part is asked for by its name.
"""

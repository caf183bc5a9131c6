"""What others would write to do Yeeter's work, from the libraries that one finds first, with care for speed.

The peers get what is not measured for nothing: the orders are planned before their time begins, and all their
instances share the same pixels. What they send is what Yeeter sends: the same fields of ORM^O01, the same elements of a
CT instance (``tests/bench/test_peers.py`` compares both), each acknowledgement and each C-STORE status checked.
"""

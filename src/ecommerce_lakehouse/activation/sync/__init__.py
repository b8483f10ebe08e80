"""Reverse ETL: sends what tables say to Customer.io, each change once.

`declarations` are the syncs of `activation/syncs`, `messages` makes rows into messages, `diff` finds which
are due, `plan` says so before anything is sent, `run` sends, `tables` keeps what was accepted, and
`activation` is all of it for an environment. `docs/activation_syncs.md` shows how.
"""

"""Managers of what Customer.io knows: a thin class a subject, over one base that counts, times and logs.

`people`, `events`, `objects`, `devices`, `semantic` (ecommerce, email, live chat, mobile, video) and `batch`
send by the client; `messaging` by the App API; `setup` and `observability` say whether all is well.
`docs/activation_seed.md` says which part does the work of which class of the seed.
"""

"""A client of Customer.io's Data Pipelines API and App API that needs nothing else of this project.

`settings` says where calls go, `models` and `builders` make messages, `registry` lists every event, `client`
sends, `outcomes` says what became of each message, and `app` sends email. `docs/activation.md` shows how.
"""

"""The REST API, served by the same process and on the same port as the pages.

Handlers translate between JSON and ``app.services``; what is done is decided there.
"""

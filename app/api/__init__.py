"""The REST and Socket.IO API. The only asynchronous part: the core is called in threads.

``app.api.server.serve`` runs it, ``app.api.application.create_app`` makes it. Nothing is imported here: the command
line uses the views alone, and starts faster without the web framework.
"""

"""A server for the model of a run: an API, a page, and limits that hold under attack.

A request comes in from the outside: the `protocol` bounds headers and slow senders; the `gate` says
no early where there is too much to do, and logs and counts; `api` knows the paths; `endpoints`
read pictures (`body`, `uploads`) and hand them to the `batching`. docs/serve.md describes it from
outside.
"""

from tenfold.serving.app.limits import Batching, Limits
from tenfold.serving.app.served import Served, load
from tenfold.serving.app.server import Options, listen, serve, url_of

__all__ = ["Batching", "Limits", "Options", "Served", "listen", "load", "serve", "url_of"]

"""HTTP of the gateway: the token service and the market's data.

====================  ==================================================================================
file                  noun
====================  ==================================================================================
``application``       the ASGI application: who is let in, routes, errors
``tally``             counts the answers
``admission``         who asks, and whether too often
``throttle``          requests a second, by caller
``endpoint``          one row of the route table and what its handler is given
``market``            the route table of market data
``securities``,       the handlers, by noun
``reference``,
``quotes``, ``books``,
``trades``, ``bars``
``delay``             what somebody without a token may see
``answers``           records to bytes, long answers in chunks
``openapi``           the route table as an OpenAPI description
``refresh``           the token service
``admin``             sessions and metrics, for the operator
====================  ==================================================================================
"""

from tapewire.gateway.http.application import http_application
from tapewire.gateway.http.throttle import Throttle

__all__ = ["Throttle", "http_application"]

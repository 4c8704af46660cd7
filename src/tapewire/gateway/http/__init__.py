"""HTTP of the gateway: the token service, the market's data, portfolios and orders.

====================  ==================================================================================
file                  noun
====================  ==================================================================================
``application``       the ASGI application: who is let in, routes, errors
``tally``             counts the answers
``admission``         who asks, and whether too often
``throttle``          requests a second, by caller
``endpoint``          one row of the route table and what its handler is given
``routes``            the route tables together
``market``            that of market data
``securities``,       its handlers, by noun
``reference``,
``quotes``, ``books``,
``trades``, ``bars``
``trading``           that of portfolios and orders
``portfolio``,        its handlers, by noun
``fills``, ``orders``,
``estimates``,
``groups``
``bodies``            bodies of requests, bounded
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

"""The seams of tapewire: what its cores need from the world, each small and owned by its users.

========================  ==============================  ===========================================
port                      live                            simulated
========================  ==============================  ===========================================
``Clock``                 ``adapters.clock``              ``simulation.loop`` (virtual time)
``Transport``,            ``adapters.picows_transport``,  ``simulation.network``
``Connector``             ``adapters.picows_client``
``HttpClient``            ``adapters.http_client``        ``simulation.http``
``FeedSource``,           ``venues.embedded``             ``simulation.venue`` (scripted)
``CommandSink``, ``Query``
``JournalFile``           ``adapters.journal_file``       ``simulation.disk`` (drops what is unsynced)
``SnapshotStore``         ``adapters.snapshot_files``     ``simulation.disk``
``Archive``               ``adapters.sqlite_archive``,    ``simulation.archive`` (drops what is unsynced)
                          ``venues.memory_archive``
``UserStore``             ``adapters.sqlite_users``       ``adapters.memory_users``
========================  ==============================  ===========================================

All callbacks run in the event loop's thread and must not block. Timers belong to the running loop
(``loop.call_at``), which is why virtual time needs no port of its own: a virtual loop supplies it.
"""
